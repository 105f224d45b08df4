//! Matrices with singular values near one: what the optimizer Muon makes of a momentum.

use gemm_common::Parallelism;

use crate::product::{Target, View, multiply};

const STEPS: usize = 5;
const COEFFICIENTS: [f32; 3] = [3.4445, -4.7750, 2.0315];
/// Added to the norm that a matrix is divided by.
const EPSILON: f64 = 1e-7;

/// Replaces a row-major matrix of `columns` by one with the same singular vectors and singular values near one, on the
/// calling thread. Zeros stay zeros.
///
/// Five steps of the Newton-Schulz iteration of Jordan et al. 2024 (<https://kellerjordan.github.io/posts/muon/>), from
/// `X` over its norm: with `A = X Xᵀ`, `X ← a X + (b A + c A²) X`. The coefficients trade exactness for speed: singular
/// values end between about 0.7 and 1.2, those that were next to nothing below that.
pub fn orthogonalize(values: &mut [f32], columns: usize) {
    let rows = values.len().checked_div(columns).unwrap_or(0);
    let order = rows.min(columns);
    let norm = values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    scale_by(values, (1.0 / (norm + EPSILON)) as f32);
    let (mut gram, mut mixed) = (vec![0.0; order * order], vec![0.0; order * order]);
    let mut before = vec![0.0; rows * columns];
    let [keep, once, twice] = COEFFICIENTS;
    for _ in 0..STEPS {
        before.copy_from_slice(values);
        let x = View::new(&before, rows, columns);
        // the smaller of `X Xᵀ` and `Xᵀ X`
        let is_wide = rows <= columns;
        let (left, right) = if is_wide { (x, x.transposed()) } else { (x.transposed(), x) };
        multiply(Target::store(&mut gram, order), 1.0, left, right, Parallelism::None);
        mixed.iter_mut().zip(&gram).for_each(|(mixed, gram)| *mixed = once * gram);
        let squared = View::new(&gram, order, order);
        multiply(Target::add(&mut mixed, order), twice, squared, squared, Parallelism::None);
        let mixed = View::new(&mixed, order, order);
        let (left, right) = if is_wide { (mixed, x) } else { (x, mixed) };
        scale_by(values, keep);
        multiply(Target::add(values, columns), 1.0, left, right, Parallelism::None);
    }
}

fn scale_by(values: &mut [f32], factor: f32) {
    for value in values {
        *value *= factor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `Xᵀ X` or `X Xᵀ`, whichever is smaller, less the identity: its norm bounds how far squared singular values are from
    /// one.
    fn distance_from_one(values: &[f32], columns: usize) -> f32 {
        let rows = values.len() / columns;
        let entry = |row: usize, column: usize| values[row * columns + column];
        let order = rows.min(columns);
        let product = |one: usize, other: usize| -> f32 {
            if rows <= columns {
                (0..columns).map(|inner| entry(one, inner) * entry(other, inner)).sum()
            } else {
                (0..rows).map(|inner| entry(inner, one) * entry(inner, other)).sum()
            }
        };
        let each = (0..order).flat_map(|one| (0..order).map(move |other| (one, other)));
        let identity = |one, other| if one == other { 1.0 } else { 0.0 };
        each.map(|(one, other)| (product(one, other) - identity(one, other)).powi(2)).sum::<f32>().sqrt()
    }

    #[test]
    fn singular_values_come_near_one_whatever_the_shape_and_the_size() {
        for (rows, columns, size) in [(48, 16, 1.0), (16, 16, 1e-4), (8, 40, 1e4), (1, 5, 1.0), (5, 1, 1.0)] {
            let number = |index: usize| ((index * index * 7_919 + 13 * index) % 1_009) as f32 / 1_009.0 - 0.5;
            let mut values: Vec<f32> = (0..rows * columns).map(|index| size * number(index)).collect();
            orthogonalize(&mut values, columns);
            // each squared singular value lies between 0.4 and 1.5
            let bound = 0.6 * (rows.min(columns) as f32).sqrt();
            let distance = distance_from_one(&values, columns);
            assert!(distance < bound, "{rows} x {columns}: {distance}");
        }
    }

    #[test]
    fn nothing_stays_nothing() {
        let mut zeros = [0.0; 12];
        orthogonalize(&mut zeros, 4);
        assert!(zeros.iter().all(|value| *value == 0.0), "{zeros:?}");
        orthogonalize(&mut [], 0);
        orthogonalize(&mut [], 3);
    }
}
