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
    /// Answers that every held-out problem is scored by.
    pub(crate) samples_per_problem: u32,
    /// Whether the base model is scored, once.
    pub(crate) scores_base: bool,
    pub(crate) explores: bool,
    pub(crate) lockstep: bool,
    pub(crate) rounds_wanted: u32,
}

impl MachineConfig {
    /// What to tell before work begins when so many held-out problems cannot show what the gate asks for.
    pub(crate) fn gate_warning(&self, held_out: u64) -> Option<String> {
        self.gate.warning(held_out, self.samples_per_problem, self.rounds_wanted)
    }
}
