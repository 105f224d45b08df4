//! Preference pairs: the right answers the policy finds hard against the wrong ones it is sure of.
//!
//! STILL-2 (arXiv 2412.09413) pairs a right response of high perplexity with a wrong one of low perplexity
//! to the same problem. A pair is made only while that is so: an easy right answer against an unsure wrong one
//! would teach the opposite. By choice a pair's lengths must be alike, so that preference for what is right does
//! not become preference for what is long. What was not paired is counted by its reason.

mod decision;

use std::collections::{BTreeMap, HashSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_domain::{Outcome, PreferencePair, ProblemId};
use still_settings::Findings;

pub use self::decision::{PairDecision, PairSelection, Unpaired};
use crate::{
    candidate::{Candidate, Span},
    common_texts::CommonTexts,
    selection::{MixedVersions, prefer},
};

/// What all pairs must keep to, beside their own rules.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PairLimits {
    /// The longest sequence that the learner takes, prompt included, in tokens; `None` sets no limit.
    pub max_sequence_tokens: Option<u32>,
    /// What becomes of responses that several policies drew.
    pub mixed_versions: MixedVersions,
    /// Problems under which the text of a right response may stand; 0 sets no limit.
    pub max_problems_per_text: u32,
}

/// Which pairs are made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PairsConfig {
    /// Pairs of one problem. Default: 1.
    pub max_per_problem: u32,
    /// What perplexity is measured over. Default: `thought`.
    pub span: Span,
    /// How much more perplexing than the wrong response the right one must be, in perplexity; it is always to be
    /// more perplexing. Default: 0.
    pub min_perplexity_margin: f32,
    /// The longer response of a pair over the shorter one, in tokens of `span`, at most; at least 1. Default: none.
    pub max_length_ratio: Option<f64>,
}

impl Default for PairsConfig {
    fn default() -> Self {
        Self { max_per_problem: 1, span: Span::Thought, min_perplexity_margin: 0.0, max_length_ratio: None }
    }
}

impl PairsConfig {
    /// Notes what no pair could ever meet.
    pub fn validate(&self, findings: &mut Findings) {
        findings
            .require(self.max_per_problem > 0, "pairs.max_per_problem", || "must be at least 1".to_owned());
        let is_margin = self.min_perplexity_margin >= 0.0 && self.min_perplexity_margin.is_finite();
        findings.require(is_margin, "pairs.min_perplexity_margin", || "must be at least 0".to_owned());
        findings.require(
            self.max_length_ratio.is_none_or(|ratio| ratio >= 1.0),
            "pairs.max_length_ratio",
            || "must be at least 1: no two lengths are closer".to_owned(),
        );
    }

    /// Pairs the candidates of each problem, each of them used once.
    ///
    /// Only responses that hygiene has nothing against and whose perplexity is known take part, and as
    /// wrong ones only those whose answer was read and is another one.
    pub fn pair<'pool>(
        &self,
        candidates: impl IntoIterator<Item = &'pool Candidate, IntoIter: Clone>,
        limits: &PairLimits,
    ) -> PairSelection {
        let mut selection = PairSelection::default();
        let mut problems: BTreeMap<&ProblemId, Sides<'pool>> = BTreeMap::new();
        let candidates = candidates.into_iter();
        let common = CommonTexts::of(candidates.clone(), limits.max_problems_per_text);
        for candidate in candidates {
            let is_right = match candidate.outcome {
                Outcome::Correct => true,
                Outcome::Wrong => false,
                Outcome::NoAnswer | Outcome::Malformed | Outcome::Timeout | Outcome::Error => {
                    selection.decide(&candidate.id, PairDecision::NotAnAnswer(candidate.outcome));
                    continue;
                }
            };
            if let Some(objection) = self.objection(candidate, limits) {
                if let PairDecision::Unpaired(reason) = objection {
                    selection.note(reason);
                }
                selection.decide(&candidate.id, objection);
                continue;
            }
            if is_right && common.contains(candidate) {
                selection.leave_out(&candidate.id, Unpaired::CommonText);
                continue;
            }
            let sides = problems.entry(&candidate.id.problem).or_default();
            if is_right { sides.right.push(candidate) } else { sides.wrong.push(candidate) }
        }
        for mut sides in problems.into_values() {
            let lacking = match (sides.right.is_empty(), sides.wrong.is_empty()) {
                (true, false) => Some(Unpaired::WithoutRight),
                (false, true) => Some(Unpaired::WithoutWrong),
                _ => None,
            };
            for one in sides.right.iter().chain(&sides.wrong) {
                selection.decide(&one.id, lacking.map_or(PairDecision::NotNeeded, PairDecision::Unpaired));
            }
            match lacking {
                Some(lacking) => selection.note(lacking),
                None => self.pair_problem(&mut sides, &mut selection),
            }
        }
        selection.pairs.sort();
        selection
    }

    /// What keeps an answer from every pair.
    fn objection(&self, candidate: &Candidate, limits: &PairLimits) -> Option<PairDecision> {
        if let Some(rejection) = candidate.rejection {
            return Some(PairDecision::Unhygienic(rejection));
        }
        if candidate.perplexity_over(self.span).is_none() {
            return Some(PairDecision::UnknownPerplexity);
        }
        if candidate.is_mixed && limits.mixed_versions == MixedVersions::Reject {
            return Some(PairDecision::Unpaired(Unpaired::MixedVersions));
        }
        let is_too_long =
            limits.max_sequence_tokens.is_some_and(|limit| candidate.sequence_tokens() > u64::from(limit));
        is_too_long.then_some(PairDecision::Unpaired(Unpaired::TooLongToTrain))
    }

    /// The most perplexing right response meets the least perplexing wrong one that its length allows, and so on.
    fn pair_problem(&self, sides: &mut Sides<'_>, selection: &mut PairSelection) {
        let perplexity = |candidate: &Candidate| candidate.perplexity_over(self.span);
        sides.right.sort_by(|one, two| {
            prefer(perplexity(one), perplexity(two), |one, two| two.total_cmp(&one)).then(one.id.cmp(&two.id))
        });
        sides.wrong.sort_by(|one, two| {
            prefer(perplexity(one), perplexity(two), |one, two| one.total_cmp(&two)).then(one.id.cmp(&two.id))
        });
        let mut wrong = different_texts(&sides.wrong);
        let mut remaining = self.max_per_problem;
        for right in different_texts(&sides.right) {
            if remaining == 0 || wrong.is_empty() {
                break;
            }
            let mut confident = wrong.iter().take_while(|wrong| self.is_surer(wrong, right)).peekable();
            if confident.peek().is_none() {
                selection.leave_out(&right.id, Unpaired::NotMorePerplexing);
                continue;
            }
            if let Some(position) = confident.position(|wrong| self.is_alike_in_length(wrong, right)) {
                let rejected = wrong.remove(position).id.clone();
                selection.decide(&right.id, PairDecision::Chosen(rejected.clone()));
                selection.decide(&rejected, PairDecision::Rejected(right.id.clone()));
                selection.pairs.push(PreferencePair { chosen: right.id.clone(), rejected });
                remaining -= 1;
            } else {
                selection.leave_out(&right.id, Unpaired::LengthRatio);
            }
        }
    }

    /// Whether the policy was surer of the wrong response than of the right one, by the margin asked for.
    fn is_surer(&self, wrong: &Candidate, right: &Candidate) -> bool {
        let measured = wrong.perplexity_over(self.span).zip(right.perplexity_over(self.span));
        measured.is_some_and(|(wrong, right)| right > wrong && right - wrong >= self.min_perplexity_margin)
    }

    fn is_alike_in_length(&self, one: &Candidate, two: &Candidate) -> bool {
        let (one, two) = (one.tokens_over(self.span).max(1), two.tokens_over(self.span).max(1));
        let ratio = f64::from(one.max(two)) / f64::from(one.min(two));
        self.max_length_ratio.is_none_or(|most| ratio <= most)
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
        let one = PairsConfig::default().pair(&pool, &PairLimits::default());
        assert_eq!(written(&one), ["p#1 > p#2"]);
        let decided: Vec<_> = one.decisions.iter().map(|(id, decision)| format!("{id} {decision}")).collect();
        assert_eq!(
            decided,
            [
                "p#0 unpaired: its problem's pairs were made of others",
                "p#1 preferred to p#2",
                "p#2 rejected for p#1",
                "p#3 unpaired: its problem's pairs were made of others",
                "q#0 unpaired: its problem has no clean right response",
                "r#0 unpaired: its problem has no clean wrong response",
            ]
        );
        assert_eq!(one.counts(), [("paired", 1), ("without_right", 1), ("without_wrong", 1)].into());
        // p#0 > p#3 would prefer an easy right response to an unsure wrong one
        let two =
            PairsConfig { max_per_problem: 5, ..Default::default() }.pair(&pool, &PairLimits::default());
        assert_eq!(written(&two), ["p#1 > p#2"]);
        assert_eq!(two.unpaired[&Unpaired::NotMorePerplexing], 1);
    }

    #[test]
    fn a_right_response_that_the_policy_is_surer_of_is_never_paired() {
        let pool = [candidate("p#0", Outcome::Correct, 1.05), candidate("p#1", Outcome::Wrong, 9.0)];
        let selection = PairsConfig::default().pair(&pool, &PairLimits::default());
        assert!(selection.pairs.is_empty());
        assert_eq!(selection.unpaired[&Unpaired::NotMorePerplexing], 1);
        let close = [candidate("p#0", Outcome::Correct, 1.5), candidate("p#1", Outcome::Wrong, 1.4)];
        assert_eq!(PairsConfig::default().pair(&close, &PairLimits::default()).pairs.len(), 1);
        let margin = PairsConfig { min_perplexity_margin: 0.2, ..Default::default() };
        assert!(margin.pair(&close, &PairLimits::default()).pairs.is_empty());
    }

    #[test]
    fn lengths_are_alike_where_that_is_asked_for() {
        let mut pool = vec![
            candidate("p#0", Outcome::Correct, 5.0),
            candidate("p#1", Outcome::Correct, 4.0),
            candidate("p#2", Outcome::Wrong, 1.0),
            candidate("p#3", Outcome::Wrong, 2.0),
        ];
        for (tokens, one) in [900, 300, 50, 600].into_iter().zip(&mut pool) {
            one.thought_tokens = tokens;
        }
        let config = PairsConfig { max_length_ratio: Some(2.0), max_per_problem: 2, ..Default::default() };
        let selection = config.pair(&pool, &PairLimits::default());
        assert_eq!(written(&selection), ["p#0 > p#3"], "p#2 is too short for either");
        assert_eq!(selection.unpaired[&Unpaired::LengthRatio], 1);
        assert!(!still_settings::accepts(
            |findings| PairsConfig { max_length_ratio: Some(0.5), ..config }.validate(findings)
        ));
    }

    #[test]
    fn what_the_learner_does_not_take_is_in_no_pair() {
        let mut pool = vec![
            candidate("p#0", Outcome::Correct, 5.0),
            candidate("p#1", Outcome::Correct, 4.0),
            candidate("p#2", Outcome::Wrong, 1.0),
        ];
        pool[0].response_tokens = 990;
        let limits = PairLimits { max_sequence_tokens: Some(1_000), ..Default::default() };
        let selection = PairsConfig::default().pair(&pool, &limits);
        assert_eq!(written(&selection), ["p#1 > p#2"], "a prompt of 20 tokens counts");
        assert_eq!(selection.unpaired[&Unpaired::TooLongToTrain], 1);
    }

    #[test]
    fn what_several_policies_drew_is_in_no_pair_unless_it_is_allowed() {
        let mut pool = [candidate("p#0", Outcome::Correct, 5.0), candidate("p#1", Outcome::Wrong, 1.0)];
        pool[1].is_mixed = true;
        let selection = PairsConfig::default().pair(&pool, &PairLimits::default());
        assert!(selection.pairs.is_empty());
        assert_eq!(selection.counts()["mixed_versions"], 1);
        let allowed = PairLimits { mixed_versions: MixedVersions::Allow, ..Default::default() };
        assert_eq!(PairsConfig::default().pair(&pool, &allowed).pairs.len(), 1);
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
        assert!(PairsConfig::default().pair(&pool, &PairLimits::default()).pairs.is_empty());
    }

    #[test]
    fn a_text_is_used_once() {
        let mut pool: Vec<_> = (0..2).map(|n| candidate(&format!("p#{n}"), Outcome::Correct, 3.0)).collect();
        pool.extend((2..4).map(|n| candidate(&format!("p#{n}"), Outcome::Wrong, 2.0)));
        pool[1].fingerprint = pool[0].fingerprint;
        let selection =
            PairsConfig { max_per_problem: 2, ..Default::default() }.pair(&pool, &PairLimits::default());
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
            let selection = PairsConfig { max_per_problem: cap, ..Default::default() }.pair(&pool, &PairLimits::default());
            let outcome = |id| pool.iter().find(|one| one.id == id).map(|one| one.outcome);
            let mut used = HashSet::new();
            let mut per_problem: BTreeMap<ProblemId, u32> = BTreeMap::new();
            for pair in selection.pairs {
                prop_assert_eq!(&pair.chosen.problem, &pair.rejected.problem);
                prop_assert_eq!(outcome(pair.chosen.clone()), Some(Outcome::Correct));
                prop_assert_eq!(outcome(pair.rejected.clone()), Some(Outcome::Wrong));
                let perplexity = |id| pool.iter().find(|one| one.id == id).map(|one| one.perplexity);
                prop_assert!(perplexity(pair.chosen.clone()) > perplexity(pair.rejected.clone()));
                prop_assert!(used.insert(pair.chosen.clone()) && used.insert(pair.rejected));
                *per_problem.entry(pair.chosen.problem).or_default() += 1;
            }
            prop_assert!(per_problem.values().all(|count| *count <= cap));
        }
    }

    #[test]
    fn a_text_that_every_problem_is_given_is_never_preferred() {
        let pool: Vec<_> = (0..8)
            .flat_map(|number| {
                let hacked = candidate(&format!("p{number}#0"), Outcome::Correct, 3.0);
                let wrong = candidate(&format!("p{number}#1"), Outcome::Wrong, 1.1);
                [Candidate { fingerprint: 7, ..hacked }, wrong]
            })
            .collect();
        let limits = PairLimits { max_problems_per_text: 3, ..PairLimits::default() };
        let selection = PairsConfig::default().pair(&pool, &limits);
        assert_eq!((selection.pairs.len(), selection.counts()["common_text"]), (0, 8));
        assert_eq!(PairsConfig::default().pair(&pool, &PairLimits::default()).pairs.len(), 8);
    }
}
