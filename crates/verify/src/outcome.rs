//! The words of a judgement: what was asked, how it was read, how it ended.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kind of answer a problem wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Mathematics in LaTeX or plain text, and short text answers.
    #[default]
    Math,
    /// A whole number; leading zeros are allowed.
    Integer,
    /// One or several options: letters, digits, circled digits.
    MultipleChoice,
    /// The very same text, after trimming.
    Exact,
    /// A regular expression that must match the whole answer.
    Regex,
}

/// How the answer may be found in a completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// A box in the solution and nothing else: for rewards.
    Strict,
    /// Boxes, phrases, bold text, the last mathematics, bare answers: for evaluation.
    #[default]
    Lenient,
}

/// How a judgement ended. Only [`Outcome::Correct`] is rewarded; an error is never wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Proved equal, or equal by an agreement that cannot be chance.
    Correct,
    /// Read and different.
    Wrong,
    /// No answer stands in the solution.
    NoAnswer,
    /// An answer stands there but cannot be read.
    Malformed,
    /// The comparison ran out of fuel.
    Timeout,
    /// No answer can be judged against the gold; told of golds that are looked at, as files are graded.
    BadGold,
    /// The verifier itself failed.
    Error,
}

impl Outcome {
    /// The name used in files and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Correct => "correct",
            Self::Wrong => "wrong",
            Self::NoAnswer => "no_answer",
            Self::Malformed => "malformed",
            Self::Timeout => "timeout",
            Self::BadGold => "bad_gold",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The rule by which an answer was found in a completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The last balanced `\boxed{}` or `\fbox{}`.
    Box,
    /// Several boxes that stand together.
    Boxes,
    /// An `<answer>` element.
    AnswerElement,
    /// A phrase such as "the answer is", `####` or one of its localised forms.
    Phrase,
    /// The whole solution is the answer.
    Bare,
    /// The last bold text.
    Bold,
    /// The last formula of the solution.
    LastFormula,
}

impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Box => "box",
            Self::Boxes => "boxes",
            Self::AnswerElement => "answer_element",
            Self::Phrase => "phrase",
            Self::Bare => "bare",
            Self::Bold => "bold",
            Self::LastFormula => "last_formula",
        })
    }
}
