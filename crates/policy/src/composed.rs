//! The decoder composed of burn's own operators: for every device, and the measure of the fused ones.
//!
//! Attention runs sequence by sequence, so no sequence sees another one and no padding is made. Under
//! autodiff it holds a sequence's full score matrix.

use burn::{
    module::Param,
    tensor::{Int, Tensor, TensorData, activation},
};
use still_decoder::{DecoderConfig, RopeTable, Segments};

use crate::{
    batch::TokenBatch,
    decoder::{Decoder, DecoderLayer, ForwardSettings},
};

/// What hides a score; finite, so that no row of it ever becomes NaN.
const HIDDEN_SCORE: f32 = -1e30;

/// Angles of every token, `[tokens, 1, head_dim]`.
struct Rotations {
    cosines: Tensor<3>,
    sines: Tensor<3>,
}

/// Log-probabilities of a batch's targets, `[targets]`.
pub(crate) fn target_log_probabilities(
    decoder: &Decoder,
    batch: &TokenBatch,
    settings: &ForwardSettings,
) -> Tensor<1> {
    let config = &*settings.config;
    let table = decoder.embedding.val();
    let device = table.device();
    let integers = |values: Vec<i64>| {
        let length = values.len();
        Tensor::<1, Int>::from_data(TensorData::new(values, [length]), &device)
    };
    let tokens = integers(batch.tokens.iter().map(|token| i64::from(*token)).collect());
    let rotations = Rotations::new(config, &batch.segments, &table);
    let mut x = table.clone().select(0, tokens).mul_scalar(config.embedding_multiplier);
    for layer in &decoder.layers {
        x = forward(layer, x, &rotations, &batch.segments, config);
    }
    let x = x.select(0, integers(batch.rows.iter().map(|row| *row as i64).collect()));
    let x = rms_norm(x, &decoder.final_norm, config.rms_norm_epsilon);
    let head = decoder.head.as_ref().map_or(table, Param::val);
    let log_probabilities = activation::log_softmax(x.matmul(head.transpose()), 1);
    let targets = integers(batch.targets.iter().map(|target| i64::from(*target)).collect());
    log_probabilities.gather(1, targets.unsqueeze_dim(1)).squeeze_dim(1)
}

fn forward(
    layer: &DecoderLayer,
    x: Tensor<2>,
    rotations: &Rotations,
    segments: &Segments,
    config: &DecoderConfig,
) -> Tensor<2> {
    let (heads, groups) = (config.attention_head_count, config.key_value_head_count);
    let (query_size, group_size) = (config.query_size(), config.key_value_size());
    let token_count = x.dims()[0];
    let epsilon = config.rms_norm_epsilon;

    let normed = rms_norm(x.clone(), &layer.input_norm, epsilon);
    let mut qkv = normed.matmul(layer.qkv.val().transpose());
    if let Some(bias) = &layer.qkv_bias {
        qkv = qkv + bias.val().unsqueeze_dim(0);
    }
    let part = |start: usize, size: usize, count: usize| {
        qkv.clone().narrow(1, start, size).reshape([token_count, count, config.head_dim])
    };
    let mut queries = part(0, query_size, heads);
    let mut keys = part(query_size, group_size, groups);
    let values = part(query_size + group_size, group_size, groups);
    if let (Some(query_norm), Some(key_norm)) = (&layer.query_norm, &layer.key_norm) {
        queries = rms_norm(queries, query_norm, epsilon);
        keys = rms_norm(keys, key_norm, epsilon);
    }
    let (queries, keys) = (rotations.turn(queries), rotations.turn(keys));

    let attended: Vec<Tensor<2>> = segments
        .ranges()
        .map(|range| {
            let of = |tensor: &Tensor<3>| tensor.clone().narrow(0, range.start, range.len()).swap_dims(0, 1);
            let per_group = heads / groups;
            attend(of(&queries), repeat(of(&keys), per_group), repeat(of(&values), per_group))
        })
        .collect();
    let x = x + Tensor::cat(attended, 0).matmul(layer.output.val().transpose());

    let normed = rms_norm(x.clone(), &layer.post_attention_norm, epsilon);
    let gate_up = normed.matmul(layer.gate_up.val().transpose());
    let gate = gate_up.clone().narrow(1, 0, config.intermediate_size);
    let up = gate_up.narrow(1, config.intermediate_size, config.intermediate_size);
    x + (activation::silu(gate) * up).matmul(layer.down.val().transpose())
}

/// Causal attention of one sequence: `[heads, length, head_dim]` thrice to `[length, heads * head_dim]`.
fn attend(queries: Tensor<3>, keys: Tensor<3>, values: Tensor<3>) -> Tensor<2> {
    let [heads, length, head_dim] = queries.dims();
    let device = queries.device();
    let scores = queries.matmul(keys.transpose()).div_scalar((head_dim as f32).sqrt());
    let hidden: Vec<f32> = (0..length * length)
        .map(|place| if place % length > place / length { HIDDEN_SCORE } else { 0.0 })
        .collect();
    let mask = Tensor::<3>::from_data(TensorData::new(hidden, [1, length, length]), &device);
    let shares = activation::softmax(scores + mask, 2);
    shares.matmul(values).swap_dims(0, 1).reshape([length, heads * head_dim])
}

/// Repeats each key or value head for the query heads of its group: `[groups, ..]` to `[heads, ..]`.
fn repeat(tensor: Tensor<3>, times: usize) -> Tensor<3> {
    let [groups, length, head_dim] = tensor.dims();
    let repeated: Tensor<4> = tensor.unsqueeze_dim(1);
    repeated.expand([groups, times, length, head_dim]).reshape([groups * times, length, head_dim])
}

/// `x / sqrt(mean(x²) + epsilon) * scale` over the last dimension (Zhang and Sennrich 2019, arXiv 1910.07467).
fn rms_norm<const D: usize>(x: Tensor<D>, scale: &Param<Tensor<1>>, epsilon: f32) -> Tensor<D> {
    let mean = x.clone().powi_scalar(2).mean_dim(D - 1);
    x / mean.add_scalar(epsilon).sqrt() * scale.val().unsqueeze()
}

impl Rotations {
    fn new(config: &DecoderConfig, segments: &Segments, like: &Tensor<2>) -> Self {
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
            Tensor::from_data(TensorData::new(values, shape), &like.device())
        };
        Self { cosines: table(RopeTable::cosines), sines: table(RopeTable::sines) }
    }

    /// Turns every head by its token's position, half-split.
    fn turn(&self, heads: Tensor<3>) -> Tensor<3> {
        let half = heads.dims()[2] / 2;
        let left = heads.clone().narrow(2, 0, half);
        let right = heads.clone().narrow(2, half, half);
        let turned = Tensor::cat(vec![right.neg(), left], 2);
        heads * self.cosines.clone() + turned * self.sines.clone()
    }
}
