//! The configured task on its way into the store.
//!
//! What is there already is no change, so every start does it, by the rules of every import
//! ([`still_operator::admission`]).

use std::{collections::BTreeSet, path::PathBuf};

use still_control::{Exit, Failure, OrExit};
use still_domain::{Demonstration, Problem, Split, Task};
use still_jobs::{RolloutImport, RolloutReport};
use still_judge::StandardVerifier;
use still_machine::{prompt_tokens, refuse_unjudgeable, refuse_unjudgeable_store};
use still_operator::{
    admission::{Admission, AdmissionError, Admitted, JudgeCheck},
    config::{Config, TaskSource},
    import::{self, Batch},
};
use still_store::{RunIdentity, Store};
use still_text::Prompter;

/// A task as it was read.
#[derive(Default)]
pub(crate) struct ReadTask {
    demonstrations: Batch<Demonstration>,
    /// Held-out problems first.
    problems: Batch<Problem>,
    /// What was read, a sentence a file and one for whatever was read otherwise than it stands there.
    pub(crate) told: Vec<String>,
}

impl ReadTask {
    /// The demonstrations.
    pub(crate) fn demonstrations(&self) -> &[Demonstration] {
        &self.demonstrations.records
    }

    /// The problems of every split.
    pub(crate) fn problems(&self) -> &[Problem] {
        &self.problems.records
    }

    /// Refuses problems that the rules of imports would refuse.
    pub(crate) fn refuse_unfit(&self, check: &JudgeCheck) -> Result<(), Failure> {
        let mut reasons = self.problems.records.iter().filter_map(|problem| check(problem).err());
        let Some(first) = reasons.next() else { return Ok(()) };
        let (count, total) = (1 + reasons.count(), self.problems.records.len());
        Err(Failure::new(Exit::BadInput, format!("{count} of {total} problems cannot be used; {first}")))
    }
}

/// Demonstrations, problems to explore and problems held out, all of which the verifier can judge.
pub(crate) fn read(config: &Config, verifier: &StandardVerifier) -> Result<ReadTask, Failure> {
    let task = match config.task.source {
        TaskSource::Quickstart => {
            let task = config.task.quickstart.generate(config.run.seed).or_exit(Exit::Configuration)?;
            generated(task)
        }
        TaskSource::Files => of_files(config)?,
    };
    refuse_unjudgeable(verifier, &task.problems.records)?;
    refuse_nothing(config, &task)?;
    Ok(with_notes(config, task))
}

/// Refuses a task on which no candidate can be scored, or the embedded one without problems.
fn refuse_nothing(config: &Config, task: &ReadTask) -> Result<(), Failure> {
    let has = |split| task.problems.records.iter().any(|problem| problem.split == split);
    if !has(Split::Dev) {
        let message = "there is no held-out problem, so no policy could be compared with another: name some in \
                       `task.files.evaluation`, or raise `task.quickstart.held_out_per_level`";
        return Err(Failure::new(Exit::Configuration, message));
    }
    // files may be empty of problems: clients import some later
    if config.task.source == TaskSource::Quickstart && config.exploration.enabled && !has(Split::Explore) {
        let message = "there is no problem to explore: raise `task.quickstart.problems`";
        return Err(Failure::new(Exit::Configuration, message));
    }
    Ok(())
}

/// The task with what an operator should know of it.
fn with_notes(config: &Config, mut task: ReadTask) -> ReadTask {
    let held_out = task.problems.records.iter().filter(|problem| problem.split == Split::Dev);
    let levels: BTreeSet<u8> = held_out.filter_map(|problem| problem.level).collect();
    let absent = config.evaluation.hard_levels.iter().filter(|level| !levels.contains(level));
    let absent: Vec<String> = absent.map(u8::to_string).collect();
    if !absent.is_empty() {
        let absent = absent.join(", ");
        task.told.push(format!(
            "note: no held-out problem has level {absent}, which `evaluation.hard_levels` names"
        ));
    }
    task
}

/// Makes a task durable, once the store is known to be this run's; gives what came of it in a sentence. All of it is
/// checked before any of it is written; `admission` holds the rules.
pub(crate) fn make_durable(
    task: ReadTask,
    config: &Config,
    store: &Store,
    verifier: &StandardVerifier,
    admission: &Admission,
    identity: &RunIdentity,
) -> Result<String, Failure> {
    store.check_identity(identity).or_exit(Exit::Store)?;
    // those of earlier runs and of clients, which may have come while programs could be confined
    refuse_unjudgeable_store(verifier, &store.problems().or_exit(Exit::Store)?)?;
    let ReadTask { demonstrations, problems, .. } = task;
    let had_demonstrations = !demonstrations.records.is_empty();
    let on_conflict = config.task.files.on_conflict.into();
    let admission = match config.task.source {
        TaskSource::Quickstart => admission.without_cleaning(),
        TaskSource::Files => admission.clone(),
    };
    let admitted = admission.import(store, demonstrations, problems, on_conflict).map_err(|error| {
        let exit = match error {
            AdmissionError::Store(_) => Exit::Store,
            AdmissionError::Unjudgeable { .. }
            | AdmissionError::TrainedOn { .. }
            | AdmissionError::Conflict { .. }
            | AdmissionError::NothingToImitate(..) => Exit::BadInput,
        };
        Failure::new(exit, error)
    })?;
    if had_demonstrations && store.demonstrations().or_exit(Exit::Store)?.is_empty() {
        let message = "every demonstration repeats a held-out problem, and none is left to imitate: take others, or \
                       other problems to hold out";
        return Err(Failure::new(Exit::BadInput, message));
    }
    store.identify(identity).or_exit(Exit::Store)?;
    tell_cleaned(&admitted);
    Ok(in_words(&admitted))
}

/// Judges the rollouts of the configured files and keeps those that are not there yet; gives what came of each file.
pub(crate) fn import_rollouts(
    config: &Config,
    store: &Store,
    prompter: &Prompter,
    verifier: &StandardVerifier,
) -> Result<Vec<String>, Failure> {
    let import = RolloutImport { store, prompter, verifier, hygiene: &config.hygiene };
    let mut told = Vec::new();
    for path in &config.task.files.rollouts {
        let RolloutReport { outcomes, eligible, known } = import.file(path)?;
        let judged: Vec<_> =
            outcomes.iter().map(|(outcome, count)| format!("{outcome:?}: {count}")).collect();
        let (file, judged) = (path.display(), judged.join(", "));
        tracing::info!(%file, judged, eligible, known, "rollouts made elsewhere are kept");
        told.push(format!(
            "`{file}`: rollouts made elsewhere are kept ({judged}), {eligible} of them may be trained on; {known} were known"
        ));
    }
    Ok(told)
}

/// Says which answers are drawn, judged and never trained on because the learner takes shorter sequences than rollouts
/// may become.
pub(crate) fn warn_of_untrainable(
    config: &Config,
    store: &Store,
    prompter: &Prompter,
) -> Result<(), Failure> {
    let problems = store.problems().or_exit(Exit::Store)?;
    let explored = problems.iter().filter(|problem| problem.split == Split::Explore);
    let Some(longest) = explored.max_by_key(|problem| problem.text.len()) else { return Ok(()) };
    let prompt = prompt_tokens(prompter, longest)?;
    let (limit, answer) =
        (config.training.improvement.max_sequence_tokens, config.exploration.sampling.max_new_tokens);
    if limit > 0 && prompt + answer as usize > limit as usize {
        let room = (limit as usize).saturating_sub(prompt);
        tracing::warn!(
            prompt_tokens = prompt,
            max_new_tokens = answer,
            max_sequence_tokens = limit,
            "answers to the longest problem of more than {room} tokens are judged and never trained on: raise \
             `training.improvement.max_sequence_tokens`, or lower `exploration.sampling.max_new_tokens`"
        );
    }
    Ok(())
}

/// Names every demonstration that is left out, and counts its faults.
fn tell_cleaned(admitted: &Admitted) {
    for (id, faults) in &admitted.cleaned {
        let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
        tracing::info!(demonstration = %id, faults = faults.join(", "), "a demonstration is not imitated");
    }
    if !admitted.cleaned.is_empty() {
        let left_out = admitted.cleaned.len();
        let faults = admitted.fault_counts();
        tracing::warn!(left_out, ?faults, "demonstrations with faults are not imitated");
    }
}

/// What came of an import.
fn in_words(admitted: &Admitted) -> String {
    let Admitted {
        report,
        problems_left_out,
        demonstrations_left_out,
        replaced,
        kept,
        imitated_left_out,
        cleaned,
    } = admitted;
    let mut text = format!("{} records are new, {} were known", report.new, report.already_there);
    for (count, what) in [
        (*replaced, "problems got another gold answer"),
        (*kept, "problems kept another gold answer than the files have"),
        (*problems_left_out, "problems that repeat a held-out one are not explored"),
        (*demonstrations_left_out, "demonstrations that repeat a held-out problem are not imitated"),
        (*imitated_left_out, "problems that are imitated are not explored"),
    ] {
        if count > 0 {
            text.push_str(&format!("; {count} {what}"));
        }
    }
    if !cleaned.is_empty() {
        let faults: Vec<_> =
            admitted.fault_counts().iter().map(|(name, count)| format!("{name}: {count}")).collect();
        let (left_out, faults) = (cleaned.len(), faults.join(", "));
        text.push_str(&format!("; {left_out} demonstrations with faults are not imitated ({faults})"));
    }
    text
}

fn generated(task: Task) -> ReadTask {
    let Task { demonstrations, problems, held_out } = task;
    let told = format!(
        "the embedded task: {} demonstrations, {} problems to explore, {} held out",
        demonstrations.len(),
        problems.len(),
        held_out.len()
    );
    let problems: Vec<_> = held_out.into_iter().chain(problems).collect();
    ReadTask { demonstrations: demonstrations.into(), problems: problems.into(), told: vec![told] }
}

fn of_files(config: &Config) -> Result<ReadTask, Failure> {
    let failed = |error: import::ImportError| Failure::new(error.exit(), error);
    let files = &config.task.files;
    let mut task = ReadTask::default();
    let splits: [(&[PathBuf], Split, &str); 3] = [
        (&files.evaluation, Split::Dev, "problems held out"),
        (&files.test, Split::Test, "problems held out to report on"),
        (&files.problems, Split::Explore, "problems to explore"),
    ];
    for path in &files.demonstrations {
        let parsed = import::demonstrations_from_file(path, config.task.format.into()).map_err(failed)?;
        task.told.extend(parsed.in_words(path, "demonstrations"));
        task.demonstrations.extend(parsed.into_batch());
    }
    for (paths, split, what) in splits {
        for path in paths {
            let parsed = import::problems_from_file(path, split, config.verifier.kind).map_err(failed)?;
            let kinds = import::kinds(&parsed.records);
            let kinds: Vec<_> = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            task.told.extend(parsed.in_words(path, &format!("{what} ({})", kinds.join(", "))));
            task.problems.extend(parsed.into_batch());
        }
    }
    Ok(task)
}
