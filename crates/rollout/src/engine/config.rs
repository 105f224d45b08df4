//! How an engine uses its model.

/// What happens to the keys and values of running sequences when the policy changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CachePolicy {
    /// They stay: the sequence goes on at once, on keys and values of two policies (as asynchronous trainers do).
    #[default]
    Keep,
    /// They are computed again under the new policy.
    Recompute,
}

/// How an engine uses its model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineConfig {
    /// Prompt tokens that one step may run beside the decoding sequences.
    pub prefill_tokens_per_step: usize,
    /// Most sequences at once; the model's slots bound it too.
    pub max_sequences: usize,
    /// Cache positions that all sequences together may come to need; one needs its prompt and its longest
    /// response.
    pub cache_tokens: usize,
    /// A beginning that two prompts share is run again, not copied, if it is shorter than this.
    pub min_shared_tokens: usize,
    /// What happens to caches when the policy changes.
    pub cache_policy: CachePolicy,
    /// Threads that draw tokens when there are many logits.
    pub sampling_threads: usize,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            prefill_tokens_per_step: 512,
            max_sequences: usize::MAX,
            cache_tokens: usize::MAX,
            min_shared_tokens: 4,
            cache_policy: CachePolicy::Keep,
            sampling_threads: 1,
        }
    }
}
