//! Elementwise arithmetic, written once as plain loops and compiled for each instruction set that `pulp` finds at run
//! time.
//!
//! Only products, sums and bit patterns are used, in a fixed order, so that every instruction set gives the same bits.
#![expect(
    clippy::inline_always,
    reason = "only an inlined body is compiled for its caller's instruction set"
)]

use pulp::Arch;

/// Numbers that reductions keep apart: partial sum `i` takes the entries `i, i + 16, i + 32, ..`.
const LANES: usize = 16;

/// Runs `work` compiled for the best instruction set at hand; mark the closure's callees `#[inline(always)]`.
#[inline]
pub(crate) fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    Arch::new().dispatch(work)
}

/// e to the `x`, within 2 units in the last place; 0 below -87, inf never (x is capped at 88).
#[inline(always)]
pub(crate) fn exponential(x: f32) -> f32 {
    const ROUNDING: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to the nearest whole number
    let x = if x > 88.0 { 88.0 } else { x };
    let clamped = if x < -87.0 { -87.0 } else { x };
    let shifted = clamped * std::f32::consts::LOG2_E + ROUNDING;
    let whole = shifted - ROUNDING;
    let rest = clamped - whole * 0.693_359_4 + whole * 2.121_944_4e-4;
    let series = 1.987_569_1e-4;
    let series = series * rest + 1.398_199_9e-3;
    let series = series * rest + 8.333_452e-3;
    let series = series * rest + 4.166_579_6e-2;
    let series = series * rest + 1.666_666_5e-1;
    let series = series * rest + 5e-1;
    let value = series * rest * rest + rest + 1.0;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    let scaled = value * power;
    if x < -87.0 { 0.0 } else { scaled }
}

/// 1 / (1 + e^-x).
#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exponential(-x))
}

/// The sum, in an order that depends on the length alone.
#[inline(always)]
pub(crate) fn sum(values: &[f32]) -> f32 {
    let mut partial = [0.0; LANES];
    let mut chunks = values.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (partial, value) in partial.iter_mut().zip(chunk) {
            *partial += value;
        }
    }
    for (partial, value) in partial.iter_mut().zip(chunks.remainder()) {
        *partial += value;
    }
    fold(partial)
}

/// The scalar product, in an order that depends on the length alone.
#[inline(always)]
pub(crate) fn dot(left: &[f32], right: &[f32]) -> f32 {
    let mut partial = [0.0; LANES];
    let (mut left, mut right) = (left.chunks_exact(LANES), right.chunks_exact(LANES));
    for (left, right) in (&mut left).zip(&mut right) {
        for ((partial, left), right) in partial.iter_mut().zip(left).zip(right) {
            *partial += left * right;
        }
    }
    for ((partial, left), right) in partial.iter_mut().zip(left.remainder()).zip(right.remainder()) {
        *partial += left * right;
    }
    fold(partial)
}

/// The largest entry; -inf for none.
#[inline(always)]
pub(crate) fn maximum(values: &[f32]) -> f32 {
    let mut partial = [f32::NEG_INFINITY; LANES];
    let mut chunks = values.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (partial, value) in partial.iter_mut().zip(chunk) {
            *partial = if *value > *partial { *value } else { *partial };
        }
    }
    let rest = chunks.remainder().iter().copied();
    rest.chain(partial)
        .fold(f32::NEG_INFINITY, |largest, value| if value > largest { value } else { largest })
}

/// Replaces `values` by `e^(value - shift)`.
#[inline(always)]
pub(crate) fn exponentiate(values: &mut [f32], shift: f32) {
    for value in values {
        *value = exponential(*value - shift);
    }
}

/// `gated = silu(gate) * up`
#[inline(always)]
pub(crate) fn gate(gated: &mut [f32], gate: &[f32], up: &[f32]) {
    let length = gated.len();
    let (gate, up) = (&gate[..length], &up[..length]);
    for index in 0..length {
        gated[index] = gate[index] * sigmoid(gate[index]) * up[index];
    }
}

/// The gradients of gate and up: with s = sigmoid(g), dg = dz u s (1 + g (1 - s)) and du = dz g s. `grad_up` holds dz
/// beforehand.
#[inline(always)]
pub(crate) fn gate_backward(grad_gate: &mut [f32], grad_up: &mut [f32], gate: &[f32], up: &[f32]) {
    let length = grad_gate.len();
    let (grad_up, gate, up) = (&mut grad_up[..length], &gate[..length], &up[..length]);
    for index in 0..length {
        let (gate, grad) = (gate[index], grad_up[index]);
        let s = sigmoid(gate);
        grad_gate[index] = grad * up[index] * s * (1.0 + gate * (1.0 - s));
        grad_up[index] = grad * gate * s;
    }
}

#[inline(always)]
fn fold(mut partial: [f32; LANES]) -> f32 {
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for index in 0..width {
            partial[index] += partial[index + width];
        }
    }
    partial[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "these values are exact")]
    fn the_exponential_is_close_everywhere() {
        for step in -8800..8800 {
            let x = step as f32 * 0.01;
            let exact = f64::from(x).exp();
            if x >= -87.0 {
                let error = (f64::from(exponential(x)) - exact).abs() / exact;
                assert!(error < 2.4e-7, "{x}: {error}");
            }
        }
        assert_eq!(exponential(-1000.0), 0.0);
        assert_eq!(exponential(f32::NEG_INFINITY), 0.0);
        assert_eq!(exponential(0.0), 1.0);
        assert!(exponential(f32::NAN).is_nan());
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let values: Vec<f32> = (0..1003).map(|index| ((index * 7919) % 1000) as f32 * 0.013 - 6.0).collect();
        let plain = (sum(&values), dot(&values, &values), maximum(&values));
        let fast = vectorised(|| (sum(&values), dot(&values, &values), maximum(&values)));
        assert_eq!(plain, fast);
        let (mut plain, mut fast) = (values.clone(), values.clone());
        exponentiate(&mut plain, 0.5);
        vectorised(|| exponentiate(&mut fast, 0.5));
        assert_eq!(plain, fast);
    }
}
