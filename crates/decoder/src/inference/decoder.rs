//! The decoder that serves: weights in panels, a cache, and one step over any mix of prompts and single tokens.

use std::sync::{Mutex, PoisonError};

use pulp::Arch;

use super::attention::{Attention, AttentionScratch, Run};
use super::cache::KeyValueCache;
use super::kernel::{PackedRows, Product};
use super::panels::{PANEL, PanelMatrix};
use super::shared::SharedSlice;
use crate::lanes::{self, vectorised};
use crate::training::{inverse_root, scale_row};
use crate::{DecoderConfig, DecoderWeights, LayerWeights, Matrix, RopeTable, Threads};

/// Multiply-adds below which a product is not worth sharing among threads.
const LEAST_SHARED_WORK: usize = 1 << 17;
/// Pieces that a shared product is cut into for each thread, so that a thread that is held up is helped.
const PIECES_PER_THREAD: usize = 4;

/// New tokens of one slot.
#[derive(Debug, Clone, Copy)]
pub struct Span<'a> {
    /// The slot of the cache.
    pub slot: usize,
    /// Position of the first token; the slot must hold every earlier one.
    pub start: usize,
    /// The tokens, at least one.
    pub tokens: &'a [u32],
    /// Whether the logits after its last token are wanted.
    pub wants_logits: bool,
}

/// A decoder on the CPU with its cache.
#[derive(Debug)]
pub struct CpuDecoder {
    config: DecoderConfig,
    threads: Threads,
    rope: RopeTable,
    weights: PackedWeights,
    cache: KeyValueCache,
    scratch: Scratch,
}

#[derive(Debug)]
struct PackedWeights {
    /// Kept when the head is another matrix.
    embedding: Option<Matrix>,
    layers: Vec<PackedLayer>,
    final_norm: Vec<f32>,
    head: PanelMatrix,
}

#[derive(Debug)]
struct PackedLayer {
    input_norm: Vec<f32>,
    qkv: PanelMatrix,
    qkv_bias: Option<Vec<f32>>,
    head_norms: Option<(Vec<f32>, Vec<f32>)>,
    output: PanelMatrix,
    post_attention_norm: Vec<f32>,
    gate_up: PanelMatrix,
    down: PanelMatrix,
}

/// Buffers that grow to the largest step and stay.
#[derive(Debug, Default)]
struct Scratch {
    runs: Vec<Run>,
    x: Vec<f32>,
    normed: Vec<f32>,
    qkv: Vec<f32>,
    attention: Vec<f32>,
    gate_up: Vec<f32>,
    gated: Vec<f32>,
    packed: PackedRows,
    by_thread: Vec<Mutex<AttentionScratch>>,
}

impl CpuDecoder {
    /// A decoder with `slots` slots of `slot_capacity_tokens`; the weights are copied into panels of their own precision.
    pub fn new(
        config: DecoderConfig,
        weights: &DecoderWeights,
        slots: usize,
        slot_capacity_tokens: usize,
        threads: Threads,
    ) -> Self {
        let rope = RopeTable::new(&config, slot_capacity_tokens);
        let cache = KeyValueCache::new(&config, slots, slot_capacity_tokens);
        let by_thread = (0..threads.count()).map(|_| Mutex::default()).collect();
        let weights = PackedWeights::new(weights, &threads);
        let scratch = Scratch { by_thread, ..Scratch::default() };
        Self { config, threads, rope, weights, cache, scratch }
    }

    /// Bytes that a decoder takes: panels, cache and the buffers of a step of `step_tokens` that asks for the logits of
    /// `step_logits` rows.
    pub fn memory_bytes(
        config: &DecoderConfig,
        weights_in_bf16: bool,
        slots: usize,
        slot_capacity_tokens: usize,
        step_tokens: usize,
        step_logits: usize,
    ) -> usize {
        let panels = |rows, inner| PanelMatrix::memory_bytes(rows, inner, weights_in_bf16);
        let hidden = config.hidden_size;
        let layer = panels(config.qkv_size(), hidden)
            + panels(hidden, config.query_size())
            + panels(2 * config.intermediate_size, hidden)
            + panels(hidden, config.intermediate_size);
        let tables = if config.tied_embeddings { 1 } else { 2 };
        let row = 2 * hidden + config.qkv_size() + config.query_size() + 3 * config.intermediate_size;
        let buffers = step_tokens * row + step_logits * config.vocabulary_size;
        config.layer_count * layer
            + tables * panels(config.vocabulary_size, hidden)
            + KeyValueCache::memory_bytes(config, slots, slot_capacity_tokens)
            + buffers * size_of::<f32>()
    }

    /// The sizes.
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// The cache.
    pub fn cache(&self) -> &KeyValueCache {
        &self.cache
    }

    /// Forgets the tokens of a slot from position `length` on.
    pub fn truncate(&mut self, slot: usize, length: usize) {
        self.cache.truncate(slot, length);
    }

    /// Makes the first `tokens` of `to_slot` those of `from_slot`.
    pub fn copy_prefix(&mut self, from_slot: usize, to_slot: usize, tokens: usize) {
        self.cache.copy_prefix(from_slot, to_slot, tokens);
    }

    /// Computes with other weights from the next step on; what the cache holds stays.
    pub fn set_weights(&mut self, weights: &DecoderWeights) {
        self.weights.replace(weights, &self.threads);
    }

    /// Takes new tokens in, writing the logits of the spans that want them to `logits`: `[wanting spans, vocabulary]`, in
    /// the order of the spans.
    ///
    /// # Panics
    /// When a span names a slot that is not there, is empty, leaves a gap after what the slot holds, or exceeds its
    /// capacity.
    pub fn step(&mut self, spans: &[Span<'_>], logits: &mut Vec<f32>) {
        self.plan(spans);
        let wanted = spans.iter().filter(|span| span.wants_logits).count();
        logits.resize(wanted * self.config.vocabulary_size, 0.0);
        let threads = self.threads.clone();
        threads.run(|| self.compute(spans, logits));
    }

    /// Places the spans' tokens in rows and checks them against the slots.
    fn plan(&mut self, spans: &[Span<'_>]) {
        let mut row = 0;
        self.scratch.runs.clear();
        for span in spans {
            let (count, end) = (span.tokens.len(), span.start + span.tokens.len());
            assert!(span.slot < self.cache.slot_count(), "slot {} is not there", span.slot);
            assert!(count > 0, "a span of slot {} without tokens", span.slot);
            assert!(span.start <= self.cache.length(span.slot), "a gap in slot {}", span.slot);
            assert!(end <= self.cache.capacity_tokens(), "slot {} is full", span.slot);
            self.cache.set_length(span.slot, end);
            self.scratch.runs.push(Run { slot: span.slot, position: span.start, row, count });
            row += count;
        }
    }

    fn compute(&mut self, spans: &[Span<'_>], logits: &mut [f32]) {
        let Self { config, threads, rope, weights, cache, scratch } = self;
        let hidden = config.hidden_size;
        weights.embed(config, spans, &mut scratch.x);
        let mut rows = scratch.x.len() / hidden;
        for (index, layer) in weights.layers.iter().enumerate() {
            normalise(&scratch.x, &layer.input_norm, config, &mut scratch.normed, threads);
            scratch.qkv.resize(rows * config.qkv_size(), 0.0);
            layer.qkv.multiply(&scratch.normed, &mut scratch.qkv, false, &mut scratch.packed, threads);
            layer.prepare_heads(config, rope, &scratch.runs, &mut scratch.qkv, threads);
            store(config, cache, index, &scratch.runs, &scratch.qkv);
            if index + 1 == weights.layers.len() {
                // nothing after the last keys and values is needed but the rows whose logits are wanted
                rows = scratch.keep_wanted(config, spans);
            }
            scratch.attend(config, cache, index, rows, threads);
            layer.output.multiply(&scratch.attention, &mut scratch.x, true, &mut scratch.packed, threads);
            normalise(&scratch.x, &layer.post_attention_norm, config, &mut scratch.normed, threads);
            scratch.gate_up.resize(rows * 2 * config.intermediate_size, 0.0);
            layer.gate_up.multiply(
                &scratch.normed,
                &mut scratch.gate_up,
                false,
                &mut scratch.packed,
                threads,
            );
            scratch.gate(config, threads);
            layer.down.multiply(&scratch.gated, &mut scratch.x, true, &mut scratch.packed, threads);
        }
        normalise(&scratch.x, &weights.final_norm, config, &mut scratch.normed, threads);
        weights.head.multiply(&scratch.normed, logits, false, &mut scratch.packed, threads);
    }
}

impl PackedWeights {
    fn new(weights: &DecoderWeights, threads: &Threads) -> Self {
        Self {
            embedding: weights.head.as_ref().map(|_| weights.embedding.clone()),
            layers: weights.layers.iter().map(|layer| PackedLayer::new(layer, threads)).collect(),
            final_norm: weights.final_norm.clone(),
            head: PanelMatrix::new(weights.head(), threads),
        }
    }

    fn replace(&mut self, weights: &DecoderWeights, threads: &Threads) {
        self.embedding = weights.head.as_ref().map(|_| weights.embedding.clone());
        self.final_norm.clone_from(&weights.final_norm);
        self.head.replace(weights.head(), threads);
        for (packed, layer) in self.layers.iter_mut().zip(&weights.layers) {
            packed.replace(layer, threads);
        }
    }

    fn embed(&self, config: &DecoderConfig, spans: &[Span<'_>], x: &mut Vec<f32>) {
        let hidden = config.hidden_size;
        let tokens = spans.iter().flat_map(|span| span.tokens);
        x.resize(tokens.clone().count() * hidden, 0.0);
        for (token, x) in tokens.zip(x.chunks_exact_mut(hidden)) {
            let row = *token as usize;
            assert!(row < config.vocabulary_size, "token {token} is not in the vocabulary");
            match &self.embedding {
                None => self.head.read_row(row, config.embedding_multiplier, x),
                Some(embedding) => {
                    embedding.read_row(row, x);
                    x.iter_mut().for_each(|value| *value *= config.embedding_multiplier);
                }
            }
        }
    }
}

impl PackedLayer {
    fn new(layer: &LayerWeights, threads: &Threads) -> Self {
        Self {
            input_norm: layer.input_norm.clone(),
            qkv: PanelMatrix::new(&layer.qkv, threads),
            qkv_bias: layer.qkv_bias.clone(),
            head_norms: layer.query_norm.clone().zip(layer.key_norm.clone()),
            output: PanelMatrix::new(&layer.output, threads),
            post_attention_norm: layer.post_attention_norm.clone(),
            gate_up: PanelMatrix::new(&layer.gate_up, threads),
            down: PanelMatrix::new(&layer.down, threads),
        }
    }

    fn replace(&mut self, layer: &LayerWeights, threads: &Threads) {
        self.input_norm.clone_from(&layer.input_norm);
        self.qkv.replace(&layer.qkv, threads);
        self.qkv_bias.clone_from(&layer.qkv_bias);
        self.head_norms = layer.query_norm.clone().zip(layer.key_norm.clone());
        self.output.replace(&layer.output, threads);
        self.post_attention_norm.clone_from(&layer.post_attention_norm);
        self.gate_up.replace(&layer.gate_up, threads);
        self.down.replace(&layer.down, threads);
    }

    /// Adds biases, normalises heads where the model does, rotates, and scales queries for the softmax.
    fn prepare_heads(
        &self,
        config: &DecoderConfig,
        rope: &RopeTable,
        runs: &[Run],
        qkv: &mut [f32],
        threads: &Threads,
    ) {
        let (width, stride) = (config.head_dim, config.qkv_size());
        let turned = config.query_size() + config.key_value_size();
        let scale = 1.0 / (width as f32).sqrt();
        let positions = runs.iter().flat_map(|run| run.position..run.position + run.count);
        over_rows(qkv, stride, threads, |first, rows| {
            vectorised(
                #[inline(always)]
                || {
                    for (row, position) in rows.chunks_exact_mut(stride).zip(positions.clone().skip(first)) {
                        if let Some(bias) = &self.qkv_bias {
                            row.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
                        }
                        for (index, head) in row[..turned].chunks_exact_mut(width).enumerate() {
                            let is_query = index < config.attention_head_count;
                            if let Some((query_norm, key_norm)) = &self.head_norms {
                                let norm = if is_query { query_norm } else { key_norm };
                                let root = inverse_root(head, config.rms_norm_epsilon);
                                for (value, norm) in head.iter_mut().zip(norm) {
                                    *value = norm * (*value * root);
                                }
                            }
                            rope.rotate(head, position);
                            if is_query {
                                head.iter_mut().for_each(|value| *value *= scale);
                            }
                        }
                    }
                },
            );
        });
    }
}

impl PanelMatrix {
    /// `out (+)= x W'`; panels are shared out among the threads.
    fn multiply(
        &self,
        x: &[f32],
        out: &mut [f32],
        accumulates: bool,
        packed: &mut PackedRows,
        threads: &Threads,
    ) {
        let rows = x.len() / self.inner();
        let panels = self.rows().div_ceil(PANEL);
        let work = rows * self.inner() * self.rows();
        let pieces = if threads.count() == 1 || work < LEAST_SHARED_WORK {
            1
        } else {
            panels.min(threads.count() * PIECES_PER_THREAD)
        };
        let x = packed.pack(x, rows, self.inner(), self.inner(), threads);
        let out = SharedSlice::new(out);
        let panel_stride = match self.slice() {
            super::panels::PanelSlice::F32(_) => self.inner() * PANEL,
            super::panels::PanelSlice::Bf16(_) => self.inner() / 2 * PANEL,
        };
        threads.for_each(pieces, |piece| {
            Arch::new().dispatch(Product {
                x,
                panels: self.slice(),
                panel_stride,
                range: piece * panels / pieces..(piece + 1) * panels / pieces,
                out,
                out_stride: self.rows(),
                columns: self.rows(),
                accumulates,
            });
        });
    }
}

impl Scratch {
    /// Keeps the last rows of spans that want logits; returns how many.
    fn keep_wanted(&mut self, config: &DecoderConfig, spans: &[Span<'_>]) -> usize {
        let mut kept = 0;
        for (index, span) in spans.iter().enumerate() {
            if !span.wants_logits {
                continue;
            }
            let run = self.runs[index];
            let row = run.row + run.count - 1;
            for (values, width) in [(&mut self.x, config.hidden_size), (&mut self.qkv, config.qkv_size())] {
                values.copy_within(row * width..(row + 1) * width, kept * width);
            }
            self.runs[kept] = Run { position: run.position + run.count - 1, row: kept, count: 1, ..run };
            kept += 1;
        }
        self.runs.truncate(kept);
        self.x.truncate(kept * config.hidden_size);
        self.qkv.truncate(kept * config.qkv_size());
        kept
    }

    fn attend(
        &mut self,
        config: &DecoderConfig,
        cache: &KeyValueCache,
        layer: usize,
        rows: usize,
        threads: &Threads,
    ) {
        self.attention.resize(rows * config.query_size(), 0.0);
        let (runs, qkv, by_thread) = (&self.runs, &self.qkv, &self.by_thread);
        let out = SharedSlice::new(&mut self.attention);
        let heads = config.key_value_head_count;
        let work: usize = runs.iter().map(|run| run.count * (run.position + run.count)).sum();
        let task = |task: usize| {
            let thread = rayon::current_thread_index().unwrap_or_default() % by_thread.len();
            let mut scratch = by_thread[thread].lock().unwrap_or_else(PoisonError::into_inner);
            let run = runs[task / heads];
            Arch::new().dispatch(Attention {
                config,
                cache,
                layer,
                head: task % heads,
                run,
                qkv,
                out,
                scratch: &mut scratch,
            });
        };
        if work * config.query_size() < LEAST_SHARED_WORK {
            (0..runs.len() * heads).for_each(task);
        } else {
            threads.for_each(runs.len() * heads, task);
        }
    }

    /// `silu(gate) * up`
    fn gate(&mut self, config: &DecoderConfig, threads: &Threads) {
        let inner = config.intermediate_size;
        self.gated.resize(self.gate_up.len() / 2, 0.0);
        let gate_up = &self.gate_up;
        over_rows(&mut self.gated, inner, threads, |first, rows| {
            let gate_up = gate_up[first * 2 * inner..].chunks_exact(2 * inner);
            vectorised(
                #[inline(always)]
                || {
                    for (gated, gate_up) in rows.chunks_exact_mut(inner).zip(gate_up) {
                        let (gate, up) = gate_up.split_at(inner);
                        lanes::gate(gated, gate, up);
                    }
                },
            );
        });
    }
}

fn normalise(x: &[f32], scale: &[f32], config: &DecoderConfig, normed: &mut Vec<f32>, threads: &Threads) {
    let width = config.hidden_size;
    normed.resize(x.len(), 0.0);
    over_rows(normed, width, threads, |first, rows| {
        let x = x[first * width..].chunks_exact(width);
        vectorised(
            #[inline(always)]
            || {
                for (normed, x) in rows.chunks_exact_mut(width).zip(x) {
                    scale_row(normed, x, scale, inverse_root(x, config.rms_norm_epsilon));
                }
            },
        );
    });
}

/// Puts the keys and values of new tokens into the cache.
fn store(config: &DecoderConfig, cache: &mut KeyValueCache, layer: usize, runs: &[Run], qkv: &[f32]) {
    let width = config.head_dim;
    for run in runs {
        for token in 0..run.count {
            let row = &qkv[(run.row + token) * config.qkv_size()..][..config.qkv_size()];
            let (keys, values) = row[config.query_size()..].split_at(config.key_value_size());
            for (head, (key, value)) in keys.chunks_exact(width).zip(values.chunks_exact(width)).enumerate() {
                cache.write(layer, run.slot, head, run.position + token, key, value);
            }
        }
    }
}

/// Calls `work` on parts of the rows, one a thread when there are enough numbers to be worth it.
fn over_rows(rows: &mut [f32], width: usize, threads: &Threads, work: impl Fn(usize, &mut [f32]) + Sync) {
    if rows.len() < LEAST_SHARED_WORK / 8 || threads.count() == 1 {
        work(0, rows);
    } else {
        let per_part = (rows.len() / width).div_ceil(threads.count()).max(1);
        threads.for_each_chunk(rows, per_part * width, |part, rows| work(part * per_part, rows));
    }
}
