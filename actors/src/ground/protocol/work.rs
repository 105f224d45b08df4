//! The work that messages carry.

use std::sync::Arc;

use still_curation::Candidate;
use still_domain::{
    Algorithm, AttemptId, CheckpointId, LogProbabilityGap, PolicyName, PolicyRef, PolicyVersion, Problem,
    Recipe, Round, RoundNumber, SamplingSettings, TrainingSetId, Verdict,
};
use still_roles::FinishedRollout;

use crate::ground::credit::Credit;

/// An attempt on its way to the sampler.
#[derive(Debug)]
pub struct Attempt {
    /// Its name.
    pub id: AttemptId,
    /// The problem attempted.
    pub problem: Arc<Problem>,
    /// Seed of the draw.
    pub seed: u64,
    /// Given back when the attempt is durable or lost.
    pub credit: Credit,
}

/// What a rollout is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It goes into the pool.
    Exploration,
    /// It scores this policy.
    Evaluation(PolicyName),
}

/// A finished rollout on its way to a verdict.
#[derive(Debug)]
pub struct Unjudged {
    /// The rollout.
    pub rollout: FinishedRollout,
    /// The problem attempted.
    pub problem: Arc<Problem>,
    /// What it is for.
    pub purpose: Purpose,
    /// Given back when the judgement has been taken in.
    pub credit: Credit,
}

/// An attempt that nobody can answer, on its way to a verdict that says so.
#[derive(Debug)]
pub struct Unanswered {
    /// Its name.
    pub id: AttemptId,
    /// The problem attempted.
    pub problem: Arc<Problem>,
    /// How tokens would have been drawn.
    pub sampling: SamplingSettings,
    /// Seed of the draw.
    pub seed: u64,
    /// The policy that was asked.
    pub policy: PolicyName,
    /// Why there is no answer.
    pub reason: String,
    /// Given back when the verdict is durable.
    pub credit: Credit,
}

/// A judged rollout on its way to the store or into a score.
#[derive(Debug)]
pub struct Judged {
    /// The rollout.
    pub rollout: FinishedRollout,
    /// The problem attempted.
    pub problem: Arc<Problem>,
    /// What it is for.
    pub purpose: Purpose,
    /// The finding.
    pub verdict: Verdict,
    /// Given back when the rollout is durable or counted.
    pub credit: Credit,
}

/// A group of rollouts that is durable.
#[derive(Debug)]
pub struct CommittedGroup {
    /// What is to be known of them.
    pub facts: Vec<Candidate>,
    /// Given back once the conductor knows.
    pub credits: Vec<Credit>,
}

/// A round whose exploration is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExploredRound {
    /// The round.
    pub round: RoundNumber,
    /// The policy that explored.
    pub policy_version: PolicyVersion,
    /// Problems it could attempt, the first in the order of import; `None` is all.
    pub problems: Option<u64>,
    /// Attempts judged for it.
    pub judged: u64,
}

/// Who explores what for a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplorationOrder {
    /// The round.
    pub round: RoundNumber,
    /// The policy in force as the round began.
    pub policy_version: PolicyVersion,
    /// Problems that a lockstep plan is made of, the first in the order of import; `None` is all.
    pub problems: Option<u64>,
    /// The rounds before it, in order; a lockstep plan is derived from them.
    pub explored: Vec<ExploredRound>,
    /// Attempts by the policy in force or a later one that rounds before it counted.
    pub counted: u64,
    /// Those of them that the verifier failed to judge: they fill no quota.
    pub counted_errors: u64,
    /// Attempts wanted, in whole visits; 0 has no end.
    pub quota: u64,
}

/// What was wanted of a round was given out, nothing more is, and all of it is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// The round.
    pub round: RoundNumber,
    /// The attempts that were wanted of it.
    pub quota: u64,
}

/// Nothing is under way in a round and no problem may be attempted, as far as the problem supply knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dryness {
    /// The round.
    pub round: RoundNumber,
    /// The newest policy it knows of.
    pub newest: PolicyVersion,
    /// Problems it knows of.
    pub problems: u64,
}

/// How a pass of scoring ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rescored {
    /// Everything that can be scored at present is.
    Done {
        /// Trajectories that can never be scored.
        refused: u64,
        /// Those that came to nothing this time.
        lost: Option<Lost>,
    },
    /// The policy cannot be had, or the device failed.
    Failed(String),
    /// Nobody waits for it any more.
    Withdrawn,
}

/// What a pass of scoring has lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// So many trajectories; another pass may score them.
    pub trajectories: u64,
    /// What stood in the way of the last of them.
    pub last: String,
}

/// What comparing a round's engines with the learner came to.
#[derive(Debug, Clone, PartialEq)]
pub enum GapMeasured {
    /// So far apart; `None` where nothing can be compared.
    Done(Option<LogProbabilityGap>),
    /// It could not be measured.
    Failed(String),
    /// Nobody waits for it any more.
    Withdrawn,
}

/// Which policy to train on what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainingOrder {
    /// The round.
    pub round: RoundNumber,
    /// The sealed set.
    pub training_set: TrainingSetId,
    /// Which settings are obeyed.
    pub recipe: Recipe,
    /// What is minimised.
    pub objective: Algorithm,
    /// The policy to start from; `None` is the configured base model.
    pub start_from: Option<PolicyVersion>,
}

/// A policy that training brought.
#[derive(Debug, Clone)]
pub struct TrainedPolicy {
    /// The round.
    pub round: RoundNumber,
    /// The final checkpoint, durable.
    pub checkpoint: CheckpointId,
    /// Mean loss of the last steps; `None` when the process that took them is gone.
    pub loss: Option<f64>,
}

/// A policy to score.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvaluationOrder {
    /// The round that asks for it.
    pub round: RoundNumber,
    /// The round's candidate, or the base model.
    pub policy: PolicyRef,
}

/// A policy to put in force.
#[derive(Debug)]
pub struct Promotion {
    /// The round that earned it, as it will stand in the store; `None` for the base model.
    pub round: Option<Box<Round>>,
    /// The checkpoint that holds it; `None` for the base model.
    pub checkpoint: Option<CheckpointId>,
}
