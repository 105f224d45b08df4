//! The exact test of a paired difference.
//!
//! Had two policies the same chance on every problem, each problem's difference could as well have had the
//! other sign: over all choices of signs, the sum of the differences has a distribution that is known exactly
//! (Fisher's randomisation test, *The Design of Experiments*, 1935, section 21). Where every problem was
//! sampled once it is the sign test of the problems won among those that differ: `McNemar`'s test in its exact
//! form (`McNemar` 1947, Psychometrika 12:153-157). Where a problem was sampled more often, its samples move
//! together in one difference: they are not independent.
//!
//! A tolerance gives the candidate a handicap: so many of the problems (their share, rounded down) are counted
//! as won beside what was won; where a gain is asked for, so many (rounded up) as lost. Those, too, get either
//! sign in the test. The handicap spreads the test's distribution more than its own mean does the observed one,
//! so the error stays below the level; the tests of this module add it up over every outcome.
//!
//! Nothing follows from nothing: without a difference and without a tolerance that is worth problems, `p` is 1,
//! and one problem won alone has `p` = 1/2.

use std::collections::BTreeMap;

/// The error at each end of an interval of 95 %.
pub const TAIL: f64 = 0.025;
/// The finest unit that shares of right answers are compared in, as a fraction of one problem.
const FINEST_UNIT: u64 = 840;
/// Steps that adding the distribution up may take before a coarser unit is chosen.
const MAX_STEPS: u64 = 400_000_000;

/// What two policies made of the same problems.
#[derive(Debug, Clone, PartialEq)]
pub struct PairedOutcomes {
    /// Differences of the shares of right answers that are not 0, in units: 1 problem is `unit` of them.
    differences: Vec<i64>,
    /// Units of one problem.
    unit: i64,
    /// Problems, those without a difference included.
    problems: usize,
    /// Mean difference of the shares.
    mean: f64,
}

impl PairedOutcomes {
    /// Of each problem the right answers and the answers (above 0), first the candidate's, then its rival's;
    /// `None` of no problem.
    pub fn new(pairs: &[[(u32, u32); 2]]) -> Option<Self> {
        if pairs.is_empty() {
            return None;
        }
        let share = |(correct, total): (u32, u32)| f64::from(correct) / f64::from(total.max(1));
        let differences: Vec<f64> = pairs.iter().map(|[own, other]| share(*own) - share(*other)).collect();
        let unit = unit_of(pairs, &differences);
        let in_units = differences.iter().map(|difference| (difference * unit as f64).round() as i64);
        Some(Self {
            differences: in_units.filter(|difference| *difference != 0).collect(),
            unit: unit as i64,
            problems: pairs.len(),
            mean: differences.iter().sum::<f64>() / pairs.len() as f64,
        })
    }

    /// Problems compared.
    pub const fn problems(&self) -> usize {
        self.problems
    }

    /// Mean over problems of the candidate's share less its rival's.
    pub const fn mean(&self) -> f64 {
        self.mean
    }

    /// Probability of such a sum of differences or a larger one when the candidate is as good as its rival less
    /// `tolerance`, a share of the problems.
    pub fn p_value(&self, tolerance: f64) -> f64 {
        let worth = tolerance * self.problems as f64;
        // a product that should be whole is not always
        self.p_value_with_handicap((worth + 1e-9).floor() as i64)
    }

    /// The exact 95 % interval of the mean difference, to one problem: the tolerances that the test refuses in
    /// one direction or in the other.
    pub fn interval(&self) -> (f64, f64) {
        let mirrored = Self {
            differences: self.differences.iter().map(|one| -one).collect(),
            mean: -self.mean,
            ..*self
        };
        let low = -(self.min_handicap() as f64) / self.problems as f64;
        let high = mirrored.min_handicap() as f64 / self.problems as f64;
        (low.clamp(-1.0, self.mean), high.clamp(self.mean, 1.0))
    }

    /// The least handicap with which the test passes at [`TAIL`], in problems. Searched from what was lost on:
    /// a handicap of that much leaves nothing to show.
    fn min_handicap(&self) -> i64 {
        let passes = |handicap| self.p_value_with_handicap(handicap) <= TAIL;
        let all = self.problems as i64 + 1;
        let even = -(self.mean * self.problems as f64).round() as i64;
        let mut step = 8;
        let (mut refused, mut passed) = (even, even);
        while passes(refused) && refused > -all {
            refused = (refused - step).max(-all);
            step *= 2;
        }
        while !passes(passed) && passed < all {
            passed = (passed + step).min(all);
            step *= 2;
        }
        while passed - refused > 1 {
            let middle = i64::midpoint(refused, passed);
            if passes(middle) { passed = middle } else { refused = middle }
        }
        passed
    }

    fn p_value_with_handicap(&self, handicap: i64) -> f64 {
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        let mut won = 0;
        for difference in &self.differences {
            *counts.entry(difference.unsigned_abs() as usize).or_default() += 1;
            won += (*difference).max(0);
        }
        if handicap != 0 {
            *counts.entry(self.unit as usize).or_default() += handicap.unsigned_abs() as usize;
            won += handicap.max(0) * self.unit;
        }
        upper_tail(&counts, won as usize)
    }
}

/// Units of one problem: the least that expresses every share exactly, as long as that is not too fine to be
/// added up.
fn unit_of(pairs: &[[(u32, u32); 2]], differences: &[f64]) -> u64 {
    let totals = pairs.iter().flatten().map(|(_, total)| u64::from((*total).max(1)));
    let exact = totals.fold(1, |multiple, total| {
        if multiple > FINEST_UNIT { multiple } else { multiple / divisor(multiple, total) * total }
    });
    let mut unit = exact.min(FINEST_UNIT);
    let sum: f64 = differences.iter().map(|difference| difference.abs()).sum();
    let differing = differences.iter().filter(|difference| **difference != 0.0).count() as f64;
    while unit > 1 && sum * unit as f64 * differing > MAX_STEPS as f64 {
        unit /= 2;
    }
    unit
}

/// The greatest common divisor (Euclid).
fn divisor(one: u64, other: u64) -> u64 {
    if other == 0 { one } else { divisor(other, one % other) }
}

/// Probability that the sum of magnitudes, each taken or left with probability one half, is at least `least`.
/// `counts` tells how often each magnitude is there.
fn upper_tail(counts: &BTreeMap<usize, usize>, least: usize) -> f64 {
    let mut distribution = vec![1.0_f64];
    for (&magnitude, &count) in counts {
        let taken = halves(count);
        let mut sums = vec![0.0; distribution.len() + magnitude * count];
        for (times, probability) in taken.iter().enumerate() {
            let shifted = sums.iter_mut().skip(magnitude * times);
            for (sum, earlier) in shifted.zip(&distribution) {
                *sum += probability * earlier;
            }
        }
        distribution = sums;
    }
    distribution.iter().skip(least).sum::<f64>().min(1.0)
}

/// The binomial distribution of `count` at one half: the probability of each number from 0 on.
fn halves(count: usize) -> Vec<f64> {
    let count = count as f64;
    let mut logarithm = -count * 2.0_f64.ln();
    let mut probabilities = vec![logarithm.exp()];
    let mut taken = 0.0;
    while taken < count {
        logarithm += ((count - taken) / (taken + 1.0)).ln();
        taken += 1.0;
        probabilities.push(logarithm.exp());
    }
    probabilities
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Problems won, lost and the same, each sampled once.
    fn single(won: usize, lost: usize, same: usize) -> PairedOutcomes {
        let mut pairs = vec![[(1, 1), (0, 1)]; won];
        pairs.extend(vec![[(0, 1), (1, 1)]; lost]);
        pairs.extend(vec![[(1, 1), (1, 1)]; same]);
        PairedOutcomes::new(&pairs).unwrap()
    }

    #[test]
    fn sampled_once_it_is_mcnemars_exact_test() {
        // One-sided binomial tails at one half: 9 or more of 10, 15 or more of 20 (Siegel 1956, table D).
        assert!((single(9, 1, 90).p_value(0.0) - 0.0107).abs() < 1e-4);
        assert!((single(15, 5, 3).p_value(0.0) - 0.0207).abs() < 1e-4);
        assert!((single(5, 15, 3).p_value(0.0) - 0.9941).abs() < 1e-4);
    }

    #[test]
    fn fishers_randomisation_test_of_darwins_maize() {
        // Fisher 1935, section 21: the differences of 15 pairs sum to 314; 863 of the 32768 choices of signs sum
        // to as much or more.
        let eighths = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48_i64];
        let outcomes = PairedOutcomes { differences: eighths.to_vec(), unit: 100, problems: 15, mean: 0.0 };
        assert!((outcomes.p_value(0.0) - 863.0 / 32768.0).abs() < 1e-12);
    }

    #[test]
    fn nothing_follows_from_nothing() {
        assert!((single(0, 0, 5).p_value(0.0) - 1.0).abs() < 1e-12);
        assert!((single(1, 0, 4).p_value(0.0) - 0.5).abs() < 1e-12);
        assert!((single(0, 0, 30).p_value(0.02) - 1.0).abs() < 1e-12, "2 points of 30 problems are none");
        let (low, high) = single(0, 0, 5).interval();
        assert_eq!((low, high), (-1.0, 1.0), "five problems without a difference say nothing");
        let (low, high) = single(0, 0, 500).interval();
        assert!(low < -0.01 && high > 0.01, "[{low}, {high}]");
        assert_eq!(PairedOutcomes::new(&[]), None);
    }

    #[test]
    fn samples_of_a_problem_move_together() {
        // Ten problems won with all of sixteen samples tell no more than ten problems won once.
        let sixteen = PairedOutcomes::new(&[[(16, 16), (0, 16)]; 10]).unwrap();
        assert!((sixteen.p_value(0.0) - single(10, 0, 0).p_value(0.0)).abs() < 1e-12);
        // What is drawn unevenly is compared in a unit that all shares have.
        let uneven = PairedOutcomes::new(&[[(2, 3), (1, 4)], [(1, 2), (1, 4)]]).unwrap();
        assert_eq!((uneven.unit, uneven.differences.clone()), (12, vec![5, 3]));
        assert!((uneven.p_value(0.0) - 0.25).abs() < 1e-12);
        let primes: Vec<_> = (1..60).map(|total| [(total, total), (1, total)]).collect();
        assert!(PairedOutcomes::new(&primes).unwrap().unit <= FINEST_UNIT as i64);
    }

    /// Every outcome of `problems` with its probability, at a discordance that the loss leaves possible.
    #[test]
    fn the_error_stays_below_the_level_whatever_the_discordance() {
        for (problems, tolerance) in [(30, 0.0), (60, 0.02), (60, 0.1), (60, -0.05), (100, 0.02)] {
            // the handicap that whole problems allow is the loss that is tested
            let loss = (tolerance * problems as f64 + 1e-9).floor() / problems as f64;
            let mut p_values = vec![Vec::new(); problems + 1];
            for (won, row) in p_values.iter_mut().enumerate() {
                row.extend(
                    (0..=problems - won)
                        .map(|lost| single(won, lost, problems - won - lost).p_value(tolerance)),
                );
            }
            for part in 0..=20 {
                let discordance = loss.abs() + f64::from(part) / 20.0 * (0.9 - loss.abs());
                let (win, lose) = (f64::midpoint(discordance, -loss), f64::midpoint(discordance, loss));
                for level in [0.03, 0.0015] {
                    let error: f64 = p_values
                        .iter()
                        .enumerate()
                        .flat_map(|(won, row)| row.iter().enumerate().map(move |(lost, p)| (won, lost, *p)))
                        .filter(|(.., p)| *p <= level)
                        .map(|(won, lost, _)| multinomial(problems, won, lost, win, lose))
                        .sum();
                    assert!(error <= level + 1e-9, "{problems} {tolerance} {discordance} {level}: {error}");
                }
            }
        }
    }

    fn multinomial(problems: usize, won: usize, lost: usize, win: f64, lose: f64) -> f64 {
        let factorial = |count: usize| (1..=count).map(|one| (one as f64).ln()).sum::<f64>();
        let power = |base: f64, count: usize| if count == 0 { 0.0 } else { count as f64 * base.ln() };
        let same = problems - won - lost;
        let ways = factorial(problems) - factorial(won) - factorial(lost) - factorial(same);
        (ways + power(win, won) + power(lose, lost) + power(1.0 - win - lose, same)).exp()
    }
}
