//! Matrices cut into panels of 32 outputs, the layout that the kernel streams.

use bytemuck::{Pod, Zeroable};
use half::bf16;

use crate::{Matrix, Storage, Threads};

/// Columns of a panel: two AVX-512 registers, four AVX registers.
pub(super) const PANEL: usize = 32;

const LINE: usize = 16;

/// Sixteen numbers on a cache line of their own, so that no load of a panel straddles two.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
pub(super) struct Line([f32; LINE]);

/// How a decoder that serves holds its matrices. Arithmetic is f32 either way: bf16 is widened, which is exact, while it
/// streams, so that a step of few rows, which takes as long as its weights take to read, takes half the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WeightPrecision {
    /// In the format that they come in.
    #[default]
    AsGiven,
    /// As bf16, rounded to the nearest, ties to even.
    Bf16,
}

/// Numbers in panels.
#[derive(Debug, Clone, Copy)]
pub(super) enum PanelSlice<'a> {
    /// `[panels][inner][32]`
    F32(&'a [f32]),
    /// `[panels][inner / 2][32]`: the even inner index in the lower, the odd one in the upper half.
    Bf16(&'a [u32]),
}

/// A weight matrix in panels: `rows` outputs, `inner` inputs.
#[derive(Debug)]
pub(super) struct PanelMatrix {
    rows: usize,
    inner: usize,
    numbers: Numbers,
}

#[derive(Debug)]
enum Numbers {
    F32(Vec<Line>),
    Bf16(Vec<Line>),
}

impl PanelMatrix {
    /// Lays a matrix `[outputs, inputs]` out; rows that fill the last panel up are zero.
    pub(super) fn new(matrix: &Matrix, precision: WeightPrecision, threads: &Threads) -> Self {
        let (rows, inner) = (matrix.rows(), matrix.columns());
        let mut packed = Self { rows, inner, numbers: Numbers::F32(Vec::new()) };
        packed.replace(matrix, precision, threads);
        packed
    }

    /// Takes the numbers of another matrix of the same shape, in the memory at hand if the format is the same.
    pub(super) fn replace(&mut self, matrix: &Matrix, precision: WeightPrecision, threads: &Threads) {
        assert_eq!((matrix.rows(), matrix.columns()), (self.rows, self.inner), "the shape of new weights");
        let inner = self.inner;
        let can_pair = inner.is_multiple_of(2);
        match matrix.storage() {
            Storage::Bf16(values) if can_pair => {
                self.pack_pairs(threads, |at| values.get(at).map(|value| value.to_bits()));
            }
            Storage::F32(values) if can_pair && precision == WeightPrecision::Bf16 => {
                self.pack_pairs(threads, |at| values.get(at).map(|value| bf16::from_f32(*value).to_bits()));
            }
            Storage::F32(values) => self.pack_singles(threads, |at| values.get(at).copied()),
            Storage::Bf16(values) => self.pack_singles(threads, |at| values.get(at).map(|value| value.to_f32())),
        }
    }

    /// Fills panels of bf16 from a function of the place in the matrix.
    fn pack_pairs(&mut self, threads: &Threads, source: impl Fn(usize) -> Option<u16> + Sync) {
        let (inner, count) = (self.inner, padded(self.rows) * self.inner / 2 / LINE);
        if !matches!(&self.numbers, Numbers::Bf16(lines) if lines.len() == count) {
            self.numbers = Numbers::Bf16(vec![Line::zeroed(); count]);
        }
        let Numbers::Bf16(lines) = &mut self.numbers else { return };
        pack(bytemuck::cast_slice_mut::<_, u32>(lines), inner / 2, threads, |row, index| {
            let at = row * inner + 2 * index;
            Some(u32::from(source(at)?) | u32::from(source(at + 1)?) << 16)
        });
    }

    /// Fills panels of f32 from a function of the place in the matrix.
    fn pack_singles(&mut self, threads: &Threads, source: impl Fn(usize) -> Option<f32> + Sync) {
        let (inner, count) = (self.inner, padded(self.rows) * self.inner / LINE);
        if !matches!(&self.numbers, Numbers::F32(lines) if lines.len() == count) {
            self.numbers = Numbers::F32(vec![Line::zeroed(); count]);
        }
        let Numbers::F32(lines) = &mut self.numbers else { return };
        pack(bytemuck::cast_slice_mut::<_, f32>(lines), inner, threads, |row, index| source(row * inner + index));
    }

    /// Outputs.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Inputs.
    pub(super) fn inner(&self) -> usize {
        self.inner
    }

    /// The panels.
    pub(super) fn slice(&self) -> PanelSlice<'_> {
        match &self.numbers {
            Numbers::F32(lines) => PanelSlice::F32(bytemuck::cast_slice(lines)),
            Numbers::Bf16(lines) => PanelSlice::Bf16(bytemuck::cast_slice(lines)),
        }
    }

    /// Writes the weights of one output, times `multiplier`.
    pub(super) fn read_row(&self, row: usize, multiplier: f32, target: &mut [f32]) {
        let lane = row / PANEL * PANEL * self.inner + row % PANEL;
        match self.slice() {
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
    threads: &Threads,
    source: impl Fn(usize, usize) -> Option<T> + Sync,
) {
    threads.for_each_chunk(target, inner * PANEL, |panel, target| {
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
    fn rows_are_found_again_in_both_formats() {
        let values: Vec<f32> = (0..40 * 6).map(|index| index as f32 * 0.5).collect();
        let matrix = Matrix::from_f32(40, 6, values.clone());
        for matrix in [matrix.clone(), matrix.to_bf16()] {
            let packed = PanelMatrix::new(&matrix, WeightPrecision::AsGiven, &Threads::new(2));
            for row in [0, 1, 31, 32, 39] {
                let mut found = vec![0.0; 6];
                packed.read_row(row, 1.0, &mut found);
                assert_eq!(found, matrix.rows_to_f32(row, 1));
            }
        }
    }
}
