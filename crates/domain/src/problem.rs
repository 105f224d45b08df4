//! What the model works on: problems with gold answers, and demonstrations of long thoughts.

use serde::{Deserialize, Serialize};

use crate::ids::{DemonstrationId, ProblemId};

/// How the gold answer of a problem is compared with a model's answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerKind {
    /// Mathematical equivalence.
    #[default]
    Math,
    /// An integer, leading zeros forgiven.
    Integer,
    /// One or several options of a multiple-choice question.
    MultipleChoice,
    /// The same text after trimming.
    Exact,
    /// A regular expression that must match the whole answer.
    Regex,
    /// A program that passes every test; the gold answer holds the tests as a JSON object.
    Code,
}

/// What a problem is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// The policy explores it; what it solves may enter a training set.
    #[default]
    Explore,
    /// Held out: policies are scored on it, and it never enters a training set.
    Evaluate,
}

/// A problem with its gold answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Its name.
    pub id: ProblemId,
    /// The statement shown to the model, before any prompt template.
    pub text: String,
    /// The gold answer; for [`AnswerKind::Code`] the tests.
    pub gold: String,
    /// How an answer is compared with `gold`.
    #[serde(default)]
    pub kind: AnswerKind,
    /// Difficulty, larger is harder; unknown when the source gives none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<u8>,
    /// Where it comes from: a file's name or a task's.
    #[serde(default)]
    pub source: String,
    /// What it is for.
    #[serde(default)]
    pub split: Split,
}

impl Problem {
    /// Whether both are one problem: of the same name, text, gold answer, kind and use. Where it comes from and how
    /// hard it is said to be only describe it.
    pub fn is_same_as(&self, other: &Self) -> bool {
        (&self.id, &self.text, &self.gold) == (&other.id, &other.text, &other.gold)
            && (self.kind, self.split) == (other.kind, other.split)
    }
}

/// A long-form thought to imitate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demonstration {
    /// Its name.
    pub id: DemonstrationId,
    /// The problem statement, before any prompt template.
    pub problem: String,
    /// The whole response, thought and solution in the paper's tags.
    pub response: String,
    /// Difficulty, larger is harder; unknown when the source gives none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<u8>,
    /// Where it comes from: a file's name or a task's.
    #[serde(default)]
    pub source: String,
}

impl Demonstration {
    /// Whether both are one demonstration: of the same name, problem and response.
    pub fn is_same_as(&self, other: &Self) -> bool {
        (&self.id, &self.problem, &self.response) == (&other.id, &other.problem, &other.response)
    }
}
