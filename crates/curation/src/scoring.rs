//! The score of one policy as its answers come in: the evaluator without its mailbox, and without its device.
//!
//! Whoever asks the questions (the daemon's evaluator, `stilld eval`) gets the same ones with the same seeds for
//! the same run seed, and every answer is counted by the same rules: once, the verifier's own failures not at all.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use still_domain::{
    AttemptId, AttemptNumber, Evaluation, FinishReason, Outcome, Problem, ProblemId, ProblemScore,
    RoundNumber, seed,
};

use crate::statistics;

/// The score of one policy as its answers come in.
#[derive(Debug)]
pub struct Scoring {
    round: RoundNumber,
    run_seed: u64,
    problems: BTreeMap<ProblemId, (Arc<Problem>, ProblemScore)>,
    waiting: VecDeque<AttemptId>,
    in_flight: BTreeSet<AttemptId>,
    judged: u64,
    errors: u64,
    unanswered: u64,
    truncated: u64,
    total: u64,
}

/// An answer to ask for.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The name of the answer.
    pub id: AttemptId,
    /// What is asked.
    pub problem: Arc<Problem>,
    /// What its tokens are drawn with.
    pub seed: u64,
}

impl Scoring {
    /// `samples` answers to each of `problems`, which have different names, in their order. `round` says whose
    /// candidate it is, and changes no question: outside of any round it is 0.
    pub fn new(round: RoundNumber, run_seed: u64, problems: Vec<Problem>, samples: u32) -> Self {
        let id = |problem: &Problem, number| AttemptId {
            problem: problem.id.clone(),
            number: AttemptNumber(number),
        };
        let waiting: VecDeque<_> =
            problems.iter().flat_map(|problem| (0..samples).map(move |number| id(problem, number))).collect();
        let total = waiting.len() as u64;
        let score = |problem: Problem| {
            let (problem_id, level) = (problem.id.clone(), problem.level);
            let score = ProblemScore { problem: problem_id.clone(), level, correct: 0, total: 0 };
            (problem_id, (Arc::new(problem), score))
        };
        let problems = problems.into_iter().map(score).collect();
        Self {
            round,
            run_seed,
            problems,
            waiting,
            in_flight: BTreeSet::new(),
            judged: 0,
            errors: 0,
            unanswered: 0,
            truncated: 0,
            total,
        }
    }

    /// The round whose candidate is scored.
    pub const fn round(&self) -> RoundNumber {
        self.round
    }

    /// The problem that a rollout under way answers.
    pub fn problem(&self, id: &AttemptId) -> Option<Arc<Problem>> {
        let is_under_way = self.in_flight.contains(id);
        self.problems.get(&id.problem).filter(|_| is_under_way).map(|(problem, _)| Arc::clone(problem))
    }

    /// Takes a verdict in. The verifier's own failures say nothing about the answer and are not counted.
    pub fn judged(&mut self, id: &AttemptId, outcome: Outcome, finish: FinishReason) {
        if !self.in_flight.remove(id) {
            return;
        }
        self.judged += 1;
        self.truncated += u64::from(finish == FinishReason::Length);
        if outcome == Outcome::Error {
            self.errors += 1;
        } else if let Some((_, score)) = self.problems.get_mut(&id.problem) {
            score.total += 1;
            score.correct += u32::from(outcome == Outcome::Correct);
        }
    }

    /// Learns that a question can never be answered: that says nothing about the policy, and is counted as an error.
    pub fn unserved(&mut self, id: &AttemptId) {
        if self.in_flight.contains(id) {
            self.unanswered += 1;
            self.judged(id, Outcome::Error, FinishReason::Cancelled);
        }
    }

    /// Answers under way.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Answers to ask for.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Answers judged, and to judge.
    pub const fn progress(&self) -> (u64, u64) {
        (self.judged, self.total)
    }

    /// Questions that could not be answered; they are among the errors.
    pub const fn unanswered(&self) -> u64 {
        self.unanswered
    }

    /// Answers that the verifier failed on, and questions without one; no score counts them.
    pub const fn errors(&self) -> u64 {
        self.errors
    }

    /// The evaluation, once every answer is judged.
    pub fn evaluation(&self, hard_levels: &[u8]) -> Option<Evaluation> {
        (self.judged >= self.total).then(|| {
            let scores = self.problems.values().map(|(_, score)| score.clone()).collect();
            let truncated = if self.total == 0 { 0.0 } else { self.truncated as f64 / self.total as f64 };
            statistics::evaluation(scores, hard_levels, truncated)
        })
    }
}

/// The answers still to ask for; whatever is asked for is under way until it is judged. Every policy gets the same
/// questions with the same seeds, so that two of them can be compared problem by problem.
impl Iterator for Scoring {
    type Item = Question;

    fn next(&mut self) -> Option<Question> {
        let id = self.waiting.pop_front()?;
        let (problem, _) = self.problems.get(&id.problem)?;
        let names = ["evaluation", id.problem.as_str(), &id.number.to_string()];
        let seed = seed::derive(self.run_seed, &names);
        self.in_flight.insert(id.clone());
        Some(Question { problem: Arc::clone(problem), id, seed })
    }
}

#[cfg(test)]
mod tests {
    use still_domain::{AnswerKind, Split};

    use super::*;

    fn problem(id: &str, level: u8) -> Problem {
        Problem {
            id: ProblemId::new(id),
            text: id.to_owned(),
            gold: String::new(),
            kind: AnswerKind::Exact,
            level: Some(level),
            source: String::new(),
            split: Split::Evaluate,
        }
    }

    #[test]
    fn every_sample_is_asked_for_once_and_counted_once() {
        let problems = vec![problem("a", 1), problem("b", 6)];
        let mut scoring = Scoring::new(RoundNumber(2), 7, problems, 2);
        let questions: Vec<_> = scoring.by_ref().collect();
        let names: Vec<_> = questions.iter().map(|question| question.id.to_string()).collect();
        assert_eq!(names, ["a#0", "a#1", "b#0", "b#1"]);
        assert_eq!(questions.iter().map(|question| question.seed).collect::<BTreeSet<_>>().len(), 4);
        assert_eq!((scoring.in_flight(), scoring.waiting()), (4, 0));
        // what a store's evaluations were drawn with stays so
        assert_eq!(questions[3].seed, seed::derive(7, &["evaluation", "b", "1"]));

        let stop = FinishReason::Stop;
        scoring.judged(&questions[0].id, Outcome::Correct, stop);
        scoring.judged(&questions[0].id, Outcome::Correct, stop);
        scoring.judged(&questions[1].id, Outcome::Error, stop);
        scoring.judged(&questions[2].id, Outcome::NoAnswer, FinishReason::Length);
        assert_eq!(scoring.evaluation(&[6]), None);
        assert_eq!(scoring.progress(), (3, 4));
        scoring.judged(&questions[3].id, Outcome::Correct, stop);
        let evaluation = scoring.evaluation(&[6]).unwrap();
        assert_eq!((evaluation.accuracy.correct, evaluation.accuracy.total), (2, 3), "errors are not wrong");
        assert_eq!((scoring.errors(), scoring.unanswered()), (1, 0));
        let hard = evaluation.hard_accuracy.unwrap();
        assert_eq!((hard.correct, hard.total), (1, 2));
        assert!((evaluation.truncated - 0.25).abs() < 1e-12);
    }

    #[test]
    fn what_cannot_be_answered_is_an_error_and_no_wrong_answer() {
        let mut scoring = Scoring::new(RoundNumber(2), 7, vec![problem("a", 1)], 2);
        let questions: Vec<_> = scoring.by_ref().collect();
        scoring.unserved(&questions[0].id);
        scoring.unserved(&questions[0].id);
        scoring.judged(&questions[1].id, Outcome::Correct, FinishReason::Stop);
        let evaluation = scoring.evaluation(&[]).unwrap();
        assert_eq!((evaluation.accuracy.correct, evaluation.accuracy.total), (1, 1));
        assert_eq!((scoring.errors(), scoring.unanswered()), (1, 1));
    }

    #[test]
    fn questions_and_seeds_do_not_depend_on_the_round() {
        let ask = |round| Scoring::new(RoundNumber(round), 7, vec![problem("a", 1)], 3).collect::<Vec<_>>();
        assert_eq!(ask(1), ask(2));
    }

    #[test]
    fn without_held_out_problems_the_evaluation_is_done_and_knows_nothing() {
        let scoring = Scoring::new(RoundNumber(0), 7, Vec::new(), 1);
        assert_eq!(scoring.evaluation(&[]).unwrap().accuracy.total, 0);
    }
}
