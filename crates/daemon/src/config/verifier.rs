//! `[verifier]`: how answers are judged.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_domain::AnswerKind;

use super::findings::Findings;

/// How answers are judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VerifierSection {
    /// Where the answer is read from.
    pub profile: VerifierProfile,
    /// Workers of the pool; 0 takes what the machine has.
    pub workers: usize,
    /// How answers are compared where a problem does not say.
    #[schemars(with = "AnswerKindName")]
    pub kind: AnswerKind,
}

/// Where the answer is read from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VerifierProfile {
    /// A box in the solution, nothing else: what a training reward must demand.
    #[default]
    Strict,
    /// Phrases, bold text, last mathematics and bare answers too.
    Lenient,
}

/// The names of [`AnswerKind`], for the schema.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its schema is used")]
enum AnswerKindName {
    /// Mathematical equivalence.
    Math,
    /// An integer, leading zeros forgiven.
    Integer,
    /// One or several options of a multiple-choice question.
    MultipleChoice,
    /// The same text after trimming.
    Exact,
    /// A regular expression that must match the whole answer.
    Regex,
}

impl Default for VerifierSection {
    fn default() -> Self {
        Self { profile: VerifierProfile::Strict, workers: 0, kind: AnswerKind::Math }
    }
}

impl VerifierSection {
    /// Notes what cannot be judged.
    pub fn validate(&self, findings: &mut Findings) {
        findings.require(self.workers <= 1024, "verifier.workers", || {
            format!("{} workers are more than 1024", self.workers)
        });
    }
}
