//! How tokens are drawn, for exploration and for evaluation.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_domain::SamplingSettings;
use still_settings::Findings;

/// How tokens are drawn. The defaults sample from the unmodified distribution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sampling {
    /// Divides the logits; 0 takes the likeliest token.
    pub temperature: f64,
    /// Keeps the likeliest tokens, this many; 0 keeps all.
    pub top_k: u32,
    /// Keeps the smallest set of tokens whose probability reaches this; 1 keeps all.
    pub top_p: f64,
    /// Keeps tokens at least this many times as likely as the likeliest; 0 keeps all.
    pub min_p: f64,
    /// Divides the logits of tokens seen before; 1 changes nothing.
    pub repetition_penalty: f64,
    /// Longest response, in tokens.
    pub max_new_tokens: u32,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            max_new_tokens: 16_384,
        }
    }
}

impl Sampling {
    /// The likeliest token every time.
    pub fn greedy() -> Self {
        Self { temperature: 0.0, ..Self::default() }
    }

    /// The settings as the generator takes them.
    pub fn settings(&self) -> SamplingSettings {
        SamplingSettings {
            temperature: self.temperature as f32,
            top_k: self.top_k,
            top_p: self.top_p as f32,
            min_p: self.min_p as f32,
            repetition_penalty: self.repetition_penalty as f32,
            max_new_tokens: self.max_new_tokens,
        }
    }

    /// Notes what cannot be drawn; `section` names the section that holds these settings.
    pub fn validate(&self, section: &str, findings: &mut Findings) {
        let mut require = |holds: bool, key: &str, wanted: &str, value: f64| {
            findings.require(holds, &format!("{section}.{key}"), || format!("must be {wanted}, not {value}"));
        };
        require((0.0..=100.0).contains(&self.temperature), "temperature", "from 0 to 100", self.temperature);
        require(self.top_p > 0.0 && self.top_p <= 1.0, "top_p", "above 0 and at most 1", self.top_p);
        require((0.0..=1.0).contains(&self.min_p), "min_p", "from 0 to 1", self.min_p);
        require(
            self.repetition_penalty > 0.0 && self.repetition_penalty.is_finite(),
            "repetition_penalty",
            "above 0",
            self.repetition_penalty,
        );
        require(self.max_new_tokens > 0, "max_new_tokens", "at least 1", 0.0);
    }
}
