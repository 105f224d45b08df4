//! Random numbers without a state: each is a hash of (seed, index), so a restart draws the same ones.

/// A number in `[0, 1)` with 53 random bits, the same for the same `seed` and `index` for ever.
pub(crate) fn uniform(seed: u64, index: u64) -> f64 {
    let bits =
        mix(mix(seed ^ 0x6a09_e667_f3bc_c909).wrapping_add(mix(index.wrapping_add(0x9e37_79b9_7f4a_7c15))));
    (bits >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
}

/// The finaliser of `SplitMix64` (Steele et al. 2014; constants of Stafford's variant 13).
fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Chi-square of 1000 equal bins; mean 999, standard deviation 44.7.
    fn chi_square(numbers: impl Iterator<Item = f64>) -> f64 {
        let mut bins = vec![0.0_f64; 1000];
        let mut count = 0.0;
        for number in numbers {
            assert!((0.0..1.0).contains(&number));
            bins[(number * 1000.0) as usize] += 1.0;
            count += 1.0;
        }
        let expected = count / 1000.0;
        bins.iter().map(|seen| (seen - expected).powi(2) / expected).sum()
    }

    #[test]
    fn numbers_are_even_along_indices_and_along_seeds() {
        for fixed in [0, 1, u64::MAX, 0x9e37_79b9_7f4a_7c15] {
            for (what, value) in [
                ("indices", chi_square((0..200_000).map(|index| uniform(fixed, index)))),
                ("seeds", chi_square((0..200_000).map(|seed| uniform(seed, fixed)))),
                ("both", chi_square((0..200_000).map(|both| uniform(both, both)))),
            ] {
                assert!((820.0..1180.0).contains(&value), "{what} at {fixed}: {value}");
            }
        }
    }

    #[test]
    fn neighbours_are_not_correlated() {
        let correlation = (0..100_000_u64)
            .map(|index| {
                (uniform(7, index) - 0.5) * (uniform(8, index) - 0.5)
                    + (uniform(7, index) - 0.5) * (uniform(7, index + 1) - 0.5)
            })
            .sum::<f64>()
            / 100_000.0;
        assert!(correlation.abs() < 0.002, "{correlation}");
    }
}
