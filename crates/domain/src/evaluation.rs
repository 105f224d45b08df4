//! How good a policy is on held-out problems.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    ids::{AttemptId, ProblemId},
    policy::PolicyName,
    trajectory::FinishReason,
    verdict::Verdict,
};

/// A share with its confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The share, 0 to 1.
    pub value: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end of the 95 % interval.
    pub high: f64,
    /// Samples that were right.
    pub correct: u32,
    /// Samples taken.
    pub total: u32,
}

/// How often one held-out problem was solved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemScore {
    /// The problem.
    pub problem: ProblemId,
    /// Its level, when it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<u8>,
    /// Right answers.
    pub correct: u32,
    /// Samples taken.
    pub total: u32,
}

/// An answer that a policy was scored by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoredAnswer {
    /// The policy that gave it.
    pub policy: PolicyName,
    /// The problem, and which sample of it, from 0.
    pub id: AttemptId,
    /// The verifier's finding.
    pub verdict: Verdict,
    /// Length of the response in tokens.
    pub tokens: u32,
    /// Why generation ended.
    pub finish: FinishReason,
    /// The response; empty where texts are not kept, and where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// A policy's scores on everything that is held out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyScores {
    /// On the problems that candidates are compared on.
    pub dev: Evaluation,
    /// On those that nothing is chosen by; `None` where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Evaluation>,
}

/// A policy's scores on the held-out problems of a split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Over all held-out problems.
    pub accuracy: Estimate,
    /// Over the problems of the configured hard levels; `None` when there are none.
    pub hard_accuracy: Option<Estimate>,
    /// By level.
    pub by_level: BTreeMap<u8, Estimate>,
    /// Share of responses that hit the token limit.
    pub truncated: f64,
    /// By problem, in problem order: what a paired comparison needs.
    pub scores: Vec<ProblemScore>,
}
