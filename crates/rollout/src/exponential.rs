//! Exponentials over whole rows, written so that the compiler vectorises them and the result does not
//! depend on whether it does: fixed lanes, fixed order, no fused operations.

/// Lanes that are summed side by side.
const LANES: usize = 16;
/// Elements whose sum is taken in single precision before it goes into a double.
pub(crate) const BLOCK: usize = 256;

/// The largest element; `None` for an empty row or one that holds NaN or +infinity.
pub(crate) fn finite_maximum(row: &[f32]) -> Option<f32> {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    // -infinity is no fault: it marks a token that must not be drawn
    let mut faults = [false; LANES];
    let chunks = row.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for ((lane, fault), &value) in lanes.iter_mut().zip(&mut faults).zip(chunk) {
            *lane = if value > *lane { value } else { *lane };
            *fault |= is_fault(value);
        }
    }
    for ((lane, fault), &value) in lanes.iter_mut().zip(&mut faults).zip(rest) {
        *lane = if value > *lane { value } else { *lane };
        *fault |= is_fault(value);
    }
    let maximum = lanes.into_iter().fold(f32::NEG_INFINITY, f32::max);
    (maximum.is_finite() && !faults.contains(&true)).then_some(maximum)
}

/// NaN or +infinity.
const fn is_fault(value: f32) -> bool {
    value.is_nan() || value == f32::INFINITY
}

/// The sum of `exp((x - maximum) * scale)` over the row.
pub(crate) fn sum_of_exponentials(row: &[f32], maximum: f32, scale: f32) -> f64 {
    row.chunks(BLOCK).map(|block| f64::from(block_sum(block, maximum, scale))).sum()
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
    weights.clear();
    weights.extend(row.iter().map(|&value| exponential((value - maximum) * scale)));
    sums.clear();
    sums.extend(weights.chunks(BLOCK).map(|block| f64::from(lane_sum(block))));
    sums.iter().sum()
}

fn block_sum(block: &[f32], maximum: f32, scale: f32) -> f32 {
    let mut lanes = [0.0; LANES];
    for chunk in block.chunks(LANES) {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane += exponential((value - maximum) * scale);
        }
    }
    lanes.into_iter().sum()
}

fn lane_sum(block: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    for chunk in block.chunks(LANES) {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane += value;
        }
    }
    lanes.into_iter().sum()
}

/// `exp(x)` for `x <= 0` within 2e-7 relative; 0 below -87.
///
/// Range reduction to `2^n * exp(r)`, `|r| <= ln(2)/2`, and the polynomial of Cephes `expf`. Adding
/// 1.5 * 2^23 rounds to the nearest integer and leaves `n` in the low bits of the sum.
#[inline]
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
    fn rows_without_a_finite_maximum_are_told_apart() {
        assert_eq!(finite_maximum(&[]), None);
        assert_eq!(finite_maximum(&[f32::NEG_INFINITY; 20]), None);
        for place in 0..20 {
            for fault in [f32::NAN, f32::INFINITY] {
                let mut row = [1.0; 20];
                row[place] = fault;
                assert_eq!(finite_maximum(&row), None, "{fault} at {place}");
            }
        }
        let mut row = [f32::NEG_INFINITY; 20];
        row[17] = -3.0;
        assert_eq!(finite_maximum(&row), Some(-3.0));
    }
}
