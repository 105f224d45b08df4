//! `[verifier]`: how answers are judged.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_domain::AnswerKind;

use super::{code::CodeSection, findings::Findings};

/// How answers are judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VerifierSection {
    /// Where the answer is read from.
    pub profile: VerifierProfile,
    /// Workers of the pool; 0 takes what the machine has.
    pub workers: usize,
    /// How answers are compared where a problem does not say.
    #[schemars(with = "AnswerKindName")]
    pub kind: AnswerKind,
    /// Judgements that the share of errors is taken over, the newest ones.
    pub alarm_window: usize,
    /// Share of errors in that window above which the alarm is raised; 1 raises none.
    pub alarm_error_share: f64,
    /// How programs are run, for answers of the kind `code`.
    pub code: CodeSection,
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
    /// A program that passes every test; the gold answer holds the tests as a JSON object.
    Code,
}

impl Default for VerifierSection {
    fn default() -> Self {
        Self {
            profile: VerifierProfile::Strict,
            workers: 0,
            kind: AnswerKind::Math,
            alarm_window: 200,
            alarm_error_share: 0.1,
            code: CodeSection::default(),
        }
    }
}

impl VerifierSection {
    /// Notes what cannot be judged.
    pub fn validate(&self, findings: &mut Findings) {
        findings.require(self.workers <= 1024, "verifier.workers", || {
            format!("{} workers are more than 1024", self.workers)
        });
        findings.require((1..=100_000).contains(&self.alarm_window), "verifier.alarm_window", || {
            format!("{} is not between 1 and 100000 judgements", self.alarm_window)
        });
        let share = self.alarm_error_share;
        findings.require((0.0..=1.0).contains(&share), "verifier.alarm_error_share", || {
            format!("{share} is no share: write a number from 0 to 1")
        });
        self.code.validate(findings);
    }
}
