//! How an engine uses its model.

/// What happens to the keys and values of running rows when the policy changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CachePolicy {
    /// They stay: the row goes on at once, on keys and values of two policies (as asynchronous trainers do).
    #[default]
    Keep,
    /// They are computed again under the new policy.
    Recompute,
}

/// How an engine uses its model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineConfig {
    /// Prompt tokens that one step may run beside the decoding rows.
    pub prefill_tokens_per_step: usize,
    /// Most rows at once; the model's slots bound it too.
    pub rows: usize,
    /// Cache positions that all rows together may come to need; a row needs its prompt and its longest
    /// response.
    pub cache_tokens: usize,
    /// A beginning that two prompts share is run again, not copied, if it is shorter than this.
    pub least_shared_tokens: usize,
    /// What happens to caches when the policy changes.
    pub cache_policy: CachePolicy,
    /// Threads that draw tokens when there are many logits.
    pub sampling_threads: usize,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            prefill_tokens_per_step: 512,
            rows: usize::MAX,
            cache_tokens: usize::MAX,
            least_shared_tokens: 4,
            cache_policy: CachePolicy::Keep,
            sampling_threads: 1,
        }
    }
}
