//! What ranks and compares texts: their log-probabilities under policies by name.

use std::sync::Arc;

use still_domain::{Measures, PolicyRef, Problem, Trajectory};
use thiserror::Error;

/// A sequence to score.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoreRequest {
    /// Its tokens, at least two.
    pub tokens: Vec<u32>,
    /// The first token whose log-probability is wanted, from 1: what comes before is context.
    pub from: usize,
}

/// Why a sequence has no score.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ScoreError {
    /// This sequence can never be scored; others can.
    #[error("{0}")]
    Refused(String),
    /// The policy cannot be had, or the device failed.
    #[error("{0}")]
    Failed(String),
}

/// Scores sequences under policies by name, one after another. Blocks while it computes: whoever may not wait gives
/// it a thread.
pub trait Scorer: Send {
    /// The log-probability of every token from `request.from` on under the policy's unmodified distribution, in
    /// nats, given all tokens before it.
    ///
    /// # Errors
    /// When the sequence cannot be scored, or no sequence can be at present.
    fn score(&mut self, policy: &PolicyRef, request: &ScoreRequest) -> Result<Vec<f32>, ScoreError>;
}

/// Measures trajectories under policies that need not have drawn them. Blocks while it computes.
pub trait TrajectoryScorer: Send {
    /// Lengths and perplexities of a trajectory's response under the policy's unmodified distribution, given the prompt
    /// that the problem makes.
    ///
    /// # Errors
    /// When the trajectory cannot be scored, or none can be at present.
    fn score(
        &mut self,
        policy: &PolicyRef,
        problem: &Problem,
        trajectory: &Trajectory,
    ) -> Result<Measures, ScoreError>;

    /// The log-probability of every token of a trajectory's response, in nats, as the learner computes it.
    ///
    /// # Errors
    /// As [`score`](Self::score).
    fn log_probabilities(
        &mut self,
        policy: &PolicyRef,
        problem: &Problem,
        trajectory: &Trajectory,
    ) -> Result<Vec<f32>, ScoreError>;
}

/// Opens a scorer for one pass: it holds the memory of its device only as long as it lives.
pub type OpenScorer = Arc<dyn Fn() -> Result<Box<dyn TrajectoryScorer>, String> + Send + Sync>;
