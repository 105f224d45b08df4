//! Root-mean-square normalisation (Zhang and Sennrich 2019): `y = x / sqrt(mean(x^2) + epsilon) * scale`.
#![expect(
    clippy::inline_always,
    reason = "only an inlined body is compiled for its caller's instruction set"
)]

use crate::Threads;
use crate::buffer::Buffer;
use crate::lanes::{dot, vectorised};

/// Normalises rows of the scale's width.
///
/// Returns the rows and the inverse root mean square of each, which the backward pass wants.
pub fn rms_norm_forward(x: &[f32], scale: &[f32], epsilon: f32, threads: &Threads) -> (Vec<f32>, Vec<f32>) {
    let mut y = vec![0.0; x.len()];
    let inverse_roots = rms_norm_into(x, scale, epsilon, &mut y, threads);
    (y, inverse_roots)
}

/// Normalises rows into `y`; returns the inverse roots.
pub(crate) fn rms_norm_into(
    x: &[f32],
    scale: &[f32],
    epsilon: f32,
    y: &mut [f32],
    threads: &Threads,
) -> Vec<f32> {
    let width = scale.len();
    let parts = threads.map_rows(y, width, |first, rows| {
        let x = &x[first * width..first * width + rows.len()];
        vectorised(
            #[inline(always)]
            || normalise(rows, x, scale, epsilon),
        )
    });
    parts.concat()
}

/// The normalised rows again, from the inverse roots that the forward pass returned.
pub(crate) fn rms_norm_again(x: &[f32], scale: &[f32], inverse_roots: &[f32], threads: &Threads) -> Buffer {
    let width = scale.len();
    let mut y = Buffer::for_overwrite(x.len());
    threads.map_rows(&mut y, width, |first, rows| {
        let count = rows.len() / width;
        let x = x[first * width..].chunks_exact(width);
        vectorised(
            #[inline(always)]
            || {
                let pairs = rows.chunks_exact_mut(width).zip(x).zip(&inverse_roots[first..first + count]);
                for ((y, x), inverse_root) in pairs {
                    scale_row(y, x, scale, *inverse_root);
                }
            },
        );
    });
    y
}

/// Gradients of `x` and of the scale; the gradient of `x` is added to `grad_x`.
pub fn rms_norm_backward(
    x: &[f32],
    scale: &[f32],
    inverse_roots: &[f32],
    grad_y: &[f32],
    grad_x: &mut [f32],
    threads: &Threads,
) -> Vec<f32> {
    let width = scale.len();
    let parts = threads.map_rows(grad_x, width, |first, grad_x| {
        let rows = first * width..first * width + grad_x.len();
        let roots = &inverse_roots[first..first + grad_x.len() / width];
        let mut grad_scale = vec![0.0; width];
        vectorised(
            #[inline(always)]
            || backward_rows(&x[rows.clone()], scale, roots, &grad_y[rows], grad_x, &mut grad_scale),
        );
        grad_scale
    });
    sum_of(parts, width)
}

/// The sum of vectors, in their order.
fn sum_of(parts: Vec<Vec<f32>>, width: usize) -> Vec<f32> {
    let mut parts = parts.into_iter();
    let mut total = parts.next().unwrap_or_else(|| vec![0.0; width]);
    for part in parts {
        total.iter_mut().zip(part).for_each(|(total, part)| *total += part);
    }
    total
}

#[inline(always)]
fn normalise(rows: &mut [f32], x: &[f32], scale: &[f32], epsilon: f32) -> Vec<f32> {
    let width = scale.len();
    let mut inverse_roots = Vec::with_capacity(rows.len() / width);
    for (y, x) in rows.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
        let inverse_root = inverse_root(x, epsilon);
        scale_row(y, x, scale, inverse_root);
        inverse_roots.push(inverse_root);
    }
    inverse_roots
}

/// 1 / sqrt(mean(x^2) + epsilon).
#[inline(always)]
pub(crate) fn inverse_root(x: &[f32], epsilon: f32) -> f32 {
    1.0 / (dot(x, x) / x.len() as f32 + epsilon).sqrt()
}

#[inline(always)]
pub(crate) fn scale_row(y: &mut [f32], x: &[f32], scale: &[f32], inverse_root: f32) {
    for ((y, x), scale) in y.iter_mut().zip(x).zip(scale) {
        *y = scale * (x * inverse_root);
    }
}

/// With r the inverse root: dx = r (s dy - x r^2 mean(s dy x)), ds = sum of dy x r.
#[inline(always)]
fn backward_rows(
    x: &[f32],
    scale: &[f32],
    inverse_roots: &[f32],
    grad_y: &[f32],
    grad_x: &mut [f32],
    grad_scale: &mut [f32],
) {
    let width = scale.len();
    let rows = x.chunks_exact(width).zip(grad_y.chunks_exact(width)).zip(grad_x.chunks_exact_mut(width));
    let mut scaled = vec![0.0; width];
    for (((x, grad_y), grad_x), inverse_root) in rows.zip(inverse_roots) {
        for ((scaled, grad_y), scale) in scaled.iter_mut().zip(grad_y).zip(scale) {
            *scaled = grad_y * scale;
        }
        let projection = dot(&scaled, x) * inverse_root * inverse_root / width as f32;
        for ((grad_x, scaled), x) in grad_x.iter_mut().zip(&scaled).zip(x) {
            *grad_x += inverse_root * (scaled - x * projection);
        }
        for ((grad_scale, grad_y), x) in grad_scale.iter_mut().zip(grad_y).zip(x) {
            *grad_scale += grad_y * x * inverse_root;
        }
    }
}
