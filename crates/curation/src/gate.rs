//! Whether a candidate policy replaces the incumbent.
//!
//! Both are compared on the same held-out problems, problem by problem: what makes a problem hard is then
//! the same for both and falls out of the difference, so far smaller changes show than between two means.

use std::{collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_domain::{Evaluation, ProblemScore};

use crate::{SettingError, statistics::bootstrap_mean};

/// What of the paired difference must lie above the bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// The difference itself.
    #[default]
    Difference,
    /// The lower end of its 95 % interval: asks for proof.
    Interval,
}

/// When a candidate is promoted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GateConfig {
    /// How much accuracy a candidate may lose and still be promoted, as a share; below zero it is the
    /// least gain that is asked for. Default: 0.02.
    pub tolerance: f64,
    /// What must lie above minus `tolerance`. Default: `difference`.
    pub evidence: Evidence,
    /// Bootstrap samples of the interval. Default: 2000.
    pub bootstrap_samples: u32,
}

impl Default for GateConfig {
    fn default() -> Self {
        Self { tolerance: 0.02, evidence: Evidence::Difference, bootstrap_samples: 2000 }
    }
}

/// The paired difference of two policies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairedDifference {
    /// Mean over problems of candidate's share minus incumbent's share of right answers.
    pub value: f64,
    /// Lower end of its 95 % interval.
    pub low: f64,
    /// Upper end of its 95 % interval.
    pub high: f64,
    /// Problems that both were scored on.
    pub problems: usize,
}

/// Why a candidate is promoted or not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum GateReason {
    /// There is nothing to compare with.
    FirstPolicy,
    /// The candidate was scored on no problem.
    NoScores,
    /// The two were scored on different problems.
    NothingInCommon,
    /// The difference is above the bound.
    GoodEnough(PairedDifference),
    /// The difference is below the bound.
    TooLow(PairedDifference),
}

/// A decision with its reason; displays as a sentence for the record of the round.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GateDecision {
    /// Whether the candidate replaces the incumbent.
    pub is_promoted: bool,
    /// Why.
    pub reason: GateReason,
    /// What the difference had to reach, as a share.
    pub bound: f64,
}

impl GateConfig {
    /// # Errors
    /// When the tolerance is no difference of shares, or no sample is drawn.
    pub fn validate(&self) -> Result<(), SettingError> {
        if !(-1.0..=1.0).contains(&self.tolerance) {
            return Err(SettingError::new("tolerance", "must lie between -1 and 1"));
        }
        if self.bootstrap_samples == 0 {
            return Err(SettingError::new("bootstrap_samples", "must be at least 1"));
        }
        Ok(())
    }

    /// Compares `candidate` with `incumbent` on the problems that both were scored on. `seed` draws the
    /// bootstrap samples.
    pub fn decide(&self, candidate: &Evaluation, incumbent: Option<&Evaluation>, seed: u64) -> GateDecision {
        let bound = -self.tolerance;
        let decision = |is_promoted, reason| GateDecision { is_promoted, reason, bound };
        if !candidate.scores.iter().any(|score| score.total > 0) {
            return decision(false, GateReason::NoScores);
        }
        let Some(incumbent) = incumbent else { return decision(true, GateReason::FirstPolicy) };
        let Some(difference) = self.difference(&candidate.scores, &incumbent.scores, seed) else {
            return decision(false, GateReason::NothingInCommon);
        };
        let measured = match self.evidence {
            Evidence::Difference => difference.value,
            Evidence::Interval => difference.low,
        };
        // A mean of shares carries rounding errors; a loss of exactly the tolerance is still tolerated.
        if measured >= bound - 1e-9 {
            decision(true, GateReason::GoodEnough(difference))
        } else {
            decision(false, GateReason::TooLow(difference))
        }
    }

    fn difference(
        &self,
        candidate: &[ProblemScore],
        incumbent: &[ProblemScore],
        seed: u64,
    ) -> Option<PairedDifference> {
        let shares: BTreeMap<_, _> =
            incumbent.iter().filter_map(|score| Some((&score.problem, share(score)?))).collect();
        let candidate: BTreeMap<_, _> =
            candidate.iter().filter_map(|score| Some((&score.problem, share(score)?))).collect();
        let differences: Vec<f64> = candidate
            .into_iter()
            .filter_map(|(problem, candidate)| Some(candidate - shares.get(problem)?))
            .collect();
        let interval = bootstrap_mean(&differences, self.bootstrap_samples, seed)?;
        Some(PairedDifference {
            value: interval.mean,
            low: interval.low,
            high: interval.high,
            problems: differences.len(),
        })
    }
}

impl fmt::Display for GateDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.is_promoted { "promoted" } else { "rejected" };
        match self.reason {
            GateReason::FirstPolicy => write!(f, "{verb}: there is no scored policy to compare with"),
            GateReason::NoScores => write!(f, "{verb}: the candidate was scored on no problem"),
            GateReason::NothingInCommon => {
                write!(f, "{verb}: candidate and incumbent were scored on different problems")
            }
            GateReason::GoodEnough(difference) | GateReason::TooLow(difference) => write!(
                f,
                "{verb}: {:+.1} points [{:+.1}, {:+.1}] against the incumbent on {} problems, {:+.1} asked for",
                100.0 * difference.value,
                100.0 * difference.low,
                100.0 * difference.high,
                difference.problems,
                100.0 * self.bound,
            ),
        }
    }
}

/// The share of right answers; `None` when none was asked for.
fn share(score: &ProblemScore) -> Option<f64> {
    (score.total > 0).then(|| f64::from(score.correct) / f64::from(score.total))
}

#[cfg(test)]
mod tests {
    use still_domain::ProblemId;

    use super::*;
    use crate::statistics::evaluation;

    fn scored(correct: impl IntoIterator<Item = bool>) -> Evaluation {
        let scores = correct.into_iter().enumerate().map(|(index, correct)| ProblemScore {
            problem: ProblemId::new(format!("p{index:04}")),
            level: None,
            correct: u32::from(correct),
            total: 1,
        });
        evaluation(scores.collect(), &[], 0.0)
    }

    #[test]
    fn the_first_policy_is_promoted_and_an_unscored_one_is_not() {
        let gate = GateConfig::default();
        assert!(gate.decide(&scored([false]), None, 0).is_promoted);
        let unscored = gate.decide(&scored([]), None, 0);
        assert_eq!((unscored.is_promoted, unscored.reason), (false, GateReason::NoScores));
        let stranger = gate.decide(&scored([true]), Some(&scored([])), 0);
        assert_eq!((stranger.is_promoted, stranger.reason), (false, GateReason::NothingInCommon));
    }

    #[test]
    fn a_loss_within_the_tolerance_passes_and_a_larger_one_does_not() {
        let incumbent = scored((0..100).map(|n| n < 50));
        let gate = GateConfig::default();
        assert!(gate.decide(&scored((0..100).map(|n| n < 48)), Some(&incumbent), 0).is_promoted);
        let worse = gate.decide(&scored((0..100).map(|n| n < 47)), Some(&incumbent), 0);
        assert!(!worse.is_promoted);
        let sentence = worse.to_string();
        assert!(sentence.starts_with("rejected: -3.0 points ["), "{sentence}");
        assert!(sentence.ends_with("on 100 problems, -2.0 asked for"), "{sentence}");
    }

    #[test]
    fn asking_for_proof_holds_a_lucky_gain_back_and_lets_a_clear_one_through() {
        let gate = GateConfig { tolerance: 0.0, evidence: Evidence::Interval, ..Default::default() };
        let incumbent = scored((0..200).map(|n| n % 2 == 0));
        // Ten problems won, eight lost: +1 point of pure noise.
        let lucky = scored((0..200).map(|n| (n % 2 == 0) != (n < 18) || n == 0 || n == 2));
        let decision = gate.decide(&lucky, Some(&incumbent), 1);
        assert!(!decision.is_promoted, "{decision}");
        let clear = scored((0..200).map(|n| n % 2 == 0 || n < 60));
        assert!(gate.decide(&clear, Some(&incumbent), 1).is_promoted);
    }

    #[test]
    fn only_common_problems_count() {
        let mut candidate = scored([true, true, true, true]);
        candidate.scores.remove(0);
        let decision = GateConfig::default().decide(&candidate, Some(&scored([false, true, true, true])), 0);
        let GateReason::GoodEnough(difference) = decision.reason else { panic!("{decision}") };
        assert_eq!(difference.problems, 3);
        assert!(difference.value.abs() < 1e-12);
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        assert!(GateConfig { tolerance: 2.0, ..Default::default() }.validate().is_err());
        assert!(GateConfig { tolerance: f64::NAN, ..Default::default() }.validate().is_err());
        assert!(GateConfig { bootstrap_samples: 0, ..Default::default() }.validate().is_err());
        assert!(GateConfig::default().validate().is_ok());
    }
}
