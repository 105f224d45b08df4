//! How sure an accuracy is.

mod intervals;

use std::collections::BTreeMap;

use still_domain::{Estimate, Evaluation, ProblemScore};

use self::intervals::wilson_of_share;
pub use self::intervals::{Interval, bootstrap_mean, wilson};

/// Bootstrap samples behind the interval of an evaluation with several samples a problem.
const BOOTSTRAP_SAMPLES: u32 = 2000;
/// Their seed: the same scores always give the same interval.
const BOOTSTRAP_SEED: u64 = 0;

/// Sums an evaluation up: overall, over the problems of `hard_levels`, and by level. `truncated` is the
/// share of responses that hit the token limit. Scores are sorted by problem.
pub fn evaluation(mut scores: Vec<ProblemScore>, hard_levels: &[u8], truncated: f64) -> Evaluation {
    scores.sort_by(|one, two| one.problem.cmp(&two.problem));
    let is_hard = |score: &&ProblemScore| score.level.is_some_and(|level| hard_levels.contains(&level));
    let hard: Vec<&ProblemScore> = scores.iter().filter(is_hard).collect();
    let mut levels: BTreeMap<u8, Vec<&ProblemScore>> = BTreeMap::new();
    for score in &scores {
        if let Some(level) = score.level {
            levels.entry(level).or_default().push(score);
        }
    }
    Evaluation {
        accuracy: estimate(&scores.iter().collect::<Vec<_>>()),
        hard_accuracy: (!hard.is_empty()).then(|| estimate(&hard)),
        by_level: levels.into_iter().map(|(level, scores)| (level, estimate(&scores))).collect(),
        truncated,
        scores,
    }
}

/// Mean over problems of their shares of right answers, with its 95 % interval: Wilson's where each problem
/// was sampled once, else a bootstrap over problems, because samples of one problem are not independent.
/// Where all problems have the same share (all solved every time, say, or there is only one), resamples do not
/// differ and tell nothing of the width: the interval is then Wilson's over the number of problems.
pub fn estimate(scores: &[&ProblemScore]) -> Estimate {
    let correct = scores.iter().map(|score| score.correct).sum();
    let total = scores.iter().map(|score| score.total).sum();
    if scores.iter().all(|score| score.total <= 1) {
        return wilson(correct, total);
    }
    let sampled = scores.iter().filter(|score| score.total > 0);
    let shares: Vec<f64> = sampled.map(|score| f64::from(score.correct) / f64::from(score.total)).collect();
    let interval = match shares.as_slice() {
        [first, rest @ ..] if rest.iter().all(|share| share.total_cmp(first).is_eq()) => {
            Some(wilson_of_share(*first, shares.len() as u32))
        }
        shares => bootstrap_mean(shares, BOOTSTRAP_SAMPLES, BOOTSTRAP_SEED),
    };
    match interval {
        Some(Interval { mean: value, low, high }) => Estimate { value, low, high, correct, total },
        None => wilson(correct, total),
    }
}

#[cfg(test)]
mod tests {
    use still_domain::ProblemId;

    use super::*;

    fn score(problem: &str, level: u8, correct: u32, total: u32) -> ProblemScore {
        ProblemScore { problem: ProblemId::new(problem), level: Some(level), correct, total }
    }

    #[test]
    fn an_evaluation_is_summed_up_by_level_and_sorted_by_problem() {
        let scores = vec![score("c", 6, 1, 1), score("a", 3, 1, 1), score("b", 5, 0, 1)];
        let evaluation = evaluation(scores, &[5, 6], 0.25);
        assert!((evaluation.accuracy.value - 2.0 / 3.0).abs() < 1e-12);
        let hard = evaluation.hard_accuracy.unwrap();
        assert_eq!((hard.correct, hard.total), (1, 2));
        assert_eq!(evaluation.by_level.keys().copied().collect::<Vec<_>>(), [3, 5, 6]);
        assert_eq!(evaluation.scores[0].problem.as_str(), "a");
        assert!((evaluation.truncated - 0.25).abs() < 1e-12);
    }

    #[test]
    fn several_samples_a_problem_widen_the_interval_to_that_of_the_problems() {
        // Ten problems always or never solved: sixteen samples each tell no more than one.
        let scores: Vec<_> = (0..10).map(|n| score(&format!("p{n}"), 1, 16 * (n % 2), 16)).collect();
        let estimate = estimate(&scores.iter().collect::<Vec<_>>());
        assert!((estimate.value - 0.5).abs() < 1e-12);
        assert!(estimate.high - estimate.low > 0.5, "{estimate:?}");
        let naive = wilson(80, 160);
        assert!(naive.high - naive.low < 0.2);
    }

    #[test]
    fn problems_of_one_share_leave_the_width_that_their_number_does() {
        for (problems, each) in [(10, 8), (10, 0), (10, 4), (1, 4), (1, 8)] {
            let mut scores: Vec<_> = (0..problems).map(|n| score(&format!("p{n}"), 1, each, 8)).collect();
            // a problem without a judged answer tells nothing
            scores.push(score("q", 1, 0, 0));
            let estimate = estimate(&scores.iter().collect::<Vec<_>>());
            assert!(estimate.low <= estimate.value && estimate.value <= estimate.high);
            assert!(estimate.high - estimate.low > 0.2, "{problems} with {each} of 8: {estimate:?}");
            assert_eq!((estimate.correct, estimate.total), (problems * each, problems * 8));
            if each % 8 == 0 {
                let single = wilson(problems * each / 8, problems);
                assert_eq!((estimate.low, estimate.high), (single.low, single.high));
            }
        }
    }

    #[test]
    fn no_scores_make_an_estimate_that_knows_nothing() {
        let nothing = evaluation(Vec::new(), &[1], 0.0);
        assert_eq!((nothing.accuracy.low, nothing.accuracy.high), (0.0, 1.0));
        assert_eq!(nothing.hard_accuracy, None);
    }
}
