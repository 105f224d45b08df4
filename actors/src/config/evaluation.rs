//! `[evaluation]`: how a candidate is scored on held-out problems.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_settings::Findings;

use super::sampling::Sampling;

/// How a candidate is scored on held-out problems.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluationSection {
    /// Levels whose problems make up `hard_accuracy`; empty leaves it out.
    pub hard_levels: BTreeSet<u8>,
    /// Answers drawn for a problem; more than one needs a temperature above 0.
    pub samples_per_problem: u32,
    /// Whether the base model is scored too, once in a run, before the first candidate: then it is seen and told when
    /// imitation made it worse.
    pub score_base: bool,
    /// Whether the texts of the answers are kept beside their verdicts and lengths: what a mended verifier would read.
    pub keep_texts: bool,
    /// Rollouts that the evaluator draws at once.
    pub concurrent_rollouts: usize,
    /// Answers between being asked for and being judged.
    pub in_flight_answers: usize,
    /// How the evaluator draws tokens; the paper's is greedy.
    pub sampling: Sampling,
}

impl Default for EvaluationSection {
    fn default() -> Self {
        Self {
            hard_levels: BTreeSet::new(),
            samples_per_problem: 1,
            score_base: true,
            keep_texts: true,
            concurrent_rollouts: 128,
            in_flight_answers: 256,
            sampling: Sampling::greedy(),
        }
    }
}

impl EvaluationSection {
    /// Notes what cannot be scored.
    pub fn validate(&self, findings: &mut Findings) {
        findings.require(self.samples_per_problem > 0, "evaluation.samples_per_problem", || {
            "must be at least 1".to_owned()
        });
        findings.require(
            self.samples_per_problem <= 1 || self.sampling.temperature > 0.0,
            "evaluation.sampling.temperature",
            || "several samples of a problem are all the same at temperature 0".to_owned(),
        );
        findings.require(self.concurrent_rollouts > 0, "evaluation.concurrent_rollouts", || {
            "must be at least 1".to_owned()
        });
        findings.require(self.in_flight_answers > 0, "evaluation.in_flight_answers", || {
            "must be at least 1".to_owned()
        });
        self.sampling.validate("evaluation.sampling", findings);
    }
}
