//! The configuration of the whole: one section an actor.

use serde::{Deserialize, Serialize};
use still_curation::{GateConfig, HygieneConfig, PairsConfig, SelectionConfig, SettingError};
use still_domain::{TrainingSet, TrainingSetContent};

use crate::{
    exploration::problem_supply::ExplorationConfig, exploration::verifier_pool::VerifierPoolConfig,
    ground::error::StartError, learning::trainer::TrainerConfig, rounds::conductor::RoundConfig,
    rounds::evaluator::EvaluationConfig, supervision::SupervisionConfig,
};

/// The configuration of the whole.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
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
    pub exploration: ExplorationConfig,
    /// When a round's set is sealed, and how it is trained on.
    pub round: RoundConfig,
    /// Which trajectories join the set.
    pub selection: SelectionConfig,
    /// Which pairs are made, for preference optimisation.
    pub pairs: PairsConfig,
    /// Which responses may be trained on at all.
    pub hygiene: HygieneConfig,
    /// How training is saved.
    pub trainer: TrainerConfig,
    /// How candidates are scored.
    pub evaluation: EvaluationConfig,
    /// When a candidate replaces the policy in force.
    pub gate: GateConfig,
    /// How answers are judged.
    pub verifier_pool: VerifierPoolConfig,
    /// How failed actors are restarted.
    pub supervision: SupervisionConfig,
}

impl SystemConfig {
    /// # Errors
    /// At the first setting that makes no sense.
    pub fn validate(&self) -> Result<(), StartError> {
        in_section("exploration", self.exploration.curriculum.validate())?;
        in_section("selection", self.selection.validate())?;
        in_section("pairs", self.pairs.validate())?;
        in_section("hygiene", self.hygiene.validate())?;
        in_section("gate", self.gate.validate())?;
        self.verifier_pool.alarm.validate()?;
        self.supervision.validate()?;
        self.evaluation.validate()
    }
}

impl SystemConfig {
    /// What to tell before work begins when so many held-out problems cannot show what the gate asks for.
    pub(crate) fn gate_warning(&self, held_out: u64) -> Option<String> {
        self.gate.warning(held_out, self.evaluation.samples_per_problem, self.rounds)
    }

    /// What to tell of a set's share of demonstrations.
    pub(crate) fn demonstration_warning(&self, set: &TrainingSet) -> Option<String> {
        let TrainingSetContent { demonstrations, trajectories, .. } = &set.content;
        self.selection.demonstration_warning(demonstrations.len() as u64, trajectories.len() as u64)
    }
}

fn in_section(section: &'static str, result: Result<(), SettingError>) -> Result<(), StartError> {
    result.map_err(|error| StartError::Setting { section, key: error.key, problem: error.problem })
}
