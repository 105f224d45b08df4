//! The micro-kernel: rows times panels, every output one chain of fused multiply-adds in the order of the inner index.
//!
//! A tile of rows is held in registers against one panel. Tiles and threads change which outputs are computed together,
//! never how one is computed. Where inputs are rounded to bf16 as well, pairs of them are multiplied at once (`pairs`).
#![expect(
    unsafe_code,
    reason = "the innermost loop reads without bounds checks; `Product::run` asserts the bounds"
)]
#![expect(
    clippy::inline_always,
    reason = "only an inlined body is compiled for its caller's instruction set"
)]

mod pairs;

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::panels::{PANEL, PanelSlice};
use super::shared::SharedSlice;
use super::team::{ALONE, Team};
use crate::lanes::vectorised;

pub(crate) use self::pairs::{are_multiplied_here, lay_out_rows, pair};

/// Bytes of input rows that stay near while panels stream by.
const ROW_BLOCK_BYTES: usize = 512 << 10;
/// Numbers below which interleaving is not worth sharing among threads.
const MIN_SHARED_NUMBERS: usize = 1 << 17;
/// Rows of a tile at most: 24 of the 32 AVX-512 registers then hold sums.
const MAX_ROWS: usize = 12;
/// Panels beyond this many numbers come from memory, and are asked for ahead of their use.
const CACHED_NUMBERS: usize = 128 << 10;
/// Numbers that lie between what is read and what is asked for, where one tile reads a panel.
const AHEAD_NUMBERS: usize = 64 * PANEL;
/// Rows of a tile where there are 16 registers.
const MAX_ROWS_OF_SIXTEEN: usize = 3;

/// Input rows as the kernel reads them: tiles of rows, `[rows of the tile]` for every inner index.
///
/// A single row is read where it lies; more are interleaved, so that a tile is one stream.
#[derive(Debug, Default)]
pub(super) struct PackedRows {
    values: Vec<f32>,
    pairs: Vec<u32>,
}

/// A view of rows in tiles.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows<'a> {
    numbers: Numbers<'a>,
    count: usize,
    inner: usize,
    in_tile: usize,
}

/// Numbers of rows.
#[derive(Debug, Clone, Copy)]
enum Numbers<'a> {
    /// One for every inner index.
    Single(&'a [f32]),
    /// One for every two inner indices, both as bf16.
    Pairs(&'a [u32]),
}

impl PackedRows {
    /// The same, rounded to bf16, in pairs of inner indices; where [`are_multiplied_here`].
    pub(super) fn pack_pairs<'a>(
        &'a mut self,
        x: &[f32],
        count: usize,
        inner: usize,
        team: &Team,
    ) -> Rows<'a> {
        let (pairs, tile_rows) = (inner / 2, even_tiles(count, MAX_ROWS));
        self.pairs.resize(count * pairs, 0);
        let team = if count * inner < MIN_SHARED_NUMBERS { &ALONE } else { team };
        team.for_each_chunk(&mut self.pairs, tile_rows * pairs, |tile, target| {
            let rows = target.len() / pairs;
            vectorised(
                #[inline(always)]
                || lay_out_rows(&x[tile * tile_rows * inner..], inner, [rows, inner], target, rows),
            );
        });
        Rows::of_pairs(&self.pairs, count, inner, tile_rows)
    }

    /// Interleaves `count` rows of `inner` numbers that start `stride` apart.
    pub(super) fn pack<'a>(
        &'a mut self,
        x: &'a [f32],
        count: usize,
        inner: usize,
        stride: usize,
        team: &Team,
    ) -> Rows<'a> {
        self.pack_in_tiles(x, count, inner, stride, max_rows(), team)
    }

    fn pack_in_tiles<'a>(
        &'a mut self,
        x: &'a [f32],
        count: usize,
        inner: usize,
        stride: usize,
        max_rows: usize,
        team: &Team,
    ) -> Rows<'a> {
        let tile_rows = even_tiles(count, max_rows);
        if count <= 1 {
            let numbers = Numbers::Single(&x[..count * inner]);
            return Rows { numbers, count, inner, in_tile: tile_rows };
        }
        self.values.resize(count * inner, 0.0);
        let team = if count * inner < MIN_SHARED_NUMBERS { &ALONE } else { team };
        team.for_each_chunk(&mut self.values, tile_rows * inner, |tile, target| {
            let rows = target.len() / inner;
            for row in 0..rows {
                let x = &x[(tile * tile_rows + row) * stride..][..inner];
                for (target, x) in target[row..].iter_mut().step_by(rows).zip(x) {
                    *target = *x;
                }
            }
        });
        Rows { numbers: Numbers::Single(&self.values), count, inner, in_tile: tile_rows }
    }
}

impl<'a> Rows<'a> {
    /// Rows of a tile where so many are multiplied as pairs.
    pub(crate) fn of_a_tile(count: usize) -> usize {
        even_tiles(count, MAX_ROWS)
    }

    /// `count` rows of pairs in tiles of [as many](Self::of_a_tile); `inner` is even.
    pub(crate) const fn of_pairs(pairs: &'a [u32], count: usize, inner: usize, in_tile: usize) -> Self {
        Self { numbers: Numbers::Pairs(pairs), count, inner, in_tile }
    }
}

/// Rows of a tile, as even as the registers allow.
fn even_tiles(count: usize, max_rows: usize) -> usize {
    count.div_ceil(count.div_ceil(max_rows).max(1)).max(1)
}

/// Rows that a tile holds at most on this machine.
fn max_rows() -> usize {
    struct Lanes;
    impl WithSimd for Lanes {
        type Output = usize;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> usize {
            max_rows_of::<S>()
        }
    }
    pulp::Arch::new().dispatch(Lanes)
}

#[inline(always)]
fn max_rows_of<S: Simd>() -> usize {
    match S::F32_LANES {
        16 => MAX_ROWS,
        4 | 8 => MAX_ROWS_OF_SIXTEEN,
        _ => 1,
    }
}

/// `out[row][column] (+)= sum over index of x[row][index] * panels[column][index]`.
pub(crate) struct Product<'a> {
    pub(crate) x: Rows<'a>,
    pub(crate) panels: PanelSlice<'a>,
    /// Distance of panels, in numbers of the slice.
    pub(crate) panel_stride: usize,
    /// Which panels to do.
    pub(crate) range: Range<usize>,
    pub(crate) out: SharedSlice<'a>,
    pub(crate) out_stride: usize,
    /// Columns of the output; the last panel may reach beyond.
    pub(crate) columns: usize,
    /// Adds to the output instead of overwriting it.
    pub(crate) accumulates: bool,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.run(simd);
    }
}

impl Product<'_> {
    /// Computes the product with the instruction set `simd`.
    #[inline(always)]
    pub(super) fn run<S: Simd>(&self, simd: S) {
        let Rows { numbers, count, inner, .. } = self.x;
        if count == 0 || self.range.is_empty() {
            return;
        }
        let (per_panel, length) = match self.panels {
            PanelSlice::F32(values) => (inner * PANEL, values.len()),
            PanelSlice::Bf16(pairs) => {
                assert!(inner.is_multiple_of(2), "pairs of inner indices");
                (inner / 2 * PANEL, pairs.len())
            }
        };
        assert!((self.range.end - 1) * self.panel_stride + per_panel <= length, "panels inside their slice");
        match numbers {
            Numbers::Single(values) => {
                assert!(count * inner <= values.len(), "input rows inside their slice");
            }
            Numbers::Pairs(pairs) => {
                assert!(count * (inner / 2) <= pairs.len(), "input rows inside their slice");
                assert!(matches!(self.panels, PanelSlice::Bf16(_)), "pairs on both sides");
                assert!(are_multiplied_here(), "pairs where they are multiplied");
            }
        }
        assert!(self.range.end <= self.columns.div_ceil(PANEL), "panels inside the output");
        assert!(self.x.in_tile <= max_rows_of::<S>(), "tiles that fit the registers");
        match S::F32_LANES {
            16 => self.tiles::<S, 2>(simd),
            8 => self.tiles::<S, 4>(simd),
            4 => self.tiles::<S, 8>(simd),
            _ => self.tiles::<S, 32>(simd),
        }
    }

    #[inline(always)]
    fn tiles<S: Simd, const VECTORS: usize>(&self, simd: S) {
        let Rows { count: rows, inner, in_tile: tile_rows, .. } = self.x;
        let block = (ROW_BLOCK_BYTES / size_of::<f32>() / inner.max(1)).max(1).next_multiple_of(tile_rows);
        for block_start in (0..rows).step_by(block) {
            let block_end = rows.min(block_start + block);
            for panel in self.range.clone() {
                for first in (block_start..block_end).step_by(tile_rows) {
                    match tile_rows.min(rows - first) {
                        1 => self.tile::<S, VECTORS, 1>(simd, panel, first),
                        2 => self.tile::<S, VECTORS, 2>(simd, panel, first),
                        3 => self.tile::<S, VECTORS, 3>(simd, panel, first),
                        _ if S::F32_LANES < 16 => {}
                        4 => self.tile::<S, VECTORS, 4>(simd, panel, first),
                        5 => self.tile::<S, VECTORS, 5>(simd, panel, first),
                        6 => self.tile::<S, VECTORS, 6>(simd, panel, first),
                        7 => self.tile::<S, VECTORS, 7>(simd, panel, first),
                        8 => self.tile::<S, VECTORS, 8>(simd, panel, first),
                        9 => self.tile::<S, VECTORS, 9>(simd, panel, first),
                        10 => self.tile::<S, VECTORS, 10>(simd, panel, first),
                        11 => self.tile::<S, VECTORS, 11>(simd, panel, first),
                        _ => self.tile::<S, VECTORS, MAX_ROWS>(simd, panel, first),
                    }
                }
            }
        }
    }

    /// What the tile of the rows from `first` asks for while it reads a panel. A panel that one tile reads is asked for just
    /// ahead. Where several tiles read it, memory would idle while all but the first compute, so that each asks for its share
    /// of the next panel.
    #[inline(always)]
    fn ahead(&self, panel: usize, first: usize) -> Ahead {
        let (tiles, tile) = (self.x.count.div_ceil(self.x.in_tile), first / self.x.in_tile);
        if tiles == 1 || (panel == self.range.start && tile == 0) {
            return Ahead { start: AHEAD_NUMBERS, step: PANEL };
        }
        let numbers = match self.panels {
            PanelSlice::F32(_) => self.x.inner * PANEL,
            PanelSlice::Bf16(_) => self.x.inner / 2 * PANEL,
        };
        Ahead { start: self.panel_stride + tile * (numbers / tiles), step: PANEL.div_ceil(tiles) }
    }

    /// `ROWS` rows from `first` against one panel.
    #[inline(always)]
    fn tile<S: Simd, const VECTORS: usize, const ROWS: usize>(&self, simd: S, panel: usize, first: usize) {
        let inner = self.x.inner;
        let start = panel * self.panel_stride;
        let ahead = self.ahead(panel, first);
        let x = match self.x.numbers {
            Numbers::Single(values) => values,
            Numbers::Pairs(x) => return self.tile_of_pairs::<ROWS>(x, panel, first, ahead),
        };
        // SAFETY: `run` asserted that all rows lie inside `x`, so that the tile from `first` has `inner` groups of ROWS
        // numbers, and that `inner` (or, for pairs, `inner / 2`) lines of PANEL numbers from `start` lie inside the panels;
        // VECTORS * F32_LANES is PANEL.
        let sums = unsafe {
            let x = x.as_ptr().add(first * inner);
            match self.panels {
                PanelSlice::F32(values) if values.len() > CACHED_NUMBERS => {
                    single_sums::<S, VECTORS, ROWS, true>(simd, x, values.as_ptr().add(start), inner, ahead)
                }
                PanelSlice::F32(values) => {
                    single_sums::<S, VECTORS, ROWS, false>(simd, x, values.as_ptr().add(start), inner, ahead)
                }
                PanelSlice::Bf16(pairs) if pairs.len() > CACHED_NUMBERS => {
                    pair_sums::<S, VECTORS, ROWS, true>(simd, x, pairs.as_ptr().add(start), inner / 2, ahead)
                }
                PanelSlice::Bf16(pairs) => {
                    pair_sums::<S, VECTORS, ROWS, false>(simd, x, pairs.as_ptr().add(start), inner / 2, ahead)
                }
            }
        };
        for (row, sums) in sums.iter().enumerate() {
            self.put(panel, first + row, bytemuck::cast_slice(sums));
        }
    }

    /// The same for pairs on both sides.
    fn tile_of_pairs<const ROWS: usize>(&self, x: &[u32], panel: usize, first: usize, ahead: Ahead) {
        #[cfg(target_arch = "x86_64")]
        if let PanelSlice::Bf16(pairs) = self.panels {
            let (count, start) = (self.x.inner / 2, panel * self.panel_stride);
            // SAFETY: `run` asserted that the processor has the instruction, that all rows lie inside `x`, so that the tile from
            // `first` has `count` groups of ROWS pairs, and that `count` lines of PANEL pairs from `start` lie inside the panels.
            let sums = unsafe {
                let (x, line) = (x.as_ptr().add(first * count), pairs.as_ptr().add(start));
                if pairs.len() > CACHED_NUMBERS {
                    pairs::sums::<ROWS, true>(x, line, count, ahead)
                } else {
                    pairs::sums::<ROWS, false>(x, line, count, ahead)
                }
            };
            for (row, sums) in sums.iter().enumerate() {
                self.put(panel, first + row, sums);
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (x, panel, first, ahead);
    }

    /// Writes what a row against a panel came to.
    #[inline(always)]
    fn put(&self, panel: usize, row: usize, sums: &[f32]) {
        let column = panel * PANEL;
        let count = PANEL.min(self.columns - column);
        let at = row * self.out_stride + column;
        // SAFETY: callers give every panel to one thread, and this row of this panel is written here only.
        let out = unsafe { self.out.part(at..at + count) };
        if self.accumulates {
            for (out, sum) in out.iter_mut().zip(sums) {
                *out += sum;
            }
        } else {
            out.copy_from_slice(&sums[..count]);
        }
    }
}

/// The sums of a tile against a panel of f32.
///
/// # Safety
/// `x` has `inner` groups of ROWS numbers, `panel` `inner` lines of VECTORS registers.
#[inline(always)]
unsafe fn single_sums<S: Simd, const VECTORS: usize, const ROWS: usize, const AHEAD: bool>(
    simd: S,
    x: *const f32,
    panel: *const f32,
    inner: usize,
    ahead: Ahead,
) -> [[S::f32s; VECTORS]; ROWS] {
    let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
    for index in 0..inner {
        // SAFETY: by the contract; registers are plain old data, for which unaligned reads are sound.
        unsafe {
            let line = panel.add(index * PANEL);
            if AHEAD {
                prefetch(panel.wrapping_add(ahead.start + index * ahead.step));
            }
            let line = line.cast::<S::f32s>();
            let x = x.add(index * ROWS);
            let mut weights = [simd.splat_f32s(0.0); VECTORS];
            for (vector, weights) in weights.iter_mut().enumerate() {
                *weights = line.add(vector).read_unaligned();
            }
            for (row, sums) in sums.iter_mut().enumerate() {
                let factor = simd.splat_f32s(x.add(row).read());
                for (sum, weights) in sums.iter_mut().zip(weights) {
                    *sum = simd.mul_add_e_f32s(factor, weights, *sum);
                }
            }
        }
    }
    sums
}

/// The sums of a tile against a panel of pairs of bf16.
///
/// # Safety
/// `x` has `2 * pairs` groups of ROWS numbers, `panel` `pairs` lines of VECTORS registers.
#[inline(always)]
unsafe fn pair_sums<S: Simd, const VECTORS: usize, const ROWS: usize, const AHEAD: bool>(
    simd: S,
    x: *const f32,
    panel: *const u32,
    pairs: usize,
    ahead: Ahead,
) -> [[S::f32s; VECTORS]; ROWS] {
    let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
    let (upper, half) = (simd.splat_u32s(0xffff_0000), simd.splat_u32s(16));
    for index in 0..pairs {
        // SAFETY: by the contract; registers are plain old data, for which unaligned reads are sound.
        unsafe {
            let line = panel.add(index * PANEL);
            if AHEAD {
                prefetch(panel.wrapping_add(ahead.start + index * ahead.step).cast());
            }
            let line = line.cast::<S::u32s>();
            let x = x.add(2 * index * ROWS);
            let mut weights = [simd.splat_f32s(0.0); VECTORS];
            for (vector, weights) in weights.iter_mut().enumerate() {
                let pair = line.add(vector).read_unaligned();
                *weights = simd.transmute_f32s_u32s(simd.wrapping_dyn_shl_u32s(pair, half));
            }
            for (row, sums) in sums.iter_mut().enumerate() {
                let factor = simd.splat_f32s(x.add(row).read());
                for (sum, weights) in sums.iter_mut().zip(weights) {
                    *sum = simd.mul_add_e_f32s(factor, weights, *sum);
                }
            }
            for (vector, weights) in weights.iter_mut().enumerate() {
                let pair = line.add(vector).read_unaligned();
                *weights = simd.transmute_f32s_u32s(simd.and_u32s(pair, upper));
            }
            for (row, sums) in sums.iter_mut().enumerate() {
                let factor = simd.splat_f32s(x.add(ROWS + row).read());
                for (sum, weights) in sums.iter_mut().zip(weights) {
                    *sum = simd.mul_add_e_f32s(factor, weights, *sum);
                }
            }
        }
    }
    sums
}

/// What is asked for beside every line of a panel.
#[derive(Debug, Clone, Copy)]
struct Ahead {
    /// Numbers from the first line of the panel to what is asked for first.
    start: usize,
    /// Numbers from what is asked for beside one line to what is beside the next.
    step: usize,
}

/// Asks for 32 numbers that are wanted in a while.
#[inline(always)]
fn prefetch(ahead: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE is part of x86-64, and a prefetch never faults, wherever it points.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(ahead.cast());
        _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(PANEL / 2).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = ahead;
}

#[cfg(test)]
mod tests;
