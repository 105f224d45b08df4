//! Adapters on the processor, merged into what they change before each pass.

use std::sync::Arc;

use still_decoder::{DecoderWeights, LayerWeights, Loss, merge_change, merged_change_backward};

use crate::{
    adapters::{Adapter, Adapters},
    batch::TokenBatch,
    host::HostDecoder,
    parameters::{Parameters, floats, floats_mut},
    trainable::{ForwardSettings, TrainableDecoder},
};

/// A decoder in f32 whose adapters are trained by the gradients of the whole projections: slower than
/// [`HostDecoder::adapted`], and the bits of jobs that were begun before there was that.
#[derive(Debug, Clone)]
pub struct MergedDecoder {
    merged: HostDecoder,
    adapters: Adapters,
}

impl MergedDecoder {
    /// A decoder that stays as it is, with adapters that are trained.
    pub fn new(base: &DecoderWeights, adapters: Adapters, settings: &ForwardSettings) -> Self {
        let mut merged = base.to_f32();
        for (layer, adapters_of_layer) in merged.layers.iter_mut().zip(&adapters.layers) {
            for adapter in adapters_of_layer {
                let weight = floats_mut(adapter.projection.fused(layer));
                merge_change(weight, &adapter.view(adapters.scale, &settings.config), &settings.threads);
            }
        }
        Self { merged: HostDecoder::whole(Arc::new(merged)), adapters }
    }

    /// The gradients of the factors, from those of the projections.
    fn of_factors(&self, found: Parameters, settings: &ForwardSettings) -> Parameters {
        let Parameters::Full(mut found) = found else {
            unreachable!("a decoder that is trained whole gives gradients of the whole");
        };
        let mut gradients = self.adapters.zeros_like();
        let layers = gradients.layers.iter_mut().zip(&self.adapters.layers).zip(&mut found.layers);
        for ((gradients, adapters), found) in layers {
            for (gradient, adapter) in gradients.iter_mut().zip(adapters) {
                self.of_adapter(gradient, adapter, found, settings);
            }
        }
        Parameters::Adapters(gradients)
    }

    fn of_adapter(
        &self,
        gradient: &mut Adapter,
        adapter: &Adapter,
        found: &mut LayerWeights,
        settings: &ForwardSettings,
    ) {
        let change = adapter.view(self.adapters.scale, &settings.config);
        let grad_weight = floats(adapter.projection.fused(found));
        let (down, up) = merged_change_backward(grad_weight, &change, &settings.threads);
        floats_mut(&mut gradient.down).copy_from_slice(&down);
        floats_mut(&mut gradient.up).copy_from_slice(&up);
    }
}

impl TrainableDecoder for MergedDecoder {
    fn target_log_probabilities(&self, batch: &TokenBatch, settings: &ForwardSettings) -> Vec<f32> {
        self.merged.target_log_probabilities(batch, settings)
    }

    fn loss_and_gradients(
        &self,
        batch: &TokenBatch,
        settings: &ForwardSettings,
        loss: &mut Loss<'_>,
    ) -> (f64, Parameters) {
        let (value, found) = self.merged.loss_and_gradients(batch, settings, loss);
        (value, self.of_factors(found, settings))
    }

    fn weighted_likelihood_and_gradients(
        &self,
        batch: &TokenBatch,
        settings: &ForwardSettings,
        weight: f64,
    ) -> (f64, Parameters) {
        let (value, found) = self.merged.weighted_likelihood_and_gradients(batch, settings, weight);
        (value, self.of_factors(found, settings))
    }
}
