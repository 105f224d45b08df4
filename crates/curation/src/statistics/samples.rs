//! Scores over several samples a problem. Each takes one problem; the score of a set is the mean.

use std::{collections::HashMap, hash::Hash};

/// avg@k: the share of right answers among `total` samples; `None` of no samples.
pub fn average_at_k(correct: u32, total: u32) -> Option<f64> {
    (total > 0).then(|| f64::from(correct) / f64::from(total))
}

/// pass@k, without bias: the probability that at least one of `k` of the `total` samples, drawn without
/// putting back, is right: `1 - C(n-c, k) / C(n, k)` (Chen et al. 2021, arXiv 2107.03374, eq. 1).
///
/// `None` unless `1 <= k <= total` and `correct <= total`.
pub fn pass_at_k(correct: u32, total: u32, k: u32) -> Option<f64> {
    if k == 0 || k > total || correct > total {
        return None;
    }
    let wrong = total - correct;
    let all_wrong: f64 =
        (0..k).map(|drawn| f64::from(wrong.saturating_sub(drawn)) / f64::from(total - drawn)).product();
    Some(1.0 - all_wrong)
}

/// G-Pass@k(tau): the probability that at least `tau * k` (rounded up, at least one) of `k` of the `total`
/// samples, drawn without putting back, are right (Liu et al. 2024, arXiv 2412.13147, eq. 4).
///
/// `None` unless `1 <= k <= total`, `correct <= total` and `0 <= tau <= 1`.
pub fn g_pass_at_k(correct: u32, total: u32, k: u32, tau: f64) -> Option<f64> {
    if k == 0 || k > total || correct > total || !(0.0..=1.0).contains(&tau) {
        return None;
    }
    // 0.6 * 5 is a little above 3 in binary: take the rounding error off before rounding up.
    let least = ((tau * f64::from(k) - 1e-9).ceil().max(1.0)) as u32;
    Some(at_least(correct, total, k, least))
}

/// mG-Pass@k: the mean of G-Pass@k over the thresholds above one half,
/// `2/k * sum over i from ceil(k/2)+1 to k of G-Pass@k(i/k)` (Liu et al. 2024, arXiv 2412.13147, eq. 6).
///
/// `None` unless `2 <= k <= total` and `correct <= total`.
pub fn mean_g_pass_at_k(correct: u32, total: u32, k: u32) -> Option<f64> {
    if k < 2 || k > total || correct > total {
        return None;
    }
    let sum: f64 = (k.div_ceil(2) + 1..=k).map(|least| at_least(correct, total, k, least)).sum();
    Some(2.0 * sum / f64::from(k))
}

/// maj@k: whether the answer given most often is right; ties go to the answer seen first, samples without
/// an answer (`None`) do not vote. `answers` pairs each sample's answer, in canonical form, with whether it
/// is right. `None` of no samples.
pub fn majority_at_k<A: Eq + Hash>(answers: impl IntoIterator<Item = (Option<A>, bool)>) -> Option<bool> {
    let mut votes: HashMap<A, (u32, usize, bool)> = HashMap::new();
    let mut samples = 0;
    for (answer, is_right) in answers {
        if let Some(answer) = answer {
            votes.entry(answer).or_insert((0, samples, is_right)).0 += 1;
        }
        samples += 1;
    }
    let winner = votes.into_values().max_by_key(|(count, first, _)| (*count, std::cmp::Reverse(*first)));
    (samples > 0).then(|| winner.is_some_and(|(_, _, is_right)| is_right))
}

/// The upper tail of the hypergeometric distribution: at least `least` right ones among `k` drawn.
fn at_least(correct: u32, total: u32, k: u32, least: u32) -> f64 {
    let logarithm_of_all = ln_choose(total, k);
    let tail: f64 = (least..=k.min(correct))
        .filter(|right| k - right <= total - correct)
        .map(|right| {
            (ln_choose(correct, right) + ln_choose(total - correct, k - right) - logarithm_of_all).exp()
        })
        .sum();
    tail.min(1.0)
}

/// Natural logarithm of the binomial coefficient, `choose <= from`.
fn ln_choose(from: u32, choose: u32) -> f64 {
    let choose = choose.min(from - choose);
    (0..choose).map(|n| f64::from(from - n).ln() - f64::from(choose - n).ln()).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn close(one: Option<f64>, two: f64) -> bool {
        one.is_some_and(|one| (one - two).abs() < 1e-9)
    }

    #[test]
    fn pass_at_k_by_hand() {
        assert!(close(pass_at_k(1, 4, 1), 0.25));
        assert!(close(pass_at_k(2, 4, 2), 1.0 - 1.0 / 6.0));
        assert!(close(pass_at_k(3, 10, 5), 1.0 - 21.0 / 252.0));
        assert!(close(pass_at_k(0, 8, 8), 0.0));
        assert!(close(pass_at_k(1, 8, 8), 1.0));
        assert_eq!(pass_at_k(1, 4, 5), None);
        assert_eq!(pass_at_k(5, 4, 2), None);
    }

    #[test]
    fn g_pass_at_k_by_hand() {
        // Of 4 samples 3 are right; of 2 drawn both are right in C(3,2) = 3 of C(4,2) = 6 ways.
        assert!(close(g_pass_at_k(3, 4, 2, 1.0), 0.5));
        assert!(close(g_pass_at_k(3, 4, 2, 0.5), 1.0));
        // Of 10 samples 6 are right; at least 3 of 5: (20*6 + 15*4 + 6*1) / 252.
        assert!(close(g_pass_at_k(6, 10, 5, 0.6), 186.0 / 252.0));
        assert!(close(mean_g_pass_at_k(6, 10, 5), 2.0 / 5.0 * ((66.0 + 6.0) / 252.0)));
        assert_eq!(g_pass_at_k(1, 4, 2, 1.5), None);
    }

    #[test]
    fn the_majority_decides_and_ties_go_to_the_first() {
        assert_eq!(majority_at_k([(Some("3"), false), (Some("4"), true), (Some("4"), true)]), Some(true));
        assert_eq!(majority_at_k([(Some("3"), false), (Some("4"), true)]), Some(false));
        assert_eq!(majority_at_k([(None, false), (None, false), (Some("4"), true)]), Some(true));
        assert_eq!(majority_at_k([(None::<&str>, false)]), Some(false));
        assert_eq!(majority_at_k(std::iter::empty::<(Option<&str>, bool)>()), None);
    }

    proptest! {
        /// pass@k is G-Pass@k with any right one enough; pass@1 is the average; tails shrink with tau.
        #[test]
        fn the_scores_agree_where_they_must(total in 1_u32..200, part in 0.0_f64..=1.0, of in 0.0_f64..=1.0) {
            let correct = (part * f64::from(total)) as u32;
            let k = 1 + (of * f64::from(total - 1)) as u32;
            let pass = pass_at_k(correct, total, k).unwrap();
            prop_assert!((g_pass_at_k(correct, total, k, 0.0).unwrap() - pass).abs() < 1e-7);
            let one = pass_at_k(correct, total, 1).unwrap();
            prop_assert!((one - average_at_k(correct, total).unwrap()).abs() < 1e-9);
            prop_assert!(g_pass_at_k(correct, total, k, 1.0).unwrap() <= g_pass_at_k(correct, total, k, 0.5).unwrap() + 1e-9);
        }
    }
}
