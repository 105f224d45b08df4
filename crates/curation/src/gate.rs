//! Whether a candidate policy replaces the incumbent.
//!
//! The candidate is compared with the policy in force *and* with the best one so far: against the one in force
//! alone, a little may be lost every round and nothing would ever notice. Policies are compared on the same
//! held-out problems, problem by problem: what makes a problem hard is then the same for both and falls out of
//! the difference, so far smaller changes show than between two means.
//!
//! By default a candidate must *prove* that it lost no more than the tolerance: see [`Evidence`] and
//! [`paired`]. A run asks many times on the same held-out problems; one error rate for the whole run is
//! therefore spent over its comparisons (alpha spending, Lan & `DeMets` 1983, Biometrika 70:659-663): the
//! `t`-th may err with `alpha * 6 / (pi^2 t^2)`, which sums to `alpha` over any number of rounds, so that
//! trying again until luck helps does not.

pub mod paired;
pub mod resolution;

use std::{collections::BTreeMap, f64::consts::PI, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_domain::{Evaluation, ProblemId, ProblemScore};
use still_settings::Findings;

use self::paired::PairedOutcomes;

/// What must be shown of the paired difference.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// An exact paired test shows that it lies above the bound; its error is spent over the run's rounds.
    #[default]
    Test,
    /// The same test in each round by itself: the lower end of the exact 95 % interval lies above the bound.
    /// A candidate that is not good enough passes sooner or later when it is tried often.
    Interval,
    /// The difference itself lies above the bound: gates on noise, unless there are thousands of answers.
    Difference,
}

/// When a candidate is promoted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GateConfig {
    /// How much accuracy a candidate may lose and still be promoted, as a share, both against the policy in
    /// force and against the best so far; below zero it is the least gain that is asked for. Default: 0.02.
    pub tolerance: f64,
    /// What must be shown to lie above minus `tolerance`. Default: `test`.
    pub evidence: Evidence,
    /// Probability that the gate errs at all in a run, however many rounds it has: that it promotes a candidate
    /// that lost more than `tolerance`. Spent over the rounds, most of it on the first ones; only `evidence =
    /// "test"` asks for it. Default: 0.05.
    pub alpha: f64,
}

impl Default for GateConfig {
    fn default() -> Self {
        Self { tolerance: 0.02, evidence: Evidence::Test, alpha: 0.05 }
    }
}

/// Whom a candidate is compared with.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rivals<'scores> {
    /// The scores of the policy in force.
    pub incumbent: Option<&'scores Evaluation>,
    /// The scores of the best policy that the run ever promoted; the incumbent's again where it is the best.
    pub best: Option<&'scores Evaluation>,
}

/// One of those a candidate is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rival {
    /// The policy in force.
    Incumbent,
    /// The best policy that the run ever promoted.
    Best,
    /// The base model; the gate compares with it where it is in force alone.
    Base,
    /// The policy that imitation brought, which the gate does not compare with.
    Imitated,
}

/// The paired difference of two policies; displays as part of a sentence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairedDifference {
    /// Mean over problems of candidate's share minus rival's share of right answers.
    pub value: f64,
    /// Lower end of its exact 95 % interval, to one problem.
    pub low: f64,
    /// Upper end of its exact 95 % interval, to one problem.
    pub high: f64,
    /// Probability of such a difference or a larger one, had the candidate lost just more than is tolerated.
    pub p_value: f64,
    /// Problems that both were scored on.
    pub problems: usize,
    /// Whom it was compared with.
    pub rival: Rival,
}

/// Why a candidate is promoted or not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum GateReason {
    /// There is nothing to compare with.
    FirstPolicy,
    /// The candidate was scored on no problem.
    NoScores,
    /// The candidate and a rival were scored on different problems.
    NothingInCommon(Rival),
    /// Every difference is above the bound; this is the one that shows it least.
    GoodEnough(PairedDifference),
    /// This difference is not shown to be above the bound.
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
    /// The error that this comparison may make; `None` where the difference itself decided.
    pub error_allowed: Option<f64>,
}

impl GateConfig {
    /// Notes a tolerance that is no difference of shares, and an error rate that is none.
    pub fn validate(&self, findings: &mut Findings) {
        findings.require((-1.0..=1.0).contains(&self.tolerance), "gate.tolerance", || {
            "must lie between -1 and 1".to_owned()
        });
        findings.require(self.alpha > 0.0 && self.alpha < 0.5, "gate.alpha", || {
            "must be above 0 and below 0.5".to_owned()
        });
    }

    /// Compares `candidate` with each of `rivals` on the problems that both were scored on. `comparison` counts
    /// the run's comparisons on this held-out set from 1, this one included.
    pub fn decide(&self, candidate: &Evaluation, rivals: Rivals<'_>, comparison: u32) -> GateDecision {
        let bound = -self.tolerance;
        let error_allowed = self.error_allowed(comparison);
        let decision = |is_promoted, reason| GateDecision { is_promoted, reason, bound, error_allowed };
        if !candidate.scores.iter().any(|score| score.total > 0) {
            return decision(false, GateReason::NoScores);
        }
        let best = rivals.best.filter(|best| rivals.incumbent.is_none_or(|incumbent| incumbent != *best));
        let named = [(Rival::Incumbent, rivals.incumbent), (Rival::Best, best)];
        let mut tightest: Option<PairedDifference> = None;
        for (rival, scores) in named.into_iter().filter_map(|(rival, scores)| Some((rival, scores?))) {
            let Some(outcomes) = paired_outcomes(&candidate.scores, &scores.scores) else {
                return decision(false, GateReason::NothingInCommon(rival));
            };
            let difference = PairedDifference::new(&outcomes, rival, self.tolerance);
            let is_shown = match error_allowed {
                Some(error) => difference.p_value <= error,
                // A mean of shares carries rounding errors; a loss of exactly the tolerance is tolerated.
                None => difference.value >= bound - 1e-9,
            };
            if !is_shown {
                return decision(false, GateReason::TooLow(difference));
            }
            if tightest.is_none_or(|shown| shown.p_value <= difference.p_value) {
                tightest = Some(difference);
            }
        }
        decision(true, tightest.map_or(GateReason::FirstPolicy, GateReason::GoodEnough))
    }

    /// The error that the run's `comparison`-th comparison may make, counted from 1; `None` where the
    /// difference itself decides.
    pub fn error_allowed(&self, comparison: u32) -> Option<f64> {
        match self.evidence {
            Evidence::Test => {
                let number = f64::from(comparison.max(1));
                Some(self.alpha * 6.0 / (PI * PI * number * number))
            }
            Evidence::Interval => Some(paired::TAIL),
            Evidence::Difference => None,
        }
    }
}

impl PairedDifference {
    /// The difference on the problems that both were scored on; `None` when there is none. No loss is tolerated.
    pub fn of(candidate: &Evaluation, rival_scores: &Evaluation, rival: Rival) -> Option<Self> {
        let outcomes = paired_outcomes(&candidate.scores, &rival_scores.scores)?;
        Some(Self::new(&outcomes, rival, 0.0))
    }

    fn new(outcomes: &PairedOutcomes, rival: Rival, tolerance: f64) -> Self {
        let (low, high) = outcomes.interval();
        Self {
            value: outcomes.mean(),
            low,
            high,
            p_value: outcomes.p_value(tolerance),
            problems: outcomes.problems(),
            rival,
        }
    }
}

impl fmt::Display for PairedDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:+.1} points [{:+.1}, {:+.1}] against {} on {} problems",
            100.0 * self.value,
            100.0 * self.low,
            100.0 * self.high,
            self.rival,
            self.problems,
        )
    }
}

impl fmt::Display for GateDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.is_promoted { "promoted" } else { "rejected" };
        match self.reason {
            GateReason::FirstPolicy => write!(f, "{verb}: there is no scored policy to compare with"),
            GateReason::NoScores => write!(f, "{verb}: the candidate was scored on no problem"),
            GateReason::NothingInCommon(rival) => {
                write!(f, "{verb}: the candidate and {rival} were scored on different problems")
            }
            GateReason::GoodEnough(difference) | GateReason::TooLow(difference) => {
                write!(f, "{verb}: {difference}, {:+.1} asked for", 100.0 * self.bound)?;
                match self.error_allowed {
                    Some(error) => write!(f, " (p = {:.4}, at most {error:.4} allowed)", difference.p_value),
                    None => Ok(()),
                }
            }
        }
    }
}

impl fmt::Display for Rival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Incumbent => "the policy in force",
            Self::Best => "the best policy so far",
            Self::Base => "the base model",
            Self::Imitated => "the imitated policy",
        })
    }
}

/// The outcomes on the problems that both were scored on; `None` when there is none.
fn paired_outcomes(candidate: &[ProblemScore], rival: &[ProblemScore]) -> Option<PairedOutcomes> {
    let rival: BTreeMap<&ProblemId, &ProblemScore> = scored(rival).collect();
    let pairs = scored(candidate).filter_map(|(problem, own)| {
        let other = rival.get(problem)?;
        Some([(own.correct, own.total), (other.correct, other.total)])
    });
    PairedOutcomes::new(&pairs.collect::<Vec<_>>())
}

fn scored(scores: &[ProblemScore]) -> impl Iterator<Item = (&ProblemId, &ProblemScore)> {
    scores.iter().filter(|score| score.total > 0).map(|score| (&score.problem, score))
}

#[cfg(test)]
mod tests;
