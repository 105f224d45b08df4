//! The decoder on the CPU as an engine's model. Weights and cache are taken beforehand; a step's buffers, estimated
//! with them, grow to those of the largest step and stay.

use std::sync::Arc;

use still_decoder::{CpuDecoder, DecoderWeights, Span};

use crate::step_model::{StepError, StepModel};

impl StepModel for CpuDecoder {
    type Weights = Arc<DecoderWeights>;

    fn vocabulary_size(&self) -> usize {
        self.config().vocabulary_size
    }

    fn slot_count(&self) -> usize {
        self.cache().slot_count()
    }

    fn slot_capacity_tokens(&self) -> usize {
        self.cache().capacity_tokens()
    }

    fn step(&mut self, spans: &[Span<'_>], logits: &mut Vec<f32>) -> Result<(), StepError> {
        Self::step(self, spans, logits);
        Ok(())
    }

    fn copy_prefix(&mut self, from: usize, to: usize, tokens: usize) -> Result<(), StepError> {
        Self::copy_prefix(self, from, to, tokens);
        Ok(())
    }

    fn set_weights(&mut self, weights: Self::Weights) -> Result<(), StepError> {
        Self::set_weights(self, &weights);
        Ok(())
    }
}
