//! What devices cost.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_settings::Findings;

/// What devices cost, for the estimate of `stilld run --dry-run`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PriceSection {
    /// Of one device for an hour; 0 tells no cost.
    pub per_device_hour: f64,
    /// In which money.
    pub currency: String,
    /// Devices that are paid for; 0 takes the GPUs that the configuration names. Those of servers that others start are named
    /// nowhere else.
    pub devices: u32,
}

impl Default for PriceSection {
    fn default() -> Self {
        Self { per_device_hour: 0.0, currency: "USD".to_owned(), devices: 0 }
    }
}

impl PriceSection {
    /// Notes what is no price.
    pub fn validate(&self, findings: &mut Findings) {
        let is_price = self.per_device_hour.is_finite() && self.per_device_hour >= 0.0;
        findings.require(is_price, "price.per_device_hour", || "must be 0 or more".to_owned());
    }
}
