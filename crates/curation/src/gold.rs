//! What a gold answer is worth: whether there is one at all, and whether the policy's answers speak against it.
//!
//! A policy that errs errs in many ways; wrong answers that agree with each other are evidence (self-consistency,
//! Wang et al. 2023, arXiv 2203.11171) that the gold answer is the one that is wrong. Such problems are listed for
//! a human, never changed.

use std::collections::BTreeMap;

use still_domain::{Outcome, ProblemId};

/// What data sets write where they have no answer: `NuminaMath`'s `proof` for problems that ask for one, and
/// `notfound` where none was read from the solution.
const NO_ANSWERS: [&str; 2] = ["proof", "notfound"];

/// Whether `gold` is an answer that others can be compared with, and not a data set's word for having none.
pub fn is_answer(gold: &str) -> bool {
    let gold = gold.trim();
    !gold.is_empty() && !NO_ANSWERS.iter().any(|none| gold.eq_ignore_ascii_case(none))
}

/// An answer that was read from a judged response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GivenAnswer<'text> {
    /// The problem.
    pub problem: &'text ProblemId,
    /// The verifier's finding; only right and wrong answers count.
    pub outcome: Outcome,
    /// What was read.
    pub answer: &'text str,
}

/// From when on a gold answer is suspect.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SuspicionConfig {
    /// Wrong answers that agree with each other, at least. Default: 4.
    pub min_agreeing: u32,
    /// Their share of all answers to the problem, right ones included, at least. Default: 0.5.
    pub min_share: f64,
}

impl Default for SuspicionConfig {
    fn default() -> Self {
        Self { min_agreeing: 4, min_share: 0.5 }
    }
}

/// A problem whose gold answer most of its answers speak against.
#[derive(Debug, Clone, PartialEq)]
pub struct SuspectGold {
    /// The problem.
    pub problem: ProblemId,
    /// The wrong answer that most agree on, as it was first written.
    pub answer: String,
    /// Wrong answers that agree on it.
    pub agreeing: u32,
    /// All wrong answers.
    pub wrong: u32,
    /// Right answers.
    pub correct: u32,
}

impl SuspectGold {
    /// Share of all answers that agree on the wrong one.
    pub fn share(&self) -> f64 {
        f64::from(self.agreeing) / f64::from((self.wrong + self.correct).max(1))
    }
}

impl SuspicionConfig {
    /// The problems whose wrong answers agree with each other, the largest share first. `is_same` tells whether two
    /// answers to a problem are one; it is asked about wrong answers that are written differently.
    pub fn suspects<'text>(
        &self,
        answers: impl IntoIterator<Item = GivenAnswer<'text>>,
        mut is_same: impl FnMut(&ProblemId, &str, &str) -> bool,
    ) -> Vec<SuspectGold> {
        let mut problems: BTreeMap<&ProblemId, (u32, BTreeMap<&str, u32>)> = BTreeMap::new();
        for GivenAnswer { problem, outcome, answer } in answers {
            let (correct, wrong) = problems.entry(problem).or_default();
            match outcome {
                Outcome::Correct => *correct += 1,
                Outcome::Wrong => *wrong.entry(answer.trim()).or_default() += 1,
                Outcome::NoAnswer | Outcome::Malformed | Outcome::Timeout | Outcome::Error => {}
            }
        }
        let mut suspects = Vec::new();
        for (problem, (correct, written)) in problems {
            let wrong = written.values().sum();
            // the most frequent spelling stands for its meaning
            let mut spellings: Vec<_> = written.into_iter().collect();
            spellings.sort_by(|(one_text, one), (two_text, two)| two.cmp(one).then(one_text.cmp(two_text)));
            let mut meanings: Vec<(&str, u32)> = Vec::new();
            for (text, count) in spellings {
                match meanings.iter_mut().find(|(known, _)| is_same(problem, known, text)) {
                    Some((_, agreeing)) => *agreeing += count,
                    None => meanings.push((text, count)),
                }
            }
            // the first of equals
            let most = meanings.into_iter().rev().max_by_key(|(_, agreeing)| *agreeing);
            let Some((answer, agreeing)) = most else { continue };
            let suspect =
                SuspectGold { problem: problem.clone(), answer: answer.to_owned(), agreeing, wrong, correct };
            if agreeing >= self.min_agreeing && agreeing > correct && suspect.share() >= self.min_share {
                suspects.push(suspect);
            }
        }
        suspects.sort_by(|one, two| two.share().total_cmp(&one.share()).then(one.problem.cmp(&two.problem)));
        suspects
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_sets_word_for_having_no_answer_is_none() {
        for gold in ["proof", "Proof ", "notfound", "NOTFOUND", "", "  "] {
            assert!(!is_answer(gold), "{gold:?}");
        }
        for gold in ["0", "proof by 3", "\\text{not found}", "None", "-1"] {
            assert!(is_answer(gold), "{gold:?}");
        }
    }

    fn suspects(answers: &[(&str, Outcome, &str)]) -> Vec<(String, String, u32)> {
        let problems: Vec<_> = answers.iter().map(|(problem, ..)| ProblemId::new(*problem)).collect();
        let given = answers.iter().zip(&problems).map(|((_, outcome, answer), problem)| GivenAnswer {
            problem,
            outcome: *outcome,
            answer,
        });
        let number = |text: &str| text.trim_start_matches("x=").parse::<f64>().ok();
        let found = SuspicionConfig::default()
            .suspects(given, |_, one, two| number(one).is_some() && number(one) == number(two));
        found.into_iter().map(|one| (one.problem.to_string(), one.answer, one.agreeing)).collect()
    }

    #[test]
    fn a_planted_suspect_gold_is_found_and_honest_failures_are_not() {
        use Outcome::{Correct, NoAnswer, Wrong};
        let mut answers = vec![("planted", Correct, "7"), ("planted", NoAnswer, "")];
        answers.extend(["12", "12.0", "x=12", "12", "3"].map(|answer| ("planted", Wrong, answer)));
        // hard: everybody errs in another way
        answers.extend(["1", "2", "3", "4", "5", "5"].map(|answer| ("hard", Wrong, answer)));
        // half: a common slip, and as many right answers
        answers.extend(["9"; 4].map(|answer| ("half", Wrong, answer)));
        answers.extend(["8"; 5].map(|answer| ("half", Correct, answer)));
        // few: two that agree are no evidence
        answers.extend(["6"; 2].map(|answer| ("few", Wrong, answer)));
        // certain: comes first
        answers.extend(["64"; 8].map(|answer| ("certain", Wrong, answer)));
        let found = suspects(&answers);
        assert_eq!(found, [("certain".into(), "64".into(), 8), ("planted".into(), "12".into(), 4)]);
    }

    #[test]
    fn the_order_of_answers_does_not_matter() {
        let mut answers: Vec<_> =
            ["1", "2", "1", "2", "1", "2", "1", "2"].map(|a| ("p", Outcome::Wrong, a)).into();
        let one = suspects(&answers);
        answers.reverse();
        assert_eq!(suspects(&answers), one);
        assert_eq!(one, [("p".into(), "1".into(), 4)]);
    }
}
