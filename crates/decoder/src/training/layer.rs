//! One block of the decoder, forward and backward.

mod feed_forward;
mod projection;

use self::feed_forward::FeedForwardGradients;
use super::attention::{AttentionOutput, attention_backward, attention_forward};
use super::norm::{rms_norm_again, rms_norm_into};
use super::{Segments, rms_norm_backward};
use crate::buffer::Buffer;
use crate::lanes::vectorised;
use crate::threads::balanced_runs;
use crate::{DecoderConfig, LayerView, RopeTable, Threads};

/// A run may be this much longer than its share before the threads rather share each product.
const TOLERATED_IMBALANCE: f64 = 1.25;

/// What every block of one pass over a batch has in common.
#[derive(Debug, Clone, Copy)]
pub struct LayerPass<'a> {
    /// The decoder's sizes.
    pub config: &'a DecoderConfig,
    /// Rotations up to the longest segment.
    pub rope: &'a RopeTable,
    /// Where sequences begin.
    pub segments: &'a Segments,
    /// What may compute.
    pub threads: &'a Threads,
}

/// Whether a forward pass keeps what the backward pass wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActivationMode {
    /// Keep it: about `qkv + query + hidden + 2 * intermediate` numbers a token.
    Keep,
    /// Keep nothing; the backward pass computes the block again.
    Recompute,
}

/// What the backward pass of one block wants, by run of segments.
pub struct LayerActivations {
    parts: Vec<PartActivations>,
}

/// Gradients of one block's parameters, shaped like [`crate::LayerWeights`]. Of a projection that stays as it is: those
/// of the changes beside it, of each `A` and then `B`.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerGradients {
    /// `[hidden]`
    pub input_norm: Vec<f32>,
    /// `[qkv, hidden]`
    pub qkv: Vec<f32>,
    /// `[qkv]`
    pub qkv_bias: Option<Vec<f32>>,
    /// `[head_dim]`
    pub query_norm: Option<Vec<f32>>,
    /// `[head_dim]`
    pub key_norm: Option<Vec<f32>>,
    /// `[hidden, query]`
    pub output: Vec<f32>,
    /// `[hidden]`
    pub post_attention_norm: Vec<f32>,
    /// `[2 * intermediate, hidden]`
    pub gate_up: Vec<f32>,
    /// `[hidden, intermediate]`
    pub down: Vec<f32>,
}

struct PartActivations {
    input_roots: Vec<f32>,
    /// Rotated, `[tokens, qkv]`.
    qkv: Buffer,
    /// Before normalisation and rotation, with its inverse roots, where heads are normalised.
    plain_heads: Option<(Vec<f32>, Vec<f32>)>,
    attention: AttentionOutput,
    /// The residual stream after attention.
    middle: Buffer,
    middle_roots: Vec<f32>,
    gate_up: Buffer,
}

impl LayerActivations {
    /// Bytes held.
    pub fn memory_bytes(&self) -> usize {
        self.parts.iter().map(PartActivations::memory_bytes).sum()
    }
}

impl LayerGradients {
    fn add(&mut self, other: Self) {
        let pairs = [
            (&mut self.input_norm, other.input_norm),
            (&mut self.qkv, other.qkv),
            (&mut self.output, other.output),
            (&mut self.post_attention_norm, other.post_attention_norm),
            (&mut self.gate_up, other.gate_up),
            (&mut self.down, other.down),
        ];
        let optional = [
            (&mut self.qkv_bias, other.qkv_bias),
            (&mut self.query_norm, other.query_norm),
            (&mut self.key_norm, other.key_norm),
        ];
        let optional = optional.into_iter().filter_map(|(left, right)| left.as_mut().zip(right));
        for (left, right) in pairs.into_iter().chain(optional) {
            vectorised(
                #[inline(always)]
                || left.iter_mut().zip(&right).for_each(|(left, right)| *left += right),
            );
        }
    }
}

/// Takes `x` (`[tokens, hidden]`) through one block.
pub fn layer_forward(
    pass: LayerPass<'_>,
    weights: LayerView<'_>,
    x: &[f32],
    mode: ActivationMode,
) -> (Vec<f32>, Option<LayerActivations>) {
    let parts = pass.parts();
    let hidden = pass.config.hidden_size;
    let mut results = pass.over_parts(&parts, |part, tokens| {
        part.forward(weights, &x[tokens.start * hidden..tokens.end * hidden])
    });
    let mut y = std::mem::take(&mut results[0].0);
    for (more, _) in &results[1..] {
        y.extend_from_slice(more);
    }
    let keep = || LayerActivations { parts: results.into_iter().map(|(_, kept)| kept).collect() };
    (y, (mode == ActivationMode::Keep).then(keep))
}

/// Gradients of `x` and of the block's parameters, given that of its output.
///
/// `activations` must come from the forward pass over the same segments with the same number of threads; without them
/// the block is computed again.
pub fn layer_backward(
    pass: LayerPass<'_>,
    weights: LayerView<'_>,
    x: &[f32],
    activations: Option<&LayerActivations>,
    grad_y: &[f32],
) -> (Vec<f32>, LayerGradients) {
    let parts = pass.parts();
    let hidden = pass.config.hidden_size;
    let kept: Vec<_> = match activations {
        Some(activations) => activations.parts.iter().map(Some).collect(),
        None => parts.iter().map(|_| None).collect(),
    };
    assert_eq!(kept.len(), parts.len(), "activations of the same batch and number of threads");
    let results = pass.over_parts(&parts, |part, tokens| {
        let rows = tokens.start * hidden..tokens.end * hidden;
        let index = parts.iter().position(|(_, other)| *other == tokens).unwrap_or_default();
        let (x, grad_y) = (&x[rows.clone()], &grad_y[rows]);
        match kept[index] {
            Some(kept) => part.backward(weights, x, kept, grad_y),
            None => part.backward(weights, x, &part.activations(weights, x), grad_y),
        }
    });
    let mut results = results.into_iter();
    let Some((mut grad_x, mut gradients)) = results.next() else {
        unreachable!("a batch has at least one part");
    };
    for (more_x, more) in results {
        grad_x.extend_from_slice(&more_x);
        gradients.add(more);
    }
    (grad_x, gradients)
}

type Part = (Segments, std::ops::Range<usize>);

impl LayerPass<'_> {
    /// Runs of segments, one for each thread if they come out even, else all in one.
    fn parts(&self) -> Vec<Part> {
        let (threads, total) = (self.threads.count(), self.segments.token_count());
        let lengths: Vec<_> = self.segments.lengths().collect();
        let runs = balanced_runs(&lengths, threads);
        let longest = runs.iter().map(|run| lengths[run.clone()].iter().sum()).max().unwrap_or(0_usize);
        if threads > 1 && (longest * threads) as f64 <= total as f64 * TOLERATED_IMBALANCE {
            runs.into_iter().map(|run| self.segments.part(run)).collect()
        } else {
            vec![(self.segments.clone(), 0..total)]
        }
    }

    /// Calls `work` for every part: side by side with a thread each, or one part with all threads.
    fn over_parts<R: Send>(
        &self,
        parts: &[Part],
        work: impl Fn(LayerPass<'_>, std::ops::Range<usize>) -> R + Sync,
    ) -> Vec<R> {
        match parts {
            [(segments, tokens)] => {
                vec![self.threads.run(|| work(LayerPass { segments, ..*self }, tokens.clone()))]
            }
            parts => self.threads.map(parts.len(), |index| {
                let (segments, tokens) = &parts[index];
                work(LayerPass { segments, threads: &self.threads.alone(), ..*self }, tokens.clone())
            }),
        }
    }

    fn forward(&self, weights: LayerView<'_>, x: &[f32]) -> (Vec<f32>, PartActivations) {
        let kept = self.activations(weights, x);
        let gated = self.gate(&kept.gate_up);
        let mut y = kept.middle.to_vec();
        self.project_onto(&mut y, &gated, weights.down, self.config.intermediate_size);
        (y, kept)
    }

    /// The forward pass as far as the backward pass wants it.
    fn activations(&self, weights: LayerView<'_>, x: &[f32]) -> PartActivations {
        let (config, threads) = (self.config, self.threads);
        let (hidden, epsilon) = (config.hidden_size, config.rms_norm_epsilon);
        let mut normed = Buffer::for_overwrite(x.len());
        let input_roots = rms_norm_into(x, weights.input_norm, epsilon, &mut normed, threads);
        let mut qkv = self.project(&normed, weights.qkv, hidden);
        let plain_heads = self.prepare_heads(weights, &mut qkv);
        let attention = attention_forward(config, self.segments, &qkv, threads);
        let mut middle = Buffer::copy_of(x);
        self.project_onto(&mut middle, &attention.values, weights.output, config.query_size());
        let middle_roots = rms_norm_into(&middle, weights.post_attention_norm, epsilon, &mut normed, threads);
        let gate_up = self.project(&normed, weights.gate_up, hidden);
        PartActivations { input_roots, qkv, plain_heads, attention, middle, middle_roots, gate_up }
    }

    fn backward(
        &self,
        weights: LayerView<'_>,
        x: &[f32],
        kept: &PartActivations,
        grad_y: &[f32],
    ) -> (Vec<f32>, LayerGradients) {
        let feed_forward = self.feed_forward_backward(weights, kept, grad_y);
        let FeedForwardGradients { middle: grad_middle, post_attention_norm, gate_up, down } = feed_forward;
        let (mut grad_qkv, output) = self.attention_backward(weights, kept, &grad_middle);
        let (query_norm, key_norm) =
            self.prepare_heads_backward(weights, kept.plain_heads.as_ref(), &mut grad_qkv);
        let qkv_bias = weights.qkv_bias.map(|bias| column_sums(&grad_qkv, bias.len()));
        let normed = rms_norm_again(x, weights.input_norm, &kept.input_roots, self.threads);
        let (grad_normed, qkv) =
            self.project_backward(&normed, weights.qkv, self.config.hidden_size, &grad_qkv);
        let mut grad_x = grad_middle;
        let input_norm = rms_norm_backward(
            x,
            weights.input_norm,
            &kept.input_roots,
            &grad_normed,
            &mut grad_x,
            self.threads,
        );
        let gradients = LayerGradients {
            input_norm,
            qkv,
            qkv_bias,
            query_norm,
            key_norm,
            output,
            post_attention_norm,
            gate_up,
            down,
        };
        (grad_x, gradients)
    }

    /// The gradients of the projected `qkv` and of the output projection.
    fn attention_backward(
        &self,
        weights: LayerView<'_>,
        kept: &PartActivations,
        grad_middle: &[f32],
    ) -> (Buffer, Vec<f32>) {
        let values = &kept.attention.values;
        let (grad_values, output) =
            self.project_backward(values, weights.output, self.config.query_size(), grad_middle);
        let grad_qkv = attention_backward(
            self.config,
            self.segments,
            &kept.qkv,
            &kept.attention,
            &grad_values,
            self.threads,
        );
        (grad_qkv, output)
    }
}

impl PartActivations {
    fn memory_bytes(&self) -> usize {
        let heads = self.plain_heads.as_ref().map_or(0, |(plain, roots)| plain.len() + roots.len());
        let numbers = self.input_roots.len()
            + self.qkv.len()
            + heads
            + self.attention.values.len()
            + self.attention.log_sums.len()
            + self.middle.len()
            + self.middle_roots.len()
            + self.gate_up.len();
        numbers * size_of::<f32>()
    }
}

fn column_sums(rows: &[f32], width: usize) -> Vec<f32> {
    let mut sums = vec![0.0; width];
    for row in rows.chunks_exact(width) {
        sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    sums
}
