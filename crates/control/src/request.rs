//! What the daemon is asked, and its short answers.

use serde::{Deserialize, Serialize};
use still_domain::{AttemptId, JudgedTrajectory, Outcome, PolicyVersion, ProblemId, Split};

/// What can be paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// Rollouts.
    Explore,
    /// Optimizer steps.
    Train,
}

/// Which activity to pause or resume.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActivityRequest {
    /// The activity; `None` means both.
    #[serde(default)]
    pub activity: Option<Activity>,
}

/// It was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// What was done, in a sentence for people.
    pub message: String,
}

impl Done {
    /// It was done.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

/// What to do at a broken line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// Take nothing of the file.
    #[default]
    Abort,
    /// Keep the good lines.
    Skip,
}

/// How a file is imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportQuery {
    /// Name of the file, kept as the records' source.
    pub source: String,
    /// What to do at a broken line.
    #[serde(default)]
    pub on_error: OnError,
    /// What problems are for; has no meaning for demonstrations.
    #[serde(default)]
    pub split: Split,
}

/// What an import brought.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// New records, durable now.
    pub imported: u64,
    /// Records that were there already.
    pub known: u64,
    /// Problems to explore and demonstrations that were left out because they repeat a held-out problem.
    #[serde(default)]
    pub contaminated: u64,
    /// Lines left out, in order; the list is cut at a hundred.
    pub broken: Vec<LineProblem>,
    /// How many lines were left out.
    pub broken_count: u64,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineProblem {
    /// The line, from 1.
    pub line: u64,
    /// The field; `None` when the line as a whole is broken.
    pub field: Option<String>,
    /// What is wrong.
    pub reason: String,
    /// What to do about it.
    pub remedy: String,
}

impl std::fmt::Display for LineProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(field) = &self.field {
            write!(f, ", field `{field}`")?;
        }
        write!(f, ": {}; {}", self.reason, self.remedy)
    }
}

/// Which problems to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProblemQuery {
    /// Only problems of this level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<u8>,
    /// Only problems for this use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    /// At most this many; `None` lists all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// Problems with what has come of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemList {
    /// Problems that the query names, before its limit.
    pub total: u64,
    /// The problems.
    pub problems: Vec<ProblemLine>,
}

/// A problem with what has come of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemLine {
    /// Its name.
    pub id: ProblemId,
    /// Its level.
    pub level: Option<u8>,
    /// What it is for.
    pub split: Split,
    /// The statement.
    pub text: String,
    /// The gold answer.
    pub gold: String,
    /// Attempts judged.
    pub attempts: u64,
    /// Of these, correct.
    pub correct: u64,
}

/// Which trajectories to list or export.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolQuery {
    /// Only those with this verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Outcome>,
    /// Only those of this problem.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<ProblemId>,
    /// Only those that this policy began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_version: Option<PolicyVersion>,
    /// At most this many; `None` lists all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

impl PoolQuery {
    /// Whether a trajectory is asked for; the limit is counted elsewhere.
    pub fn is_met_by(&self, judged: &JudgedTrajectory) -> bool {
        self.verdict.is_none_or(|verdict| judged.verdict.outcome == verdict)
            && self.problem.as_ref().is_none_or(|problem| judged.problem() == problem)
            && self.policy_version.is_none_or(|version| judged.trajectory.policy_version() == version)
    }
}

/// Which trajectory to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolShowQuery {
    /// The attempt, `problem#number`.
    pub id: AttemptId,
}

/// Which published policy to put in force again, under a new version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromoteRequest {
    /// The version to copy.
    pub version: PolicyVersion,
}

/// Which actor to kill, to see that it comes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KillRequest {
    /// The actor.
    pub actor: String,
}
