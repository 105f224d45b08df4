//! Scores of a job: answers judged one after the other.
//!
//! A judgement that fails is tried once more, as the verifier pool does it; one that fails again says nothing
//! of the answer, so it is counted on its own and is no part of the score.

use std::collections::HashMap;

use still_domain::{Outcome, Problem, ProblemId, ProblemScore};
use still_roles::Verifier;

/// What has been judged so far.
#[derive(Debug)]
pub struct Tally<'problem, V> {
    verifier: V,
    scores: HashMap<&'problem ProblemId, (&'problem Problem, ProblemScore)>,
    errors: u32,
}

impl<'problem, V: Verifier> Tally<'problem, V> {
    /// A tally in which nothing has been judged.
    pub fn new(problems: &'problem [Problem], verifier: V) -> Self {
        let scores = problems.iter().map(|problem| {
            let score =
                ProblemScore { problem: problem.id.clone(), level: problem.level, correct: 0, total: 0 };
            (&problem.id, (problem, score))
        });
        Self { verifier, scores: scores.collect(), errors: 0 }
    }

    /// Judges an answer and counts it; those of other problems are passed over.
    pub fn judge(&mut self, problem: &ProblemId, response: &str) {
        let Some((problem, score)) = self.scores.get_mut(problem) else { return };
        let mut outcome = self.verifier.judge(problem, response).outcome;
        if outcome == Outcome::Error {
            outcome = self.verifier.judge(problem, response).outcome;
        }
        if outcome == Outcome::Error {
            self.errors += 1;
            return;
        }
        score.correct += u32::from(outcome == Outcome::Correct);
        score.total += 1;
    }

    /// Counts an answer as wrong that could not be given.
    pub fn count_as_wrong(&mut self, problem: &ProblemId) {
        if let Some((_, score)) = self.scores.get_mut(problem) {
            score.total += 1;
        }
    }

    /// Answers that the verifier failed on twice; no score counts them.
    pub const fn errors(&self) -> u32 {
        self.errors
    }

    /// What every problem came to, in no order. One whose every judgement failed has no answer.
    pub fn into_scores(self) -> Vec<ProblemScore> {
        self.scores.into_values().map(|(_, score)| score).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use still_domain::{AnswerKind, Split, Verdict};

    use super::*;

    /// Gives its outcomes one after the other, the last one first.
    struct Scripted(Mutex<Vec<Outcome>>);

    impl Verifier for Scripted {
        fn judge(&self, _: &Problem, _: &str) -> Verdict {
            let outcome = self.0.lock().unwrap().pop().unwrap();
            Verdict { outcome, extracted: None, rule: None, verifier: "scripted".to_owned() }
        }

        fn version(&self) -> &'static str {
            "scripted"
        }
    }

    #[test]
    fn a_judgement_that_fails_is_tried_once_more_and_is_never_a_wrong_answer() {
        let problem = Problem {
            id: ProblemId::new("p"),
            text: "what?".to_owned(),
            gold: "1".to_owned(),
            kind: AnswerKind::Math,
            level: None,
            source: String::new(),
            split: Split::Evaluate,
        };
        let mut outcomes = vec![
            Outcome::Correct,
            Outcome::Error,
            Outcome::Correct,
            Outcome::Error,
            Outcome::Error,
            Outcome::Wrong,
        ];
        outcomes.reverse();
        let problems = [problem];
        let mut tally = Tally::new(&problems, Scripted(Mutex::new(outcomes)));
        for _ in 0..4 {
            tally.judge(&problems[0].id, "answer");
        }
        tally.count_as_wrong(&problems[0].id);
        tally.judge(&ProblemId::new("another"), "answer");
        assert_eq!(tally.errors(), 1);
        let scores = tally.into_scores();
        assert_eq!((scores[0].correct, scores[0].total), (2, 4));
    }
}
