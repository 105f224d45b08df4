//! The score of one policy as its answers come in: the evaluator without its mailbox, and without its device.
//!
//! Whoever asks the questions (the daemon's evaluator, `stilld eval`) gets the same ones with the same seeds for
//! the same run seed, and every answer is counted by the same rules: once, the verifier's own failures not at all.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use still_domain::{
    AttemptId, AttemptNumber, Evaluation, FinishReason, Outcome, PolicyName, PolicyScores, Problem,
    ProblemId, ProblemScore, Split, seed,
};

use crate::statistics;

/// The score of one policy as its answers come in.
#[derive(Debug)]
pub struct Scoring {
    policy: PolicyName,
    run_seed: u64,
    problems: BTreeMap<ProblemId, Scored>,
    waiting: VecDeque<AttemptId>,
    in_flight: BTreeSet<AttemptId>,
    judged: u64,
    errors: u64,
    unanswered: u64,
    total: u64,
}

/// A held-out problem with its score so far.
#[derive(Debug)]
struct Scored {
    problem: Arc<Problem>,
    score: ProblemScore,
    /// Answers that hit the token limit.
    truncated: u32,
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
    /// `samples` answers to each of `problems`, which have different names, in their order. `policy` says who is
    /// scored, and changes no question.
    pub fn new(policy: PolicyName, run_seed: u64, problems: Vec<Problem>, samples: u32) -> Self {
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
            (problem_id, Scored { problem: Arc::new(problem), score, truncated: 0 })
        };
        let problems = problems.into_iter().map(score).collect();
        Self {
            policy,
            run_seed,
            problems,
            waiting,
            in_flight: BTreeSet::new(),
            judged: 0,
            errors: 0,
            unanswered: 0,
            total,
        }
    }

    /// The policy that is scored.
    pub const fn policy(&self) -> PolicyName {
        self.policy
    }

    /// The problem that a rollout under way answers.
    pub fn problem(&self, id: &AttemptId) -> Option<Arc<Problem>> {
        let is_under_way = self.in_flight.contains(id);
        let scored = self.problems.get(&id.problem).filter(|_| is_under_way);
        scored.map(|scored| Arc::clone(&scored.problem))
    }

    /// Takes a verdict in; false when its answer is not under way. The verifier's own failures say nothing about the
    /// answer and are not counted.
    pub fn judged(&mut self, id: &AttemptId, outcome: Outcome, finish: FinishReason) -> bool {
        if !self.in_flight.remove(id) {
            return false;
        }
        self.judged += 1;
        self.errors += u64::from(outcome == Outcome::Error);
        if let Some(scored) = self.problems.get_mut(&id.problem) {
            scored.truncated += u32::from(finish == FinishReason::Length);
            if outcome != Outcome::Error {
                scored.score.total += 1;
                scored.score.correct += u32::from(outcome == Outcome::Correct);
            }
        }
        true
    }

    /// Learns that a question can never be answered: that says nothing about the policy, and is counted as an error.
    /// False when its answer is not under way.
    pub fn unserved(&mut self, id: &AttemptId) -> bool {
        let is_under_way = self.judged(id, Outcome::Error, FinishReason::Cancelled);
        self.unanswered += u64::from(is_under_way);
        is_under_way
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

    /// Whether every answer is judged.
    pub const fn is_complete(&self) -> bool {
        self.judged >= self.total
    }

    /// The scores, once every answer is judged.
    pub fn scores(&self, hard_levels: &[u8]) -> Option<PolicyScores> {
        self.is_complete().then(|| PolicyScores {
            dev: self.evaluation(|split| split != Split::Test, hard_levels),
            test: (self.problems.values().any(|scored| scored.problem.split == Split::Test))
                .then(|| self.evaluation(|split| split == Split::Test, hard_levels)),
        })
    }

    /// The scores on the problems of the splits asked for.
    fn evaluation(&self, is_asked_for: impl Fn(Split) -> bool, hard_levels: &[u8]) -> Evaluation {
        let of_split = || self.problems.values().filter(|scored| is_asked_for(scored.problem.split));
        let scores: Vec<_> = of_split().map(|scored| scored.score.clone()).collect();
        let samples = self.total / (self.problems.len().max(1) as u64);
        let answers = samples * scores.len() as u64;
        let truncated: u32 = of_split().map(|scored| scored.truncated).sum();
        let share = if answers == 0 { 0.0 } else { f64::from(truncated) / answers as f64 };
        statistics::evaluation(scores, hard_levels, share)
    }
}

/// The answers still to ask for; whatever is asked for is under way until it is judged. Every policy gets the same
/// questions with the same seeds, so that two of them can be compared problem by problem.
impl Iterator for Scoring {
    type Item = Question;

    fn next(&mut self) -> Option<Question> {
        let id = self.waiting.pop_front()?;
        let problem = &self.problems.get(&id.problem)?.problem;
        let names = ["evaluation", id.problem.as_str(), &id.number.to_string()];
        let seed = seed::derive(self.run_seed, &names);
        self.in_flight.insert(id.clone());
        Some(Question { problem: Arc::clone(problem), id, seed })
    }
}

#[cfg(test)]
mod tests {
    use still_domain::{AnswerKind, PolicyVersion, RoundNumber};

    use super::*;

    const BASE: PolicyName = PolicyName::Published(PolicyVersion(0));

    fn problem(id: &str, level: u8) -> Problem {
        Problem {
            id: ProblemId::new(id),
            text: id.to_owned(),
            gold: String::new(),
            kind: AnswerKind::Exact,
            level: Some(level),
            source: String::new(),
            split: Split::Dev,
        }
    }

    #[test]
    fn every_sample_is_asked_for_once_and_counted_once() {
        let problems = vec![problem("a", 1), problem("b", 6)];
        let mut scoring = Scoring::new(BASE, 7, problems, 2);
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
        assert_eq!(scoring.scores(&[6]), None);
        assert_eq!(scoring.progress(), (3, 4));
        scoring.judged(&questions[3].id, Outcome::Correct, stop);
        let PolicyScores { dev: evaluation, test } = scoring.scores(&[6]).unwrap();
        assert_eq!(test, None, "there are no test problems");
        assert_eq!((evaluation.accuracy.correct, evaluation.accuracy.total), (2, 3), "errors are not wrong");
        assert_eq!((scoring.errors(), scoring.unanswered()), (1, 0));
        let hard = evaluation.hard_accuracy.unwrap();
        assert_eq!((hard.correct, hard.total), (1, 2));
        assert!((evaluation.truncated - 0.25).abs() < 1e-12);
    }

    #[test]
    fn what_cannot_be_answered_is_an_error_and_no_wrong_answer() {
        let mut scoring = Scoring::new(BASE, 7, vec![problem("a", 1)], 2);
        let questions: Vec<_> = scoring.by_ref().collect();
        assert!(scoring.unserved(&questions[0].id));
        assert!(!scoring.unserved(&questions[0].id));
        scoring.judged(&questions[1].id, Outcome::Correct, FinishReason::Stop);
        let evaluation = scoring.scores(&[]).unwrap().dev;
        assert_eq!((evaluation.accuracy.correct, evaluation.accuracy.total), (1, 1));
        assert_eq!((scoring.errors(), scoring.unanswered()), (1, 1));
    }

    #[test]
    fn questions_and_seeds_do_not_depend_on_the_policy_or_on_other_problems() {
        let ask = |policy, problems| Scoring::new(policy, 7, problems, 3).collect::<Vec<_>>();
        let candidate = PolicyName::Candidate { candidate: RoundNumber(2) };
        let alone = ask(BASE, vec![problem("a", 1)]);
        assert_eq!(ask(candidate, vec![problem("a", 1)]), alone);
        let beside = Problem { split: Split::Test, ..problem("t", 1) };
        assert_eq!(ask(BASE, vec![problem("a", 1), beside])[..3], alone);
    }

    #[test]
    fn test_problems_are_scored_apart() {
        let test = |id| Problem { split: Split::Test, ..problem(id, 6) };
        let mut scoring = Scoring::new(BASE, 7, vec![problem("a", 6), test("t"), test("u")], 1);
        let questions: Vec<_> = scoring.by_ref().collect();
        scoring.judged(&questions[0].id, Outcome::Correct, FinishReason::Stop);
        scoring.judged(&questions[1].id, Outcome::Wrong, FinishReason::Length);
        scoring.judged(&questions[2].id, Outcome::Correct, FinishReason::Stop);
        let PolicyScores { dev, test } = scoring.scores(&[]).unwrap();
        let test = test.unwrap();
        assert_eq!((dev.accuracy.correct, dev.accuracy.total), (1, 1));
        assert_eq!((test.accuracy.correct, test.accuracy.total), (1, 2));
        assert_eq!((dev.truncated, test.truncated), (0.0, 0.5));
        assert_eq!(dev.scores.len(), 1, "the gate sees no test problem");
    }

    #[test]
    fn without_held_out_problems_the_evaluation_is_done_and_knows_nothing() {
        let scoring = Scoring::new(BASE, 7, Vec::new(), 1);
        assert_eq!(scoring.scores(&[]).unwrap().dev.accuracy.total, 0);
    }
}
