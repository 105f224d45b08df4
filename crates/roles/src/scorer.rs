//! What ranks and compares texts: their log-probabilities under policies by name.
//!
//! Many are scored in one [pass](ScoringPass): whoever wants them scored hands them out as they are asked for, and takes
//! what became of each in any order. So a scorer of this process takes one after the other, and a fleet of servers has as
//! many under way as it can hold.

use std::{ops::ControlFlow, sync::Arc};

use still_domain::{Measures, PolicyRef, Problem, Trajectory};
use thiserror::Error;

use crate::Withdrawal;

/// A sequence to score.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoreRequest {
    /// Its tokens, at least two.
    pub tokens: Vec<u32>,
    /// The first token whose log-probability is wanted, from 1: what comes before is context.
    pub from: usize,
}

/// A trajectory to score, after the prompt that its problem makes.
#[derive(Debug, Clone, PartialEq)]
pub struct TrajectoryRequest {
    /// The problem.
    pub problem: Problem,
    /// The trajectory.
    pub trajectory: Trajectory,
}

/// Why one of a pass has no score. Others of it may have theirs.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unscored {
    /// It can never be scored.
    #[error("{0}")]
    Refused(String),
    /// It came to nothing too often, and may come to something in another pass.
    #[error("{0}")]
    Lost(String),
}

/// What is to be scored and where the scores go, for one pass: a scorer asks for the next as it has room, and says of each
/// that it was given what became of it, once.
pub trait ScoringPass<Asked, Found> {
    /// The next to be scored, under a number of its own; `None` when there is no other.
    fn next(&mut self) -> Option<(u64, Asked)>;

    /// Takes in what became of one. A pass that breaks wants nothing more: what is under way is given up.
    fn scored(&mut self, number: u64, found: Result<Found, Unscored>) -> ControlFlow<()>;
}

/// Scores sequences under policies by name. Blocks until the pass is over: whoever may not wait gives it a thread.
pub trait Scorer: Send {
    /// The log-probability of every token from `from` on under the policy's unmodified distribution, in nats, given all
    /// tokens before it, for each sequence of a pass. One that is withdrawn ends soon, without an error and with nothing of
    /// it under way.
    ///
    /// # Errors
    /// When nothing can be scored at present: the policy cannot be had, or the device failed. What was told before stands.
    fn score(
        &mut self,
        policy: &PolicyRef,
        pass: &mut dyn ScoringPass<ScoreRequest, Vec<f32>>,
        withdrawal: &Withdrawal,
    ) -> Result<(), String>;
}

/// Measures trajectories under policies that need not have drawn them. Blocks as a [`Scorer`] does.
pub trait TrajectoryScorer: Send {
    /// Lengths and perplexities of the response of each trajectory of a pass under the policy's unmodified distribution,
    /// given the prompt that its problem makes. One that is withdrawn ends as a [`Scorer`]'s does.
    ///
    /// # Errors
    /// As [`Scorer::score`].
    fn score(
        &mut self,
        policy: &PolicyRef,
        pass: &mut dyn ScoringPass<TrajectoryRequest, Measures>,
        withdrawal: &Withdrawal,
    ) -> Result<(), String>;
}

/// Why the learner has no log-probabilities of a trajectory.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ScoreError {
    /// This one can never be scored; others can.
    #[error("{0}")]
    Refused(String),
    /// The policy cannot be had, or the device failed.
    #[error("{0}")]
    Failed(String),
}

/// What the learner thinks of trajectories, by its own arithmetic: what engines are compared with, wherever they draw and
/// score. Blocks while it computes.
pub trait LearnerScorer: Send {
    /// The log-probability of every token of a trajectory's response, in nats.
    ///
    /// # Errors
    /// When the trajectory cannot be scored, or none can be at present.
    fn log_probabilities(
        &mut self,
        policy: &PolicyRef,
        asked: &TrajectoryRequest,
    ) -> Result<Vec<f32>, ScoreError>;
}

/// Opens something for one pass: it holds the memory of its device only as long as it lives.
type Open<R> = Arc<dyn Fn() -> Result<Box<R>, String> + Send + Sync>;

/// Opens a scorer of trajectories for one pass.
pub type OpenScorer = Open<dyn TrajectoryScorer>;

/// Opens the learner's arithmetic for one comparison.
pub type OpenLearnerScorer = Open<dyn LearnerScorer>;
