//! Adapters.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_settings::Findings;

/// Low-rank adaptation (Hu et al. 2021, arXiv 2106.09685): small matrices beside the projections are trained
/// instead of all parameters. Every checkpoint holds the policy with them merged in, and where they are trained beside
/// the base model also them alone, in PEFT's layout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LoraSettings {
    /// Rank of the update; 0 trains every parameter.
    pub rank: u32,
    /// The update is scaled by alpha / rank.
    pub alpha: f64,
    /// Projections that are adapted.
    pub targets: Vec<String>,
}

impl Default for LoraSettings {
    fn default() -> Self {
        let targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
        Self { rank: 0, alpha: 32.0, targets: targets.map(str::to_owned).to_vec() }
    }
}

impl LoraSettings {
    /// Notes what cannot be adapted.
    pub fn validate(&self, findings: &mut Findings) {
        if self.rank > 0 {
            findings.require(!self.targets.is_empty(), "training.lora.targets", || {
                "name at least one projection, for example \"q_proj\"".to_owned()
            });
            findings.require(self.alpha > 0.0, "training.lora.alpha", || "must be above 0".to_owned());
            for target in &self.targets {
                findings.require(Self::default().targets.contains(target), "training.lora.targets", || {
                    let known = Self::default().targets.join(", ");
                    format!("`{target}` is no projection: choose among {known}")
                });
            }
        }
    }
}
