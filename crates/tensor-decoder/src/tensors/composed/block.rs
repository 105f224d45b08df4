//! One block, forward and backward.

use burn::tensor::{Device, FloatDType, Gradients, Tensor, TensorData, activation};
use still_decoder::{DecoderConfig, RopeTable, Segments};

use super::attention::{Attention, Heads};
use crate::tensors::decoder::DecoderLayer;

/// What every block of a pass has in common.
pub(super) struct Block<'a> {
    config: &'a DecoderConfig,
    segments: &'a Segments,
    /// Of every token's angles, `[tokens, 1, head_dim]`.
    cosines: Tensor<3>,
    sines: Tensor<3>,
}

impl<'a> Block<'a> {
    pub(super) fn new(config: &'a DecoderConfig, segments: &'a Segments, device: &Device) -> Self {
        let rope = RopeTable::new(config, segments.longest());
        let table = |of: fn(&RopeTable, usize) -> &[f32]| {
            let positions = segments.lengths().flat_map(|length| 0..length);
            let values: Vec<f32> = positions
                .flat_map(|position| {
                    let half = of(&rope, position);
                    half.iter().chain(half).copied()
                })
                .collect();
            let shape = [segments.token_count(), 1, config.head_dim];
            Tensor::from_data(TensorData::new(values, shape), device)
        };
        Self { config, segments, cosines: table(RopeTable::cosines), sines: table(RopeTable::sines) }
    }

    /// `[tokens, hidden]` to the same, without a graph.
    pub(super) fn forward(&self, layer: &DecoderLayer, x: Tensor<2>) -> Tensor<2> {
        let heads = self.heads(layer, x.clone());
        let attended = self.attention().forward(&heads);
        self.finish(layer, x, attended)
    }

    /// The gradient of the block's input given that of its output, and those of its parameters: of two
    /// halves, each with a graph of its own.
    pub(super) fn backward(
        &self,
        layer: &DecoderLayer,
        x: Tensor<2>,
        grad_y: Tensor<2>,
    ) -> (Tensor<2>, [Gradients; 2]) {
        let early = x.clone().autodiff().require_grad();
        let heads = self.heads(layer, early.clone());
        let plain = heads.inner();
        let attended = self.attention().forward(&plain);

        let late = x.autodiff().require_grad();
        let leaf = attended.clone().autodiff().require_grad();
        let y = self.finish(layer, late.clone(), leaf.clone());
        let of_finish = (y * grad_y.autodiff()).sum().backward();
        let or_zeros =
            |found: Option<Tensor<2>>, like: &Tensor<2>| found.unwrap_or_else(|| like.zeros_like().inner());
        let grad_attended = or_zeros(leaf.grad(&of_finish), &leaf);

        let grads = self.attention().backward(&plain, &attended, &grad_attended);
        let surrogate = (heads.queries * grads.queries.autodiff()).sum()
            + (heads.keys * grads.keys.autodiff()).sum()
            + (heads.values * grads.values.autodiff()).sum();
        let of_heads = surrogate.backward();
        let grad_x = or_zeros(late.grad(&of_finish), &late) + or_zeros(early.grad(&of_heads), &early);
        (grad_x, [of_finish, of_heads])
    }

    const fn attention(&self) -> Attention<'_> {
        Attention { segments: self.segments }
    }

    /// Queries, keys and values of every token.
    fn heads(&self, layer: &DecoderLayer, x: Tensor<2>) -> Heads {
        let config = self.config;
        let (query_size, group_size) = (config.query_size(), config.key_value_size());
        let token_count = x.dims()[0];
        let normed = rms_norm(x, &layer.input_norm.val(), config.rms_norm_epsilon);
        let mut qkv = layer.qkv.project(normed);
        if let Some(bias) = &layer.qkv_bias {
            let dtype: FloatDType = qkv.dtype().into();
            qkv = qkv + bias.val().cast(dtype).unsqueeze_dim(0);
        }
        let part = |start: usize, size: usize, count: usize| {
            qkv.clone().narrow(1, start, size).reshape([token_count, count, config.head_dim])
        };
        let mut queries = part(0, query_size, config.attention_head_count);
        let mut keys = part(query_size, group_size, config.key_value_head_count);
        let values = part(query_size + group_size, group_size, config.key_value_head_count);
        if let (Some(query_norm), Some(key_norm)) = (&layer.query_norm, &layer.key_norm) {
            queries = rms_norm(queries, &query_norm.val(), config.rms_norm_epsilon);
            keys = rms_norm(keys, &key_norm.val(), config.rms_norm_epsilon);
        }
        Heads { queries: self.turn(queries), keys: self.turn(keys), values }
    }

    /// The rest of the block from the attended values, `[tokens, query]`.
    fn finish(&self, layer: &DecoderLayer, x: Tensor<2>, attended: Tensor<2>) -> Tensor<2> {
        let inner = self.config.intermediate_size;
        let x = x + layer.output.project(attended);
        let normed = rms_norm(x.clone(), &layer.post_attention_norm.val(), self.config.rms_norm_epsilon);
        let gate_up = layer.gate_up.project(normed);
        let gate = gate_up.clone().narrow(1, 0, inner);
        let up = gate_up.narrow(1, inner, inner);
        x + layer.down.project(activation::silu(gate) * up)
    }

    /// Turns every head by its token's position, half-split.
    fn turn(&self, heads: Tensor<3>) -> Tensor<3> {
        let dtype: FloatDType = heads.dtype().into();
        let heads = heads.cast(FloatDType::F32);
        let half = heads.dims()[2] / 2;
        let left = heads.clone().narrow(2, 0, half);
        let right = heads.clone().narrow(2, half, half);
        let turned = Tensor::cat(vec![right.neg(), left], 2);
        (heads * self.cosines.clone() + turned * self.sines.clone()).cast(dtype)
    }
}

/// `x / sqrt(mean(x²) + epsilon) * scale` over the last dimension, in f32 (Zhang and Sennrich 2019, arXiv
/// 1910.07467).
pub(crate) fn rms_norm<const D: usize>(x: Tensor<D>, scale: &Tensor<1>, epsilon: f32) -> Tensor<D> {
    let dtype: FloatDType = x.dtype().into();
    let x = x.cast(FloatDType::F32);
    let mean = x.clone().powi_scalar(2).mean_dim(D - 1);
    (x / mean.add_scalar(epsilon).sqrt() * scale.clone().unsqueeze()).cast(dtype)
}
