//! What a learner asks of a decoder, wherever it lies.

use std::{fmt, sync::Arc};

use still_decoder::{DecoderConfig, Loss, Threads};

use crate::{batch::TokenBatch, parameters::Parameters};

/// A decoder with what is trained of it.
pub trait TrainableDecoder {
    /// Log-probabilities of a batch's targets, in nats, `[targets]`.
    fn target_log_probabilities(&self, batch: &TokenBatch, settings: &ForwardSettings) -> Vec<f32>;

    /// A loss of the targets' log-probabilities, and its gradient in all that is trained.
    fn loss_and_gradients(
        &self,
        batch: &TokenBatch,
        settings: &ForwardSettings,
        loss: &mut Loss<'_>,
    ) -> (f64, Parameters);

    /// The targets' log-probabilities, summed and times `weight`, and the gradient of that. It is known beforehand, which
    /// on the processor saves a third of the products at the head.
    fn weighted_likelihood_and_gradients(
        &self,
        batch: &TokenBatch,
        settings: &ForwardSettings,
        weight: f64,
    ) -> (f64, Parameters) {
        self.loss_and_gradients(batch, settings, &mut |found| {
            let sum: f64 = found.iter().map(|value| f64::from(*value)).sum();
            (weight * sum, vec![weight as f32; found.len()])
        })
    }
}

/// How a pass through a decoder runs.
#[derive(Debug, Clone)]
pub struct ForwardSettings {
    /// The decoder's sizes.
    pub config: Arc<DecoderConfig>,
    /// Threads of the processor's kernels.
    pub threads: Threads,
    /// Compute a layer's activations again in the backward pass instead of keeping them. Operators of burn always do.
    pub recompute: bool,
    /// Who hears of every layer that a pass has gone through.
    pub observer: LayerObserver,
}

/// Hears of every layer that a batch has gone through, forward or backward: what tells that a long pass is alive. On a
/// GPU, whose work is queued, it may hear of a layer before that is computed.
#[derive(Clone, Default)]
pub struct LayerObserver(Option<Arc<dyn Fn() + Send + Sync>>);

impl LayerObserver {
    /// `passed` is called after each layer of each pass.
    pub fn new(passed: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(passed)))
    }

    pub(crate) fn passed(&self) {
        if let Some(passed) = &self.0 {
            passed();
        }
    }
}

impl fmt::Debug for LayerObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LayerObserver").field(&self.0.is_some()).finish()
    }
}
