//! A block's projections, with the low-rank changes beside those that are frozen, forward and backward.

use super::LayerPass;
use crate::buffer::Buffer;
use crate::product::{Target, View, multiply};
use crate::weights::{LowRankView, ProjectionView, Trained};

impl LayerPass<'_> {
    /// `x W'` for a projection `[out, in]` and `x` `[tokens, in]`.
    pub(super) fn project(&self, x: &[f32], projection: ProjectionView<'_>, inner: usize) -> Buffer {
        let columns = projection.weight.len() / inner;
        let mut y = Buffer::lasting(x.len() / inner * columns);
        self.project_into(Target::store(&mut y, columns), x, projection, inner);
        y
    }

    /// `y += x W'`.
    pub(super) fn project_onto(
        &self,
        y: &mut [f32],
        x: &[f32],
        projection: ProjectionView<'_>,
        inner: usize,
    ) {
        self.project_into(Target::add(y, projection.weight.len() / inner), x, projection, inner);
    }

    fn project_into(&self, mut y: Target<'_>, x: &[f32], projection: ProjectionView<'_>, inner: usize) {
        let (rows, columns) = (x.len() / inner, projection.weight.len() / inner);
        let weight = View::new(projection.weight, columns, inner).transposed();
        self.threads.multiply(y.reborrow(), View::new(x, rows, inner), weight);
        let parallelism = self.threads.parallelism();
        for change in projection.changes() {
            let thin = self.through_down(x, change, inner);
            let up = View::new(change.up, change.rows(), change.rank).transposed();
            multiply(
                y.added_from(change.first_row),
                1.0,
                View::new(&thin, rows, change.rank),
                up,
                parallelism,
            );
        }
    }

    /// The gradients of `x` and of what is trained of `y = x W'`.
    pub(super) fn project_backward(
        &self,
        x: &[f32],
        projection: ProjectionView<'_>,
        inner: usize,
        grad_y: &[f32],
    ) -> (Buffer, Vec<f32>) {
        let mut grad_x = Buffer::for_overwrite(x.len());
        let trained =
            self.project_backward_into(Target::store(&mut grad_x, inner), x, projection, inner, grad_y);
        (grad_x, trained)
    }

    /// The same, with the gradient of `x` where the caller wants it.
    pub(super) fn project_backward_into(
        &self,
        mut grad_x: Target<'_>,
        x: &[f32],
        projection: ProjectionView<'_>,
        inner: usize,
        grad_y: &[f32],
    ) -> Vec<f32> {
        let (rows, columns) = (x.len() / inner, projection.weight.len() / inner);
        let of_y = View::new(grad_y, rows, columns);
        self.threads.multiply(grad_x.reborrow(), of_y, View::new(projection.weight, columns, inner));
        match projection.trained {
            Trained::Weight => {
                let mut grad_weight = vec![0.0; projection.weight.len()];
                let target = Target::store(&mut grad_weight, inner);
                self.threads.multiply(target, of_y.transposed(), View::new(x, rows, inner));
                grad_weight
            }
            Trained::Changes(changes) => {
                let mut factors = Vec::with_capacity(changes.iter().map(LowRankView::len).sum());
                for change in changes {
                    let grad_y = View::strided(&grad_y[change.first_row..], rows, change.rows(), columns);
                    factors.extend(self.change_backward(&mut grad_x, x, change, inner, grad_y));
                }
                factors
            }
        }
    }

    /// Adds what goes back through a change to the gradient of `x`; gives the gradients of its factors, `A` and `B`.
    fn change_backward(
        &self,
        grad_x: &mut Target<'_>,
        x: &[f32],
        change: &LowRankView<'_>,
        inner: usize,
        grad_y: View<'_>,
    ) -> Vec<f32> {
        let (tokens, rank, parallelism) = (x.len() / inner, change.rank, self.threads.parallelism());
        let (down, up) = (View::new(change.down, rank, inner), View::new(change.up, change.rows(), rank));
        let mut factors = vec![0.0; change.len()];
        let (grad_down, grad_up) = factors.split_at_mut(change.down.len());
        let thin = self.through_down(x, change, inner);
        let thin = View::new(&thin, tokens, rank);
        multiply(Target::store(grad_up, rank), 1.0, grad_y.transposed(), thin, parallelism);
        let mut grad_thin = Buffer::for_overwrite(tokens * rank);
        multiply(Target::store(&mut grad_thin, rank), change.scale, grad_y, up, parallelism);
        let grad_thin = View::new(&grad_thin, tokens, rank);
        let x = View::new(x, tokens, inner);
        multiply(Target::store(grad_down, inner), 1.0, grad_thin.transposed(), x, parallelism);
        multiply(grad_x.added_from(0), 1.0, grad_thin, down, parallelism);
        factors
    }

    /// `scale * x A'`, `[tokens, rank]`.
    fn through_down(&self, x: &[f32], change: &LowRankView<'_>, inner: usize) -> Buffer {
        let tokens = x.len() / inner;
        let mut thin = Buffer::for_overwrite(tokens * change.rank);
        let down = View::new(change.down, change.rank, inner).transposed();
        let target = Target::store(&mut thin, change.rank);
        multiply(target, change.scale, View::new(x, tokens, inner), down, self.threads.parallelism());
        thin
    }
}
