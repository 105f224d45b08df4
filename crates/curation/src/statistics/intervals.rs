//! Confidence intervals of shares and of means.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use still_domain::Estimate;

/// The standard normal distribution's 97.5 % quantile.
const Z_95: f64 = 1.959_963_984_540_054;

/// A mean with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The mean.
    pub mean: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Wilson's score interval (Wilson 1927) of a share at 95 %: honest for few samples and near 0 and 1.
/// Of no samples the share is 0 and the interval everything.
pub fn wilson(correct: u32, total: u32) -> Estimate {
    if total == 0 {
        return Estimate { value: 0.0, low: 0.0, high: 1.0, correct, total };
    }
    let Interval { mean: value, low, high } = wilson_of_share(f64::from(correct) / f64::from(total), total);
    Estimate { value, low, high, correct, total }
}

/// Wilson's score interval of a share among `count`, above 0, that need not be a whole number of them. Of a mean of
/// values between 0 and 1 it is too wide rather than too narrow: none vary more about it than zeros and ones do.
pub(super) fn wilson_of_share(share: f64, count: u32) -> Interval {
    let n = f64::from(count);
    let z2 = Z_95 * Z_95;
    let scale = 1.0 / (1.0 + z2 / n);
    let centre = scale * (share + z2 / (2.0 * n));
    let half = scale * Z_95 * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
    Interval { mean: share, low: (centre - half).clamp(0.0, share), high: (centre + half).clamp(share, 1.0) }
}

/// The mean of `values` with its 95 % percentile bootstrap interval (Efron 1979): `samples` resamples drawn
/// from `seed`. `None` of no values.
pub fn bootstrap_mean(values: &[f64], samples: u32, seed: u64) -> Option<Interval> {
    if values.is_empty() {
        return None;
    }
    let count = values.len();
    let mean = values.iter().sum::<f64>() / count as f64;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut resample =
        || (0..count).map(|_| values[random.random_range(0..count)]).sum::<f64>() / count as f64;
    let mut means: Vec<f64> = (0..samples.max(1)).map(|_| resample()).collect();
    means.sort_by(f64::total_cmp);
    Some(Interval { mean, low: quantile(&means, 0.025).min(mean), high: quantile(&means, 0.975).max(mean) })
}

/// The quantile of sorted values, linear between neighbours; 0 of none.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let position = share * sorted.len().saturating_sub(1) as f64;
    let below = sorted.get(position.floor() as usize).copied().unwrap_or(0.0);
    let above = sorted.get(position.ceil() as usize).copied().unwrap_or(below);
    below + (above - below) * position.fract()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wilson_agrees_with_published_values() {
        // Newcombe 1998, Statistics in Medicine 17:857-872, table I, method 3.
        for (correct, total, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let estimate = wilson(correct, total);
            assert!((estimate.low - low).abs() < 1e-4, "{correct}/{total}: {estimate:?}");
            assert!((estimate.high - high).abs() < 1e-4, "{correct}/{total}: {estimate:?}");
        }
    }

    #[test]
    fn the_bootstrap_agrees_with_the_normal_approximation_and_repeats_itself() {
        let values: Vec<f64> = (0..400).map(|n| f64::from(u8::from(n % 4 == 0))).collect();
        let interval = bootstrap_mean(&values, 4000, 7).unwrap();
        let half = Z_95 * (0.25_f64 * 0.75 / 400.0).sqrt();
        assert!((interval.mean - 0.25).abs() < 1e-12);
        assert!((interval.low - (0.25 - half)).abs() < 0.005, "{interval:?}");
        assert!((interval.high - (0.25 + half)).abs() < 0.005, "{interval:?}");
        assert_eq!(bootstrap_mean(&values, 4000, 7), Some(interval));
        assert_eq!(bootstrap_mean(&[], 10, 7), None);
    }

    #[test]
    fn quantiles_lie_between_neighbours() {
        assert!((quantile(&[1.0, 2.0, 4.0], 0.75) - 3.0).abs() < 1e-12);
        assert!((quantile(&[5.0], 0.3) - 5.0).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn intervals_hold_their_value_and_stay_in_range(total in 1_u32..5000, part in 0.0_f64..=1.0) {
            let correct = (part * f64::from(total)) as u32;
            let estimate = wilson(correct, total);
            prop_assert!(0.0 <= estimate.low && estimate.low <= estimate.value);
            prop_assert!(estimate.value <= estimate.high && estimate.high <= 1.0);
            let mirrored = wilson(total - correct, total);
            prop_assert!((mirrored.low - (1.0 - estimate.high)).abs() < 1e-9);
        }
    }
}
