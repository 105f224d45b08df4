//! Matrices cut into panels of 32 outputs, the layout that the kernel streams.

use std::ops::Range;

use bytemuck::{Pod, Zeroable};
use half::bf16;

use super::kernel::are_multiplied_here;
use super::pages::Pages;
use super::team::Team;
use crate::{Matrix, Storage};

/// Columns of a panel: two AVX-512 registers, four AVX registers.
pub(crate) const PANEL: usize = 32;

/// Numbers of a line.
pub(super) const LINE: usize = 16;

/// Sixteen numbers on a cache line of their own, so that no load of a panel straddles two.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
pub(super) struct Line([f32; LINE]);

/// How a decoder that serves holds its matrices, and multiplies by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WeightPrecision {
    /// In the format that they come in. Arithmetic is f32: bf16 is widened, which is exact, while it streams, so that a step
    /// of few rows, which takes as long as its weights take to read, takes half the time.
    #[default]
    AsGiven,
    /// As bf16, rounded to the nearest, ties to even. What they are multiplied by is rounded too where the processor multiplies
    /// pairs of bf16, and sums are f32: twice the arithmetic in the same time.
    Bf16,
}

impl WeightPrecision {
    /// Whether what bf16 matrices are multiplied by is rounded to bf16 on this processor.
    pub fn rounds_inputs(self) -> bool {
        self == Self::Bf16 && are_multiplied_here()
    }
}

/// Numbers in panels.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PanelSlice<'a> {
    /// `[panels][inner][32]`
    F32(&'a [f32]),
    /// `[panels][inner / 2][32]`: the even inner index in the lower, the odd one in the upper half.
    Bf16(&'a [u32]),
}

/// Where matrices lie among the pages, one after the other.
#[derive(Debug, Default)]
pub(super) struct Layout {
    line_count: usize,
}

/// A weight matrix in panels: `rows` outputs, `inner` inputs.
#[derive(Debug)]
pub(super) struct PanelMatrix {
    rows: usize,
    inner: usize,
    is_bf16: bool,
    /// Whether what they are multiplied by is rounded to bf16 too.
    takes_pairs: bool,
    /// Lines of the pages before it.
    first_line: usize,
}

impl Layout {
    /// Reserves the panels of a matrix `[outputs, inputs]`.
    pub(super) fn reserve(&mut self, matrix: &Matrix, precision: WeightPrecision) -> PanelMatrix {
        let (rows, inner) = (matrix.rows(), matrix.columns());
        let wants_bf16 = precision == WeightPrecision::Bf16 || matches!(matrix.storage(), Storage::Bf16(_));
        let is_bf16 = wants_bf16 && inner.is_multiple_of(2);
        let takes_pairs = is_bf16 && precision.rounds_inputs();
        let placed = PanelMatrix { rows, inner, is_bf16, takes_pairs, first_line: self.line_count };
        self.line_count += placed.line_count();
        placed
    }

    /// Lines that everything placed takes.
    pub(super) fn line_count(&self) -> usize {
        self.line_count
    }
}

impl PanelMatrix {
    /// Lays out the numbers of the matrix that it was placed for; rows that fill the last panel up are zero.
    pub(super) fn fill(&self, pages: &mut Pages, matrix: &Matrix, team: &Team) {
        let inner = self.inner;
        if self.is_bf16 {
            let source = |at: usize| match matrix.storage() {
                Storage::F32(values) => values.get(at).map(|value| bf16::from_f32(*value).to_bits()),
                Storage::Bf16(values) => values.get(at).map(|value| value.to_bits()),
            };
            pack(&mut pages.numbers_mut::<u32>()[self.range()], inner / 2, team, |row, index| {
                let at = row * inner + 2 * index;
                Some(u32::from(source(at)?) | u32::from(source(at + 1)?) << 16)
            });
        } else {
            pack(&mut pages.numbers_mut::<f32>()[self.range()], inner, team, |row, index| {
                let at = row * inner + index;
                match matrix.storage() {
                    Storage::F32(values) => values.get(at).copied(),
                    Storage::Bf16(values) => values.get(at).map(|value| value.to_f32()),
                }
            });
        }
    }

    /// Outputs.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Inputs.
    pub(super) fn inner(&self) -> usize {
        self.inner
    }

    /// Whether what they are multiplied by is rounded to bf16 too.
    pub(super) fn takes_pairs(&self) -> bool {
        self.takes_pairs
    }

    /// The panels.
    pub(super) fn slice<'a>(&self, pages: &'a Pages) -> PanelSlice<'a> {
        if self.is_bf16 {
            PanelSlice::Bf16(&pages.numbers()[self.range()])
        } else {
            PanelSlice::F32(&pages.numbers()[self.range()])
        }
    }

    /// Writes the weights of one output, times `multiplier`.
    pub(super) fn read_row(&self, pages: &Pages, row: usize, multiplier: f32, target: &mut [f32]) {
        let lane = row / PANEL * PANEL * self.inner + row % PANEL;
        match self.slice(pages) {
            PanelSlice::F32(values) => {
                for (target, value) in target.iter_mut().zip(values[lane..].iter().step_by(PANEL)) {
                    *target = value * multiplier;
                }
            }
            PanelSlice::Bf16(pairs) => {
                let lane = row / PANEL * PANEL * (self.inner / 2) + row % PANEL;
                for (target, pair) in target.chunks_exact_mut(2).zip(pairs[lane..].iter().step_by(PANEL)) {
                    target[0] = f32::from_bits(pair << 16) * multiplier;
                    target[1] = f32::from_bits(pair & 0xffff_0000) * multiplier;
                }
            }
        }
    }

    fn line_count(&self) -> usize {
        Self::memory_bytes(self.rows, self.inner, self.is_bf16) / size_of::<Line>()
    }

    /// Where its numbers, of 4 bytes each, lie among those of the pages.
    fn range(&self) -> Range<usize> {
        self.first_line * LINE..(self.first_line + self.line_count()) * LINE
    }

    /// Bytes that the panels of a matrix take.
    pub(super) fn memory_bytes(rows: usize, inner: usize, in_bf16: bool) -> usize {
        padded(rows) * inner * if in_bf16 && inner.is_multiple_of(2) { 2 } else { 4 }
    }
}

/// Panel lines for `count` numbers, zero.
pub(super) fn zeroed_lines(count: usize) -> Vec<Line> {
    vec![Line::zeroed(); count.div_ceil(LINE)]
}

/// The next multiple of a panel's width.
pub(super) fn padded(count: usize) -> usize {
    count.next_multiple_of(PANEL)
}

/// Fills `[panels][inner][32]` from a function of row and inner index that is none beyond the last row.
fn pack<T: Pod + Send>(
    target: &mut [T],
    inner: usize,
    team: &Team,
    source: impl Fn(usize, usize) -> Option<T> + Sync,
) {
    team.for_each_chunk(target, inner * PANEL, |panel, target| {
        for lane in 0..PANEL {
            let row = panel * PANEL + lane;
            for (index, target) in target.iter_mut().skip(lane).step_by(PANEL).enumerate() {
                *target = source(row, index).unwrap_or_else(T::zeroed);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_again_in_every_format() {
        let values: Vec<f32> = (0..40 * 6).map(|index| index as f32 * 0.5).collect();
        let matrix = Matrix::from_f32(40, 6, values.clone());
        let mut layout = Layout::default();
        let matrices = [matrix.clone(), matrix.to_bf16(), matrix.clone()];
        let precisions = [WeightPrecision::AsGiven, WeightPrecision::AsGiven, WeightPrecision::Bf16];
        let placed: Vec<_> = matrices
            .iter()
            .zip(precisions)
            .map(|(matrix, precision)| layout.reserve(matrix, precision))
            .collect();
        let mut pages = Pages::zeroed(layout.line_count());
        for (placed, matrix) in placed.iter().zip(&matrices) {
            placed.fill(&mut pages, matrix, &Team::new(2));
        }
        for placed in &placed {
            for row in [0, 1, 31, 32, 39] {
                let mut found = vec![0.0; 6];
                placed.read_row(&pages, row, 1.0, &mut found);
                assert_eq!(found, matrix.rows_to_f32(row, 1));
            }
        }
    }
}
