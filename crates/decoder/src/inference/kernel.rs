//! The micro-kernel: rows times panels, every output one chain of fused multiply-adds in the order of the inner index.
//!
//! A tile of rows is held in registers against one panel. Tiles and threads change which outputs are computed together,
//! never how one is computed.
#![expect(
    unsafe_code,
    reason = "the innermost loop reads without bounds checks; `Product::run` asserts the bounds"
)]
#![expect(
    clippy::inline_always,
    reason = "only an inlined body is compiled for its caller's instruction set"
)]

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::panels::{PANEL, PanelSlice};
use super::shared::SharedSlice;

/// Bytes of input rows that stay near while panels stream by.
const ROW_BLOCK_BYTES: usize = 512 << 10;
/// Rows of a tile at most: 24 of the 32 AVX-512 registers then hold sums.
const MOST_ROWS: usize = 12;
/// Rows of a tile where there are 16 registers.
const MOST_ROWS_OF_SIXTEEN: usize = 3;

/// `out[row][column] (+)= sum over index of x[row][index] * panels[column][index]`.
pub(super) struct Product<'a> {
    /// Input rows, `x_stride` apart.
    pub(super) x: &'a [f32],
    pub(super) x_stride: usize,
    pub(super) rows: usize,
    pub(super) inner: usize,
    pub(super) panels: PanelSlice<'a>,
    /// Distance of panels, in numbers of the slice.
    pub(super) panel_stride: usize,
    /// Which panels to do.
    pub(super) range: Range<usize>,
    pub(super) out: SharedSlice<'a>,
    pub(super) out_stride: usize,
    /// Columns of the output; the last panel may reach beyond.
    pub(super) columns: usize,
    /// Adds to the output instead of overwriting it.
    pub(super) accumulates: bool,
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
        if self.rows == 0 || self.range.is_empty() {
            return;
        }
        let per_panel = match self.panels {
            PanelSlice::F32(values) => {
                let end = (self.range.end - 1) * self.panel_stride + self.inner * PANEL;
                assert!(end <= values.len(), "panels inside their slice");
                self.inner * PANEL
            }
            PanelSlice::Bf16(pairs) => {
                assert!(self.inner.is_multiple_of(2), "pairs of inner indices");
                let end = (self.range.end - 1) * self.panel_stride + self.inner / 2 * PANEL;
                assert!(end <= pairs.len(), "panels inside their slice");
                self.inner / 2 * PANEL
            }
        };
        assert!(per_panel <= self.panel_stride, "panels that do not overlap");
        assert!(
            (self.rows - 1) * self.x_stride + self.inner <= self.x.len(),
            "input rows inside their slice"
        );
        assert!(self.range.end <= self.columns.div_ceil(PANEL), "panels inside the output");
        match S::F32_LANES {
            16 => self.tiles::<S, 2>(simd, MOST_ROWS),
            8 => self.tiles::<S, 4>(simd, MOST_ROWS_OF_SIXTEEN),
            4 => self.tiles::<S, 8>(simd, MOST_ROWS_OF_SIXTEEN),
            _ => self.tiles::<S, 32>(simd, 1),
        }
    }

    #[inline(always)]
    fn tiles<S: Simd, const VECTORS: usize>(&self, simd: S, most: usize) {
        let tile_count = self.rows.div_ceil(most);
        let tile_rows = self.rows.div_ceil(tile_count);
        let block =
            (ROW_BLOCK_BYTES / size_of::<f32>() / self.inner.max(1)).max(1).next_multiple_of(tile_rows);
        for block_start in (0..self.rows).step_by(block) {
            let block_end = self.rows.min(block_start + block);
            for panel in self.range.clone() {
                for first in (block_start..block_end).step_by(tile_rows) {
                    let count = tile_rows.min(block_end - first);
                    match count {
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
                        _ => self.tile::<S, VECTORS, MOST_ROWS>(simd, panel, first),
                    }
                }
            }
        }
    }

    /// `ROWS` rows from `first` against one panel.
    #[inline(always)]
    fn tile<S: Simd, const VECTORS: usize, const ROWS: usize>(&self, simd: S, panel: usize, first: usize) {
        let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
        let start = panel * self.panel_stride;
        // SAFETY: `run` asserted that `inner` entries of each row up to `first + ROWS` lie inside `x`, and `inner` (or, for
        // pairs, `inner / 2`) lines of PANEL numbers from `start` inside the panels; VECTORS * F32_LANES is PANEL. The
        // register types are plain old data, for which unaligned reads are sound.
        unsafe {
            let x = self.x.as_ptr().add(first * self.x_stride);
            match self.panels {
                PanelSlice::F32(values) => {
                    let lines = values.as_ptr().add(start);
                    for index in 0..self.inner {
                        let line = lines.add(index * PANEL).cast::<S::f32s>();
                        let mut weights = [simd.splat_f32s(0.0); VECTORS];
                        for (vector, weights) in weights.iter_mut().enumerate() {
                            *weights = line.add(vector).read_unaligned();
                        }
                        for (row, sums) in sums.iter_mut().enumerate() {
                            let factor = simd.splat_f32s(*x.add(row * self.x_stride + index));
                            for (sum, weights) in sums.iter_mut().zip(weights) {
                                *sum = simd.mul_add_e_f32s(factor, weights, *sum);
                            }
                        }
                    }
                }
                PanelSlice::Bf16(pairs) => {
                    let lines = pairs.as_ptr().add(start);
                    let upper = simd.splat_u32s(0xffff_0000);
                    for index in 0..self.inner / 2 {
                        let line = lines.add(index * PANEL).cast::<S::u32s>();
                        let mut even = [simd.splat_f32s(0.0); VECTORS];
                        let mut odd = [simd.splat_f32s(0.0); VECTORS];
                        for vector in 0..VECTORS {
                            let pair = line.add(vector).read_unaligned();
                            even[vector] = simd
                                .transmute_f32s_u32s(simd.wrapping_dyn_shl_u32s(pair, simd.splat_u32s(16)));
                            odd[vector] = simd.transmute_f32s_u32s(simd.and_u32s(pair, upper));
                        }
                        for (row, sums) in sums.iter_mut().enumerate() {
                            let factors = x.add(row * self.x_stride + 2 * index);
                            let first = simd.splat_f32s(*factors);
                            for (sum, weights) in sums.iter_mut().zip(even) {
                                *sum = simd.mul_add_e_f32s(first, weights, *sum);
                            }
                            let second = simd.splat_f32s(*factors.add(1));
                            for (sum, weights) in sums.iter_mut().zip(odd) {
                                *sum = simd.mul_add_e_f32s(second, weights, *sum);
                            }
                        }
                    }
                }
            }
        }
        let column = panel * PANEL;
        let count = PANEL.min(self.columns - column);
        for (row, sums) in sums.iter().enumerate() {
            let at = (first + row) * self.out_stride + column;
            // SAFETY: callers give every panel to one thread, and this row of this panel is written here only.
            let out = unsafe { self.out.part(at..at + count) };
            let sums: &[f32] = bytemuck::cast_slice(sums);
            if self.accumulates {
                for (out, sum) in out.iter_mut().zip(sums) {
                    *out += sum;
                }
            } else {
                out.copy_from_slice(&sums[..count]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_output_is_one_chain_of_multiply_adds_whatever_the_tile() {
        let (inner, columns) = (37, 45);
        let value = |index: usize| ((index * 2_654_435_761) % 1000) as f32 * 1e-3 - 0.5;
        let x: Vec<f32> = (0..30 * inner).map(value).collect();
        let panels: Vec<f32> = (0..2 * inner * PANEL).map(|index| value(index + 9)).collect();
        let weight = |column: usize, index: usize| {
            panels[column / PANEL * inner * PANEL + index * PANEL + column % PANEL]
        };
        for rows in 1..30 {
            let mut out = vec![f32::NAN; rows * columns];
            pulp::Arch::new().dispatch(Product {
                x: &x,
                x_stride: inner,
                rows,
                inner,
                panels: PanelSlice::F32(&panels),
                panel_stride: inner * PANEL,
                range: 0..2,
                out: SharedSlice::new(&mut out),
                out_stride: columns,
                columns,
                accumulates: false,
            });
            for (at, found) in out.iter().enumerate() {
                let (row, column) = (at / columns, at % columns);
                let fused = (0..inner)
                    .fold(0.0_f32, |sum, index| x[row * inner + index].mul_add(weight(column, index), sum));
                assert!((found - fused).abs() <= 1e-6, "{rows} rows, {row}, {column}: {found} {fused}");
                assert_eq!(out[column], out[column], "no output is left out");
            }
        }
    }
}
