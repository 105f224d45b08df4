//! A stopped daemon's records, read only: tables for people, JSON for programs.

use std::{
    io::{self, Write},
    ops::ControlFlow,
};

use comfy_table::{Table, presets};
use serde::Serialize;
use still_control::{PoolEntry, RoundReport};
use still_domain::{
    AnswerKind, AttemptId, FinishReason, JudgedTrajectory, Outcome, PolicyName, PolicyRecord, Problem,
    Provenance, ProvenanceId, Round, RoundNumber, ScoredAnswer, SealingDecisions, Split, TrainingSet,
};

use crate::{cli::InspectSubject, results, round_table};

/// An answer that a policy was scored by, with its problem.
pub type ProblemAnswer = (ScoredAnswer, Problem);

/// The records of a data directory. A damaged one is an error in its place, and others come after it.
pub trait Records {
    /// Why one cannot be read.
    type Error: std::error::Error + 'static;

    /// Every round, oldest first.
    fn rounds(&self) -> Vec<Result<Round, Self::Error>>;

    /// Calls `visit` with every judged trajectory, in the order of the ids, until it breaks off.
    fn each_trajectory(
        &self,
        visit: &mut dyn FnMut(Result<JudgedTrajectory, Self::Error>) -> ControlFlow<()>,
    );

    /// Calls `visit` with every answer that a policy was scored by and its problem, until it breaks off.
    fn each_answer(&self, visit: &mut dyn FnMut(Result<ProblemAnswer, Self::Error>) -> ControlFlow<()>);

    /// Every sealed training set, oldest first.
    fn sets(&self) -> Vec<Result<TrainingSet, Self::Error>>;

    /// What each sealing decided otherwise than those before it, oldest first.
    fn decisions(&self) -> Vec<Result<SealingDecisions, Self::Error>>;

    /// Every published policy, oldest first.
    fn policies(&self) -> Vec<Result<PolicyRecord, Self::Error>>;

    /// Every problem, in no order.
    fn problems(&self) -> Vec<Result<Problem, Self::Error>>;

    /// Every manner in which trajectories were drawn.
    fn provenances(&self) -> Vec<Result<Provenance, Self::Error>>;
}

/// What could not be shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inspected {
    /// What is wrong with each record that is damaged.
    pub damaged: Vec<String>,
}

impl Inspected {
    /// The sound ones of some records.
    fn sound<T, E: std::error::Error>(&mut self, records: Vec<Result<T, E>>) -> Vec<T> {
        records.into_iter().filter_map(|record| self.one(record)).collect()
    }

    fn one<T, E: std::error::Error>(&mut self, record: Result<T, E>) -> Option<T> {
        record.map_err(|error| self.damaged.push(error.to_string())).ok()
    }
}

/// Writes what `subject` names. `rounds`, `results`, `sets` and `policies` are a JSON array with `json`, a table
/// without; `pool`, `answers` and problems are one JSON object a line either way. Damaged records are passed over, and
/// given.
///
/// # Errors
/// When the output cannot be written.
pub fn inspect<R: Records>(
    records: &R,
    subject: InspectSubject,
    json: bool,
    out: &mut dyn Write,
) -> io::Result<Inspected> {
    let mut seen = Inspected::default();
    match subject {
        InspectSubject::Rounds => {
            let rounds = seen.sound(records.rounds());
            tell(&rounds, json, out, |rounds| {
                round_table::table(&rounds.iter().map(RoundReport::of).collect::<Vec<_>>())
            })?;
        }
        InspectSubject::Results => {
            let rounds = seen.sound(records.rounds());
            tell(&results::results(&rounds), json, out, |results| results::table(results))?;
        }
        InspectSubject::Sets => {
            let mut sets = seen.sound(records.sets());
            sets.sort_by_key(|set| set.content.round);
            tell(&sets, json, out, |sets| sets_table(sets))?;
        }
        InspectSubject::Policies => {
            let policies = seen.sound(records.policies());
            tell(&policies, json, out, |policies| policies_table(policies))?;
        }
        InspectSubject::Provenances => {
            let provenances = seen.sound(records.provenances());
            let lines: Vec<_> =
                provenances.iter().map(|manner| ProvenanceLine { id: manner.id(), manner }).collect();
            tell(&lines, json, out, |lines| provenances_table(lines))?;
        }
        InspectSubject::Problems | InspectSubject::HeldOut => {
            let is_asked_for =
                |problem: &Problem| problem.split.is_held_out() == (subject == InspectSubject::HeldOut);
            for problem in seen.sound(records.problems()).into_iter().filter(is_asked_for) {
                line(&problem, out)?;
            }
        }
        InspectSubject::Decisions => {
            for SealingDecisions { round, decided } in seen.sound(records.decisions()) {
                for (decision, ids) in &decided {
                    for id in ids {
                        line(&DecisionLine { id, round, decision }, out)?;
                    }
                }
            }
        }
        InspectSubject::Pool => {
            let mut written = Ok(());
            let mut visit = |judged: Result<JudgedTrajectory, R::Error>| {
                if let Some(judged) = seen.one(judged) {
                    written = line(&PoolEntry::from(&judged), out);
                }
                if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            };
            records.each_trajectory(&mut visit);
            written?;
        }
        InspectSubject::Answers => {
            let mut written = Ok(());
            let mut visit = |answer: Result<ProblemAnswer, R::Error>| {
                if let Some((answer, problem)) = seen.one(answer) {
                    written = line(&AnswerLine::of(&answer, &problem), out);
                }
                if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            };
            records.each_answer(&mut visit);
            written?;
        }
    }
    out.flush()?;
    Ok(seen)
}

fn line<T: serde::Serialize>(record: &T, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, record)?;
    out.write_all(b"\n")
}

/// How trajectories were drawn, with the name that they carry.
#[derive(Serialize)]
struct ProvenanceLine<'a> {
    id: ProvenanceId,
    #[serde(flatten)]
    manner: &'a Provenance,
}

/// What a sealing decided of a trajectory.
#[derive(Serialize)]
struct DecisionLine<'a> {
    id: &'a AttemptId,
    round: RoundNumber,
    decision: &'a str,
}

/// An answer that a policy was scored by, in the fields that `stilld grade` reads and those that it does not.
#[derive(Serialize)]
struct AnswerLine<'a> {
    id: String,
    gold: &'a str,
    kind: AnswerKind,
    prediction: &'a str,
    policy: PolicyName,
    split: Split,
    level: Option<u8>,
    verdict: Outcome,
    extracted: Option<&'a str>,
    verifier: &'a str,
    tokens: u32,
    finish: FinishReason,
}

impl<'a> AnswerLine<'a> {
    fn of(answer: &'a ScoredAnswer, problem: &'a Problem) -> Self {
        Self {
            id: answer.id.to_string(),
            gold: &problem.gold,
            kind: problem.kind,
            prediction: &answer.text,
            policy: answer.policy,
            split: problem.split,
            level: problem.level,
            verdict: answer.verdict.outcome,
            extracted: answer.verdict.extracted.as_deref(),
            verifier: &answer.verdict.verifier,
            tokens: answer.tokens,
            finish: answer.finish,
        }
    }
}

fn tell<T: serde::Serialize>(
    records: &T,
    json: bool,
    out: &mut dyn Write,
    table: impl FnOnce(&T) -> String,
) -> io::Result<()> {
    if json {
        serde_json::to_writer_pretty(&mut *out, records)?;
        writeln!(out)
    } else {
        writeln!(out, "{}", table(records))
    }
}

fn sets_table(sets: &[TrainingSet]) -> String {
    let mut table = headed(&["set", "round", "demonstrations", "trajectories", "pairs", "intact"]);
    for set in sets {
        let content = &set.content;
        table.add_row([
            set.id.to_string(),
            content.round.to_string(),
            content.demonstrations.len().to_string(),
            content.trajectories.len().to_string(),
            content.pairs.len().to_string(),
            if set.is_intact() { "yes" } else { "NO" }.to_owned(),
        ]);
    }
    table.to_string()
}

fn policies_table(policies: &[PolicyRecord]) -> String {
    let mut table = headed(&["version", "from", "checkpoint", "accuracy"]);
    for policy in policies {
        table.add_row([
            policy.version.to_string(),
            policy.origin.to_string(),
            policy.checkpoint.as_ref().map(ToString::to_string).unwrap_or_default(),
            policy.accuracy.as_ref().map(round_table::interval).unwrap_or_default(),
        ]);
    }
    table.to_string()
}

fn provenances_table(lines: &[ProvenanceLine<'_>]) -> String {
    let mut table = headed(&["name", "engine", "which", "version", "precision", "prompt", "tokens"]);
    for ProvenanceLine { id, manner } in lines {
        table.add_row([
            id.to_string(),
            manner.engine.clone(),
            manner.name.clone(),
            manner.version.clone().unwrap_or_default(),
            manner.precision.clone().unwrap_or_default(),
            manner.prompt.clone(),
            if manner.is_retokenized { "made of its text" } else { "its own" }.to_owned(),
        ]);
    }
    table.to_string()
}

fn headed(names: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(names);
    table
}
