//! What the round machine must know of the whole configuration.

use still_curation::GateConfig;

use crate::config::{RoundSection, SystemConfig};

/// What the machine must know of the whole configuration.
#[derive(Debug, Clone)]
pub(crate) struct MachineConfig {
    pub(crate) round: RoundSection,
    /// Attempts that the round's policy must have made and that must be judged before the set is sealed; 0 goes on
    /// until no problem may be attempted any more. Judgements that failed do not count, but in lockstep.
    pub(crate) quota_attempts: u64,
    pub(crate) gate: GateConfig,
    pub(crate) explores: bool,
    pub(crate) lockstep: bool,
    pub(crate) rounds_wanted: u32,
    pub(crate) seed: u64,
}

impl From<&SystemConfig> for MachineConfig {
    fn from(config: &SystemConfig) -> Self {
        Self {
            round: config.round.clone(),
            quota_attempts: config.round.quota_attempts(config.exploration.attempts_per_visit),
            gate: config.gate.clone(),
            explores: config.exploration.enabled,
            lockstep: config.lockstep,
            rounds_wanted: config.rounds,
            seed: config.seed,
        }
    }
}
