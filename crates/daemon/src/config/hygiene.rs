//! `[hygiene]`: what keeps a response out of every training set, right or not.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::findings::Findings;

/// What keeps a response out of every training set, right or not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HygieneSection {
    /// Demand one thought and one solution in the paper's tags.
    pub require_format: bool,
    /// Shortest thought, in tokens.
    pub min_thought_tokens: u32,
    /// Longest response, in tokens; 0 sets no limit.
    pub max_response_tokens: u32,
    /// Length of the n-grams, in words, whose repetition is measured.
    pub repetition_ngram: u32,
    /// Largest share of repeated n-grams, 0 to 1; 1 allows all.
    pub max_repetition: f64,
    /// Largest share of characters outside the problem's and the response's main scripts, 0 to 1; 1
    /// allows all.
    pub max_foreign_script: f64,
}

impl Default for HygieneSection {
    fn default() -> Self {
        Self {
            require_format: true,
            min_thought_tokens: 1,
            max_response_tokens: 0,
            repetition_ngram: 8,
            max_repetition: 0.3,
            max_foreign_script: 0.05,
        }
    }
}

impl HygieneSection {
    /// Notes what cannot be measured.
    pub fn validate(&self, findings: &mut Findings) {
        findings.require(self.repetition_ngram > 0, "hygiene.repetition_ngram", || {
            "must be at least 1".to_owned()
        });
        for (key, share) in [
            ("hygiene.max_repetition", self.max_repetition),
            ("hygiene.max_foreign_script", self.max_foreign_script),
        ] {
            findings
                .require((0.0..=1.0).contains(&share), key, || format!("must be from 0 to 1, not {share}"));
        }
    }
}
