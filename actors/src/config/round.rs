//! `[round]`: when a round's training set is sealed and how it is trained on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_domain::Algorithm;
use still_settings::Findings;

/// When a round's training set is sealed, and how it is trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RoundSection {
    /// Visits that must be judged before the set is sealed. Once they are given out nothing more is, and all of them
    /// are waited for: the longest thoughts come back last.
    pub problems: u32,
    /// Right and hygienic trajectories of the round at which nothing more is given out: what is under way is waited
    /// for, then the set is sealed early. 0 gives out all. Has no effect in lockstep.
    pub enough_eligible: u64,
    /// With fewer right and hygienic trajectories than this a round explores on beyond its problems. Has
    /// no effect in lockstep.
    pub min_eligible: u64,
    /// Seconds after which nothing more is given out in a round: what is under way is waited for, then it is
    /// sealed with what it has. 0 sets no limit. Has no effect in lockstep.
    pub max_exploration_seconds: u64,
    /// What training on trajectories starts from.
    pub init: TrainingStart,
    /// What training on pairs starts from, which is its reference too.
    pub preference_init: PreferenceStart,
    /// How the policy is trained on the set.
    #[schemars(with = "RoundAlgorithm")]
    pub algorithm: Algorithm,
    /// Trajectories of a round on which the engines' log-probabilities are compared with the learner's before its set is
    /// sealed, drawn at random. 0 compares none.
    pub gap_sample: u32,
    /// Of each of them, the first tokens that are compared, this many.
    pub gap_max_tokens: u32,
    /// How far they may be apart, in nats a token on average, before it is warned of: engines that serve other weights, or
    /// round much coarser, are further. Equal arithmetic is within 0.001, bf16 beside f32 within some hundredths.
    pub max_gap_nats: f64,
}

/// What a round's training starts from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Initialisation")]
pub enum TrainingStart {
    /// The base model: the paper's way.
    #[default]
    Base,
    /// The published policy: suits a budget of minutes.
    Previous,
    /// The policy that imitation brought: rounds cost their own steps only, and none builds on another.
    Imitated,
}

/// What training on pairs starts from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PreferenceStart {
    /// The policy that imitation brought: the paper's way, each round anew.
    #[default]
    Imitated,
    /// The published policy: rounds build on each other, and pairs stay close to what they are compared under.
    Current,
}

/// How the policy is trained on a round's set.
// the names of `Algorithm`, for the schema
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its schema is used")]
enum RoundAlgorithm {
    /// Supervised fine-tuning on demonstrations and selected trajectories.
    Sft,
    /// Direct preference optimisation on pairs of right and wrong trajectories, from the policy that `preference_init`
    /// names.
    Dpo,
}

impl Default for RoundSection {
    fn default() -> Self {
        Self {
            problems: 1_000,
            enough_eligible: 0,
            min_eligible: 0,
            max_exploration_seconds: 0,
            init: TrainingStart::Base,
            preference_init: PreferenceStart::Imitated,
            algorithm: Algorithm::Sft,
            gap_sample: 16,
            gap_max_tokens: 1_024,
            max_gap_nats: 0.1,
        }
    }
}

impl RoundSection {
    /// Attempts that must be judged before the set is sealed, `per_visit` of them at each problem.
    pub fn quota_attempts(&self, per_visit: u32) -> u64 {
        u64::from(self.problems) * u64::from(per_visit)
    }

    /// Notes what cannot be run.
    pub fn validate(&self, findings: &mut Findings) {
        findings.require(self.problems > 0, "round.problems", || "must be at least 1".to_owned());
        findings.require(self.gap_max_tokens > 0, "round.gap_max_tokens", || {
            "must be at least 1; `round.gap_sample = 0` compares nothing".to_owned()
        });
        let is_bound = self.max_gap_nats.is_finite() && self.max_gap_nats > 0.0;
        findings.require(is_bound, "round.max_gap_nats", || "must be above 0".to_owned());
    }
}
