//! The life of one round.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::{
    evaluation::{Evaluation, PolicyScores},
    ids::{AttemptId, PolicyVersion, RoundNumber, TrainingSetId},
    training_set::Recipe,
    verdict::Outcome,
};

/// How far a round has come. Every step is durable before the next begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoundPhase {
    /// Rollouts are gathered until the quota is met. Round 0 (imitation) skips this.
    Exploring,
    /// The training set is sealed and the learner works on it.
    Training,
    /// The candidate is trained and being scored.
    Evaluating,
    /// The candidate was published.
    Promoted,
    /// The candidate was not good enough; the old policy stays.
    Rejected,
}

impl RoundPhase {
    /// Every phase, in the order of a round's life.
    pub const ALL: [Self; 5] =
        [Self::Exploring, Self::Training, Self::Evaluating, Self::Promoted, Self::Rejected];

    /// The name used in JSON, in tables and in logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exploring => "exploring",
            Self::Training => "training",
            Self::Evaluating => "evaluating",
            Self::Promoted => "promoted",
            Self::Rejected => "rejected",
        }
    }

    /// Whether nothing more happens in this round.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Promoted | Self::Rejected)
    }
}

impl fmt::Display for RoundPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the attempts of one policy came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionTally {
    /// The policy that drew the first token.
    pub version: PolicyVersion,
    /// Judged trajectories by outcome.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Right ones that hygiene has nothing against.
    pub eligible: u64,
}

/// What exploration brought in a round, counted when its training set was sealed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundTally {
    /// Judged trajectories of the round by outcome.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// The same by policy: an operator may put another one in force in the middle. Empty in the records of
    /// earlier programs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_version: Vec<VersionTally>,
    /// Trajectories newly selected into the training set.
    pub selected: u64,
    /// What became of the pool's trajectories when the set was chosen, by the decision's name; for pairs, what
    /// kept some from being made. Empty in the records of earlier programs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub decisions: BTreeMap<String, u64>,
    /// Examples of the set that the learner left out because they are longer than it takes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: u64,
    /// The policy whose perplexities the set was chosen by; `None` where each trajectory's own counted, those under
    /// the policy that drew it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranked_under: Option<PolicyVersion>,
    /// Trajectories in the pool, right and wrong.
    pub pool: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// How far the engines' log-probabilities of a round's tokens are from the learner's own, under the same policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogProbabilityGap {
    /// The policy under which both are.
    pub policy: PolicyVersion,
    /// Trajectories compared: a sample of the round's.
    pub trajectories: u32,
    /// Tokens compared.
    pub tokens: u64,
    /// Mean of the distances, in nats a token.
    pub mean_nats: f64,
    /// Mean of the engines' less the learner's: 0 where they differ by rounding alone.
    pub bias_nats: f64,
    /// The trajectory with the largest mean distance, whose provenance names the engine.
    pub furthest: AttemptId,
    /// That distance, in nats a token.
    pub furthest_nats: f64,
}

/// One explore, train, evaluate round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// Its number; 0 is imitation.
    pub round: RoundNumber,
    /// How far it has come.
    pub phase: RoundPhase,
    /// The policy that was current when the round began.
    pub policy_version: PolicyVersion,
    /// Problems to explore that had been imported when it began; in lockstep it attempts no later ones. `None`
    /// in the records of earlier programs, and for imitation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problems: Option<u64>,
    /// The set it trains on, once sealed.
    pub training_set: Option<TrainingSetId>,
    /// What exploration brought.
    pub tally: RoundTally,
    /// How far the engines' log-probabilities are from the learner's; `None` where that was not measured: nothing was
    /// explored, or it was told not to be, or it failed, and in the records of earlier programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<LogProbabilityGap>,
    /// Mean training loss of the last optimizer steps: in nats a token, or over pairs where these were trained on.
    pub training_loss: Option<f64>,
    /// The candidate's scores on the held-out problems that candidates are compared on.
    pub evaluation: Option<Evaluation>,
    /// The candidate's scores on the test problems, which nothing is chosen by; `None` where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Evaluation>,
    /// The base model's scores, in the first round whose candidate was scored; `None` in all others, and in those of
    /// earlier programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<PolicyScores>,
    /// Why the gate promoted or rejected the candidate.
    pub decision: Option<String>,
    /// The version the candidate was published as.
    pub promoted_version: Option<PolicyVersion>,
    /// When the round began, milliseconds since the Unix epoch.
    pub started_at_ms: u64,
    /// When it ended.
    pub ended_at_ms: Option<u64>,
}

impl Round {
    /// Which settings its training obeys.
    pub fn recipe(&self) -> Recipe {
        if self.round == RoundNumber::IMITATION { Recipe::Imitation } else { Recipe::Improvement }
    }

    /// A round that has just begun.
    pub fn begin(round: RoundNumber, policy_version: PolicyVersion, phase: RoundPhase, now_ms: u64) -> Self {
        Self {
            round,
            phase,
            policy_version,
            problems: None,
            training_set: None,
            tally: RoundTally::default(),
            gap: None,
            training_loss: None,
            evaluation: None,
            test: None,
            base: None,
            decision: None,
            promoted_version: None,
            started_at_ms: now_ms,
            ended_at_ms: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_is_called_what_it_is_called_in_json() {
        for phase in RoundPhase::ALL {
            assert_eq!(serde_json::to_value(phase).unwrap(), phase.name());
        }
    }
}
