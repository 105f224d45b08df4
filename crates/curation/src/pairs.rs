//! Preference pairs: the right answers the policy finds hard against the wrong ones it is sure of.
//!
//! STILL-2 (arXiv 2412.09413) pairs a right response of high perplexity with a wrong one of low perplexity
//! to the same problem.

use std::collections::{BTreeMap, HashSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_domain::{Outcome, PreferencePair, ProblemId};

use crate::{
    SettingError,
    candidate::{Candidate, Span},
    selection::prefer,
};

/// Which pairs are made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PairsConfig {
    /// Pairs of one problem. Default: 1.
    pub max_per_problem: u32,
    /// What perplexity is measured over. Default: `thought`.
    pub span: Span,
}

impl Default for PairsConfig {
    fn default() -> Self {
        Self { max_per_problem: 1, span: Span::Thought }
    }
}

/// The pairs of a pool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PairSelection {
    /// The pairs, sorted.
    pub pairs: Vec<PreferencePair>,
    /// Problems that gave a pair.
    pub paired_problems: usize,
    /// Problems with clean wrong responses and no clean right one.
    pub without_right: usize,
    /// Problems with clean right responses and no clean wrong one.
    pub without_wrong: usize,
}

impl PairsConfig {
    /// # Errors
    /// When no pair could ever be made.
    pub fn validate(&self) -> Result<(), SettingError> {
        match self.max_per_problem {
            0 => Err(SettingError::new("max_per_problem", "must be at least 1")),
            _ => Ok(()),
        }
    }

    /// Pairs the candidates of each problem, each of them used once.
    ///
    /// Only responses that hygiene has nothing against and whose perplexity is known take part, and as
    /// wrong ones only those whose answer was read and is another one.
    pub fn pair<'pool>(&self, candidates: impl IntoIterator<Item = &'pool Candidate>) -> PairSelection {
        let mut problems: BTreeMap<&ProblemId, Sides<'pool>> = BTreeMap::new();
        for candidate in candidates {
            if candidate.rejection.is_some() || candidate.perplexity_over(self.span).is_none() {
                continue;
            }
            let sides = problems.entry(&candidate.id.problem).or_default();
            match candidate.outcome {
                Outcome::Correct => sides.right.push(candidate),
                Outcome::Wrong => sides.wrong.push(candidate),
                Outcome::NoAnswer | Outcome::Malformed | Outcome::Timeout | Outcome::Error => {}
            }
        }
        let mut selection = PairSelection::default();
        for mut sides in problems.into_values() {
            match (sides.right.is_empty(), sides.wrong.is_empty()) {
                (false, false) => selection.paired_problems += 1,
                (true, false) => selection.without_right += 1,
                (false, true) => selection.without_wrong += 1,
                (true, true) => {}
            }
            selection.pairs.extend(self.pairs_of_problem(&mut sides));
        }
        selection.pairs.sort();
        selection
    }

    fn pairs_of_problem(&self, sides: &mut Sides<'_>) -> Vec<PreferencePair> {
        let perplexity = |candidate: &Candidate| candidate.perplexity_over(self.span);
        sides.right.sort_by(|one, two| {
            prefer(perplexity(one), perplexity(two), |one, two| two.total_cmp(&one)).then(one.id.cmp(&two.id))
        });
        sides.wrong.sort_by(|one, two| {
            prefer(perplexity(one), perplexity(two), |one, two| one.total_cmp(&two)).then(one.id.cmp(&two.id))
        });
        let pair = |(chosen, rejected): (&Candidate, &Candidate)| PreferencePair {
            chosen: chosen.id.clone(),
            rejected: rejected.id.clone(),
        };
        let right = different_texts(&sides.right);
        let wrong = different_texts(&sides.wrong);
        right.into_iter().zip(wrong).take(self.max_per_problem as usize).map(pair).collect()
    }
}

/// The clean responses to one problem.
#[derive(Debug, Default)]
struct Sides<'pool> {
    right: Vec<&'pool Candidate>,
    wrong: Vec<&'pool Candidate>,
}

/// The first of each text.
fn different_texts<'pool>(candidates: &[&'pool Candidate]) -> Vec<&'pool Candidate> {
    let mut texts = HashSet::new();
    candidates.iter().filter(|candidate| texts.insert(candidate.fingerprint)).copied().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use still_domain::Rejection;

    use super::*;
    use crate::candidate::tests::candidate;

    fn written(selection: &PairSelection) -> Vec<String> {
        selection.pairs.iter().map(|pair| format!("{} > {}", pair.chosen, pair.rejected)).collect()
    }

    #[test]
    fn the_hardest_right_one_meets_the_most_confident_wrong_one() {
        let pool = [
            candidate("p#0", Outcome::Correct, 1.2),
            candidate("p#1", Outcome::Correct, 3.0),
            candidate("p#2", Outcome::Wrong, 1.1),
            candidate("p#3", Outcome::Wrong, 5.0),
            candidate("q#0", Outcome::Wrong, 2.0),
            candidate("r#0", Outcome::Correct, 2.0),
        ];
        let one = PairsConfig::default().pair(&pool);
        assert_eq!(written(&one), ["p#1 > p#2"]);
        assert_eq!((one.paired_problems, one.without_right, one.without_wrong), (1, 1, 1));
        let two = PairsConfig { max_per_problem: 5, ..Default::default() }.pair(&pool);
        assert_eq!(written(&two), ["p#0 > p#3", "p#1 > p#2"]);
    }

    #[test]
    fn what_says_nothing_about_the_answer_is_never_a_wrong_one() {
        let mut pool = vec![candidate("p#0", Outcome::Correct, 2.0)];
        let unread = [Outcome::NoAnswer, Outcome::Malformed, Outcome::Timeout, Outcome::Error];
        pool.extend((1..).zip(unread).map(|(n, outcome)| candidate(&format!("p#{n}"), outcome, 1.0)));
        let mut looping = candidate("p#8", Outcome::Wrong, 1.0);
        looping.rejection = Some(Rejection::Repetitive);
        pool.push(looping);
        pool.push(candidate("p#9", Outcome::Wrong, f32::INFINITY));
        assert!(PairsConfig::default().pair(&pool).pairs.is_empty());
    }

    #[test]
    fn a_text_is_used_once() {
        let mut pool: Vec<_> = (0..2).map(|n| candidate(&format!("p#{n}"), Outcome::Correct, 2.0)).collect();
        pool.extend((2..4).map(|n| candidate(&format!("p#{n}"), Outcome::Wrong, 2.0)));
        pool[1].fingerprint = pool[0].fingerprint;
        let selection = PairsConfig { max_per_problem: 2, ..Default::default() }.pair(&pool);
        assert_eq!(written(&selection), ["p#0 > p#2"]);
    }

    proptest! {
        #[test]
        fn pairs_are_of_one_problem_right_over_wrong_within_the_cap(
            drawn in prop::collection::btree_map((0_u8..4, 0_u8..12), (0_usize..6, 1.0_f32..9.0), 0..40),
            cap in 1_u32..4,
        ) {
            let pool: Vec<_> = drawn
                .into_iter()
                .map(|((p, n), (outcome, perplexity))| candidate(&format!("p{p}#{n}"), Outcome::ALL[outcome], perplexity))
                .collect();
            let selection = PairsConfig { max_per_problem: cap, ..Default::default() }.pair(&pool);
            let outcome = |id| pool.iter().find(|one| one.id == id).map(|one| one.outcome);
            let mut used = HashSet::new();
            let mut per_problem: BTreeMap<ProblemId, u32> = BTreeMap::new();
            for pair in selection.pairs {
                prop_assert_eq!(&pair.chosen.problem, &pair.rejected.problem);
                prop_assert_eq!(outcome(pair.chosen.clone()), Some(Outcome::Correct));
                prop_assert_eq!(outcome(pair.rejected.clone()), Some(Outcome::Wrong));
                prop_assert!(used.insert(pair.chosen.clone()) && used.insert(pair.rejected));
                *per_problem.entry(pair.chosen.problem).or_default() += 1;
            }
            prop_assert!(per_problem.values().all(|count| *count <= cap));
        }
    }
}
