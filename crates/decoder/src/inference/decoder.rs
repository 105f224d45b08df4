//! The decoder that serves: weights in panels, a cache, and one step over any mix of prompts and single tokens.

use std::sync::{Mutex, PoisonError};

use pulp::Arch;

use super::attention::{Attention, AttentionScratch, Run};
use super::cache::KeyValueCache;
use super::kernel::PackedRows;
use super::packed::{MIN_SHARED_WORK, PackedWeights, over_rows};
use super::panels::{PanelMatrix, WeightPrecision};
use super::shared::SharedSlice;
use super::team::{ALONE, Team};
use crate::lanes::{self, vectorised};
use crate::training::{inverse_root, scale_row};
use crate::{DecoderConfig, DecoderWeights, RopeTable};

/// Multiply-adds below which a step stays on the calling thread: waking others takes longer.
const MIN_SHARED_STEP: usize = 2 << 20;
/// Multiply-adds that gating a number is about worth: it takes an exponential.
const GATE_COST: usize = 8;
/// Multiply-adds that normalising a number is about worth.
const NORM_COST: usize = 1;

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
    team: Team,
    rope: RopeTable,
    precision: WeightPrecision,
    weights: PackedWeights,
    cache: KeyValueCache,
    scratch: Scratch,
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
    by_worker: Vec<Mutex<AttentionScratch>>,
}

impl CpuDecoder {
    /// A decoder with `slots` slots of `slot_capacity_tokens`; the weights are copied into panels of their own precision.
    pub fn new(
        config: DecoderConfig,
        weights: &DecoderWeights,
        slots: usize,
        slot_capacity_tokens: usize,
        thread_count: usize,
    ) -> Self {
        let precision = WeightPrecision::AsGiven;
        Self::with_precision(config, weights, precision, slots, slot_capacity_tokens, thread_count)
    }

    /// A decoder that holds its matrices, those of later weights too, in a precision of its own.
    pub fn with_precision(
        config: DecoderConfig,
        weights: &DecoderWeights,
        precision: WeightPrecision,
        slots: usize,
        slot_capacity_tokens: usize,
        thread_count: usize,
    ) -> Self {
        let rope = RopeTable::new(&config, slot_capacity_tokens);
        let cache = KeyValueCache::new(&config, slots, slot_capacity_tokens);
        let team = Team::new(thread_count);
        let by_worker = (0..team.count()).map(|_| Mutex::default()).collect();
        let weights = PackedWeights::new(weights, precision, &team);
        let scratch = Scratch { by_worker, ..Scratch::default() };
        Self { config, team, rope, precision, weights, cache, scratch }
    }

    /// Bytes that a decoder takes: panels, cache, rotations and the buffers of a step of `step_tokens` that asks for the logits of
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
        // a row of every buffer, and of the one that interleaves rows for the kernel
        let row = 2 * hidden + config.qkv_size() + config.query_size() + 3 * config.intermediate_size;
        let interleaved = hidden.max(config.query_size()).max(config.intermediate_size);
        let buffers = step_tokens * (row + interleaved) + step_logits * config.vocabulary_size;
        let rotations = slot_capacity_tokens * config.head_dim;
        config.layer_count * layer
            + tables * panels(config.vocabulary_size, hidden)
            + KeyValueCache::memory_bytes(config, slots, slot_capacity_tokens)
            + (buffers + rotations) * size_of::<f32>()
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
        self.weights.replace(weights, self.precision, &self.team);
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
        let tokens: usize = spans.iter().map(|span| span.tokens.len()).sum();
        let work = tokens * self.config.parameter_count();
        self.compute(spans, logits, work >= MIN_SHARED_STEP);
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

    fn compute(&mut self, spans: &[Span<'_>], logits: &mut [f32], is_shared: bool) {
        let Self { config, team, rope, weights, cache, scratch, .. } = self;
        let team = if is_shared { team } else { &ALONE };
        let (hidden, pages) = (config.hidden_size, &weights.pages);
        weights.embed(config, spans, &mut scratch.x);
        let mut rows = scratch.x.len() / hidden;
        for (index, layer) in weights.layers.iter().enumerate() {
            normalise(&scratch.x, &layer.input_norm, config, &mut scratch.normed, team);
            scratch.qkv.resize(rows * config.qkv_size(), 0.0);
            layer.qkv.multiply(pages, &scratch.normed, &mut scratch.qkv, false, &mut scratch.packed, team);
            layer.prepare_heads(config, rope, &scratch.runs, &mut scratch.qkv, team);
            store(config, cache, index, &scratch.runs, &scratch.qkv);
            if index + 1 == weights.layers.len() {
                // nothing after the last keys and values is needed but the rows whose logits are wanted
                rows = scratch.keep_wanted(config, spans);
            }
            scratch.attend(config, cache, index, rows, team);
            layer.output.multiply(pages, &scratch.attention, &mut scratch.x, true, &mut scratch.packed, team);
            normalise(&scratch.x, &layer.post_attention_norm, config, &mut scratch.normed, team);
            scratch.gate_up.resize(rows * 2 * config.intermediate_size, 0.0);
            layer.gate_up.multiply(
                pages,
                &scratch.normed,
                &mut scratch.gate_up,
                false,
                &mut scratch.packed,
                team,
            );
            scratch.gate(config, team);
            layer.down.multiply(pages, &scratch.gated, &mut scratch.x, true, &mut scratch.packed, team);
        }
        normalise(&scratch.x, &weights.final_norm, config, &mut scratch.normed, team);
        weights.head.multiply(pages, &scratch.normed, logits, false, &mut scratch.packed, team);
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
        team: &Team,
    ) {
        self.attention.resize(rows * config.query_size(), 0.0);
        let (runs, qkv, by_worker) = (&self.runs, &self.qkv, &self.by_worker);
        let out = SharedSlice::new(&mut self.attention);
        let heads = config.key_value_head_count;
        let work: usize = runs.iter().map(|run| run.count * (run.position + run.count)).sum();
        let task = |task: usize, worker: usize| {
            let mut scratch = by_worker[worker].lock().unwrap_or_else(PoisonError::into_inner);
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
        if work * config.query_size() < MIN_SHARED_WORK {
            ALONE.for_each(runs.len() * heads, task);
        } else {
            team.for_each(runs.len() * heads, task);
        }
    }

    /// `silu(gate) * up`
    fn gate(&mut self, config: &DecoderConfig, team: &Team) {
        let inner = config.intermediate_size;
        self.gated.resize(self.gate_up.len() / 2, 0.0);
        let gate_up = &self.gate_up;
        over_rows(&mut self.gated, inner, GATE_COST, team, |first, rows| {
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

fn normalise(x: &[f32], scale: &[f32], config: &DecoderConfig, normed: &mut Vec<f32>, team: &Team) {
    let width = config.hidden_size;
    normed.resize(x.len(), 0.0);
    over_rows(normed, width, NORM_COST, team, |first, rows| {
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
