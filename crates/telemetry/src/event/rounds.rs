//! What happens to rounds and policies.

use metrics::{counter, gauge};
use still_domain::{
    Estimate, Evaluation, LogProbabilityGap, PolicyOrigin, PolicyVersion, Round, RoundNumber, RoundPhase,
    Split, TrainingSetId,
};

use crate::names::{
    ACCURACY, ACCURACY_HIGH, ACCURACY_LOW, EVALUATED_ROUND, GAP, GAP_ALARM, GAP_BIAS, HARD_ACCURACY,
    POLICIES_PUBLISHED, POLICY_VERSION, ROUND_EXAMPLES, ROUND_NUMBER, ROUND_PHASE, ROUND_SELECTED,
    ROUNDS_ENDED, TRUNCATED,
};

/// A round entered a phase.
#[derive(Debug, Clone, Copy)]
pub struct RoundPhaseEntered {
    /// The round.
    pub round: RoundNumber,
    /// The phase entered.
    pub phase: RoundPhase,
}

impl RoundPhaseEntered {
    /// Logs and counts it.
    pub fn emit(self) {
        let Self { round, phase } = self;
        tracing::info!(%round, phase = phase.name(), "round entered a phase");
        gauge!(ROUND_NUMBER).set(f64::from(round.0));
        for other in RoundPhase::ALL {
            gauge!(ROUND_PHASE, "phase" => other.name()).set(f64::from(u8::from(other == phase)));
        }
    }
}

/// The engines that drew for a round were compared with the learner.
#[derive(Debug, Clone, Copy)]
pub struct GapMeasured<'a> {
    /// The round.
    pub round: RoundNumber,
    /// How far apart they are.
    pub gap: &'a LogProbabilityGap,
    /// Whether that is further than the configuration allows.
    pub is_alarming: bool,
}

impl GapMeasured<'_> {
    /// Logs and counts it.
    pub fn emit(self) {
        let Self { round, gap, is_alarming } = self;
        let LogProbabilityGap { mean_nats, bias_nats, trajectories, tokens, .. } = *gap;
        tracing::info!(%round, mean_nats, bias_nats, trajectories, tokens, "engines compared with the learner");
        gauge!(GAP).set(mean_nats);
        gauge!(GAP_BIAS).set(bias_nats);
        gauge!(GAP_ALARM).set(f64::from(u8::from(is_alarming)));
    }
}

/// A training set was sealed.
#[derive(Debug, Clone, Copy)]
pub struct RoundSealed<'a> {
    /// The round.
    pub round: RoundNumber,
    /// The set.
    pub training_set: &'a TrainingSetId,
    /// Examples in it.
    pub examples: u64,
    /// Trajectories newly selected.
    pub selected: u64,
}

impl RoundSealed<'_> {
    /// Logs and counts it.
    pub fn emit(self) {
        let Self { round, training_set, examples, selected } = self;
        tracing::info!(%round, %training_set, examples, selected, "training set sealed");
        gauge!(ROUND_EXAMPLES).set(examples as f64);
        gauge!(ROUND_SELECTED).set(selected as f64);
    }
}

/// A round's candidate was scored. The page shows the round scored last: a label for the round would grow
/// without bound. Emitted again for the last stored one at a start.
#[derive(Debug, Clone, Copy)]
pub struct RoundEvaluated<'a> {
    /// The round.
    pub round: RoundNumber,
    /// What it was scored on.
    pub split: Split,
    /// The scores.
    pub evaluation: &'a Evaluation,
}

impl RoundEvaluated<'_> {
    /// Logs and counts it.
    pub fn emit(self) {
        let Self { round, split, evaluation } = self;
        let hard = evaluation.hard_accuracy.map(|estimate| estimate.value);
        let (accuracy, split) = (evaluation.accuracy.value, split.name());
        tracing::info!(%round, split, accuracy, hard_accuracy = hard, "round evaluated");
        gauge!(EVALUATED_ROUND).set(f64::from(round.0));
        show(split, "all", &evaluation.accuracy);
        for (level, estimate) in &evaluation.by_level {
            show(split, &level.to_string(), estimate);
        }
        if let Some(hard) = hard {
            gauge!(HARD_ACCURACY, "split" => split).set(hard);
        }
        gauge!(TRUNCATED, "split" => split).set(evaluation.truncated);
    }
}

/// A round was promoted or rejected.
#[derive(Debug, Clone, Copy)]
pub struct RoundEnded<'a> {
    /// The round's whole record.
    pub round: &'a Round,
}

impl RoundEnded<'_> {
    /// Logs and counts it.
    pub fn emit(self) {
        let Round { round, phase, decision, .. } = self.round;
        tracing::info!(%round, result = phase.name(), decision = decision.as_deref(), "round ended");
        counter!(ROUNDS_ENDED, "result" => phase.name()).increment(1);
    }
}

/// A policy was put in force.
#[derive(Debug, Clone, Copy)]
pub struct PolicyPublished {
    /// Its version.
    pub version: PolicyVersion,
    /// Where it comes from.
    pub origin: PolicyOrigin,
}

impl PolicyPublished {
    /// Logs and counts it.
    pub fn emit(self) {
        let origin = match self.origin {
            PolicyOrigin::Base => "base",
            PolicyOrigin::Round(_) => "round",
            PolicyOrigin::Operator(_) => "operator",
        };
        tracing::info!(version = self.version.0, origin, "policy published");
        gauge!(POLICY_VERSION).set(self.version.0 as f64);
        counter!(POLICIES_PUBLISHED, "origin" => origin).increment(1);
    }
}

pub(super) fn start_at_zero() {
    for origin in ["base", "round", "operator"] {
        counter!(POLICIES_PUBLISHED, "origin" => origin).increment(0);
    }
    for phase in RoundPhase::ALL.into_iter().filter(|phase| phase.is_over()) {
        counter!(ROUNDS_ENDED, "result" => phase.name()).increment(0);
    }
}

fn show(split: &'static str, level: &str, estimate: &Estimate) {
    let Estimate { value, low, high, .. } = *estimate;
    for (metric, value) in [(ACCURACY, value), (ACCURACY_LOW, low), (ACCURACY_HIGH, high)] {
        gauge!(metric, "split" => split, "level" => level.to_owned()).set(value);
    }
}
