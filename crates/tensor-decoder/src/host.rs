//! A policy on the processor, as it is trained: the kernels of `still-decoder` on the host's own numbers.

use std::sync::Arc;

use still_decoder::{
    ActivationMode, DecoderGradients, DecoderWeights, LayerGradients, LayerView, LayerWeights, Loss,
    LowRankView, Matrix, ModelPass, ModelView, Objective, ProjectionView, TargetsView, Trained,
    model_gradients, model_log_probabilities,
};

use crate::{
    adapters::{Adapter, Adapters},
    batch::TokenBatch,
    parameters::{Parameters, floats},
    trainable::{ForwardSettings, TrainableDecoder},
};

/// Projections of a block, fused: the rows of query, key and value; output; gate and up; down.
const FUSED: usize = 4;

/// A decoder in f32, with adapters beside it or trained whole.
#[derive(Debug, Clone)]
pub struct HostDecoder {
    weights: Arc<DecoderWeights>,
    adapters: Option<Adapters>,
}

/// The changes of a block's fused projections.
type Changes<'a> = [Vec<LowRankView<'a>>; FUSED];

impl HostDecoder {
    /// A decoder that is trained whole. Its matrices are f32.
    pub const fn whole(weights: Arc<DecoderWeights>) -> Self {
        Self { weights, adapters: None }
    }

    /// A decoder that stays as it is, with adapters beside it that are trained. Its matrices are f32.
    pub const fn adapted(base: Arc<DecoderWeights>, adapters: Adapters) -> Self {
        Self { weights: base, adapters: Some(adapters) }
    }

    /// Of every block, where there are adapters.
    fn changes<'a>(&'a self, settings: &ForwardSettings) -> Option<Vec<Changes<'a>>> {
        let adapters = self.adapters.as_ref()?;
        let of_block = |block: &'a [Adapter]| {
            let mut changes: Changes<'a> = Changes::default();
            for adapter in block {
                let change = adapter.view(adapters.scale, &settings.config);
                changes[adapter.projection.fused_index()].push(change);
            }
            changes
        };
        Some(adapters.layers.iter().map(|block| of_block(block)).collect())
    }

    fn view<'a>(&'a self, changes: Option<&'a [Changes<'a>]>) -> ModelView<'a> {
        let block = |(index, layer): (usize, &'a LayerWeights)| {
            let changes = changes.and_then(|changes| changes.get(index));
            let projection = |matrix: &'a Matrix, place: usize| ProjectionView {
                weight: floats(matrix),
                trained: changes.map_or(Trained::Weight, |changes| Trained::Changes(&changes[place])),
            };
            LayerView {
                input_norm: &layer.input_norm,
                qkv: projection(&layer.qkv, 0),
                qkv_bias: layer.qkv_bias.as_deref(),
                query_norm: layer.query_norm.as_deref(),
                key_norm: layer.key_norm.as_deref(),
                output: projection(&layer.output, 1),
                post_attention_norm: &layer.post_attention_norm,
                gate_up: projection(&layer.gate_up, 2),
                down: projection(&layer.down, 3),
            }
        };
        let weights = &*self.weights;
        ModelView {
            embedding: floats(&weights.embedding),
            layers: weights.layers.iter().enumerate().map(block).collect(),
            final_norm: &weights.final_norm,
            head: weights.head.as_ref().map(floats),
            trains_tables: self.adapters.is_none(),
        }
    }

    fn run<T>(
        &self,
        batch: &TokenBatch,
        settings: &ForwardSettings,
        work: impl FnOnce(ModelPass<'_>, &ModelView<'_>, TargetsView<'_>) -> T,
    ) -> T {
        let changes = self.changes(settings);
        let passed = || settings.observer.passed();
        let mode = if settings.recompute { ActivationMode::Recompute } else { ActivationMode::Keep };
        let pass = ModelPass { config: &settings.config, threads: &settings.threads, mode, passed: &passed };
        let TokenBatch { tokens, segments, rows, targets, .. } = batch;
        work(pass, &self.view(changes.as_deref()), TargetsView { segments, tokens, rows, targets })
    }

    fn gradients(
        &self,
        batch: &TokenBatch,
        settings: &ForwardSettings,
        objective: Objective<'_>,
    ) -> (f64, Parameters) {
        self.run(batch, settings, |pass, model, batch| {
            let (value, found) = model_gradients(pass, model, batch, objective);
            let parameters = match &self.adapters {
                None => Parameters::Full(found.into_weights(pass.config)),
                Some(adapters) => Parameters::Adapters(adapter_gradients(adapters, found)),
            };
            (value, parameters)
        })
    }
}

impl TrainableDecoder for HostDecoder {
    fn target_log_probabilities(&self, batch: &TokenBatch, settings: &ForwardSettings) -> Vec<f32> {
        self.run(batch, settings, model_log_probabilities)
    }

    fn loss_and_gradients(
        &self,
        batch: &TokenBatch,
        settings: &ForwardSettings,
        loss: &mut Loss<'_>,
    ) -> (f64, Parameters) {
        self.gradients(batch, settings, Objective::Of(loss))
    }

    fn weighted_likelihood_and_gradients(
        &self,
        batch: &TokenBatch,
        settings: &ForwardSettings,
        weight: f64,
    ) -> (f64, Parameters) {
        self.gradients(batch, settings, Objective::Likelihood(weight))
    }
}

/// The gradients of the factors, cut from what blocks give of each fused projection: of each change `A`, then `B`.
fn adapter_gradients(adapters: &Adapters, found: DecoderGradients) -> Adapters {
    let block = |(block, found): (&Vec<Adapter>, LayerGradients)| {
        let fused: [Vec<f32>; FUSED] = [found.qkv, found.output, found.gate_up, found.down];
        let mut rest = fused.each_ref().map(Vec::as_slice);
        let gradient = |adapter: &Adapter| {
            let mut next = |like: &Matrix| {
                let rest = &mut rest[adapter.projection.fused_index()];
                let (taken, more) = rest.split_at(like.rows() * like.columns());
                *rest = more;
                Matrix::from_f32(like.rows(), like.columns(), taken.to_vec())
            };
            let (down, up) = (next(&adapter.down), next(&adapter.up));
            Adapter { projection: adapter.projection, down, up }
        };
        block.iter().map(gradient).collect()
    };
    let layers = adapters.layers.iter().zip(found.layers).map(block).collect();
    Adapters { scale: adapters.scale, layers }
}
