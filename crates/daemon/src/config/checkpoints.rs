//! `[checkpoints]`: how often training is saved, and what is kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_settings::Findings;

/// How often training is saved, and what is kept: a checkpoint stays for any of these reasons. One takes
/// about 16 bytes a parameter. That of the policy in force is always kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointsSection {
    /// Optimizer steps between two checkpoints; 0 saves only at the end of training.
    pub every_steps: u64,
    /// Newest checkpoints kept.
    pub keep_last: usize,
    /// Final checkpoints kept of the rounds with the best accuracy, this many.
    pub keep_best: usize,
    /// Final checkpoints kept of every round whose number this divides; 0 keeps none for its number.
    pub keep_every_rounds: u32,
    /// Checkpoints kept of the policies published last, this many; 0 keeps those of all. A policy whose
    /// checkpoint is gone cannot be put in force again.
    pub keep_published: usize,
}

impl Default for CheckpointsSection {
    fn default() -> Self {
        Self { every_steps: 100, keep_last: 2, keep_best: 1, keep_every_rounds: 0, keep_published: 4 }
    }
}

impl CheckpointsSection {
    /// Notes what would lose the last checkpoint.
    pub fn validate(&self, findings: &mut Findings) {
        findings.require(self.keep_last > 0, "checkpoints.keep_last", || {
            "must be at least 1: a damaged checkpoint falls back on the one before it".to_owned()
        });
    }
}
