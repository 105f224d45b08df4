//! How often problems are solved: by source and level, and each by itself, newest policies first.

use std::collections::BTreeMap;

use still_domain::PolicyVersion;

use super::progress::AttemptTally;

/// How many attempts under a new policy weigh as much as all that was known before of a level.
const LEVEL_PRIOR_WEIGHT: f64 = 32.0;
/// How many attempts at a problem its level weighs as much as.
const PROBLEM_PRIOR_WEIGHT: f64 = 2.0;
/// Units of an attempt that evidence is counted in: what older policies showed counts half as much with every
/// newer one, down to nothing.
const UNITS: u32 = 8;

/// A share as far as it is known: a beta distribution (the posterior of a share whose prior is one).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PassRate {
    /// Right answers, those of the prior included.
    pub alpha: f64,
    /// Failures, those of the prior included.
    pub beta: f64,
}

impl PassRate {
    /// The expected share of right answers.
    pub fn mean(&self) -> f64 {
        self.alpha / (self.alpha + self.beta)
    }

    /// The standard deviation of what is known of the share.
    pub fn standard_deviation(&self) -> f64 {
        let total = self.alpha + self.beta;
        (self.alpha * self.beta / (total * total * (total + 1.0))).sqrt()
    }
}

/// What a problem's attempts say of the newest policy, in [`UNITS`] of an attempt. Cut-off responses and failures
/// of the verifier say nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Evidence {
    correct: u32,
    failed: u32,
}

impl Evidence {
    pub(super) fn of(
        newest: PolicyVersion,
        tallies: impl Iterator<Item = (PolicyVersion, AttemptTally)>,
    ) -> Self {
        let mut evidence = Self::default();
        for (version, tally) in tallies {
            let age = u32::try_from(newest.0.saturating_sub(version.0)).unwrap_or(u32::MAX);
            let weight = UNITS.checked_shr(age).unwrap_or(0);
            evidence.correct += weight * tally.correct;
            evidence.failed += weight * tally.failed;
        }
        evidence
    }

    /// The posterior of the problem's share, with its level's `rate` as the prior.
    pub(super) fn pass_rate(self, rate: f64) -> PassRate {
        let units = f64::from(UNITS);
        PassRate {
            alpha: PROBLEM_PRIOR_WEIGHT * rate + f64::from(self.correct) / units,
            beta: PROBLEM_PRIOR_WEIGHT * (1.0 - rate) + f64::from(self.failed) / units,
        }
    }
}

/// Right answers and attempts by source, level and policy.
#[derive(Debug, Clone, Default)]
pub(super) struct LevelRates(BTreeMap<(usize, Option<u8>), BTreeMap<PolicyVersion, Tally>>);

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    correct: u32,
    total: u32,
}

impl LevelRates {
    pub(super) fn record(
        &mut self,
        source: usize,
        level: Option<u8>,
        version: PolicyVersion,
        is_correct: bool,
    ) {
        let tally = self.0.entry((source, level)).or_default().entry(version).or_default();
        tally.correct += u32::from(is_correct);
        tally.total += 1;
    }

    /// The expected share of right answers at a level of a source: what older policies showed is the prior of what
    /// newer ones show. One half where nothing is known.
    pub(super) fn rate(&self, source: usize, level: Option<u8>) -> f64 {
        let update = |rate: f64, tally: &Tally| {
            (f64::from(tally.correct) + LEVEL_PRIOR_WEIGHT * rate)
                / (f64::from(tally.total) + LEVEL_PRIOR_WEIGHT)
        };
        self.0.get(&(source, level)).map_or(0.5, |versions| versions.values().fold(0.5, update))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_known_is_one_half_and_new_evidence_outweighs_old() {
        let mut rates = LevelRates::default();
        assert!((rates.rate(0, Some(3)) - 0.5).abs() < 1e-12);
        for _ in 0..320 {
            rates.record(0, Some(3), PolicyVersion(1), false);
        }
        assert!(rates.rate(0, Some(3)) < 0.05);
        for _ in 0..320 {
            rates.record(0, Some(3), PolicyVersion(2), true);
        }
        assert!(rates.rate(0, Some(3)) > 0.9);
        assert!((rates.rate(0, None) - 0.5).abs() < 1e-12);
        assert!((rates.rate(1, Some(3)) - 0.5).abs() < 1e-12, "another source's level is another level");
    }

    #[test]
    fn a_problems_own_attempts_soon_outweigh_its_level() {
        let tally = |correct, failed| AttemptTally { correct, failed, truncated: 9, errors: 9 };
        let rate = |newest, tallies: &[(u64, AttemptTally)]| {
            let tallies = tallies.iter().map(|(version, tally)| (PolicyVersion(*version), *tally));
            Evidence::of(PolicyVersion(newest), tallies).pass_rate(0.5)
        };
        assert!((rate(1, &[]).mean() - 0.5).abs() < 1e-12);
        // Beta(1 + 1, 1 + 7): mean 0.2, variance 16 / (100 * 11)
        let known = rate(1, &[(1, tally(1, 7))]);
        assert!((known.mean() - 0.2).abs() < 1e-12);
        assert!((known.standard_deviation() - (16.0_f64 / 1100.0).sqrt()).abs() < 1e-12);
        // one policy later they count half, and five policies later nothing
        assert!((rate(2, &[(1, tally(1, 7))]).mean() - 1.5 / 6.0).abs() < 1e-12);
        assert!((rate(6, &[(1, tally(1, 7))]).mean() - 0.5).abs() < 1e-12);
    }
}
