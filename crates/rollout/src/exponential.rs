//! Exponentials and maxima over whole rows of logits.
//!
//! Every pass is compiled for several instruction sets, and the best one at hand is taken at run time. The
//! result does not depend on which: lanes and order are fixed, and no operation is fused.
#![expect(clippy::inline_always, reason = "a pass must be compiled inside the dispatch to be vectorised")]

use pulp::{Arch, NullaryFnOnce};

/// Lanes that are summed side by side.
const LANES: usize = 16;
/// Elements whose sum is taken in single precision before it goes into a double.
pub(crate) const BLOCK: usize = 256;

/// The largest element; `None` for an empty row or one that holds NaN or +infinity.
///
/// -infinity is no fault: it marks a token that must not be drawn.
pub(crate) fn finite_maximum(row: &[f32]) -> Option<f32> {
    let (maximum, has_fault) = Arch::new().dispatch(Maximum { row });
    (maximum.is_finite() && !has_fault).then_some(maximum)
}

/// The sum of `exp((x - maximum) * scale)` over the row.
pub(crate) fn sum_of_exponentials(row: &[f32], maximum: f32, scale: f32) -> f64 {
    Arch::new().dispatch(Sum { row, maximum, scale })
}

/// As [`sum_of_exponentials`], and puts the exponentials into `weights` and the sum of each [`BLOCK`] into
/// `sums`.
pub(crate) fn exponentials(
    row: &[f32],
    maximum: f32,
    scale: f32,
    weights: &mut Vec<f32>,
    sums: &mut Vec<f64>,
) -> f64 {
    weights.resize(row.len(), 0.0);
    sums.resize(row.len().div_ceil(BLOCK), 0.0);
    Arch::new().dispatch(Exponentials { row, maximum, scale, weights, sums });
    sums.iter().sum()
}

/// The largest element of each [`BLOCK`] of `row`, which holds no NaN.
pub(crate) fn block_maxima(row: &[f32], maxima: &mut Vec<f32>) {
    maxima.resize(row.len().div_ceil(BLOCK), 0.0);
    Arch::new().dispatch(BlockMaxima { row, maxima });
}

struct Maximum<'a> {
    row: &'a [f32],
}

struct Sum<'a> {
    row: &'a [f32],
    maximum: f32,
    scale: f32,
}

struct Exponentials<'a> {
    row: &'a [f32],
    maximum: f32,
    scale: f32,
    weights: &'a mut [f32],
    sums: &'a mut [f64],
}

struct BlockMaxima<'a> {
    row: &'a [f32],
    maxima: &'a mut [f32],
}

impl NullaryFnOnce for Maximum<'_> {
    type Output = (f32, bool);

    #[inline(always)]
    fn call(self) -> Self::Output {
        maximum_and_fault(self.row)
    }
}

impl NullaryFnOnce for Sum<'_> {
    type Output = f64;

    #[inline(always)]
    fn call(self) -> Self::Output {
        let mut sum = 0.0;
        for block in self.row.chunks(BLOCK) {
            sum += f64::from(block_sum(block, self.maximum, self.scale));
        }
        sum
    }
}

impl NullaryFnOnce for Exponentials<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let blocks = self.row.chunks(BLOCK).zip(self.weights.chunks_mut(BLOCK));
        for ((block, weights), sum) in blocks.zip(self.sums) {
            *sum = f64::from(block_exponentials(block, self.maximum, self.scale, weights));
        }
    }
}

impl NullaryFnOnce for BlockMaxima<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (block, maximum) in self.row.chunks(BLOCK).zip(self.maxima) {
            *maximum = maximum_and_fault(block).0;
        }
    }
}

#[inline(always)]
fn maximum_and_fault(row: &[f32]) -> (f32, bool) {
    let mut maxima = [f32::NEG_INFINITY; LANES];
    let mut faults = [0_u32; LANES];
    let (chunks, rest) = row.as_chunks::<LANES>();
    for chunk in chunks {
        take_maxima(&mut maxima, &mut faults, chunk);
    }
    take_maxima(&mut maxima, &mut faults, rest);
    (maxima.into_iter().fold(f32::NEG_INFINITY, f32::max), faults.into_iter().any(|fault| fault != 0))
}

#[inline(always)]
fn take_maxima(maxima: &mut [f32; LANES], faults: &mut [u32; LANES], chunk: &[f32]) {
    for ((maximum, fault), &value) in maxima.iter_mut().zip(faults).zip(chunk) {
        *maximum = if value > *maximum { value } else { *maximum };
        let bits = value.to_bits();
        // NaN of either sign, or +infinity
        *fault |= u32::from(bits & 0x7fff_ffff > 0x7f80_0000) | u32::from(bits == 0x7f80_0000);
    }
}

#[inline(always)]
fn block_sum(block: &[f32], maximum: f32, scale: f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (chunks, rest) = block.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane += exponential((value - maximum) * scale);
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(rest) {
        *lane += exponential((value - maximum) * scale);
    }
    lanes.into_iter().sum()
}

#[inline(always)]
fn block_exponentials(block: &[f32], maximum: f32, scale: f32, weights: &mut [f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let (chunks, rest) = block.as_chunks::<LANES>();
    let (weight_chunks, weight_rest) = weights.as_chunks_mut::<LANES>();
    for (chunk, weights) in chunks.iter().zip(weight_chunks) {
        for ((lane, &value), weight) in lanes.iter_mut().zip(chunk).zip(weights) {
            *weight = exponential((value - maximum) * scale);
            *lane += *weight;
        }
    }
    for ((lane, &value), weight) in lanes.iter_mut().zip(rest).zip(weight_rest) {
        *weight = exponential((value - maximum) * scale);
        *lane += *weight;
    }
    lanes.into_iter().sum()
}

/// `exp(x)` for `x <= 0` within 2e-7 relative; 0 below -87.
///
/// Range reduction to `2^n * exp(r)`, `|r| <= ln(2)/2`, and the polynomial of Cephes `expf`. Adding
/// 1.5 * 2^23 rounds to the nearest integer and leaves `n` in the low bits of the sum.
#[inline(always)]
pub(crate) fn exponential(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0;
    let clamped = if x > -87.0 { x } else { -87.0 };
    let shifted = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    // ln(2) in two parts, the first exact in few bits
    let r = clamped - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let mut polynomial = 1.987_569_1e-4;
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5_f32] {
        polynomial = polynomial * r + coefficient;
    }
    let fraction = polynomial * r * r + r + 1.0;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0_f32.to_bits()));
    if x > -87.0 { fraction * power } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "these are exact")]
    fn the_exponential_is_right_over_its_whole_range() {
        assert_eq!(exponential(0.0), 1.0);
        assert_eq!(exponential(-100.0), 0.0);
        assert_eq!(exponential(f32::NEG_INFINITY), 0.0);
        let mut worst = 0.0_f64;
        for step in 0..870_000 {
            let x = -(step as f32) * 1e-4;
            let exact = f64::from(x).exp();
            worst = worst.max((f64::from(exponential(x)) - exact).abs() / exact);
        }
        assert!(worst < 2e-7, "{worst}");
    }

    #[test]
    fn a_sum_is_right_at_every_length() {
        for length in [1_usize, 15, 16, 17, 255, 256, 257, 5000] {
            let row: Vec<f32> = (0..length).map(|i| ((i * 37) % 101) as f32 * 0.1 - 3.0).collect();
            let maximum = finite_maximum(&row).unwrap();
            let exact: f64 = row.iter().map(|&x| (f64::from(x - maximum) * 0.7).exp()).sum();
            let (mut weights, mut sums) = (Vec::new(), Vec::new());
            for sum in [
                sum_of_exponentials(&row, maximum, 0.7),
                exponentials(&row, maximum, 0.7, &mut weights, &mut sums),
            ] {
                assert!((sum - exact).abs() / exact < 1e-6, "{length}: {sum} {exact}");
            }
            assert_eq!((weights.len(), sums.len()), (length, length.div_ceil(BLOCK)));
        }
    }

    #[test]
    fn block_maxima_are_those_of_each_block() {
        let row: Vec<f32> = (0..600_u16).map(|i| f32::from(i * 37 % 601) - 300.0).collect();
        let mut maxima = Vec::new();
        block_maxima(&row, &mut maxima);
        let expected: Vec<f32> =
            row.chunks(BLOCK).map(|block| block.iter().copied().fold(f32::MIN, f32::max)).collect();
        assert_eq!(maxima, expected);
    }

    #[test]
    fn rows_without_a_finite_maximum_are_told_apart() {
        assert_eq!(finite_maximum(&[]), None);
        assert_eq!(finite_maximum(&[f32::NEG_INFINITY; 20]), None);
        for index in 0..20 {
            for fault in [f32::NAN, f32::INFINITY] {
                let mut row = [1.0; 20];
                row[index] = fault;
                assert_eq!(finite_maximum(&row), None, "{fault} at {index}");
            }
        }
        let mut row = [f32::NEG_INFINITY; 20];
        row[17] = -3.0;
        assert_eq!(finite_maximum(&row), Some(-3.0));
    }
}
