//! The feed-forward half of a block.

use super::{LayerPass, PartActivations};
use crate::LayerView;
use crate::buffer::Buffer;
use crate::lanes::{self, vectorised};
use crate::product::Target;
use crate::training::norm::rms_norm_again;
use crate::training::rms_norm_backward;

/// Gradients of the feed-forward half of a block.
pub(super) struct FeedForwardGradients {
    /// The residual stream after attention.
    pub(super) middle: Vec<f32>,
    pub(super) post_attention_norm: Vec<f32>,
    pub(super) gate_up: Vec<f32>,
    pub(super) down: Vec<f32>,
}

impl LayerPass<'_> {
    /// `silu(gate) * up`
    pub(super) fn gate(&self, gate_up: &[f32]) -> Buffer {
        let inner = self.config.intermediate_size;
        let mut gated = Buffer::for_overwrite(gate_up.len() / 2);
        self.threads.map_rows(&mut gated, inner, |first, rows| {
            let gate_up = &gate_up[first * 2 * inner..];
            vectorised(
                #[inline(always)]
                || {
                    for (gated, gate_up) in rows.chunks_exact_mut(inner).zip(gate_up.chunks_exact(2 * inner))
                    {
                        let (gate, up) = gate_up.split_at(inner);
                        lanes::gate(gated, gate, up);
                    }
                },
            );
        });
        gated
    }

    /// The gradient of what [`Self::gate`] takes. That of what it gives lies in the second half of each row of
    /// `grad` beforehand.
    fn gate_backward(&self, gate_up: &[f32], grad: &mut [f32]) {
        let inner = self.config.intermediate_size;
        self.threads.map_rows(grad, 2 * inner, |first, rows| {
            let gate_up = gate_up[first * 2 * inner..].chunks_exact(2 * inner);
            vectorised(
                #[inline(always)]
                || {
                    for (grad, gate_up) in rows.chunks_exact_mut(2 * inner).zip(gate_up) {
                        let (gate, up) = gate_up.split_at(inner);
                        let (grad_gate, grad_up) = grad.split_at_mut(inner);
                        lanes::gate_backward(grad_gate, grad_up, gate, up);
                    }
                },
            );
        });
    }

    /// From the block's output back to what attention left; nothing that it works with outlives it.
    pub(super) fn feed_forward_backward(
        &self,
        weights: LayerView<'_>,
        kept: &PartActivations,
        grad_y: &[f32],
    ) -> FeedForwardGradients {
        let (hidden, threads) = (self.config.hidden_size, self.threads);
        let (grad_gate_up, down) = self.down_backward(weights, &kept.gate_up, grad_y);
        let normed = rms_norm_again(&kept.middle, weights.post_attention_norm, &kept.middle_roots, threads);
        let (grad_normed, gate_up) = self.project_backward(&normed, weights.gate_up, hidden, &grad_gate_up);
        let mut middle = grad_y.to_vec();
        let post_attention_norm = rms_norm_backward(
            &kept.middle,
            weights.post_attention_norm,
            &kept.middle_roots,
            &grad_normed,
            &mut middle,
            threads,
        );
        FeedForwardGradients { middle, post_attention_norm, gate_up, down }
    }

    /// The gradients of `gate_up` and of the down projection.
    fn down_backward(&self, weights: LayerView<'_>, gate_up: &[f32], grad_y: &[f32]) -> (Buffer, Vec<f32>) {
        let gated = self.gate(gate_up);
        let mut grad = Buffer::for_overwrite(gate_up.len());
        let inner = self.config.intermediate_size;
        // the gradient of `gated` lies where that of `up` takes its place
        let target = Target::store(&mut grad[inner..], 2 * inner);
        let down = self.project_backward_into(target, &gated, weights.down, inner, grad_y);
        self.gate_backward(gate_up, &mut grad);
        (grad, down)
    }
}
