//! Products of f32 matrices that are rounded to bf16 on their way into the kernel, which adds them up in f32.
//!
//! Both factors are cut along the inner index into blocks that stay near. Of a block, the left factor's rows are laid out
//! once, in tiles; the right factor's columns are laid out in panels, a few at a time, by the thread that multiplies by
//! them. An output is one chain of pairs in each block and the sum of the blocks in order, however many threads there are.

#![expect(
    clippy::inline_always,
    reason = "only an inlined body is compiled for its caller's instruction set"
)]

use std::ops::Range;

use pulp::Arch;

use super::{Target, View};
use crate::Threads;
use crate::buffer::Buffer;
use crate::inference::{PANEL, PanelSlice, Product, Rows, SharedSlice, lay_out_rows, pair};
use crate::lanes::vectorised;

/// Inner indices of a block at most: a few panels of them, and the rows that meet them, lie in a second-level cache.
const BLOCK: usize = 2048;
/// Panels that a thread lays out before it multiplies by them: so often less are the rows read.
const GROUP: usize = 4;

/// `target (+)= left * right`, both rounded to bf16.
pub(super) fn multiply(target: Target<'_>, left: View<'_>, right: View<'_>, threads: &Threads) {
    let (rows, inner, columns) = (left.rows, left.columns, right.columns);
    let Target { values, row_stride, accumulates } = target;
    let out = SharedSlice::new(values);
    let tile_rows = Rows::of_a_tile(rows);
    let block = inner.div_ceil(inner.div_ceil(BLOCK).max(1)).next_multiple_of(2);
    let (panels, parts) = (columns.div_ceil(PANEL), threads.count());
    let per_part = panels.div_ceil(parts).max(1);
    for start in (0..inner).step_by(block) {
        let block = start..inner.min(start + block);
        let pairs = block.len().div_ceil(2);
        let mut packed = Buffer::for_overwrite(rows * pairs);
        let packed: &mut [u32] = bytemuck::cast_slice_mut(&mut packed);
        let mut tiles: Vec<_> = packed.chunks_mut(tile_rows * pairs).enumerate().collect();
        threads.for_each_item(&mut tiles, |(tile, target)| {
            let first = *tile * tile_rows;
            let lanes = first..rows.min(first + tile_rows);
            interleave(left, &block, lanes.clone(), lanes.len(), target);
        });
        let x = Rows::of_pairs(packed, rows, 2 * pairs, tile_rows);
        threads.map(panels.div_ceil(per_part), |part| {
            let mut group = Buffer::for_overwrite(GROUP * pairs * PANEL);
            let group: &mut [u32] = bytemuck::cast_slice_mut(&mut group);
            let end = panels.min((part + 1) * per_part);
            for first in (part * per_part..end).step_by(GROUP) {
                let count = GROUP.min(end - first);
                let column = first * PANEL;
                let lanes = column..columns.min(column + count * PANEL);
                interleave(right.transposed(), &block, lanes, PANEL, group);
                Arch::new().dispatch(Product {
                    x,
                    panels: PanelSlice::Bf16(group),
                    panel_stride: pairs * PANEL,
                    range: 0..count,
                    out: out.after(column),
                    out_stride: row_stride,
                    columns: columns - column,
                    accumulates: accumulates || start > 0,
                });
            }
        });
    }
}

/// Lays out a block of the inner index of some lanes (rows of `source`), `width` of them together: for every pair of
/// indices that of each lane. An index without a neighbour has zero beside it, and so have lanes that are none.
fn interleave(source: View<'_>, block: &Range<usize>, lanes: Range<usize>, width: usize, target: &mut [u32]) {
    let per_group = block.len().div_ceil(2) * width;
    vectorised(
        #[inline(always)]
        || {
            if source.row_stride == 1 {
                interleave_columns(source, block, &lanes, width, target);
                return;
            }
            let firsts = lanes.clone().step_by(width);
            for (first, target) in firsts.zip(target.chunks_exact_mut(per_group)) {
                let values = &source.values[first * source.row_stride + block.start..];
                let count = width.min(lanes.end - first);
                lay_out_rows(values, source.row_stride, [count, block.len()], target, width);
            }
        },
    );
}

/// The same where the numbers of an index lie together. All lanes of an index are read before the next: what lies
/// together comes from memory together.
#[inline(always)]
fn interleave_columns(
    View { values, column_stride, .. }: View<'_>,
    block: &Range<usize>,
    lanes: &Range<usize>,
    width: usize,
    target: &mut [u32],
) {
    let per_group = block.len().div_ceil(2) * width;
    let lanes_at = |index: usize| &values[index * column_stride + lanes.start..][..lanes.len()];
    let none = vec![0.0; lanes.len()];
    for (pair_index, index) in block.clone().step_by(2).enumerate() {
        let (even, odd) = (lanes_at(index), if index + 1 < block.end { lanes_at(index + 1) } else { &none });
        let groups = even.chunks(width).zip(odd.chunks(width)).zip(target.chunks_exact_mut(per_group));
        for ((even, odd), target) in groups {
            let (target, none) = target[pair_index * width..][..width].split_at_mut(even.len());
            for ((target, even), odd) in target.iter_mut().zip(even).zip(odd) {
                *target = pair(*even, *odd);
            }
            none.fill(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;
    use crate::inference::are_multiplied_here;

    /// Whole numbers, which bf16 holds.
    fn numbers(count: usize, step: usize) -> Vec<f32> {
        (0..count).map(|index| ((index * step) % 15) as f32 - 7.0).collect()
    }

    fn expected(left: &View<'_>, right: &View<'_>) -> Vec<f32> {
        let at = |view: &View<'_>, row: usize, column: usize| {
            let value = view.values[row * view.row_stride + column * view.column_stride];
            bf16::from_f32(value).to_f32()
        };
        let entry = |row, column| (0..left.columns).map(|k| at(left, row, k) * at(right, k, column)).sum();
        (0..left.rows)
            .flat_map(|row| (0..right.columns).map(move |column| (row, column)))
            .map(|(row, column)| entry(row, column))
            .collect()
    }

    #[test]
    fn products_are_those_of_the_rounded_numbers_whatever_the_strides_and_threads() {
        if !are_multiplied_here() {
            eprintln!("this processor multiplies no pairs of bf16: nothing is compared");
            return;
        }
        for (rows, inner, columns) in [(1, 1, 1), (5, 7, 33), (13, 64, 130), (40, 4_501, 70), (3, 2, 300)] {
            let (left, right) = (numbers(rows * inner, 7), numbers(inner * columns, 11));
            for turned in [[false, false], [true, false], [false, true], [true, true]] {
                let view = |values, rows, columns, is_turned| {
                    if is_turned {
                        View::new(values, columns, rows).transposed()
                    } else {
                        View::new(values, rows, columns)
                    }
                };
                let left = view(&left, rows, inner, turned[0]);
                let right = view(&right, inner, columns, turned[1]);
                let known = expected(&left, &right);
                for threads in [Threads::single(), Threads::new(3)] {
                    let stride = columns + 3;
                    let mut found = vec![1.0; rows * stride];
                    multiply(Target::add(&mut found, stride), left, right, &threads);
                    for (found, known) in found.chunks_exact(stride).zip(known.chunks_exact(columns)) {
                        let added: Vec<f32> = known.iter().map(|known| known + 1.0).collect();
                        assert_eq!((&found[..columns], &found[columns..]), (&added[..], &[1.0; 3][..]));
                    }
                    multiply(Target::store(&mut found, stride), left, right, &threads);
                    for (found, known) in found.chunks_exact(stride).zip(known.chunks_exact(columns)) {
                        assert_eq!(&found[..columns], known);
                    }
                }
            }
        }
    }
}
