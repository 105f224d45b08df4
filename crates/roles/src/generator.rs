//! What the sampler and the evaluator drive: a policy that works on many rollouts at once.

use still_domain::{AttemptId, Measures, SamplingSettings, Trajectory};
use thiserror::Error;

use crate::PolicySnapshot;

/// One rollout that is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollout {
    /// The attempt it answers; the rollouts of one problem share their prompt's prefill.
    pub id: AttemptId,
    /// The problem statement, before any prompt template.
    pub problem: String,
    /// How tokens are drawn.
    pub sampling: SamplingSettings,
    /// Seed of the draw.
    pub seed: u64,
}

/// A rollout that has ended, with what only its generator can measure.
#[derive(Debug, Clone, PartialEq)]
pub struct FinishedRollout {
    /// The rollout.
    pub trajectory: Trajectory,
    /// Lengths and perplexities by span.
    pub measures: Measures,
    /// Whether the response keeps the thought and solution format.
    pub is_well_formed: bool,
}

/// What one step brought.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GeneratorStep {
    /// Rollouts that ended in this step.
    pub finished: Vec<FinishedRollout>,
    /// Tokens drawn in this step.
    pub tokens: u64,
    /// Rollouts that hold a cache slot.
    pub active: usize,
    /// Rollouts that wait for one.
    pub waiting: usize,
    /// Whether the device had no room for anything: step again after a pause.
    pub is_stalled: bool,
}

/// Why a generator could not go on.
#[derive(Debug, Error)]
pub enum GeneratorError {
    /// This rollout can never be served; the others go on.
    #[error("rollout {id} is refused: {reason}")]
    Refused {
        /// The attempt refused.
        id: AttemptId,
        /// Why, and what to change.
        reason: String,
    },
    /// No policy has been published to it yet.
    #[error("no policy has been published to the generator")]
    NoPolicy,
    /// The device failed; a fresh generator may do better.
    #[error("the generator's device failed: {0}")]
    Device(String),
}

/// A policy that works on many rollouts at once.
pub trait Generator: Send {
    /// Puts a newer policy in force from the next step on; running rollouts go on under it.
    fn publish(&mut self, policy: PolicySnapshot) -> Result<(), GeneratorError>;

    /// Takes a rollout in; it may wait for a cache slot.
    fn submit(&mut self, rollout: Rollout) -> Result<(), GeneratorError>;

    /// Draws the next token of every active rollout.
    fn step(&mut self) -> Result<GeneratorStep, GeneratorError>;

    /// How many rollouts it can usefully hold at once, active and waiting.
    fn capacity(&self) -> usize;

    /// Whether nothing is active or waiting.
    fn is_idle(&self) -> bool;
}
