//! `[exploration]`: how problems are attempted.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_curation::{CurriculumConfig, CurriculumOrder};
use still_settings::Findings;

use super::sampling::Sampling;

/// How problems are attempted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExplorationSection {
    /// Draw rollouts at all; false trains every round on the demonstrations alone: the ablation that shows
    /// what exploration is worth.
    pub enabled: bool,
    /// Explore problems that are demonstrated as well: by default what imitation teaches is not explored again, and
    /// such problems are left out of an import.
    pub explore_imitated: bool,
    /// Which of the problems that may be attempted comes first.
    pub order: CurriculumOrder,
    /// Attempts at a problem over the whole run, and as many more that are cut off or that the verifier fails to
    /// judge.
    pub attempts_per_problem: u32,
    /// Attempts at a problem under one policy, in whole visits; then it waits for another policy. The paper samples
    /// up to 20 in each of its iterations.
    pub attempts_per_policy: u32,
    /// Attempts that a new policy makes at a problem that older ones have exhausted; 0 leaves it exhausted.
    pub revive_attempts: u32,
    /// Attempts at a problem that are asked for together; they share their prompt's prefill.
    pub attempts_per_visit: u32,
    /// A problem is retired once this many of its attempts are correct.
    pub stop_after_correct: u32,
    /// A problem never solved waits for a better policy after this many attempts without a correct one
    /// under the newest; 0 never parks.
    pub park_after: u32,
    /// A problem that the newest policy has not solved waits for another one after this many attempts under it that
    /// were cut off at `max_new_tokens`: they count as failures of that limit, not of the policy. 0 never parks.
    pub park_after_truncated: u32,
    /// Rollouts that each sampler draws at once.
    pub concurrent_rollouts: usize,
    /// Attempts between being given out and being durable, over all samplers: bounds every queue on the
    /// way. About twice what the samplers draw at once keeps them busy.
    pub in_flight_attempts: usize,
    /// Rounds that may be trained and scored while attempts for later rounds are made; 0 explores only
    /// before a set is sealed. Rounds are trained one at a time, so more than 1 allows no more.
    pub max_policy_lag: u64,
    /// Attempts made while a round is trained and scored, at most.
    pub max_ahead_attempts: u64,
    /// What becomes of the rollouts under way when a policy is published.
    pub on_publish: OnPublish,
    /// How tokens are drawn.
    pub sampling: Sampling,
}

/// What becomes of the rollouts under way when a policy is published.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnPublish {
    /// They end under the policy that began them; each device takes the new one up as soon as it is empty. Nothing
    /// is thrown away, and every response is of one policy; a device waits for its longest rollout.
    #[default]
    Finish,
    /// They go on under the new policy, on keys and values computed anew: no device waits, and what comes of them is of
    /// no one policy, so that `selection.mixed_versions` decides whether it may be chosen.
    Recompute,
    /// They are given up and begun anew under the new policy: what they cost is lost, the longest most of it.
    Cancel,
}

impl Default for ExplorationSection {
    fn default() -> Self {
        Self {
            enabled: true,
            explore_imitated: false,
            order: CurriculumOrder::Hardest,
            attempts_per_problem: 100,
            attempts_per_policy: 20,
            revive_attempts: 0,
            attempts_per_visit: 4,
            stop_after_correct: 4,
            park_after: 12,
            park_after_truncated: 12,
            concurrent_rollouts: 128,
            in_flight_attempts: 256,
            max_policy_lag: 1,
            max_ahead_attempts: 4096,
            on_publish: OnPublish::Finish,
            sampling: Sampling::default(),
        }
    }
}

impl ExplorationSection {
    /// The settings as the curriculum takes them.
    pub fn curriculum(&self) -> CurriculumConfig {
        CurriculumConfig {
            order: self.order,
            attempts_per_problem: self.attempts_per_problem,
            attempts_per_policy: self.attempts_per_policy,
            revive_attempts: self.revive_attempts,
            attempts_per_visit: self.attempts_per_visit,
            stop_after_correct: self.stop_after_correct,
            park_after: self.park_after,
            park_after_truncated: self.park_after_truncated,
        }
    }

    /// Notes what cannot be run.
    pub fn validate(&self, findings: &mut Findings) {
        for (key, count) in [
            ("exploration.attempts_per_problem", u64::from(self.attempts_per_problem)),
            ("exploration.attempts_per_policy", u64::from(self.attempts_per_policy)),
            ("exploration.attempts_per_visit", u64::from(self.attempts_per_visit)),
            ("exploration.stop_after_correct", u64::from(self.stop_after_correct)),
            ("exploration.concurrent_rollouts", self.concurrent_rollouts as u64),
            ("exploration.in_flight_attempts", self.in_flight_attempts as u64),
        ] {
            findings.require(count > 0, key, || "must be at least 1".to_owned());
        }
        findings.require(
            self.attempts_per_visit <= self.attempts_per_problem,
            "exploration.attempts_per_visit",
            || format!("cannot exceed attempts_per_problem = {}", self.attempts_per_problem),
        );
        findings.require(
            self.sampling.temperature > 0.0 || self.attempts_per_visit <= 1,
            "exploration.sampling.temperature",
            || format!("at 0 all {} attempts of a visit are the same: raise it", self.attempts_per_visit),
        );
        self.sampling.validate("exploration.sampling", findings);
    }
}
