//! What may enter the store: one set of rules for the task of a start and for what clients import.
//!
//! | rule | what breaks it | what happens |
//! |---|---|---|
//! | every problem can be asked and judged on this machine | a gold answer or tests that cannot be read; a program where none can be confined; a prompt that does not fit | the import is refused |
//! | what a policy is scored on is never trained on | a problem to explore or a demonstration that repeats a held-out problem, one of the store or of the same import | it is left out and counted |
//! | | a new held-out problem that repeats what the store holds to explore or to imitate | the import is refused: what was trained on cannot be taken back |
//! | a statement has one gold answer | the same statement with another gold answer or kind | refused, kept or replaced, as the import asks ([`OnConflict`]) |
//! | a name stands for one content | a known name of the same file with another statement, use or response | the import is refused |
//!
//! Names are names within their file: what is called as a record of another file is called `FILE:NAME`. The same
//! statement with the same gold answer is known, whatever its name. Everything is checked before anything is
//! written, and all of an import is written or none.

mod names;

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use still_control::OnConflict;
use still_curation::{Decontamination, DecontaminationConfig};
use still_domain::{Demonstration, Problem, Split};
use still_store::{ImportReport, Store, StoreError};
use thiserror::Error;

use self::names::Known;
use crate::import::Batch;

/// Says why a problem cannot be asked or judged on this machine, and what helps.
pub type JudgeCheck = Arc<dyn Fn(&Problem) -> Result<(), String> + Send + Sync>;

/// Repeated problems that a refusal names.
const MAX_NAMED: usize = 5;

/// The rules of imports. Clones share them.
#[derive(Clone)]
pub struct Admission {
    decontamination: DecontaminationConfig,
    check: JudgeCheck,
    /// Held while an import is checked and written: no other one comes in between.
    one_at_a_time: Arc<Mutex<()>>,
}

/// What an import brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Admitted {
    /// What was new, and what was there.
    pub report: ImportReport,
    /// Problems to explore left out because they repeat a held-out one.
    pub problems_left_out: u64,
    /// Demonstrations left out because they repeat a held-out problem.
    pub demonstrations_left_out: u64,
    /// Known problems that got another gold answer or kind.
    pub replaced: u64,
    /// Known problems that kept theirs.
    pub kept: u64,
}

/// Why nothing of an import was written.
#[derive(Debug, Error)]
pub enum AdmissionError {
    /// Problems that cannot be asked or judged.
    #[error("{count} of {total} problems cannot be used, and nothing was imported; {first}")]
    Unjudgeable {
        /// How many.
        count: usize,
        /// Of how many.
        total: usize,
        /// What is wrong with the first of them, and what helps.
        first: String,
    },
    /// Held-out problems that the run trains on.
    #[error(
        "problems to hold out repeat what this run explores or imitates ({count} times), and nothing was imported: \
         {named}; leave them out, or hold them out in a run of their own from its start"
    )]
    TrainedOn {
        /// How many of what the run trains on they repeat.
        count: usize,
        /// The first of them, each with what it repeats.
        named: String,
    },
    /// What is known has another content.
    #[error("{count} of {total} records are known with another content, and nothing was imported; {first}")]
    Conflict {
        /// How many.
        count: usize,
        /// Of how many.
        total: usize,
        /// What the first of them is, and what helps.
        first: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Admission {
    /// Rules that compare statements as `decontamination` says and ask `check` whether a problem can be
    /// judged.
    pub fn new(decontamination: DecontaminationConfig, check: JudgeCheck) -> Self {
        Self { decontamination, check, one_at_a_time: Arc::default() }
    }

    /// Makes demonstrations and problems durable, as far as the rules allow. Blocks.
    ///
    /// # Errors
    /// When the rules refuse them or the store fails; then nothing was written.
    pub fn import(
        &self,
        store: &Store,
        demonstrations: impl Into<Batch<Demonstration>>,
        problems: impl Into<Batch<Problem>>,
        on_conflict: OnConflict,
    ) -> Result<Admitted, AdmissionError> {
        let (demonstrations, problems) = (demonstrations.into(), problems.into());
        self.refuse_unjudgeable(&problems.records)?;
        let _alone = self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, shown) = (store.problems()?, store.demonstrations()?);
        let resolved = Known::new(&known, &shown).resolve(problems, demonstrations, on_conflict);
        let names::Resolved {
            mut problems,
            mut demonstrations,
            corrections,
            already_there,
            kept,
            conflicts,
            total,
        } = resolved;
        if let Some(first) = conflicts.first() {
            return Err(AdmissionError::Conflict { count: conflicts.len(), total, first: first.clone() });
        }
        let held_out: Vec<&Problem> = known.iter().filter(|problem| is_held_out(problem)).collect();
        let names: HashSet<_> = held_out.iter().map(|problem| &problem.id).collect();
        let is_new = |problem: &&Problem| is_held_out(problem) && !names.contains(&problem.id);
        let new: Vec<&Problem> = problems.iter().filter(is_new).collect();
        if !new.is_empty() {
            self.refuse_trained_on(&known, &shown, &new)?;
        }
        let index = self.index(held_out.into_iter().chain(new));
        let (problem_count, demonstration_count) = (problems.len(), demonstrations.len());
        problems.retain(|problem| is_held_out(problem) || index.check(&problem.text).is_none());
        demonstrations.retain(|demonstration| index.check(&demonstration.problem).is_none());
        Ok(Admitted {
            report: {
                let report = store.import_task(&demonstrations, &problems, &corrections)?;
                ImportReport { already_there: report.already_there + already_there, ..report }
            },
            problems_left_out: (problem_count - problems.len()) as u64,
            demonstrations_left_out: (demonstration_count - demonstrations.len()) as u64,
            replaced: corrections.len() as u64,
            kept,
        })
    }

    fn refuse_unjudgeable(&self, problems: &[Problem]) -> Result<(), AdmissionError> {
        let mut reasons = problems.iter().filter_map(|problem| (self.check)(problem).err());
        let Some(first) = reasons.next() else { return Ok(()) };
        Err(AdmissionError::Unjudgeable { count: 1 + reasons.count(), total: problems.len(), first })
    }

    /// Refuses new held-out problems that repeat what the store holds to be trained on.
    fn refuse_trained_on(
        &self,
        known: &[Problem],
        demonstrations: &[Demonstration],
        new: &[&Problem],
    ) -> Result<(), AdmissionError> {
        let index = self.index(new.iter().copied());
        let explored = known.iter().filter(|problem| !is_held_out(problem));
        let explored = explored.map(|problem| (problem.id.as_str(), "problem", &problem.text));
        let imitated = demonstrations
            .iter()
            .map(|demonstration| (demonstration.id.as_str(), "demonstration", &demonstration.problem));
        let repeated: Vec<String> = explored
            .chain(imitated)
            .filter_map(|(name, what, text)| {
                let held_out = index.check(text)?.held_out().to_string();
                Some(match what {
                    "problem" if held_out == name => format!("`{name}` is explored already"),
                    _ => format!("`{held_out}` repeats {what} `{name}`"),
                })
            })
            .collect();
        if repeated.is_empty() {
            return Ok(());
        }
        let mut named = repeated.iter().take(MAX_NAMED).cloned().collect::<Vec<_>>().join(", ");
        if repeated.len() > MAX_NAMED {
            named.push_str(" and so on");
        }
        Err(AdmissionError::TrainedOn { count: repeated.len(), named })
    }

    fn index<'problem>(&self, held_out: impl Iterator<Item = &'problem Problem>) -> Decontamination {
        let texts = held_out.map(|problem| (problem.id.clone(), problem.text.as_str()));
        Decontamination::new(self.decontamination.clone(), texts)
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission").field("decontamination", &self.decontamination).finish_non_exhaustive()
    }
}

fn is_held_out(problem: &Problem) -> bool {
    problem.split == Split::Evaluate
}
