//! `[exploration]`: how problems are attempted.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{findings::Findings, sampling::Sampling};

/// How problems are attempted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExplorationSection {
    /// Draw rollouts at all; false trains every round on the demonstrations alone: the ablation that shows
    /// what exploration is worth.
    pub enabled: bool,
    /// Attempts at a problem over the whole run; the paper's cap is 20.
    pub attempts_per_problem: u32,
    /// Attempts at a problem that are asked for together; they share their prompt's prefill.
    pub attempts_per_visit: u32,
    /// A problem is retired once this many of its attempts are correct.
    pub stop_after_correct: u32,
    /// A problem is parked after this many attempts without a correct one; 0 never parks.
    pub park_after: u32,
    /// A parked problem comes back after this many promotions.
    pub park_promotions: u32,
    /// Rollouts in flight at once, over all samplers.
    pub concurrent_rollouts: usize,
    /// Published policies by which exploration may run ahead of the policy that its trajectories came
    /// from; exploration waits at the limit.
    pub max_policy_lag: u64,
    /// How tokens are drawn.
    pub sampling: Sampling,
}

impl Default for ExplorationSection {
    fn default() -> Self {
        Self {
            enabled: true,
            attempts_per_problem: 20,
            attempts_per_visit: 4,
            stop_after_correct: 4,
            park_after: 12,
            park_promotions: 1,
            concurrent_rollouts: 128,
            max_policy_lag: 1,
            sampling: Sampling::default(),
        }
    }
}

impl ExplorationSection {
    /// Notes what cannot be run.
    pub fn validate(&self, findings: &mut Findings) {
        for (key, count) in [
            ("exploration.attempts_per_problem", u64::from(self.attempts_per_problem)),
            ("exploration.attempts_per_visit", u64::from(self.attempts_per_visit)),
            ("exploration.stop_after_correct", u64::from(self.stop_after_correct)),
            ("exploration.concurrent_rollouts", self.concurrent_rollouts as u64),
        ] {
            findings.require(count > 0, key, || "must be at least 1".to_owned());
        }
        findings.require(
            self.attempts_per_visit <= self.attempts_per_problem,
            "exploration.attempts_per_visit",
            || format!("cannot exceed attempts_per_problem = {}", self.attempts_per_problem),
        );
        self.sampling.validate("exploration.sampling", findings);
    }
}
