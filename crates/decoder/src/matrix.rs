//! A weight matrix: row-major, shared by reference count, stored as f32 or bf16.
//!
//! bf16 is storage only: whoever computes widens it, which is exact.

use std::sync::Arc;

use half::bf16;

/// The numbers of a [`Matrix`].
#[derive(Debug, Clone, PartialEq)]
pub enum Storage {
    /// Single precision.
    F32(Arc<Vec<f32>>),
    /// The upper half of single precision.
    Bf16(Arc<Vec<bf16>>),
}

/// A row-major matrix; a clone shares its numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    rows: usize,
    columns: usize,
    storage: Storage,
}

impl Matrix {
    /// A matrix of f32; `values` has `rows * columns` entries.
    pub fn from_f32(rows: usize, columns: usize, values: Vec<f32>) -> Self {
        assert_eq!(values.len(), rows * columns, "a {rows} x {columns} matrix");
        Self { rows, columns, storage: Storage::F32(Arc::new(values)) }
    }

    /// A matrix of bf16; `values` has `rows * columns` entries.
    pub fn from_bf16(rows: usize, columns: usize, values: Vec<bf16>) -> Self {
        assert_eq!(values.len(), rows * columns, "a {rows} x {columns} matrix");
        Self { rows, columns, storage: Storage::Bf16(Arc::new(values)) }
    }

    /// Rows: what the projection puts out.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns: what the projection takes in.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The numbers.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    pub(crate) fn storage_mut(&mut self) -> &mut Storage {
        &mut self.storage
    }

    /// The numbers, when they are f32.
    pub fn as_f32(&self) -> Option<&[f32]> {
        match &self.storage {
            Storage::F32(values) => Some(values.as_slice()),
            Storage::Bf16(_) => None,
        }
    }

    /// The numbers for change, when they are f32; copied first when they are shared.
    pub fn as_f32_mut(&mut self) -> Option<&mut [f32]> {
        match &mut self.storage {
            Storage::F32(values) => Some(Arc::make_mut(values).as_mut_slice()),
            Storage::Bf16(_) => None,
        }
    }

    /// Rows `first .. first + count`, widened to f32.
    pub fn rows_to_f32(&self, first: usize, count: usize) -> Vec<f32> {
        let range = first * self.columns..(first + count) * self.columns;
        match &self.storage {
            Storage::F32(values) => values[range].to_vec(),
            Storage::Bf16(values) => values[range].iter().map(|value| value.to_f32()).collect(),
        }
    }

    /// Writes one row, widened to f32.
    pub(crate) fn read_row(&self, row: usize, target: &mut [f32]) {
        let range = row * self.columns..(row + 1) * self.columns;
        match &self.storage {
            Storage::F32(values) => target.copy_from_slice(&values[range]),
            Storage::Bf16(values) => {
                target.iter_mut().zip(&values[range]).for_each(|(target, value)| *target = value.to_f32());
            }
        }
    }

    /// The same matrix as f32; shares the numbers when they already are.
    #[must_use]
    pub fn to_f32(&self) -> Self {
        match &self.storage {
            Storage::F32(_) => self.clone(),
            Storage::Bf16(_) => Self::from_f32(self.rows, self.columns, self.rows_to_f32(0, self.rows)),
        }
    }

    /// The matrix rounded to bf16, ties to even; shares the numbers when they already are.
    #[must_use]
    pub fn to_bf16(&self) -> Self {
        match &self.storage {
            Storage::Bf16(_) => self.clone(),
            Storage::F32(values) => {
                let rounded = values.iter().map(|value| bf16::from_f32(*value)).collect();
                Self::from_bf16(self.rows, self.columns, rounded)
            }
        }
    }

    /// Bytes that the numbers take.
    pub fn memory_bytes(&self) -> usize {
        let width = match &self.storage {
            Storage::F32(_) => size_of::<f32>(),
            Storage::Bf16(_) => size_of::<bf16>(),
        };
        self.rows * self.columns * width
    }
}
