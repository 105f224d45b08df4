//! `[gate]`: whether a candidate is published.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::findings::Findings;

/// Whether a candidate is published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GateSection {
    /// What is compared with the published policy.
    pub metric: GateMetric,
    /// Accuracy that the candidate may lose and still be published, 0 to 1.
    pub tolerance: f64,
    /// Accuracy over all held-out problems below which nothing is published, 0 to 1.
    pub min_accuracy: f64,
}

/// What the gate compares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GateMetric {
    /// Accuracy over all held-out problems.
    #[default]
    Accuracy,
    /// Accuracy over the hard levels.
    HardAccuracy,
}

impl Default for GateSection {
    fn default() -> Self {
        Self { metric: GateMetric::Accuracy, tolerance: 0.02, min_accuracy: 0.0 }
    }
}

impl GateSection {
    /// Notes what makes no gate.
    pub fn validate(&self, findings: &mut Findings) {
        for (key, share) in [("gate.tolerance", self.tolerance), ("gate.min_accuracy", self.min_accuracy)] {
            findings
                .require((0.0..=1.0).contains(&share), key, || format!("must be from 0 to 1, not {share}"));
        }
    }
}
