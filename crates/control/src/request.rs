//! What the daemon is asked, and its short answers.

use std::collections::BTreeMap;

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
    /// What to do with a problem that is known with another gold answer; has no meaning for demonstrations.
    #[serde(default)]
    pub on_conflict: OnConflict,
}

/// Problems that the curriculum gave up, to be attempted further.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReviveRequest {
    /// These; none stands for all that are parked or exhausted.
    #[serde(default)]
    pub problems: Vec<ProblemId>,
    /// Further attempts at each; at least 1.
    pub attempts: u32,
}

/// What to do with a problem that is known with another gold answer or kind of answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnConflict {
    /// Take nothing of the import.
    #[default]
    Abort,
    /// The known one stays.
    Keep,
    /// The known one gets the new gold answer and kind; what was judged by the old one stays judged so.
    Replace,
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
    /// Known problems that got another gold answer or kind.
    #[serde(default)]
    pub replaced: u64,
    /// Known problems that kept theirs.
    #[serde(default)]
    pub kept: u64,
    /// Problems that were read, by kind of answer.
    #[serde(default)]
    pub kinds: BTreeMap<String, u64>,
    /// Lines left out because they say of themselves that they have no answer; the list is cut at a hundred.
    #[serde(default)]
    pub left_out: Vec<LineProblem>,
    /// How many those are.
    #[serde(default)]
    pub left_out_count: u64,
    /// What was read otherwise than it stands there.
    #[serde(default)]
    pub remarks: Vec<ImportRemark>,
    /// Problems to explore that were left out because they are imitated.
    #[serde(default)]
    pub imitated: u64,
    /// Demonstrations that were left out because cleaning found a fault with them; the list is cut at a hundred.
    #[serde(default)]
    pub cleaned: Vec<LeftOut>,
    /// How many demonstrations these were.
    #[serde(default)]
    pub cleaned_count: u64,
    /// How many of them have each fault, by its name; one may have several.
    #[serde(default)]
    pub faults: BTreeMap<String, u64>,
    /// Lines left out, in order; the list is cut at a hundred.
    pub broken: Vec<LineProblem>,
    /// How many lines were left out.
    pub broken_count: u64,
}

/// Something that was read otherwise than it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportRemark {
    /// What, in a sentence.
    pub message: String,
    /// On how many lines.
    pub count: u64,
    /// The first of them, from 1.
    pub first_line: u64,
}

/// A record that was left out of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Its name.
    pub id: String,
    /// What is wrong with it, all of it.
    pub reasons: Vec<String>,
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

impl std::fmt::Display for ImportRemark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { message, count, first_line } = self;
        match count {
            1 => write!(f, "line {first_line}: {message}"),
            _ => write!(f, "{count} lines, the first {first_line}: {message}"),
        }
    }
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

/// A problem whose gold answer most of its answers speak against.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SuspectLine {
    /// Its name.
    pub problem: ProblemId,
    /// The statement.
    pub text: String,
    /// The gold answer.
    pub gold: String,
    /// The wrong answer that most agree on.
    pub answer: String,
    /// Answers that agree on it.
    pub agreeing: u32,
    /// All wrong answers.
    pub wrong: u32,
    /// Right answers.
    pub correct: u32,
    /// Share of all answers that agree on the wrong one.
    pub share: f64,
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

/// A server to take in while rounds go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddServerRequest {
    /// Its address.
    pub address: String,
    /// The kind of engine, whose section's settings hold; `None` takes the first section's.
    #[serde(default)]
    pub kind: Option<String>,
}

/// A server to take out while rounds go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveServerRequest {
    /// Its address.
    pub address: String,
    /// What it holds is drawn elsewhere; else it ends that first.
    #[serde(default)]
    pub at_once: bool,
}
