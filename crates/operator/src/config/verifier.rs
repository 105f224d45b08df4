//! `[verifier]`: how answers are judged.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_actors::VerifiersConfig;
use still_domain::AnswerKind;
use still_judge::CodeSection;
use still_settings::Findings;

/// How answers are judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VerifierSection {
    /// Where the answer is read from.
    pub profile: VerifierProfile,
    /// Judgements at once; 0 takes what the machine has.
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
        let verifiers = VerifiersConfig::default();
        Self {
            profile: VerifierProfile::Strict,
            workers: verifiers.workers,
            kind: AnswerKind::Math,
            alarm_window: verifiers.alarm_window,
            alarm_error_share: verifiers.alarm_error_share,
            code: CodeSection::default(),
        }
    }
}

impl VerifierSection {
    /// The part that the actor obeys.
    pub fn verifiers(&self) -> VerifiersConfig {
        VerifiersConfig {
            workers: self.workers,
            alarm_window: self.alarm_window,
            alarm_error_share: self.alarm_error_share,
        }
    }

    /// Notes what cannot be judged.
    pub fn validate(&self, findings: &mut Findings) {
        self.verifiers().validate(findings);
        self.code.validate(findings);
    }
}
