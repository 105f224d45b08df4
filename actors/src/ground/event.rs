//! What happens in the program, as it happens, for whoever watches.

use serde::{Deserialize, Serialize};
use still_domain::{PolicyOrigin, PolicyVersion, Round, RoundNumber, RoundPhase, TrainingSetId};

use crate::ground::{finish::FinishReason, name::ActorName};

/// Something that happened. Watchers that lag lose the oldest events, never the program's progress.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A round entered a phase.
    PhaseEntered {
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
        /// Judgements that the round waits for; 0 when there is no quota.
        quota: u64,
        /// Of the judged, correct.
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
    /// An optimizer step was taken.
    Trained {
        /// The round.
        round: RoundNumber,
        /// Optimizer steps taken.
        step: u64,
        /// Optimizer steps of the job.
        total_steps: u64,
        /// Loss of the step.
        loss: f64,
        /// Learning rate of the step.
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
        /// Where it comes from.
        origin: PolicyOrigin,
    },
    /// A round was promoted or rejected.
    RoundEnded {
        /// The round's whole record.
        round: Box<Round>,
        /// Tokens drawn a second over the round.
        rollout_tokens_per_second: f64,
        /// Tokens trained on a second over the round's training.
        training_tokens_per_second: f64,
    },
    /// An actor failed and is started again, with those that started after it.
    Restarted {
        /// The actor.
        actor: ActorName,
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
        /// What, in a sentence.
        message: String,
    },
    /// Work in flight is finished, then the program ends.
    Draining,
    /// The program has ended.
    Finished {
        /// Why.
        reason: FinishReason,
    },
}
