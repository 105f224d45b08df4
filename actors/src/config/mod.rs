//! The configuration of the whole: the sections that actors obey, each declared here once, with its schema, its
//! defaults and its check in the operator's keys. What curation and the store obey they declare themselves.

mod evaluation;
mod exploration;
mod round;
mod sampling;
mod supervision;
mod verifiers;

use still_curation::{GateConfig, HygieneConfig, PairsConfig, SelectionConfig};
use still_settings::Findings;
use still_store::CheckpointsSection;

pub use self::{
    evaluation::EvaluationSection,
    exploration::{ExplorationSection, OnPublish},
    round::{PreferenceStart, RoundSection, TrainingStart},
    sampling::Sampling,
    supervision::SupervisionSection,
    verifiers::VerifiersConfig,
};

/// The configuration of the whole.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SystemConfig {
    /// Every random draw of the run is derived from it. Default: 0.
    pub seed: u64,
    /// Rounds after imitation until the program ends, those of earlier runs on the same store included; 0
    /// goes on until it is told to stop. Default: 0.
    pub rounds: u32,
    /// Explore, train and evaluate in turns, attempts in a planned order: the same seed gives the same
    /// training sets bit for bit. Default: false.
    pub lockstep: bool,
    /// How problems are attempted.
    pub exploration: ExplorationSection,
    /// When a round's set is sealed, and how it is trained on.
    pub round: RoundSection,
    /// The longest sequence that the rounds' learner takes, prompt included, in tokens: longer ones are not chosen, so
    /// that they take no trainable one's place. 0 sets no limit. Default: 0.
    pub max_sequence_tokens: u32,
    /// Which trajectories join the set.
    pub selection: SelectionConfig,
    /// Which pairs are made, for preference optimisation.
    pub pairs: PairsConfig,
    /// Which responses may be trained on at all.
    pub hygiene: HygieneConfig,
    /// How often training is saved, and what is kept.
    pub checkpoints: CheckpointsSection,
    /// How candidates are scored.
    pub evaluation: EvaluationSection,
    /// When a candidate replaces the policy in force.
    pub gate: GateConfig,
    /// How answers are judged.
    pub verifiers: VerifiersConfig,
    /// How failed actors are restarted.
    pub supervision: SupervisionSection,
}

impl SystemConfig {
    /// Everything that makes no sense, by the operator's key.
    pub fn findings(&self) -> Findings {
        let mut findings = Findings::default();
        self.exploration.validate(&mut findings);
        self.round.validate(&mut findings);
        self.evaluation.validate(&mut findings);
        self.verifiers.validate(&mut findings);
        self.checkpoints.validate(&mut findings);
        self.supervision.validate(&mut findings);
        self.selection.validate(&mut findings);
        self.pairs.validate(&mut findings);
        self.hygiene.validate(&mut findings);
        self.gate.validate(&mut findings);
        findings
    }
}
