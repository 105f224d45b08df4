//! `[run]`: what the whole run depends on.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_settings::Findings;

/// What the whole run depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RunSection {
    /// Every random draw of the run is derived from it.
    pub seed: u64,
    /// Folder of everything durable, and of the control socket; made when it is not there.
    pub data_dir: PathBuf,
    /// The daemon ends with exit code 0 once this many rounds after imitation were promoted or rejected;
    /// 0 goes on until it is told to stop.
    pub rounds: u32,
    /// Explore and train in turns instead of at the same time: slower, and the same seed gives the same
    /// training sets bit for bit.
    pub lockstep: bool,
}

impl Default for RunSection {
    fn default() -> Self {
        Self { seed: 0, data_dir: PathBuf::from("data"), rounds: 0, lockstep: false }
    }
}

impl RunSection {
    /// Notes what cannot be run.
    pub fn validate(&self, findings: &mut Findings) {
        findings.require(!self.data_dir.as_os_str().is_empty(), "run.data_dir", || {
            "name a folder, for example \"data\"".to_owned()
        });
        findings.require(i64::try_from(self.seed).is_ok(), "run.seed", || {
            format!("TOML holds whole numbers up to {}", i64::MAX)
        });
    }
}
