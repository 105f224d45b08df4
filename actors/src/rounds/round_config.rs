//! What the round machine must know of the whole configuration.

use still_curation::GateConfig;

use crate::config::RoundSection;

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
