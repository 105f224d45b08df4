//! What an import has in common with what is known: by statement first, by name second.

use std::collections::{HashMap, HashSet};

use still_control::OnConflict;
use still_domain::{Demonstration, DemonstrationId, Problem, ProblemId, Split};

use crate::import::Batch;

/// What the store holds.
pub(super) struct Known<'a> {
    problems: HashMap<String, &'a Problem>,
    by_statement: HashMap<(Split, String), &'a Problem>,
    demonstrations: HashMap<&'a str, &'a Demonstration>,
}

/// An import as it may be written.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    pub(super) problems: Vec<Problem>,
    pub(super) demonstrations: Vec<Demonstration>,
    /// Known problems with another gold answer.
    pub(super) corrections: Vec<Problem>,
    /// Problems that are known, under whatever name.
    pub(super) already_there: u64,
    /// Problems whose known gold answer stays.
    pub(super) kept: u64,
    /// What is known with another content, each with its place and the remedy.
    pub(super) conflicts: Vec<String>,
    /// Records that were brought.
    pub(super) total: usize,
}

impl<'a> Known<'a> {
    pub(super) fn new(problems: &'a [Problem], demonstrations: &'a [Demonstration]) -> Self {
        let named = problems.iter().map(|problem| (problem.id.to_string(), problem)).collect();
        // of twins that an earlier program let in, the first counts
        let by_statement = problems.iter().rev().map(|problem| (statement(problem), problem)).collect();
        let demonstrations = demonstrations.iter().map(|one| (one.id.as_str(), one)).collect();
        Self { problems: named, by_statement, demonstrations }
    }

    /// Compares an import with what is known, and with itself.
    pub(super) fn resolve(
        &self,
        problems: Batch<Problem>,
        demonstrations: Batch<Demonstration>,
        on_conflict: OnConflict,
    ) -> Resolved {
        let mut resolved =
            Resolved { total: problems.records.len() + demonstrations.records.len(), ..Resolved::default() };
        self.resolve_problems(problems, on_conflict, &mut resolved);
        self.resolve_demonstrations(demonstrations, &mut resolved);
        resolved
    }

    fn resolve_problems(&self, batch: Batch<Problem>, on_conflict: OnConflict, resolved: &mut Resolved) {
        let lines = batch.lines.into_iter().chain(std::iter::repeat(0));
        // what the import itself has brought so far
        let mut brought: HashMap<(Split, String), Problem> = HashMap::new();
        let mut names: HashMap<String, Problem> = HashMap::new();
        for (mut problem, line) in batch.records.into_iter().zip(lines) {
            let asked = statement(&problem);
            let twin = self.by_statement.get(&asked).copied().or_else(|| brought.get(&asked));
            if let Some(twin) = twin {
                if (&twin.gold, twin.kind) == (&problem.gold, problem.kind) {
                    resolved.already_there += 1;
                    continue;
                }
                let is_stored = self.by_statement.contains_key(&asked);
                match on_conflict {
                    OnConflict::Keep => resolved.kept += 1,
                    OnConflict::Replace if is_stored => {
                        let Problem { gold, kind, .. } = problem;
                        resolved.corrections.push(Problem { gold, kind, ..twin.clone() });
                    }
                    OnConflict::Abort | OnConflict::Replace => {
                        resolved.conflicts.push(other_gold(&problem, line, twin, is_stored));
                    }
                }
                continue;
            }
            let known = |name: &str| self.problems.get(name).copied().or_else(|| names.get(name));
            if let Some(other) = known(problem.id.as_str())
                && other.text != problem.text
                && other.source != problem.source
            {
                problem.id = ProblemId::new(within(&problem.source, problem.id.as_str()));
            }
            if let Some(other) = known(problem.id.as_str())
                && other.text != problem.text
            {
                let place = place(&problem.source, line);
                resolved.conflicts.push(format!(
                    "{place}: problem `{}` is there already with another statement; give the new one another id",
                    problem.id
                ));
                continue;
            }
            brought.insert(asked, problem.clone());
            names.insert(problem.id.to_string(), problem.clone());
            resolved.problems.push(problem);
        }
    }

    fn resolve_demonstrations(&self, batch: Batch<Demonstration>, resolved: &mut Resolved) {
        let lines = batch.lines.into_iter().chain(std::iter::repeat(0));
        let mut names: HashMap<String, Demonstration> = HashMap::new();
        let mut taken: HashSet<String> = HashSet::new();
        for (mut demonstration, line) in batch.records.into_iter().zip(lines) {
            let known =
                |name: &str| self.demonstrations.get(name).copied().or_else(|| names.get(name)).cloned();
            let is_same = |one: &Demonstration, other: &Demonstration| {
                (&one.problem, &one.response) == (&other.problem, &other.response)
            };
            if let Some(other) = known(demonstration.id.as_str())
                && !is_same(&other, &demonstration)
                && other.source != demonstration.source
            {
                let name = within(&demonstration.source, demonstration.id.as_str());
                demonstration.id = DemonstrationId::new(name);
            }
            if known(demonstration.id.as_str()).is_some_and(|other| !is_same(&other, &demonstration)) {
                let place = place(&demonstration.source, line);
                resolved.conflicts.push(format!(
                    "{place}: demonstration `{}` is there already with another problem or response; give the new \
                     one another id",
                    demonstration.id
                ));
                continue;
            }
            if taken.insert(demonstration.id.to_string()) {
                names.insert(demonstration.id.to_string(), demonstration.clone());
            }
            resolved.demonstrations.push(demonstration);
        }
    }
}

/// What a problem asks, and what for.
fn statement(problem: &Problem) -> (Split, String) {
    (problem.split, problem.text.trim().to_owned())
}

/// A name within its file.
fn within(source: &str, name: &str) -> String {
    format!("{source}:{name}")
}

/// Where a record stands.
fn place(source: &str, line: u64) -> String {
    match (source.is_empty(), line) {
        (true, 0) => "a record".to_owned(),
        (true, line) => format!("line {line}"),
        (false, 0) => format!("`{source}`"),
        (false, line) => format!("`{source}`, line {line}"),
    }
}

fn other_gold(problem: &Problem, line: u64, twin: &Problem, is_stored: bool) -> String {
    let what = if twin.gold == problem.gold {
        format!("kind {:?} where it was {:?}", problem.kind, twin.kind)
    } else {
        format!("gold answer `{}` where it was `{}`", short(&problem.gold), short(&twin.gold))
    };
    let remedy = if is_stored {
        "leave it out, or ask for `--on-conflict replace` or `keep` (`task.files.on_conflict`)"
    } else {
        "both are of this import: leave the wrong one out"
    };
    format!(
        "{}: asks the same as problem `{}`, with the {what}; {remedy}",
        place(&problem.source, line),
        twin.id
    )
}

fn short(text: &str) -> String {
    const SHOWN: usize = 60;
    let mut characters = text.chars();
    let mut shown: String = characters.by_ref().take(SHOWN).collect();
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use still_domain::AnswerKind;

    use super::*;

    fn problem(id: &str, text: &str, gold: &str, source: &str) -> Problem {
        Problem {
            id: ProblemId::new(id),
            text: text.to_owned(),
            gold: gold.to_owned(),
            kind: AnswerKind::Math,
            level: None,
            source: source.to_owned(),
            split: Split::Explore,
        }
    }

    fn resolve(known: &[Problem], new: Vec<Problem>, on_conflict: OnConflict) -> Resolved {
        let lines = (1..=new.len() as u64).collect();
        Known::new(known, &[]).resolve(Batch { records: new, lines }, Batch::default(), on_conflict)
    }

    #[test]
    fn the_same_statement_with_the_same_gold_is_known_whatever_its_name() {
        let known = [problem("a", "p", "1", "f")];
        let resolved = resolve(
            &known,
            vec![problem("b", " p ", "1", "g"), problem("c", "q", "1", "g")],
            OnConflict::Abort,
        );
        assert_eq!((resolved.already_there, resolved.problems.len()), (1, 1));
    }

    #[test]
    fn another_gold_is_named_kept_or_replaced_and_never_doubled() {
        let known = [problem("a", "p", "1", "f")];
        let new = || vec![problem("a", "p", "2", "f")];
        let refused = resolve(&known, new(), OnConflict::Abort);
        for part in ["`f`, line 1", "`a`", "`2` where it was `1`", "--on-conflict replace"] {
            assert!(refused.conflicts[0].contains(part), "{}", refused.conflicts[0]);
        }
        assert_eq!(resolve(&known, new(), OnConflict::Keep).kept, 1);
        let replaced = resolve(&known, new(), OnConflict::Replace);
        assert_eq!((replaced.corrections[0].gold.as_str(), replaced.problems.len()), ("2", 0));
        let both =
            resolve(&[], vec![problem("a", "p", "1", "f"), problem("b", "p", "2", "g")], OnConflict::Replace);
        assert!(both.conflicts[0].contains("both are of this import"), "{:?}", both.conflicts);
    }

    #[test]
    fn a_name_is_a_name_within_its_file() {
        let known = [problem("1", "p", "1", "f.jsonl")];
        let new = || vec![problem("1", "q", "1", "g.jsonl")];
        let resolved = resolve(&known, new(), OnConflict::Abort);
        assert_eq!(resolved.problems[0].id.as_str(), "g.jsonl:1");
        let both = [known[0].clone(), resolved.problems[0].clone()];
        let again = resolve(&both, new(), OnConflict::Abort);
        assert_eq!((again.already_there, again.problems.len(), again.conflicts.len()), (1, 0, 0));
        let same_file = resolve(&known, vec![problem("1", "q", "1", "f.jsonl")], OnConflict::Abort);
        assert!(same_file.conflicts[0].contains("another id"), "{:?}", same_file.conflicts);
    }
}
