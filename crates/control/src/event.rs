//! What happens in the daemon, as it happens: the stream behind `watch` and the progress bars. The actors speak it
//! themselves; nothing translates.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use still_domain::{Estimate, PolicyVersion, Round, RoundNumber, RoundPhase, TrainingSetId};

use crate::status::Wait;

/// Something that happened. Watchers that lag lose the oldest events, never the program's progress.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "an event is made once, told and gone")]
pub enum Event {
    /// A round entered a phase.
    Phase {
        /// The round.
        round: RoundNumber,
        /// The phase entered.
        phase: RoundPhase,
    },
    /// Exploration came further.
    Explored {
        /// The round.
        round: RoundNumber,
        /// Judged in this round by its policy.
        judged: u64,
        /// Judgements that the round waits for; 0 when it has no quota.
        quota: u64,
        /// Of these, correct.
        correct: u64,
        /// Trajectories in the pool, right and wrong.
        pool: u64,
        /// Tokens drawn a second, over the last seconds.
        tokens_per_second: f64,
    },
    /// A training set was sealed.
    Sealed {
        /// The round.
        round: RoundNumber,
        /// The set.
        training_set: TrainingSetId,
        /// Examples in it.
        examples: u64,
        /// Trajectories newly selected.
        selected: u64,
    },
    /// Training came further.
    Trained {
        /// The round.
        round: RoundNumber,
        /// Optimizer steps taken.
        step: u64,
        /// Optimizer steps of the job.
        total_steps: u64,
        /// Loss of the last step.
        loss: f64,
        /// Learning rate of the last step.
        learning_rate: f64,
        /// Tokens trained on a second, over the last seconds.
        tokens_per_second: f64,
    },
    /// A checkpoint was committed.
    Checkpointed {
        /// The round.
        round: RoundNumber,
        /// Optimizer steps taken.
        step: u64,
    },
    /// Evaluation came further.
    Evaluated {
        /// The round.
        round: RoundNumber,
        /// Answers judged.
        judged: u64,
        /// Answers to judge.
        total: u64,
    },
    /// A policy was put in force.
    Published {
        /// Its version.
        version: PolicyVersion,
    },
    /// A round was promoted or rejected.
    RoundEnded(RoundReport),
    /// An actor failed and is started again.
    Restarted {
        /// The actor.
        actor: String,
        /// How often it was restarted.
        restarts: u64,
        /// Why it failed.
        reason: String,
    },
    /// A device or server failed, or hung and was given up; the others go on, and it is opened again.
    DeviceFailed {
        /// The device.
        device: String,
        /// How often it was opened again.
        restarts: u64,
        /// Why it failed.
        reason: String,
        /// Milliseconds until it is opened again.
        retry_ms: u64,
    },
    /// Something an operator should know of.
    Warning {
        /// What.
        message: String,
    },
    /// Nothing else has been told for a while, or a drain has begun: what is waited for.
    AtWork {
        /// Who waits for whom.
        waits: Vec<Wait>,
    },
    /// The daemon finishes its work in flight and will end.
    Draining,
    /// The daemon has ended.
    Finished {
        /// Why, in a sentence.
        reason: String,
    },
}

impl Event {
    /// The sentence of [`Event::AtWork`].
    pub fn at_work(waits: &[Wait]) -> String {
        let waits: Vec<_> = waits.iter().map(Wait::to_string).collect();
        format!("at work: {}", waits.join("; "))
    }
}

/// What a round brought, in the figures of its table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoundReport {
    /// The round.
    pub round: RoundNumber,
    /// Whether its candidate was promoted or rejected.
    pub phase: RoundPhase,
    /// Why.
    pub decision: Option<String>,
    /// Over the held-out problems that candidates are compared on.
    pub accuracy: Option<Estimate>,
    /// Over the hard levels.
    pub hard_accuracy: Option<Estimate>,
    /// Over the test problems, which nothing is chosen by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_accuracy: Option<Estimate>,
    /// The base model's over the held-out problems, in the round that scored it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_accuracy: Option<Estimate>,
    /// By level.
    #[serde(deserialize_with = "crate::levels::deserialize")]
    pub by_level: BTreeMap<u8, Estimate>,
    /// Trajectories in the pool, right and wrong.
    pub pool: u64,
    /// Newly selected into the training set.
    pub selected: u64,
    /// Judged in this round.
    pub judged: u64,
    /// Mean training loss of the last steps: in nats a token, or over pairs where these were trained on.
    pub loss: Option<f64>,
    /// How far the engines' log-probabilities were from the learner's, in nats a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap_nats: Option<f64>,
    /// Tokens drawn a second over the round; zero when not known.
    pub rollout_tokens_per_second: f64,
    /// Tokens trained on a second over the round; zero when not known.
    pub training_tokens_per_second: f64,
    /// From the round's beginning to its end, in seconds.
    pub seconds: f64,
}

impl RoundReport {
    /// Why, without the word that tells the phase: for lines that name it already.
    pub fn reason(&self) -> Option<&str> {
        let decision = self.decision.as_deref()?;
        let bare = decision.strip_prefix(self.phase.name()).and_then(|rest| rest.strip_prefix(": "));
        Some(bare.unwrap_or(decision))
    }

    /// The figures of a round; token rates are not kept in it and stay zero.
    pub fn of(round: &Round) -> Self {
        let evaluation = round.evaluation.as_ref();
        let ended_at_ms = round.ended_at_ms.unwrap_or(round.started_at_ms);
        Self {
            round: round.round,
            phase: round.phase,
            decision: round.decision.clone(),
            accuracy: evaluation.map(|evaluation| evaluation.accuracy),
            hard_accuracy: evaluation.and_then(|evaluation| evaluation.hard_accuracy),
            test_accuracy: round.test.as_ref().map(|test| test.accuracy),
            base_accuracy: round.base.as_ref().map(|base| base.dev.accuracy),
            by_level: evaluation.map(|evaluation| evaluation.by_level.clone()).unwrap_or_default(),
            pool: round.tally.pool,
            selected: round.tally.selected,
            judged: round.tally.outcomes.values().sum(),
            loss: round.training_loss,
            gap_nats: round.gap.as_ref().map(|gap| gap.mean_nats),
            rollout_tokens_per_second: 0.0,
            training_tokens_per_second: 0.0,
            seconds: ended_at_ms.saturating_sub(round.started_at_ms) as f64 / 1000.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_flat_object_with_its_name() {
        let event = Event::Trained {
            round: RoundNumber(2),
            step: 5,
            total_steps: 500,
            loss: 0.5,
            learning_rate: 3e-3,
            tokens_per_second: 25_000.0,
        };
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!((json["event"].as_str(), json["step"].as_u64()), (Some("trained"), Some(5)));
        assert_eq!(serde_json::from_value::<Event>(json).unwrap(), event);
        assert_eq!(serde_json::to_string(&Event::Draining).unwrap(), r#"{"event":"draining"}"#);
    }

    #[test]
    fn a_report_counts_every_outcome_and_the_seconds() {
        let mut round = Round::begin(RoundNumber(1), PolicyVersion(1), RoundPhase::Exploring, 1_000);
        round.tally.outcomes.insert(still_domain::Outcome::Correct, 3);
        round.tally.outcomes.insert(still_domain::Outcome::Wrong, 4);
        round.ended_at_ms = Some(3_500);
        round.phase = RoundPhase::Promoted;
        for (decision, reason) in [("promoted: it is first", "it is first"), ("as asked for", "as asked for")]
        {
            round.decision = Some(decision.to_owned());
            assert_eq!(RoundReport::of(&round).reason(), Some(reason));
        }
        let mut report = RoundReport::of(&round);
        assert_eq!((report.judged, report.seconds), (7, 2.5));
        let estimate = Estimate { value: 0.5, low: 0.4, high: 0.6, correct: 1, total: 2 };
        report.by_level = BTreeMap::from([(3, estimate), (12, estimate)]);
        let json = serde_json::to_string(&Event::RoundEnded(report.clone())).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), Event::RoundEnded(report));
    }
}
