//! Matrix products on strided views of slices: the one place that calls `gemm_f32`.
//!
//! It takes raw pointers; [`multiply`] checks every view against its slice before it hands them over. Products of weights
//! go through [`Threads::multiply`], which may round both factors to bf16 instead.
#![expect(unsafe_code, reason = "kernels take raw pointers; the views' bounds are checked here")]

mod pairs;

use gemm_common::Parallelism;

use crate::Threads;
use crate::inference::are_multiplied_here;

/// What weights are multiplied in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Arithmetic {
    /// 32 bits.
    #[default]
    F32,
    /// Both factors are rounded to bf16, and sums are f32; on a processor without the instruction for that as [`Self::F32`].
    Bf16,
}

/// A read-only matrix in a slice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> View<'a> {
    /// `rows` consecutive rows of `columns` entries.
    pub(crate) fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::strided(values, rows, columns, columns)
    }

    /// Rows of `columns` entries whose starts lie `row_stride` apart.
    pub(crate) fn strided(values: &'a [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        Self { values, rows, columns, row_stride, column_stride: 1 }
    }

    /// The transposed matrix.
    pub(crate) fn transposed(self) -> Self {
        Self {
            values: self.values,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }
}

/// Where a product goes: rows whose starts lie `row_stride` apart.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    values: &'a mut [f32],
    row_stride: usize,
    accumulates: bool,
}

impl<'a> Target<'a> {
    /// Overwrites rows that lie `row_stride` apart.
    pub(crate) fn store(values: &'a mut [f32], row_stride: usize) -> Self {
        Self { values, row_stride, accumulates: false }
    }

    /// Adds to rows that lie `row_stride` apart.
    pub(crate) fn add(values: &'a mut [f32], row_stride: usize) -> Self {
        Self { values, row_stride, accumulates: true }
    }

    /// The same target, for one of several products.
    pub(crate) fn reborrow(&mut self) -> Target<'_> {
        Target { values: self.values, ..*self }
    }

    /// The same rows from this column on, to add to what a product has left there.
    pub(crate) fn added_from(&mut self, column: usize) -> Target<'_> {
        Target::add(&mut self.values[column..], self.row_stride)
    }
}

impl Threads {
    /// `target (+)= left * right`, one of them a matrix of weights or its gradient; call it inside [`Threads::run`].
    pub(crate) fn multiply(&self, target: Target<'_>, left: View<'_>, right: View<'_>) {
        if self.arithmetic() == Arithmetic::Bf16 && left.columns > 0 && are_multiplied_here() {
            check(&target, left, right);
            pairs::multiply(target, left, right, self);
        } else {
            multiply(target, 1.0, left, right, self.parallelism());
        }
    }
}

/// Makes sure that a product fits its slices.
fn check(target: &Target<'_>, left: View<'_>, right: View<'_>) {
    assert_eq!(left.columns, right.rows, "the inner sizes of a product");
    let reached = extent(left.rows, right.columns, target.row_stride, 1);
    assert!(reached <= target.values.len(), "the target of a product");
    for view in [left, right] {
        let extent = extent(view.rows, view.columns, view.row_stride, view.column_stride);
        assert!(extent <= view.values.len(), "a factor of a product");
    }
}

/// `target (+)= scale * left * right`.
#[expect(clippy::needless_pass_by_value, reason = "a target is made for one product")]
pub(crate) fn multiply(
    target: Target<'_>,
    scale: f32,
    left: View<'_>,
    right: View<'_>,
    parallelism: Parallelism,
) {
    let (rows, inner, columns) = (left.rows, left.columns, right.columns);
    check(&target, left, right);
    if rows == 0 || columns == 0 {
        return;
    }
    let target_strides = (1, target.row_stride as isize);
    let of_left = (left.values.as_ptr(), left.column_stride as isize, left.row_stride as isize);
    let of_right = (right.values.as_ptr(), right.column_stride as isize, right.row_stride as isize);
    let turned = |(values, column, row): (*const f32, isize, isize)| (values, row, column);
    // kernels write columns: a target of rows is that of the product turned over
    let ((rows, columns), (column, row), left, right) = if target_strides.0 < target_strides.1 {
        ((columns, rows), (target_strides.1, target_strides.0), turned(of_right), turned(of_left))
    } else {
        ((rows, columns), target_strides, of_left, of_right)
    };
    // SAFETY: the strides are not negative and every element the views reach lies inside its slice (asserted above); the
    // target is borrowed mutably, so it overlaps neither factor.
    unsafe {
        gemm_f32::gemm::f32::get_gemm_fn()(
            rows,
            columns,
            inner,
            target.values.as_mut_ptr(),
            column,
            row,
            target.accumulates,
            left.0,
            left.1,
            left.2,
            right.0,
            right.1,
            right.2,
            1.0,
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}

/// Entries from the first to the last that a view reaches, both included.
fn extent(rows: usize, columns: usize, row_stride: usize, column_stride: usize) -> usize {
    if rows == 0 || columns == 0 {
        return 0;
    }
    (rows - 1) * row_stride + (columns - 1) * column_stride + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_follow_strides_transposes_and_accumulation() {
        let left = [1.0, 2.0, 9.0, 3.0, 4.0, 9.0];
        let right = [5.0, 6.0, 7.0, 8.0];
        let mut target = vec![1.0; 6];
        let left = View::strided(&left, 2, 2, 3);
        multiply(Target::store(&mut target, 3), 1.0, left, View::new(&right, 2, 2), Parallelism::None);
        assert_eq!(target, [19.0, 22.0, 1.0, 43.0, 50.0, 1.0]);
        let right = View::new(&right, 2, 2).transposed();
        multiply(Target::add(&mut target, 3), 2.0, left, right, Parallelism::None);
        assert_eq!(target, [19.0 + 34.0, 22.0 + 46.0, 1.0, 43.0 + 78.0, 50.0 + 106.0, 1.0]);
    }

    #[test]
    #[should_panic(expected = "a factor of a product")]
    fn a_view_beyond_its_slice_is_caught() {
        let values = [0.0; 5];
        let mut target = [0.0; 4];
        let view = View::new(&values, 2, 3);
        multiply(Target::store(&mut target, 2), 1.0, view, view.transposed(), Parallelism::None);
    }
}
