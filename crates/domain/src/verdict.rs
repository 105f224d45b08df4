//! What is known of a rollout once it has been judged.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    ids::{AttemptId, PolicyVersion, ProblemId},
    trajectory::Trajectory,
};

/// The verifier's finding. `Error` is never counted as wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The answer equals the gold answer, proven.
    Correct,
    /// An answer was read, and it is another one.
    Wrong,
    /// The response holds no answer where one must stand.
    NoAnswer,
    /// An answer stands there but cannot be read, or the response breaks the format.
    Malformed,
    /// The judgement ran out of its budget.
    Timeout,
    /// The verifier failed; says nothing about the answer.
    Error,
}

impl Outcome {
    /// Every outcome, in the order of their definition.
    pub const ALL: [Self; 6] =
        [Self::Correct, Self::Wrong, Self::NoAnswer, Self::Malformed, Self::Timeout, Self::Error];

    /// The name used in JSON and as a metric label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Correct => "correct",
            Self::Wrong => "wrong",
            Self::NoAnswer => "no_answer",
            Self::Malformed => "malformed",
            Self::Timeout => "timeout",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An outcome with what led to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The finding.
    pub outcome: Outcome,
    /// The answer that was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extracted: Option<String>,
    /// The rule that found it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The verifier and its version.
    pub verifier: String,
}

/// Lengths and perplexities, under the policy that drew the tokens: those of the trajectory's `versions`.
///
/// A perplexity is `exp` of the mean negative log-probability over the span's tokens, under the policy's unmodified
/// distribution; the temperature that the tokens were drawn at (the trajectory's `sampling`) decides which texts occur.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Measures {
    /// Tokens of the thought, tags left out; zero when the format is broken.
    pub thought_tokens: u32,
    /// Tokens of the solution, tags left out; zero when the format is broken.
    pub solution_tokens: u32,
    /// Perplexity of the whole response; no number where nothing is known of it, which JSON calls `null`.
    #[serde(deserialize_with = "number_or_unknown")]
    pub perplexity: f32,
    /// Perplexity of the thought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thought_perplexity: Option<f32>,
    /// Perplexity of the solution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub solution_perplexity: Option<f32>,
}

/// Reads a number that may be unknown: JSON has no word for what is no number but `null`.
///
/// # Errors
/// When it is neither a number nor `null`.
pub fn number_or_unknown<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f32, D::Error> {
    Option::deserialize(deserializer).map(|number| number.unwrap_or(f32::NAN))
}

/// The perplexities of a trajectory under a policy that need not have drawn it, of its unmodified distribution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The trajectory.
    pub id: AttemptId,
    /// The policy that they were measured under.
    pub policy: PolicyVersion,
    /// Perplexity of the whole response.
    pub perplexity: f32,
    /// Perplexity of the thought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thought_perplexity: Option<f32>,
    /// Perplexity of the solution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub solution_perplexity: Option<f32>,
}

impl Score {
    /// What was measured of a trajectory under a policy.
    pub const fn of(id: AttemptId, policy: PolicyVersion, measures: &Measures) -> Self {
        let Measures { perplexity, thought_perplexity, solution_perplexity, .. } = *measures;
        Self { id, policy, perplexity, thought_perplexity, solution_perplexity }
    }
}

/// Why hygiene keeps a rollout out of every training set. It stays in the pool all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// The tags are missing, doubled or out of order, or a part is empty.
    BrokenFormat,
    /// Generation ended at the token limit.
    Truncated,
    /// Shorter than the shortest allowed thought.
    TooShort,
    /// Longer than the longest allowed response.
    TooLong,
    /// The same n-gram over and over.
    Repetitive,
    /// Scripts or languages mixed or characters broken beyond the allowed share.
    Gibberish,
    /// Several different answers stand in boxes.
    SeveralAnswers,
    /// An operator put it out, for the reason kept with it.
    Evicted,
}

impl Rejection {
    /// The name used in JSON and as a metric label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BrokenFormat => "broken_format",
            Self::Truncated => "truncated",
            Self::TooShort => "too_short",
            Self::TooLong => "too_long",
            Self::Repetitive => "repetitive",
            Self::Gibberish => "gibberish",
            Self::SeveralAnswers => "several_answers",
            Self::Evicted => "evicted",
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A rollout as the pool keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JudgedTrajectory {
    /// The rollout.
    pub trajectory: Trajectory,
    /// The verifier's finding.
    pub verdict: Verdict,
    /// Lengths and perplexities.
    pub measures: Measures,
    /// Why it may not be trained on; `None` when hygiene has nothing against it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejection: Option<Rejection>,
    /// Why an operator put it out; `None` when none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eviction: Option<String>,
}

impl JudgedTrajectory {
    /// The attempt that this rollout is.
    pub fn id(&self) -> &AttemptId {
        &self.trajectory.id
    }

    /// The problem attempted.
    pub fn problem(&self) -> &ProblemId {
        &self.trajectory.id.problem
    }

    /// Whether the answer is right.
    pub fn is_correct(&self) -> bool {
        self.verdict.outcome == Outcome::Correct
    }
}
