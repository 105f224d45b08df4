//! What may enter the store: one set of rules for the task of a start and for what clients import.
//!
//! | rule | what breaks it | what happens |
//! |---|---|---|
//! | every problem can be asked and judged on this machine | a gold answer or tests that cannot be read; a program where none can be confined; a prompt that does not fit | the import is refused |
//! | what a policy is scored on is never trained on | a problem to explore or a demonstration that repeats a held-out problem, one of the store or of the same import | it is left out and counted |
//! | | a new held-out problem that repeats what the store holds to explore or to imitate | the import is refused: what was trained on cannot be taken back |
//! | what is imitated is worth it | a new demonstration that `cleaning` finds a fault with | it is left out, counted and listed |
//! | what is imitated is not explored again | a new problem to explore whose statement is demonstrated, unless `exploration.explore_imitated` asks for it | it is left out and counted |
//! | a statement has one gold answer | the same statement with another gold answer or kind | refused, kept or replaced, as the import asks ([`OnConflict`]) |
//! | a name stands for one content | a known name of the same file with another statement, use or response | the import is refused |
//!
//! Names are names within their file: what is called as a record of another file is called `FILE:NAME`. The same
//! statement with the same gold answer is known, whatever its name. Everything is checked before anything is
//! written, and all of an import is written or none.

mod names;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use still_control::OnConflict;
use still_curation::{
    Agreement, Cleaning, CleaningConfig, Decontamination, DecontaminationConfig, Fault, HygieneConfig,
};
use still_domain::{
    AnswerKind, Demonstration, DemonstrationId, Outcome, Problem, ProblemId, Split, fingerprint::of_words,
};
use still_store::{ImportReport, Store, StoreError};
use thiserror::Error;

use self::names::Known;
use crate::import::Batch;

/// Says why a problem cannot be asked or judged on this machine, and what helps.
pub type JudgeCheck = Arc<dyn Fn(&Problem) -> Result<(), String> + Send + Sync>;

/// Judges a response against the gold answer of a problem.
pub type ResponseJudge = Arc<dyn Fn(&Problem, &str) -> Outcome + Send + Sync>;

/// Demonstrations that are left out, each with every fault.
type Faulty = Vec<(DemonstrationId, Vec<Fault>)>;

/// Repeated problems that a refusal names.
const MAX_NAMED: usize = 5;

/// What is configured of the rules.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AdmissionRules {
    /// When two statements are the same.
    pub decontamination: DecontaminationConfig,
    /// Which demonstrations are left out.
    pub cleaning: CleaningConfig,
    /// The bounds that cleaning goes by.
    pub hygiene: HygieneConfig,
    /// Whether problems that are demonstrated are explored as well.
    pub explore_imitated: bool,
}

/// The rules of imports. Clones share them.
#[derive(Clone)]
pub struct Admission {
    rules: AdmissionRules,
    check: JudgeCheck,
    judge: ResponseJudge,
    /// Held while an import is checked and written: no other one comes in between.
    one_at_a_time: Arc<Mutex<()>>,
}

/// What an import brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
    /// Problems to explore left out because they are imitated.
    pub imitated_left_out: u64,
    /// Demonstrations left out because cleaning found a fault with them, with every fault.
    pub cleaned: Vec<(DemonstrationId, Vec<Fault>)>,
}

impl Admitted {
    /// Demonstrations with each fault, by its name; one may have several.
    pub fn fault_counts(&self) -> BTreeMap<&'static str, u64> {
        Fault::counts(&self.cleaned)
    }
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
    /// Cleaning leaves no demonstration.
    #[error("cleaning leaves none of {0} demonstrations, and nothing was imported ({1}); see `[cleaning]`")]
    NothingToImitate(usize, String),
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
    /// Rules that ask `check` whether a problem can be judged, and `judge` whether a demonstration is right.
    pub fn new(rules: AdmissionRules, check: JudgeCheck, judge: ResponseJudge) -> Self {
        Self { rules, check, judge, one_at_a_time: Arc::default() }
    }

    /// What is asked whether a problem can be asked and judged.
    pub fn check(&self) -> JudgeCheck {
        Arc::clone(&self.check)
    }

    /// The same rules for demonstrations that the program made itself: nothing of them is left out for its form.
    #[must_use]
    pub fn without_cleaning(&self) -> Self {
        let rules = AdmissionRules { cleaning: CleaningConfig::none(), ..self.rules.clone() };
        Self { rules, ..self.clone() }
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
        let problems_left_out = (problem_count - problems.len()) as u64;
        let demonstrations_left_out = (demonstration_count - demonstrations.len()) as u64;

        let imitated = &shown;
        // what a correction says of a known problem holds
        let answered = known.iter().chain(&corrections).chain(&problems);
        let (demonstrations, cleaned) = self.clean(imitated, demonstrations, answered)?;
        let uncleaned = problems.len();
        if !self.rules.explore_imitated {
            let shown = imitated.iter().chain(&demonstrations).map(|one| of_words(&one.problem));
            let shown: HashSet<u128> = shown.collect();
            let explored: HashSet<_> = known.iter().map(|problem| &problem.id).collect();
            problems.retain(|one| {
                is_held_out(one) || explored.contains(&one.id) || !shown.contains(&of_words(&one.text))
            });
        }
        Ok(Admitted {
            report: {
                let report = store.import_task(&demonstrations, &problems, &corrections)?;
                ImportReport { already_there: report.already_there + already_there, ..report }
            },
            problems_left_out,
            demonstrations_left_out,
            replaced: corrections.len() as u64,
            kept,
            imitated_left_out: (uncleaned - problems.len()) as u64,
            cleaned,
        })
    }

    /// The demonstrations that are worth imitating, and those that are not with their faults. What is `imitated`
    /// already stays; where a demonstration names no gold answer, the one of a problem with its statement holds.
    fn clean<'problem>(
        &self,
        imitated: &[Demonstration],
        demonstrations: Vec<Demonstration>,
        problems: impl Iterator<Item = &'problem Problem>,
    ) -> Result<(Vec<Demonstration>, Faulty), AdmissionError> {
        if demonstrations.is_empty() {
            return Ok((demonstrations, Vec::new()));
        }
        let problems: HashMap<u128, &Problem> =
            problems.map(|problem| (of_words(&problem.text), problem)).collect();
        let judge = |one: &Demonstration| {
            let twin = problems.get(&of_words(&one.problem)).copied();
            match (&one.gold, twin) {
                (Some(gold), _) => self.agreement(&judged_by(one, gold), &one.response),
                (None, Some(problem)) => self.agreement(problem, &one.response),
                (None, None) => Agreement::Unknown,
            }
        };
        let names: HashSet<_> = imitated.iter().map(|one| &one.id).collect();
        let (mut kept, new): (Vec<_>, Vec<_>) =
            demonstrations.into_iter().partition(|one| names.contains(&one.id));
        let count = new.len();
        let AdmissionRules { cleaning, hygiene, .. } = &self.rules;
        let Cleaning { kept: clean, removed } = cleaning.clean(hygiene, imitated, new, judge);
        if clean.is_empty() && kept.is_empty() && imitated.is_empty() && count > 0 {
            let faults = Fault::counts(&removed).into_iter().map(|(name, count)| format!("{name}: {count}"));
            return Err(AdmissionError::NothingToImitate(count, faults.collect::<Vec<_>>().join(", ")));
        }
        kept.extend(clean);
        Ok((kept, removed))
    }

    /// How a response compares with the gold answer of a problem. A judgement that fails says nothing.
    fn agreement(&self, problem: &Problem, response: &str) -> Agreement {
        match (self.judge)(problem, response) {
            Outcome::Correct => Agreement::Agrees,
            Outcome::Wrong | Outcome::NoAnswer | Outcome::Malformed => Agreement::Disagrees,
            Outcome::Timeout | Outcome::Error => Agreement::Unknown,
        }
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
        Decontamination::new(self.rules.decontamination.clone(), texts)
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission").field("rules", &self.rules).finish_non_exhaustive()
    }
}

/// The problem of a demonstration with a gold answer of its own.
fn judged_by(demonstration: &Demonstration, gold: &str) -> Problem {
    Problem {
        id: ProblemId::new(demonstration.id.as_str()),
        text: demonstration.problem.clone(),
        gold: gold.to_owned(),
        kind: AnswerKind::Math,
        level: demonstration.level,
        source: demonstration.source.clone(),
        split: Split::Explore,
    }
}

const fn is_held_out(problem: &Problem) -> bool {
    problem.split.is_held_out()
}
