//! What the model works on: problems with gold answers, and demonstrations of long thoughts.

use std::{ops::Deref, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::ids::{AttemptNumber, DemonstrationId, ProblemId, RoundNumber};

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

impl AnswerKind {
    /// The name used in JSONL and in configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Math => "math",
            Self::Integer => "integer",
            Self::MultipleChoice => "multiple_choice",
            Self::Exact => "exact",
            Self::Regex => "regex",
            Self::Code => "code",
        }
    }
}

/// What a problem is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// The policy explores it; what it solves may enter a training set.
    #[default]
    Explore,
    /// Held out: candidates are compared on it, and it never enters a training set.
    // what earlier programs called it, when nothing else was held out
    #[serde(alias = "evaluate")]
    Dev,
    /// Held out as well, and nothing is ever chosen by it: what is reported of a policy.
    Test,
}

impl Split {
    /// Every split, in the order of their definition.
    pub const ALL: [Self; 3] = [Self::Explore, Self::Dev, Self::Test];

    /// The name used in JSON, in tables and as a metric label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Explore => "explore",
            Self::Dev => "dev",
            Self::Test => "test",
        }
    }

    /// Whether policies are scored on it: then it is never trained on.
    pub const fn is_held_out(self) -> bool {
        matches!(self, Self::Dev | Self::Test)
    }
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

/// What a problem says, with what else decides how it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The statement, before any prompt template.
    pub text: Arc<str>,
    /// The kind of its answer; `None` where it is not known.
    pub kind: Option<AnswerKind>,
    /// Where it comes from: a file's name or a task's; may be empty.
    pub source: Arc<str>,
}

impl Deref for Statement {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl PartialEq<&str> for Statement {
    fn eq(&self, other: &&str) -> bool {
        *self.text == **other
    }
}

impl From<&str> for Statement {
    fn from(text: &str) -> Self {
        Self { text: text.into(), kind: None, source: "".into() }
    }
}

impl From<String> for Statement {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<&Problem> for Statement {
    fn from(problem: &Problem) -> Self {
        let Problem { text, kind, source, .. } = problem;
        Self { text: text.as_str().into(), kind: Some(*kind), source: source.as_str().into() }
    }
}

impl From<&Demonstration> for Statement {
    fn from(demonstration: &Demonstration) -> Self {
        let Demonstration { problem, source, .. } = demonstration;
        Self { text: problem.as_str().into(), kind: None, source: source.as_str().into() }
    }
}

/// A long-form thought to imitate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demonstration {
    /// Its name.
    pub id: DemonstrationId,
    /// The problem statement, before any prompt template.
    pub problem: String,
    /// The whole response, thought and solution in the run's format.
    pub response: String,
    /// The gold answer that its own must agree with, where its source gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gold: Option<String>,
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

/// Further attempts at a problem that the curriculum had given up, by an operator's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revival {
    /// The problem.
    pub problem: ProblemId,
    /// The first of them.
    pub from: AttemptNumber,
    /// How many they are.
    pub attempts: u32,
    /// The round from whose plan on they are made in lockstep; a run that is free makes them at once.
    pub round: RoundNumber,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_is_called_what_it_is_called_in_json_and_read_under_its_earlier_name() {
        for split in Split::ALL {
            assert_eq!(serde_json::to_value(split).unwrap(), split.name());
        }
        assert_eq!(serde_json::from_str::<Split>("\"evaluate\"").unwrap(), Split::Dev);
    }
}
