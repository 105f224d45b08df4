//! A fused projection with the low-rank changes of its parts.

use burn::{
    module::{Module, Param},
    tensor::{Device, FloatDType, Tensor, TensorData},
};
use still_decoder::Matrix;

use crate::adapters::Adapter;

/// A fused projection, `[out, in]`.
#[derive(Module, Debug)]
pub(crate) struct FusedMatrix {
    /// The projection as it was loaded; trained unless there are changes.
    pub(crate) base: Param<Tensor<2>>,
    /// Changes of some of its rows, ascending and apart from each other.
    pub(crate) changes: Vec<LowRankChange>,
}

/// A change of consecutive rows: `scale * up * down`.
#[derive(Module, Debug)]
pub(crate) struct LowRankChange {
    /// `A`, `[rank, in]`.
    pub(crate) down: Param<Tensor<2>>,
    /// `B`, `[rows, rank]`.
    pub(crate) up: Param<Tensor<2>>,
    first_row: usize,
    scale: f64,
}

impl FusedMatrix {
    /// A projection, trained itself or not.
    pub(crate) fn new(base: Param<Tensor<2>>) -> Self {
        Self { base, changes: Vec::new() }
    }

    /// Adds a trained change of the rows from `first_row` on, below all others.
    pub(crate) fn change(&mut self, adapter: &Adapter, first_row: usize, scale: f32, device: &Device) {
        self.changes.push(LowRankChange {
            down: Param::from_tensor(tensor(&adapter.down, device)),
            up: Param::from_tensor(tensor(&adapter.up, device)),
            first_row,
            scale: f64::from(scale),
        });
    }

    /// The projection with its changes.
    pub(crate) fn val(&self) -> Tensor<2> {
        let base = self.base.val();
        if self.changes.is_empty() {
            return base;
        }
        let dtype: FloatDType = base.dtype().into();
        let (mut parts, mut row) = (Vec::new(), 0);
        for change in &self.changes {
            if change.first_row > row {
                parts.push(base.clone().narrow(0, row, change.first_row - row));
            }
            let added = change.up.val().matmul(change.down.val()).mul_scalar(change.scale);
            let rows = added.dims()[0];
            parts.push(base.clone().narrow(0, change.first_row, rows) + added.cast(dtype));
            row = change.first_row + rows;
        }
        let total = base.dims()[0];
        if row < total {
            parts.push(base.narrow(0, row, total - row));
        }
        Tensor::cat(parts, 0)
    }
}

/// A matrix as a tensor of f32.
pub(crate) fn tensor(matrix: &Matrix, device: &Device) -> Tensor<2> {
    let values = matrix.rows_to_f32(0, matrix.rows());
    Tensor::from_data(TensorData::new(values, [matrix.rows(), matrix.columns()]), device)
}
