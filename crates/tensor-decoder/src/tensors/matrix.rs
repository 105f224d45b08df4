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

    /// What the projection makes of `[tokens, in]`: `[tokens, out]`.
    ///
    /// Changes are computed beside the projection, in f32 as PEFT computes them: `W x + scale * B (A x)`. Added to
    /// weights in bf16, a small change would be rounded to another one, the same for every token: for a weight of 0.02 to
    /// multiples of 1e-4. Beside them the outputs are rounded, which is noise that differs from token to token.
    pub(crate) fn project(&self, x: Tensor<2>) -> Tensor<2> {
        let plain = x.clone().matmul(self.base.val().transpose());
        if self.changes.is_empty() {
            return plain;
        }
        let (x, dtype) = (x.cast(FloatDType::F32), FloatDType::from(plain.dtype()));
        let columns = |first, count| plain.clone().narrow(1, first, count);
        let (mut parts, mut row) = (Vec::new(), 0);
        for change in &self.changes {
            if change.first_row > row {
                parts.push(columns(row, change.first_row - row));
            }
            let count = change.up.val().dims()[0];
            let thin = x.clone().matmul(change.down.val().transpose()).mul_scalar(change.scale);
            let part = columns(change.first_row, count).cast(FloatDType::F32);
            parts.push((part + thin.matmul(change.up.val().transpose())).cast(dtype));
            row = change.first_row + count;
        }
        let total = plain.dims()[1];
        if row < total {
            parts.push(columns(row, total - row));
        }
        Tensor::cat(parts, 1)
    }
}

/// A matrix as a tensor of f32.
pub(crate) fn tensor(matrix: &Matrix, device: &Device) -> Tensor<2> {
    let values = matrix.rows_to_f32(0, matrix.rows());
    Tensor::from_data(TensorData::new(values, [matrix.rows(), matrix.columns()]), device)
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::adapters::Projection;

    const ROWS: usize = 64;
    const COLUMNS: usize = 256;
    const TOKENS: usize = 8_192;

    /// Numbers of mean 0 and this standard deviation, near enough to normal.
    fn numbers(random: &mut ChaCha8Rng, count: usize, deviation: f32) -> Vec<f32> {
        let number = |_| (0..12).map(|_| random.random_range(-0.5_f32..0.5)).sum::<f32>() * deviation;
        (0..count).map(number).collect()
    }

    /// `[rows, columns]`: what of some outputs, `[tokens, rows]`, goes with the inputs, `[tokens, columns]`.
    fn correlation(outputs: Tensor<2>, inputs: &Tensor<2>) -> Vec<f32> {
        let found = outputs.transpose().matmul(inputs.clone());
        found.into_data().try_to_vec::<f32>().unwrap()
    }

    fn norm(values: &[f32]) -> f64 {
        values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
    }

    #[test]
    fn a_change_beside_weights_in_bf16_is_no_other_change_after_rounding() {
        let (device, mut random) = (Device::flex(), ChaCha8Rng::seed_from_u64(5));
        let matrix = |random: &mut ChaCha8Rng, rows, columns, deviation| {
            Matrix::from_f32(rows, columns, numbers(random, rows * columns, deviation))
        };
        let base = tensor(&matrix(&mut random, ROWS, COLUMNS, 0.02), &device).cast(FloatDType::BF16);
        let x = tensor(&matrix(&mut random, TOKENS, COLUMNS, 1.0), &device).cast(FloatDType::BF16);
        let wide = |tensor: Tensor<2>| tensor.cast(FloatDType::F32);
        // a change of the size of the grid that weights of 0.02 lie on
        let adapter = Adapter {
            projection: Projection::Output,
            down: matrix(&mut random, 2, COLUMNS, 1.0),
            up: matrix(&mut random, ROWS, 2, 1e-4 / 2_f32.sqrt()),
        };
        let plain = FusedMatrix::new(Param::from_tensor(base.clone()));
        let mut changed = FusedMatrix::new(Param::from_tensor(base.clone()));
        changed.change(&adapter, 0, 1.0, &device);

        let without = wide(plain.project(x.clone()));
        let change = tensor(&adapter.up, &device).matmul(tensor(&adapter.down, &device));
        let weights = base + change.clone().cast(FloatDType::BF16);
        let inputs = wide(x.clone());
        let exact = inputs.clone().matmul(change.transpose());
        let wanted = norm(&correlation(exact.clone(), &inputs));
        let error_of = |with: Tensor<2>| {
            norm(&correlation(wide(with) - without.clone() - exact.clone(), &inputs)) / wanted
        };
        let beside = error_of(changed.project(x.clone()));
        let merged = error_of(x.matmul(weights.transpose()));
        assert!(beside < 0.15 && merged > 0.25, "{beside} beside the weights, {merged} in them");
    }
}
