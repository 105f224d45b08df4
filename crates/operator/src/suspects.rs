//! Problems whose gold answers are suspect: most of their answers agree with each other on another one.

use std::{collections::HashMap, sync::Arc};

use comfy_table::{Table, presets};
use still_control::SuspectLine;
use still_curation::{GivenAnswer, SuspicionConfig};
use still_domain::{AnswerKind, Outcome, Problem, ProblemId};
use still_store::{Store, StoreError};

/// Whether two answers to a problem are one.
pub type SameAnswer = Arc<dyn Fn(&Problem, &str, &str) -> bool + Send + Sync>;

/// The suspect problems of a store, the most suspect first. Programs are judged by their tests and have no answer that
/// two could agree on: problems that ask for one are passed over.
///
/// # Errors
/// When the store fails.
pub fn suspects(store: &Store, is_same: &SameAnswer) -> Result<Vec<SuspectLine>, StoreError> {
    let problems: HashMap<ProblemId, Problem> = store
        .problems()?
        .into_iter()
        .filter(|problem| problem.kind != AnswerKind::Code)
        .map(|problem| (problem.id.clone(), problem))
        .collect();
    let mut answers: Vec<(ProblemId, Outcome, String)> = Vec::new();
    for judged in store.trajectories() {
        let judged = judged?;
        if !problems.contains_key(judged.problem()) {
            continue;
        }
        let (outcome, id) = (judged.verdict.outcome, judged.trajectory.id);
        if let Some(extracted) =
            judged.verdict.extracted.or_else(|| (outcome == Outcome::Correct).then(String::new))
        {
            answers.push((id.problem, outcome, extracted));
        }
    }
    let given =
        answers.iter().map(|(problem, outcome, answer)| GivenAnswer { problem, outcome: *outcome, answer });
    let is_same = |problem: &ProblemId, one: &str, two: &str| {
        problems.get(problem).is_some_and(|problem| is_same(problem, one, two))
    };
    let found = SuspicionConfig::default().suspects(given, is_same);
    let line = |suspect: still_curation::SuspectGold| {
        let problem = problems.get(&suspect.problem)?;
        Some(SuspectLine {
            share: suspect.share(),
            text: problem.text.clone(),
            gold: problem.gold.clone(),
            problem: suspect.problem,
            answer: suspect.answer,
            agreeing: suspect.agreeing,
            wrong: suspect.wrong,
            correct: suspect.correct,
        })
    };
    Ok(found.into_iter().filter_map(line).collect())
}

/// Suspect problems as a table for people.
pub fn table(suspects: &[SuspectLine]) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["problem", "gold", "given instead", "agree", "wrong", "right"]);
    for suspect in suspects {
        table.add_row([
            suspect.problem.to_string(),
            suspect.gold.clone(),
            suspect.answer.clone(),
            suspect.agreeing.to_string(),
            suspect.wrong.to_string(),
            suspect.correct.to_string(),
        ]);
    }
    table.to_string()
}
