//! How an engine uses its model.

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
            sampling_threads: 1,
        }
    }
}
