//! The configuration: one file per section, merged from layers, every value with its origin.
//!
//! Layers, weakest first: the documented defaults, a TOML file, the environment
//! (`STILL__SECTION__KEY`), the command line (`--set section.key=value`). An unknown key is an error that
//! suggests the nearest known one; what validation finds is reported all at once, each with its origin.
//!
//! ```
//! use still_operator::config::{ConfigLayers, Origin};
//! let loaded = ConfigLayers::new()
//!     .text("quick.toml", "[run]\nrounds = 5\n")
//!     .environment([("STILL__RUN__SEED".to_owned(), "7".to_owned())])
//!     .set("round.problems=900")
//!     .load()?;
//! assert_eq!((loaded.config.run.rounds, loaded.config.run.seed, loaded.config.round.problems), (5, 7, 900));
//! assert_eq!(loaded.origin("run.rounds"), Origin::File { path: "quick.toml".into(), line: 2 });
//! # Ok::<(), still_operator::config::ConfigError>(())
//! ```

mod device;
mod error;
mod http;
mod keys;
mod launched;
mod layers;
mod log;
mod model;
mod origin;
mod price;
mod rounds;
mod run;
mod show;
mod task;
mod verifier;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_actors::{EvaluationSection, ExplorationSection, OnPublish, RoundSection, SupervisionSection};
use still_curation::{
    CleaningConfig, DecontaminationConfig, GateConfig, HygieneConfig, PairsConfig, SelectionConfig,
};
use still_domain::Algorithm;
use still_engines::{EngineSection, TeacherSection};
use still_recipe::{LearnerSettings, TrainingSection};
use still_settings::Findings;
use still_store::CheckpointsSection;

pub use device::{Device, DeviceSection};
pub use error::{ConfigError, KeyProblem};
pub use http::HttpSection;
pub use layers::{ConfigLayers, LoadedConfig};
pub use log::{LogFormat, LogSection, ProgressStyle};
pub use model::{EmbeddedModel, ModelSection, ModelSource};
pub use origin::Origin;
pub use price::PriceSection;
pub use run::RunSection;
pub use show::{reference, schema, show_json, show_toml};
pub use task::{PromptStyle, PromptTexts, ResponseFormat, TaskFiles, TaskSection, TaskSource};
pub use verifier::{VerifierProfile, VerifierSection};

/// The quick start's configuration, in force when no file is named.
pub const QUICKSTART: &str = include_str!("../../../../configs/quickstart.toml");
/// How the quick start's configuration is named as an origin.
pub const QUICKSTART_NAME: &str = "configs/quickstart.toml (built in)";

/// The whole configuration of `stilld`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What the whole run depends on.
    pub run: RunSection,
    /// Where tensor work runs.
    pub device: DeviceSection,
    /// What draws the rollouts and the answers to held-out problems: servers, each section with its kind and addresses
    /// (docs/engines.md). Without one this process does, on the devices of `device`.
    pub engines: Vec<EngineSection>,
    /// A server whose verified answers `stilld distill` makes demonstrations of (docs/engines.md).
    pub teacher: TeacherSection,
    /// The base model.
    pub model: ModelSection,
    /// What the model learns to solve.
    pub task: TaskSection,
    /// How problems are attempted.
    pub exploration: ExplorationSection,
    /// When a round's training set is sealed, and how it is trained on.
    pub round: RoundSection,
    /// Which correct trajectories enter a training set.
    pub selection: SelectionConfig,
    /// Which right and wrong trajectories form preference pairs, for `round.algorithm = "dpo"`.
    pub pairs: PairsConfig,
    /// What keeps a response out of every training set.
    pub hygiene: HygieneConfig,
    /// Which demonstrations of files and of imports are left out.
    pub cleaning: CleaningConfig,
    /// Which problems repeat a held-out one and are not explored.
    pub decontamination: DecontaminationConfig,
    /// How the learner works.
    pub training: TrainingSection,
    /// How a candidate is scored.
    pub evaluation: EvaluationSection,
    /// Whether a candidate is published.
    pub gate: GateConfig,
    /// How answers are judged.
    pub verifier: VerifierSection,
    /// How often training is saved, and what is kept.
    pub checkpoints: CheckpointsSection,
    /// How failed actors are restarted.
    pub supervision: SupervisionSection,
    /// The page of metrics and health.
    pub http: HttpSection,
    /// What the daemon tells.
    pub log: LogSection,
    /// What devices cost.
    pub price: PriceSection,
}

impl Config {
    /// Everything that cannot be used, section by section; empty when the configuration is sound.
    pub fn validate(&self) -> Findings {
        let mut findings = Findings::default();
        self.run.validate(&mut findings);
        self.device.validate(&mut findings);
        still_engines::validate(&self.engines, &mut findings);
        self.validate_with_servers(&mut findings);
        self.validate_launched(&mut findings);
        self.teacher.validate(&mut findings);
        self.model.validate(&mut findings);
        self.task.validate(&mut findings);
        self.exploration.validate(&mut findings);
        self.round.validate(&mut findings);
        self.training.validate(&mut findings);
        self.evaluation.validate(&mut findings);
        self.verifier.validate(&mut findings);
        self.checkpoints.validate(&mut findings);
        self.supervision.validate(&mut findings);
        self.http.validate(&mut findings);
        self.log.validate(&mut findings);
        self.price.validate(&mut findings);
        self.selection.validate(&mut findings);
        self.pairs.validate(&mut findings);
        self.hygiene.validate(&mut findings);
        self.decontamination.validate(&mut findings);
        self.gate.validate(&mut findings);
        findings
    }

    /// Notes what servers cannot do.
    fn validate_with_servers(&self, findings: &mut Findings) {
        if !still_engines::is_remote(&self.engines) {
            return;
        }
        findings.require(self.exploration.on_publish != OnPublish::Recompute, "exploration.on_publish", || {
            "\"recompute\" is for the embedded engine: with servers (`engines`) write \"finish\" or \"cancel\"".to_owned()
        });
        findings.require(!self.run.lockstep, "run.lockstep", || {
            "is for the embedded engine: what servers (`engines`) draw depends on what else they draw"
                .to_owned()
        });
        findings.require(self.model.source != ModelSource::Embedded, "model.source", || {
            "servers (`engines`) load models from folders: name one, or a repository of the hub".to_owned()
        });
    }

    /// What rounds train by, and the section that says so.
    pub fn round_learner(&self) -> (&'static str, &LearnerSettings) {
        match self.round.algorithm {
            Algorithm::Sft => ("training.improvement", &self.training.improvement),
            Algorithm::Dpo => ("training.preference", &self.training.preference),
        }
    }
}
