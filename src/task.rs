//! The configured task on its way into the store.
//!
//! What is there already is no change, so every start does it. A problem that repeats a held-out one is left
//! out: what a policy is scored on it must never explore.

use std::path::PathBuf;

use still_control::Exit;
use still_curation::Decontamination;
use still_daemon::{
    config::{Config, TaskSource},
    import,
};
use still_domain::Split;
use still_judge::HouseVerifier;
use still_quickstart::GeneratedTask;
use still_store::{RunIdentity, Store};

use crate::{
    failure::{Failure, OrExit},
    verifier::refuse_unjudgeable,
};

/// Demonstrations, problems to explore and problems held out, all of which the verifier can judge.
pub(crate) fn read(config: &Config, verifier: &HouseVerifier) -> Result<GeneratedTask, Failure> {
    let task = read_all(config)?;
    refuse_unjudgeable(verifier, task.problems.iter().chain(&task.held_out))?;
    Ok(task)
}

/// Makes a task durable, once the store is known to be this run's.
pub(crate) fn make_durable(
    task: GeneratedTask,
    config: &Config,
    store: &Store,
    verifier: &HouseVerifier,
) -> Result<(), Failure> {
    let facts = [
        ("model".to_owned(), config.model.source.to_string()),
        ("task".to_owned(), format!("{:?}", config.task.source).to_lowercase()),
    ];
    store.identify(&RunIdentity { seed: config.run.seed, facts: facts.into() }).or_exit(Exit::Store)?;
    let GeneratedTask { demonstrations, mut problems, held_out } = task;
    let texts = held_out.iter().map(|problem| (problem.id.clone(), problem.text.as_str()));
    let decontamination = Decontamination::new(config.decontamination.clone(), texts);
    let before = problems.len();
    problems.retain(|problem| decontamination.check(&problem.text).is_none());
    if problems.len() < before {
        tracing::warn!(
            left_out = before - problems.len(),
            "problems that repeat a held-out one are not explored"
        );
    }
    store.import_demonstrations(&demonstrations).or_exit(Exit::Store)?;
    store.import_problems(&held_out).or_exit(Exit::Store)?;
    store.import_problems(&problems).or_exit(Exit::Store)?;
    // those of earlier runs and of clients, which may have come while programs could be confined
    refuse_unjudgeable(verifier, &store.problems().or_exit(Exit::Store)?)
}

fn read_all(config: &Config) -> Result<GeneratedTask, Failure> {
    match config.task.source {
        TaskSource::Quickstart => {
            config.task.quickstart.generate(config.run.seed).or_exit(Exit::Configuration)
        }
        TaskSource::Files => {
            let failed = |error: import::ImportError| Failure::new(error.exit(), error);
            let files = &config.task.files;
            let problems = |paths: &[PathBuf], split| {
                let mut all = Vec::new();
                for path in paths {
                    let read = import::problems_from_file(path, split, config.verifier.kind);
                    all.extend(read.map_err(failed)?);
                }
                Ok::<_, Failure>(all)
            };
            let mut demonstrations = Vec::new();
            for path in &files.demonstrations {
                demonstrations.extend(import::demonstrations_from_file(path).map_err(failed)?);
            }
            let held_out = problems(&files.evaluation, Split::Evaluate)?;
            Ok(GeneratedTask {
                demonstrations,
                problems: problems(&files.problems, Split::Explore)?,
                held_out,
            })
        }
    }
}
