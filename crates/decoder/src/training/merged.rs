//! Low-rank changes that are added to their projection before a pass, and their gradients from the projection's own: how
//! they were trained before they were computed beside it. What was begun so is gone on with so, to the bit.

use crate::Threads;
use crate::product::{Target, View, multiply};
use crate::weights::LowRankView;

/// Adds `scale * B A` to the rows of a projection, `[out, in]`, that it changes.
pub fn merge_change(weight: &mut [f32], change: &LowRankView<'_>, threads: &Threads) {
    let inner = change.down.len() / change.rank;
    let mut added = vec![0.0; change.rows() * inner];
    let (down, up) = factors(change);
    threads.run(|| multiply(Target::store(&mut added, inner), 1.0, up, down, threads.parallelism()));
    let rows = &mut weight[change.first_row * inner..][..added.len()];
    rows.iter_mut().zip(added).for_each(|(weight, added)| *weight += added * change.scale);
}

/// The gradients of `A` and of `B`, given that of the projection they were merged into.
pub fn merged_change_backward(
    grad_weight: &[f32],
    change: &LowRankView<'_>,
    threads: &Threads,
) -> (Vec<f32>, Vec<f32>) {
    let inner = change.down.len() / change.rank;
    let (down, up) = factors(change);
    let rows = &grad_weight[change.first_row * inner..][..change.rows() * inner];
    let grad: Vec<f32> = rows.iter().map(|grad| grad * change.scale).collect();
    let grad = View::new(&grad, change.rows(), inner);
    let (mut grad_down, mut grad_up) = (vec![0.0; change.down.len()], vec![0.0; change.up.len()]);
    threads.run(|| {
        let parallelism = threads.parallelism();
        multiply(Target::store(&mut grad_up, change.rank), 1.0, grad, down.transposed(), parallelism);
        multiply(Target::store(&mut grad_down, inner), 1.0, up.transposed(), grad, parallelism);
    });
    (grad_down, grad_up)
}

/// `A`, `[rank, in]`, and `B`, `[rows, rank]`.
fn factors<'a>(change: &LowRankView<'a>) -> (View<'a>, View<'a>) {
    let inner = change.down.len() / change.rank;
    (View::new(change.down, change.rank, inner), View::new(change.up, change.rows(), change.rank))
}
