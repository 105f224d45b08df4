//! What happens to queries and keys between their projection and attention: bias, norm, rotation; and the way back.

use super::layer::LayerPass;
use super::norm::{inverse_root, scale_row};
use super::rms_norm_backward;
use crate::lanes::vectorised;
use crate::{LayerView, Threads};

impl LayerPass<'_> {
    /// Adds the bias, normalises query and key heads where the model does, and rotates them.
    ///
    /// Returns the heads before normalisation and their inverse roots.
    pub(super) fn prepare_heads(
        &self,
        weights: LayerView<'_>,
        qkv: &mut [f32],
    ) -> Option<(Vec<f32>, Vec<f32>)> {
        let (width, stride) = (self.config.head_dim, self.config.qkv_size());
        if let Some(bias) = weights.qkv_bias {
            for row in qkv.chunks_exact_mut(stride) {
                row.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
            }
        }
        let turned = self.turned_size();
        let plain = weights.query_norm.zip(weights.key_norm).map(|(query_norm, key_norm)| {
            let mut plain = Vec::with_capacity(qkv.len() / stride * turned);
            qkv.chunks_exact(stride).for_each(|row| plain.extend_from_slice(&row[..turned]));
            let epsilon = self.config.rms_norm_epsilon;
            let queries = self.config.attention_head_count;
            let mut roots = Vec::with_capacity(plain.len() / width);
            vectorised(
                #[inline(always)]
                || {
                    for (row, plain) in qkv.chunks_exact_mut(stride).zip(plain.chunks_exact(turned)) {
                        let heads = row[..turned].chunks_exact_mut(width).zip(plain.chunks_exact(width));
                        for (index, (head, plain)) in heads.enumerate() {
                            let scale = if index < queries { query_norm } else { key_norm };
                            let root = inverse_root(plain, epsilon);
                            scale_row(head, plain, scale, root);
                            roots.push(root);
                        }
                    }
                },
            );
            (plain, roots)
        });
        let positions = self.positions();
        self.threads.map_rows(qkv, stride, |first, rows| {
            vectorised(
                #[inline(always)]
                || {
                    for (row, position) in rows.chunks_exact_mut(stride).zip(&positions[first..]) {
                        for head in row[..turned].chunks_exact_mut(width) {
                            self.rope.rotate(head, *position);
                        }
                    }
                },
            );
        });
        plain
    }

    /// Takes the gradient of prepared heads back to that of the projection's output; returns the norms' gradients.
    pub(super) fn prepare_heads_backward(
        &self,
        weights: LayerView<'_>,
        kept: Option<&(Vec<f32>, Vec<f32>)>,
        grad_qkv: &mut [f32],
    ) -> (Option<Vec<f32>>, Option<Vec<f32>>) {
        let (width, stride, turned) = (self.config.head_dim, self.config.qkv_size(), self.turned_size());
        let positions = self.positions();
        self.threads.map_rows(grad_qkv, stride, |first, rows| {
            vectorised(
                #[inline(always)]
                || {
                    for (row, position) in rows.chunks_exact_mut(stride).zip(&positions[first..]) {
                        for head in row[..turned].chunks_exact_mut(width) {
                            self.rope.rotate_back(head, *position);
                        }
                    }
                },
            );
        });
        let norms = weights.query_norm.zip(weights.key_norm);
        let Some(((query_norm, key_norm), (plain, roots))) = norms.zip(kept) else {
            return (None, None);
        };
        let heads_per_row = turned / width;
        let queries = self.config.attention_head_count;
        let (mut grad_query_norm, mut grad_key_norm) = (vec![0.0; width], vec![0.0; width]);
        let single = Threads::single();
        let mut grad_head = vec![0.0; width];
        for (index, (plain, root)) in plain.chunks_exact(width).zip(roots).enumerate() {
            let (row, head) = (index / heads_per_row, index % heads_per_row);
            let grad = &mut grad_qkv[row * stride + head * width..][..width];
            grad_head.copy_from_slice(grad);
            grad.fill(0.0);
            let (scale, total) = if head < queries {
                (query_norm, &mut grad_query_norm)
            } else {
                (key_norm, &mut grad_key_norm)
            };
            let grad_scale =
                rms_norm_backward(plain, scale, std::slice::from_ref(root), &grad_head, grad, &single);
            total.iter_mut().zip(grad_scale).for_each(|(total, grad)| *total += grad);
        }
        (Some(grad_query_norm), Some(grad_key_norm))
    }

    /// Width of the query and key heads, which turn with the position.
    fn turned_size(&self) -> usize {
        self.config.query_size() + self.config.key_value_size()
    }

    fn positions(&self) -> Vec<usize> {
        assert!(
            self.segments.longest() <= self.rope.position_count(),
            "the rope table covers every position"
        );
        self.segments.lengths().flat_map(|length| 0..length).collect()
    }
}
