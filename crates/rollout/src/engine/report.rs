//! What a step brings, and why it may fail.

use thiserror::Error;

use crate::{
    request::{Abandoned, Finished},
    step_model::StepError,
};

/// What one step brought.
#[derive(Debug, Clone, PartialEq)]
pub struct StepReport<K> {
    /// Rollouts that ended.
    pub finished: Vec<Finished<K>>,
    /// Rollouts that cannot be served.
    pub abandoned: Vec<Abandoned<K>>,
    /// Tokens drawn.
    pub tokens: usize,
    /// Prompt tokens run, those run again after a swap or for want of memory included.
    pub prefill_tokens: usize,
    /// Prompt tokens taken over from another slot's cache.
    pub shared_tokens: usize,
    /// Sequences put back into the queue because memory ran out.
    pub put_back: usize,
    /// Whether not even one token of one sequence found room, so that nothing was run. Another user of the device may hold
    /// the memory: step again after a pause.
    pub is_stalled: bool,
    /// Sequences that hold a slot, after the step.
    pub active: usize,
    /// Sequences that wait for one, after the step.
    pub waiting: usize,
}

/// Why a step failed. The sequences are as they were: the step may be tried again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EngineError {
    /// The model failed.
    #[error(transparent)]
    Model(#[from] StepError),
    /// The model broke its contract.
    #[error("the model gave {given} logits where {expected} were asked for")]
    WrongLogits {
        /// Logits given.
        given: usize,
        /// Logits asked for.
        expected: usize,
    },
}

impl<K> Default for StepReport<K> {
    fn default() -> Self {
        Self {
            finished: Vec::new(),
            abandoned: Vec::new(),
            tokens: 0,
            prefill_tokens: 0,
            shared_tokens: 0,
            put_back: 0,
            is_stalled: false,
            active: 0,
            waiting: 0,
        }
    }
}
