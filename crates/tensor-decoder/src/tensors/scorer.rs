//! Log-probabilities of given tokens on a device.

use std::sync::Arc;

use burn::{module::Module, tensor::Device};
use still_decoder::{DecoderConfig, DecoderWeights, Threads};
use still_rollout::StepError;

use super::{composed::target_log_probabilities, decoder::Decoder, inference::guarded};
use crate::{
    batch::TokenBatch,
    precision::TensorPrecision,
    trainable::{ForwardSettings, LayerObserver},
};

/// A decoder that tells what it thinks of tokens it did not draw; memory grows linearly with their number.
pub struct Scorer {
    decoder: Decoder,
    settings: ForwardSettings,
}

impl Scorer {
    /// A scorer whose matrices lie on `device` in `precision`.
    ///
    /// # Errors
    /// When the device has not the room for the weights.
    pub fn new(
        config: DecoderConfig,
        weights: &DecoderWeights,
        device: &Device,
        precision: TensorPrecision,
    ) -> Result<Self, StepError> {
        // a decoder without a graph is taken out of one that has autodiff
        let device = device.clone().autodiff();
        let decoder = guarded(|| Ok(Decoder::from_weights(weights, &device, precision)))?;
        let (config, threads) = (Arc::new(config), Threads::single());
        let observer = LayerObserver::default();
        let settings = ForwardSettings { config, threads, recompute: true, observer };
        Ok(Self { decoder, settings })
    }

    /// The log-probability of every token after the first, in nats: `[tokens - 1]`.
    ///
    /// # Errors
    /// When a token is beyond the vocabulary, or the device fails or has not the room.
    pub fn log_probabilities(&self, tokens: &[u32]) -> Result<Vec<f32>, StepError> {
        if tokens.len() < 2 {
            return Ok(Vec::new());
        }
        let batch = TokenBatch::new([(tokens, 1..tokens.len())], self.settings.config.vocabulary_size)
            .map_err(|error| StepError::Device(error.to_string()))?;
        guarded(|| {
            let found = target_log_probabilities(&self.decoder.valid(), &batch, &self.settings);
            let values = found.try_into_data()?.convert::<f32>().try_into_vec();
            Ok(values.unwrap_or_default())
        })
    }
}
