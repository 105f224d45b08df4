//! Who takes the steps of a training job: learners of this process, or a command.

use std::{path::PathBuf, sync::Arc};

use still_control::{Exit, Failure, OrExit};
use still_embedded::{EmbeddedTraining, Learner};
use still_external_trainer::ExternalTrainer;
use still_learning::PolicyLearner;
use still_library::PolicyLibrary;
use still_operator::config::Config;
use still_process::Turns;
use still_recipe::TrainingEngine;
use still_roles::TrainingFactory;
use still_tensor_decoder::peft;
use still_training_data::ExampleEncoder;

use crate::{model::Model, placement::open_learners, settings};

/// Opens training runs as the configuration asks for them. `root` is where a command finds its jobs: on the disk of the
/// checkpoints; `turns` is asked for devices that a command uses in turns with servers.
///
/// # Errors
/// When a device is not there, or the program cannot be run.
pub fn training(
    config: &Config,
    model: &Model,
    library: &Arc<PolicyLibrary>,
    encoder: Arc<dyn ExampleEncoder>,
    root: PathBuf,
    turns: Option<Turns>,
) -> Result<TrainingFactory, Failure> {
    match config.training.engine {
        TrainingEngine::Embedded => embedded(config, model, library, encoder),
        TrainingEngine::Command => {
            config.training.command.executable().or_exit(Exit::Configuration)?;
            library.base_folder().or_exit(Exit::Configuration)?;
            let sizes = model.config.clone();
            let trainer = ExternalTrainer {
                settings: config.training.clone(),
                root,
                config: model.config.clone(),
                library: Arc::clone(library),
                encoder,
                tokenizer: model.tokenizer.clone(),
                merge: Arc::new(move |folder, start| {
                    let adapters = peft::load(folder, &sizes).map_err(|error| error.to_string())?;
                    Ok(adapters.merge(start, &sizes))
                }),
                turns,
                threads: settings::threads(config.device.learner_threads),
            };
            Ok(trainer.factory("trainer"))
        }
    }
}

fn embedded(
    config: &Config,
    model: &Model,
    library: &Arc<PolicyLibrary>,
    encoder: Arc<dyn ExampleEncoder>,
) -> Result<TrainingFactory, Failure> {
    let devices = config.device.clone();
    // a device that is not there is told now, not by the first training job
    let (settings, base, library) = (settings::learner(config), model.base_policy(), Arc::clone(library));
    let precision = settings.precision();
    open_learners(&devices, precision).or_exit(Exit::Device)?;
    Ok(EmbeddedTraining::factory("learner", move || {
        let opened = open_learners(&devices, precision).map_err(|error| error.to_string())?;
        let (base, library, encoder) = (base.clone(), Arc::clone(&library), Arc::clone(&encoder));
        let learner = PolicyLearner::new(settings.clone(), base, library, encoder, opened);
        let learner: Box<dyn Learner> = Box::new(learner);
        Ok(learner)
    }))
}
