//! What an engine runs on: a decoder with a key-value cache of fixed slots.

use thiserror::Error;

pub use still_decoder::Span;

/// Why a model could not take a step.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StepError {
    /// The device had not enough memory for this step; a smaller one may fit.
    #[error("the device is out of memory: {0}")]
    OutOfMemory(String),
    /// The device failed.
    #[error("the device failed: {0}")]
    Device(String),
}

/// A decoder with a key-value cache of fixed slots.
///
/// A slot's logits depend on its own tokens only: not on the other spans of a step, nor on how its tokens
/// were cut into spans. Where kernels are chosen by a step's shape, as on GPUs, that holds up to rounding. After an error, a slot's positions before its span's `start` are as they were.
pub trait StepModel {
    /// Parameters that can be put in force between two steps.
    type Weights;

    /// Length of a row of logits.
    fn vocabulary_size(&self) -> usize;

    /// Number of sequences that the cache holds at once.
    fn slot_count(&self) -> usize;

    /// Positions that each slot holds.
    fn slot_capacity_tokens(&self) -> usize;

    /// Runs all spans, at most one a slot.
    ///
    /// # Shapes
    /// `logits` becomes `[number of spans that want logits, vocabulary_size]`, in the order of the spans.
    fn step(&mut self, spans: &[Span<'_>], logits: &mut Vec<f32>) -> Result<(), StepError>;

    /// Copies positions `0..tokens` of slot `from` into slot `to`.
    fn copy_prefix(&mut self, from: usize, to: usize, tokens: usize) -> Result<(), StepError>;

    /// Forgets what a slot holds, which is broken: numbers that are not finite must not reach the slot's next sequence. For
    /// a model that reads nothing but a slot's own positions there is nothing to do.
    fn clear(&mut self, _slot: usize) -> Result<(), StepError> {
        Ok(())
    }

    /// Puts other parameters in force. Cached keys and values stay as they are.
    fn set_weights(&mut self, weights: Self::Weights) -> Result<(), StepError>;
}
