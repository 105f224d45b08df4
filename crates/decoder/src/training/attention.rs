//! Causal attention inside segments, forward and backward, in blocks of queries.
//!
//! The fused projections `[tokens, q + k + v]` are read where they lie. A block of queries sees the scores of its own rows
//! only; the backward pass forms them again from the stored log-sums (Dao et al. 2022, without the tiling over keys), so
//! that nothing of size `[length, length]` is ever held.

use std::ops::Range;

use super::Segments;
use crate::buffer::Buffer;
use crate::lanes::{dot, exponentiate, maximum, sum, vectorised};
use crate::product::{Target, View, multiply};
use crate::{DecoderConfig, Threads};

/// Queries that share a block of scores.
const BLOCK: usize = 64;

/// What attention puts out.
pub(super) struct AttentionOutput {
    /// `[tokens, query]`
    pub(super) values: Buffer,
    /// Logarithm of the sum of exponentials of each row of scores, `[heads, tokens]`.
    pub(super) log_sums: Vec<f32>,
}

/// Attends; `qkv` is rotated already.
pub(super) fn attention_forward(
    config: &DecoderConfig,
    segments: &Segments,
    qkv: &[f32],
    threads: &Threads,
) -> AttentionOutput {
    let (tokens, heads, width) = (segments.token_count(), config.attention_head_count, config.head_dim);
    let mut output = AttentionOutput {
        values: Buffer::lasting(tokens * config.query_size()),
        log_sums: vec![0.0; heads * tokens],
    };
    let ranges: Vec<_> = segments.ranges().collect();
    if threads.count() == 1 {
        let mut scores = Vec::with_capacity(BLOCK * segments.longest());
        for range in ranges {
            for head in 0..heads {
                let span = HeadSpan::new(config, range.clone(), head);
                let log_sums = &mut output.log_sums[head * tokens..][range.clone()];
                let values = &mut output.values[range.start * config.query_size() + head * width..];
                span.forward(qkv, values, config.query_size(), log_sums, &mut scores);
            }
        }
        return output;
    }
    let results = threads.map(ranges.len() * heads, |task| {
        let span = HeadSpan::new(config, ranges[task / heads].clone(), task % heads);
        let (mut values, mut log_sums) = (vec![0.0; span.len() * width], vec![0.0; span.len()]);
        let mut scores = Vec::with_capacity(BLOCK * span.len());
        span.forward(qkv, &mut values, width, &mut log_sums, &mut scores);
        (values, log_sums)
    });
    for (task, (values, log_sums)) in results.into_iter().enumerate() {
        let (range, head) = (ranges[task / heads].clone(), task % heads);
        output.log_sums[head * tokens..][range.clone()].copy_from_slice(&log_sums);
        for (row, values) in range.zip(values.chunks_exact(width)) {
            output.values[row * config.query_size() + head * width..][..width].copy_from_slice(values);
        }
    }
    output
}

/// The gradient of the rotated `qkv`, given that of the values.
pub(super) fn attention_backward(
    config: &DecoderConfig,
    segments: &Segments,
    qkv: &[f32],
    output: &AttentionOutput,
    grad_values: &[f32],
    threads: &Threads,
) -> Buffer {
    let (tokens, heads, width) = (segments.token_count(), config.attention_head_count, config.head_dim);
    let mut grad_qkv = Buffer::zeroed(qkv.len());
    let ranges: Vec<_> = segments.ranges().collect();
    let spans: Vec<_> = ranges
        .iter()
        .flat_map(|range| (0..heads).map(|head| HeadSpan::new(config, range.clone(), head)))
        .collect();
    let longest = segments.longest();
    let backward = |span: &HeadSpan, gradients: &mut [f32], scratch: &mut Scratch| {
        let log_sums = &output.log_sums[span.head * tokens..][span.rows.clone()];
        span.backward(qkv, &output.values, log_sums, grad_values, gradients, scratch);
    };
    if threads.count() == 1 {
        let mut gradients = Buffer::for_overwrite(3 * longest * width);
        let mut scratch = Scratch::for_tokens(longest);
        for span in &spans {
            let gradients = &mut gradients[..span.gradient_size()];
            gradients.fill(0.0);
            backward(span, gradients, &mut scratch);
            span.add(gradients, &mut grad_qkv);
        }
        return grad_qkv;
    }
    let mut gradients = Buffer::zeroed(spans.iter().map(HeadSpan::gradient_size).sum());
    let (mut rest, mut tasks) = (&mut *gradients, Vec::with_capacity(spans.len()));
    for span in &spans {
        let (own, others) = rest.split_at_mut(span.gradient_size());
        tasks.push((span, own));
        rest = others;
    }
    threads.for_each_item(&mut tasks, |(span, gradients)| {
        backward(span, gradients, &mut Scratch::for_tokens(span.len()));
    });
    // in the order of the heads, so that the sums of those that share keys have the same bits always
    for (span, gradients) in &tasks {
        span.add(gradients, &mut grad_qkv);
    }
    grad_qkv
}

/// One head of one segment: where its queries, keys and values lie.
struct HeadSpan {
    rows: Range<usize>,
    head: usize,
    width: usize,
    /// Distance of rows in `qkv`.
    stride: usize,
    /// Distance of rows in the values.
    query_size: usize,
    /// Columns in `qkv`.
    query: usize,
    key: usize,
    value: usize,
    scale: f32,
}

/// Blocks that the backward pass of a head works with.
struct Scratch {
    probabilities: Vec<f32>,
    grad_scores: Vec<f32>,
}

impl Scratch {
    /// For segments of up to so many tokens.
    fn for_tokens(count: usize) -> Self {
        let block = || Vec::with_capacity(BLOCK * count);
        Self { probabilities: block(), grad_scores: block() }
    }
}

impl HeadSpan {
    fn new(config: &DecoderConfig, rows: Range<usize>, head: usize) -> Self {
        let width = config.head_dim;
        let group = head / config.heads_per_group();
        let key = config.query_size() + group * width;
        Self {
            rows,
            head,
            width,
            stride: config.qkv_size(),
            query_size: config.query_size(),
            query: head * width,
            key,
            value: key + config.key_value_size(),
            scale: 1.0 / (width as f32).sqrt(),
        }
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    /// Numbers in the gradients of queries, keys and values.
    fn gradient_size(&self) -> usize {
        3 * self.len() * self.width
    }

    /// Adds this head's gradients, as [`Self::backward`] leaves them, to those of all.
    fn add(&self, gradients: &[f32], grad_qkv: &mut [f32]) {
        let columns = [self.query, self.key, self.value];
        for (column, gradients) in columns.iter().zip(gradients.chunks_exact(self.len() * self.width)) {
            for (row, gradient) in self.rows.clone().zip(gradients.chunks_exact(self.width)) {
                let target = &mut grad_qkv[row * self.stride + column..][..self.width];
                target.iter_mut().zip(gradient).for_each(|(target, gradient)| *target += gradient);
            }
        }
    }

    /// `count` rows of a head from the segment's row `first`.
    fn view<'a>(&self, values: &'a [f32], column: usize, first: usize, count: usize) -> View<'a> {
        let start = (self.rows.start + first) * self.stride + column;
        View::strided(&values[start..], count, self.width, self.stride)
    }

    fn forward(
        &self,
        qkv: &[f32],
        values: &mut [f32],
        value_stride: usize,
        log_sums: &mut [f32],
        scores: &mut Vec<f32>,
    ) {
        for first in (0..self.len()).step_by(BLOCK) {
            let (count, seen) = self.block(first);
            self.scores(qkv, first, scores);
            let log_sums = &mut log_sums[first..first + count];
            vectorised(
                #[inline(always)]
                || {
                    for (row, scores) in scores.chunks_exact_mut(seen).enumerate() {
                        let (visible, hidden) = scores.split_at_mut(first + row + 1);
                        let largest = maximum(visible);
                        exponentiate(visible, largest);
                        let total = sum(visible);
                        let inverse = 1.0 / total;
                        for score in visible.iter_mut() {
                            *score *= inverse;
                        }
                        hidden.fill(0.0);
                        log_sums[row] = largest + total.ln();
                    }
                },
            );
            let probabilities = View::new(scores, count, seen);
            let target = Target::store(&mut values[first * value_stride..], value_stride);
            multiply(
                target,
                1.0,
                probabilities,
                self.view(qkv, self.value, 0, seen),
                gemm_common::Parallelism::None,
            );
        }
    }

    /// With P the probabilities and O the values: dV = P' dO, dS = P (dO V' - rowsum(dO O)), dQ = dS K, dK = dS' Q.
    ///
    /// `gradients`, zero beforehand, takes those of queries, keys and values, each `[length, head_dim]`.
    fn backward(
        &self,
        qkv: &[f32],
        values: &[f32],
        log_sums: &[f32],
        grad_values: &[f32],
        gradients: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let Scratch { probabilities, grad_scores } = scratch;
        let (width, none) = (self.width, gemm_common::Parallelism::None);
        let (query, others) = gradients.split_at_mut(self.len() * width);
        let (key, value) = others.split_at_mut(self.len() * width);
        for first in (0..self.len()).step_by(BLOCK) {
            let (count, seen) = self.block(first);
            let head_rows =
                |row: usize| (self.rows.start + first + row) * self.query_size + self.head * width;
            let grad_output = View::strided(&grad_values[head_rows(0)..], count, width, self.query_size);
            self.scores(qkv, first, probabilities);
            resize(grad_scores, count * seen);
            let value_rows = self.view(qkv, self.value, 0, seen);
            multiply(Target::store(grad_scores, seen), 1.0, grad_output, value_rows.transposed(), none);
            vectorised(
                #[inline(always)]
                || {
                    let rows = probabilities.chunks_exact_mut(seen).zip(grad_scores.chunks_exact_mut(seen));
                    for (row, (probabilities, grad_scores)) in rows.enumerate() {
                        let visible = first + row + 1;
                        let output = &values[head_rows(row)..][..width];
                        let projection = dot(&grad_values[head_rows(row)..][..width], output);
                        exponentiate(&mut probabilities[..visible], log_sums[first + row]);
                        probabilities[visible..].fill(0.0);
                        for (grad, probability) in grad_scores.iter_mut().zip(probabilities.iter()) {
                            *grad = (*grad - projection) * probability;
                        }
                        grad_scores[visible..].fill(0.0);
                    }
                },
            );
            let probabilities = View::new(probabilities, count, seen);
            let grad_scores = View::new(grad_scores, count, seen);
            let query_rows = self.view(qkv, self.query, first, count);
            let key_rows = self.view(qkv, self.key, 0, seen);
            multiply(Target::add(value, width), 1.0, probabilities.transposed(), grad_output, none);
            multiply(
                Target::store(&mut query[first * width..], width),
                self.scale,
                grad_scores,
                key_rows,
                none,
            );
            multiply(Target::add(key, width), self.scale, grad_scores.transposed(), query_rows, none);
        }
    }

    /// Scaled scores of the block at `first` with every key it may see.
    fn scores(&self, qkv: &[f32], first: usize, scores: &mut Vec<f32>) {
        let (count, seen) = self.block(first);
        resize(scores, count * seen);
        let queries = self.view(qkv, self.query, first, count);
        let keys = self.view(qkv, self.key, 0, seen);
        let target = Target::store(scores, seen);
        multiply(target, self.scale, queries, keys.transposed(), gemm_common::Parallelism::None);
    }

    /// Queries in the block at `first`, and keys that its last query sees.
    fn block(&self, first: usize) -> (usize, usize) {
        let count = BLOCK.min(self.len() - first);
        (count, first + count)
    }
}

/// Sets the length; what is in it is about to be overwritten.
fn resize(values: &mut Vec<f32>, length: usize) {
    values.resize(length, 0.0);
}
