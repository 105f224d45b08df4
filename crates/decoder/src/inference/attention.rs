//! Attention of new tokens to everything their slot holds.
#![expect(
    clippy::inline_always,
    reason = "only an inlined body is compiled for its caller's instruction set"
)]

use pulp::{Simd, WithSimd};

use super::cache::KeyValueCache;
use super::kernel::{PackedRows, Product};
use super::panels::{PANEL, PanelSlice, padded};
use super::shared::SharedSlice;
use super::team::ALONE;
use crate::DecoderConfig;
use crate::lanes::{exponentiate, maximum, sum};

/// Rows of queries that go against the keys together.
const TILE_ROWS: usize = 12;

/// Consecutive new tokens of one slot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) slot: usize,
    /// Position of the first token.
    pub(super) position: usize,
    /// Row of the first token.
    pub(super) row: usize,
    /// Tokens.
    pub(super) count: usize,
}

/// Room for one tile; grows to the longest context and stays.
#[derive(Debug, Default)]
pub(super) struct AttentionScratch {
    queries: Vec<f32>,
    scores: Vec<f32>,
    values: Vec<f32>,
    packed: PackedRows,
}

/// One key and value head of one run.
pub(super) struct Attention<'a> {
    pub(super) config: &'a DecoderConfig,
    pub(super) cache: &'a KeyValueCache,
    pub(super) layer: usize,
    pub(super) head: usize,
    pub(super) run: Run,
    /// `[rows, qkv]`, queries rotated and scaled.
    pub(super) qkv: &'a [f32],
    /// `[rows, query]`; this task writes the columns of its heads in the rows of its run.
    pub(super) out: SharedSlice<'a>,
    pub(super) scratch: &'a mut AttentionScratch,
}

impl WithSimd for Attention<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let group = self.config.heads_per_group();
        let tokens = (TILE_ROWS / group).max(1);
        let mut this = self;
        for first in (0..this.run.count).step_by(tokens) {
            this.tile(simd, first, tokens.min(this.run.count - first));
        }
    }
}

impl Attention<'_> {
    /// `count` tokens of the run from `first`; rows are tokens times heads of the group.
    #[inline(always)]
    fn tile<S: Simd>(&mut self, simd: S, first: usize, count: usize) {
        let (config, width) = (self.config, self.config.head_dim);
        let group = config.heads_per_group();
        let rows = count * group;
        let seen = self.run.position + first + count;
        let stride = padded(seen);
        let AttentionScratch { queries, scores, values, packed } = &mut *self.scratch;
        queries.clear();
        for token in 0..count {
            let row = (self.run.row + first + token) * config.qkv_size() + self.head * group * width;
            queries.extend_from_slice(&self.qkv[row..row + group * width]);
        }
        scores.resize(rows * stride, 0.0);
        Product {
            x: packed.pack(queries, rows, width, width, &ALONE),
            panels: PanelSlice::F32(self.cache.keys(self.layer, self.run.slot, self.head)),
            panel_stride: width * PANEL,
            range: 0..stride / PANEL,
            out: SharedSlice::new(scores),
            out_stride: stride,
            columns: stride,
            accumulates: false,
        }
        .run(simd);
        for (row, scores) in scores.chunks_exact_mut(stride).enumerate() {
            let (visible, hidden) = scores.split_at_mut(self.run.position + first + row / group + 1);
            let largest = maximum(visible);
            exponentiate(visible, largest);
            let inverse = 1.0 / sum(visible);
            for score in visible.iter_mut() {
                *score *= inverse;
            }
            hidden.fill(0.0);
        }
        values.resize(rows * width, 0.0);
        Product {
            x: packed.pack(scores, rows, seen, stride, &ALONE),
            panels: PanelSlice::F32(self.cache.values(self.layer, self.run.slot, self.head)),
            panel_stride: self.cache.value_panel_stride(),
            range: 0..width.div_ceil(PANEL),
            out: SharedSlice::new(values),
            out_stride: width,
            columns: width,
            accumulates: false,
        }
        .run(simd);
        for (token, values) in values.chunks_exact(group * width).enumerate() {
            let at = (self.run.row + first + token) * config.query_size() + self.head * group * width;
            write(self.out, at, values);
        }
    }
}

#[expect(unsafe_code, reason = "heads write columns of the same rows from several threads")]
fn write(out: SharedSlice<'_>, at: usize, values: &[f32]) {
    // SAFETY: one task has this head of this run, so nobody else touches these columns of these rows.
    unsafe { out.part(at..at + values.len()) }.copy_from_slice(values);
}
