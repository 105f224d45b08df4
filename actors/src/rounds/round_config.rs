//! When a round's set is sealed, and how it is trained on: what an operator may choose of the rounds.

use serde::{Deserialize, Serialize};
use still_curation::GateConfig;
use still_domain::Algorithm;

use crate::config::SystemConfig;

/// What a round's training starts from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrainingStart {
    /// The configured base model: the paper's way.
    #[default]
    Base,
    /// The policy in force when the round began: suits a budget of minutes.
    Previous,
}

/// When a round's set is sealed, and how it is trained on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RoundConfig {
    /// Attempts that the round's policy must have made and that must be judged before the set is sealed; 0
    /// goes on until no problem may be attempted any more. Judgements that failed do not count, but in
    /// lockstep. Default: 4096.
    pub quota_attempts: u64,
    /// Seal earlier, at this many right and hygienic trajectories of the round; 0 never. Free-running only.
    /// Default: 0.
    pub enough_eligible: u64,
    /// Explore on beyond the quota while there are fewer right and hygienic trajectories of the round than
    /// this, as long as a problem may be attempted. Free-running only. Default: 0.
    pub min_eligible: u64,
    /// Seal after this long with what there is, in seconds; 0 waits without end. Free-running only.
    /// Default: 0.
    pub max_exploration_seconds: u64,
    /// The longest sequence that the learner takes, prompt included, in tokens; longer ones are not selected, so
    /// that they take no trainable one's place. 0 sets no limit. Default: 0.
    pub max_sequence_tokens: u32,
    /// What supervised training starts from; preference optimisation always starts from the imitated
    /// policy. Default: `base`.
    pub init: TrainingStart,
    /// How rounds after imitation are trained. Default: `sft`.
    pub algorithm: Algorithm,
}

impl Default for RoundConfig {
    fn default() -> Self {
        Self {
            quota_attempts: 4096,
            enough_eligible: 0,
            min_eligible: 0,
            max_exploration_seconds: 0,
            max_sequence_tokens: 0,
            init: TrainingStart::Base,
            algorithm: Algorithm::Sft,
        }
    }
}

/// What the machine must know of the whole configuration.
#[derive(Debug, Clone)]
pub(crate) struct MachineConfig {
    pub(crate) round: RoundConfig,
    pub(crate) gate: GateConfig,
    pub(crate) explores: bool,
    pub(crate) lockstep: bool,
    pub(crate) rounds_wanted: u32,
}

impl From<&SystemConfig> for MachineConfig {
    fn from(config: &SystemConfig) -> Self {
        Self {
            round: config.round.clone(),
            gate: config.gate.clone(),
            explores: config.exploration.enabled,
            lockstep: config.lockstep,
            rounds_wanted: config.rounds,
        }
    }
}
