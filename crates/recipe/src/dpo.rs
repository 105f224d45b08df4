//! Preference optimisation.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_settings::Findings;

/// Direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DpoSettings {
    /// How strongly the policy is held to the reference.
    pub beta: f64,
    /// The tokens compared; the paper's best is the thought alone.
    pub span: DpoSpan,
    /// Weight of the negative log-likelihood of the chosen response added to the loss; 0 adds none.
    pub sft_coefficient: f64,
}

/// The tokens that preference optimisation compares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DpoSpan {
    /// The thought.
    #[default]
    Thought,
    /// The whole response.
    Full,
}

impl Default for DpoSettings {
    fn default() -> Self {
        Self { beta: 0.1, span: DpoSpan::Thought, sft_coefficient: 0.0 }
    }
}

impl DpoSettings {
    /// Notes what cannot be optimised.
    pub fn validate(&self, findings: &mut Findings) {
        let (beta, sft) = (self.beta, self.sft_coefficient);
        findings.require(beta > 0.0 && beta.is_finite(), "training.dpo.beta", || {
            format!("must be above 0, not {beta}")
        });
        findings.require(sft >= 0.0 && sft.is_finite(), "training.dpo.sft_coefficient", || {
            format!("must be 0 or above, not {sft}")
        });
    }
}
