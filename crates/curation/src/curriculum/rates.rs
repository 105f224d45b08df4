//! How often each level is solved, newest policies first.

use std::collections::BTreeMap;

use still_domain::PolicyVersion;

/// How many attempts under a new policy weigh as much as all that was known before.
const PRIOR_WEIGHT: f64 = 32.0;

/// Right answers and attempts by level and policy.
#[derive(Debug, Clone, Default)]
pub(super) struct LevelRates(BTreeMap<Option<u8>, BTreeMap<PolicyVersion, Tally>>);

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    correct: u32,
    total: u32,
}

impl LevelRates {
    pub(super) fn record(&mut self, level: Option<u8>, version: PolicyVersion, is_correct: bool) {
        let tally = self.0.entry(level).or_default().entry(version).or_default();
        tally.correct += u32::from(is_correct);
        tally.total += 1;
    }

    /// The expected share of right answers at a level: what older policies showed is the prior of what
    /// newer ones show. One half where nothing is known.
    pub(super) fn rate(&self, level: Option<u8>) -> f64 {
        let update = |rate: f64, tally: &Tally| {
            (f64::from(tally.correct) + PRIOR_WEIGHT * rate) / (f64::from(tally.total) + PRIOR_WEIGHT)
        };
        self.0.get(&level).map_or(0.5, |versions| versions.values().fold(0.5, update))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_known_is_one_half_and_new_evidence_outweighs_old() {
        let mut rates = LevelRates::default();
        assert!((rates.rate(Some(3)) - 0.5).abs() < 1e-12);
        for _ in 0..320 {
            rates.record(Some(3), PolicyVersion(1), false);
        }
        assert!(rates.rate(Some(3)) < 0.05);
        for _ in 0..320 {
            rates.record(Some(3), PolicyVersion(2), true);
        }
        assert!(rates.rate(Some(3)) > 0.9);
        assert!((rates.rate(None) - 0.5).abs() < 1e-12);
    }
}
