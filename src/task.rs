//! The configured task on its way into the store.
//!
//! What is there already is no change, so every start does it, by the rules of every import
//! ([`still_operator::admission`]).

use std::path::PathBuf;

use still_control::{Exit, Failure, OrExit};
use still_domain::{Split, Task};
use still_judge::StandardVerifier;
use still_machine::{refuse_unjudgeable, refuse_unjudgeable_store};
use still_operator::{
    admission::{Admission, AdmissionError, Admitted},
    config::{Config, TaskSource},
    import,
};
use still_store::{RunIdentity, Store};

/// Demonstrations, problems to explore and problems held out, all of which the verifier can judge.
pub(crate) fn read(config: &Config, verifier: &StandardVerifier) -> Result<Task, Failure> {
    let task = read_all(config)?;
    refuse_unjudgeable(verifier, task.problems.iter().chain(&task.held_out))?;
    Ok(task)
}

/// Makes a task durable, once the store is known to be this run's. All of it is checked before any of it is
/// written; `admission` holds the rules.
pub(crate) fn make_durable(
    task: Task,
    config: &Config,
    store: &Store,
    verifier: &StandardVerifier,
    admission: &Admission,
) -> Result<(), Failure> {
    let facts = [
        ("model".to_owned(), config.model.source.to_string()),
        ("task".to_owned(), config.task.source.name().to_owned()),
    ];
    let identity = RunIdentity { seed: config.run.seed, facts: facts.into() };
    store.check_identity(&identity).or_exit(Exit::Store)?;
    // those of earlier runs and of clients, which may have come while programs could be confined
    refuse_unjudgeable_store(verifier, &store.problems().or_exit(Exit::Store)?)?;
    let Task { demonstrations, problems, held_out } = task;
    let problems = held_out.into_iter().chain(problems).collect();
    let admitted = admission.import(store, demonstrations, problems).map_err(|error| {
        let exit = match error {
            AdmissionError::Store(_) => Exit::Store,
            AdmissionError::Unjudgeable { .. } | AdmissionError::TrainedOn { .. } => Exit::BadInput,
        };
        Failure::new(exit, error)
    })?;
    store.identify(&identity).or_exit(Exit::Store)?;
    let Admitted { problems_left_out, demonstrations_left_out, .. } = admitted;
    if problems_left_out > 0 {
        tracing::warn!(left_out = problems_left_out, "problems that repeat a held-out one are not explored");
    }
    if demonstrations_left_out > 0 {
        let left_out = demonstrations_left_out;
        tracing::warn!(left_out, "demonstrations that repeat a held-out problem are not imitated");
    }
    Ok(())
}

fn read_all(config: &Config) -> Result<Task, Failure> {
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
            Ok(Task { demonstrations, problems: problems(&files.problems, Split::Explore)?, held_out })
        }
    }
}
