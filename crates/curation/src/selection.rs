//! `D_t = D_{t-1}` + selected new right trajectories.
//!
//! What was once selected stays. New ones fill the places that a problem has left, the preferred ones first:
//! by perplexity, by length, or by the sum of both ranks. The result depends on the candidates and the
//! configuration alone, not on the order in which they are given.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet, HashSet},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_domain::{AttemptId, Outcome, ProblemId, Rejection};

use crate::{
    SettingError,
    candidate::{Candidate, Span},
};

/// Which perplexity is preferred.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PerplexityPreference {
    /// High: what the policy finds hard teaches more.
    High,
    /// Low: what the policy finds natural disturbs it less.
    Low,
    /// Perplexity does not matter.
    #[default]
    None,
}

/// Which length is preferred.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LengthPreference {
    /// Long thoughts.
    Long,
    /// Short thoughts.
    Short,
    /// Length does not matter.
    #[default]
    None,
}

/// What is selected. The defaults take the first two different right trajectories of a problem.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SelectionConfig {
    /// Preferred perplexity. Default: `none`.
    pub perplexity: PerplexityPreference,
    /// Preferred length. Default: `none`.
    pub length: LengthPreference,
    /// What both are measured over. Default: `thought`.
    pub span: Span,
    /// Trajectories of one problem in the set, those selected earlier included. Default: 2.
    pub max_per_problem: u32,
    /// Largest perplexity selected. Default: none.
    pub max_perplexity: Option<f32>,
    /// Whether only verified answers count; false is the ablation that shows what the verifier is worth.
    /// Default: true.
    pub verified_only: bool,
}

impl Default for SelectionConfig {
    fn default() -> Self {
        Self {
            perplexity: PerplexityPreference::None,
            length: LengthPreference::None,
            span: Span::Thought,
            max_per_problem: 2,
            max_perplexity: None,
            verified_only: true,
        }
    }
}

/// What became of a candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Was in the previous set.
    Kept,
    /// Joins the set.
    Selected,
    /// The verifier did not find the answer right.
    NotCorrect(Outcome),
    /// Hygiene is against it.
    Unhygienic(Rejection),
    /// Its perplexity exceeds the largest allowed.
    TooPerplexing,
    /// Says the same as this one, which is in the set.
    Duplicate(AttemptId),
    /// Its problem has no place left.
    NoPlace,
}

impl Decision {
    /// The name used as a metric label.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Selected => "selected",
            Self::NotCorrect(_) => "not_correct",
            Self::Unhygienic(rejection) => rejection.name(),
            Self::TooPerplexing => "too_perplexing",
            Self::Duplicate(_) => "duplicate",
            Self::NoPlace => "no_place",
        }
    }
}

/// What a selection brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// The previous members and the new ones, sorted: the trajectories of `D_t`.
    pub members: Vec<AttemptId>,
    /// The new ones alone, sorted.
    pub selected: Vec<AttemptId>,
    /// What became of each candidate.
    pub decisions: BTreeMap<AttemptId, Decision>,
}

impl Selection {
    /// Decisions by name, for metrics.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for decision in self.decisions.values() {
            *counts.entry(decision.name()).or_default() += 1;
        }
        counts
    }
}

impl SelectionConfig {
    /// # Errors
    /// When no trajectory could ever be selected.
    pub fn validate(&self) -> Result<(), SettingError> {
        if self.max_per_problem == 0 {
            return Err(SettingError::new("max_per_problem", "must be at least 1"));
        }
        match self.max_perplexity {
            Some(bound) if bound.is_nan() || bound < 1.0 => {
                Err(SettingError::new("max_perplexity", "must be at least 1: no perplexity is lower"))
            }
            _ => Ok(()),
        }
    }

    /// Grows `previous` (the trajectories of `D_{t-1}`) by the best of `candidates`.
    ///
    /// `candidates` holds the whole pool: members of `previous` among it keep their place and their text
    /// keeps doubles out. Members that are not among it stay in the set all the same.
    pub fn select<'pool>(
        &self,
        previous: &BTreeSet<AttemptId>,
        candidates: impl IntoIterator<Item = &'pool Candidate>,
    ) -> Selection {
        let mut problems: BTreeMap<&ProblemId, Vec<&Candidate>> = BTreeMap::new();
        let mut seen = HashSet::new();
        for candidate in candidates {
            if seen.insert(&candidate.id) {
                problems.entry(&candidate.id.problem).or_default().push(candidate);
            }
        }
        let mut taken: BTreeMap<&ProblemId, u32> = BTreeMap::new();
        for id in previous {
            *taken.entry(&id.problem).or_default() += 1;
        }

        let mut selection = Selection::default();
        for (problem, mut candidates) in problems {
            candidates.sort_by(|one, two| one.id.cmp(&two.id));
            let taken = taken.get(problem).copied().unwrap_or(0);
            self.select_of_problem(previous, &candidates, taken, &mut selection);
        }
        selection.selected.sort();
        let members: BTreeSet<_> = previous.iter().chain(&selection.selected).cloned().collect();
        selection.members = members.into_iter().collect();
        selection
    }

    fn select_of_problem(
        &self,
        previous: &BTreeSet<AttemptId>,
        candidates: &[&Candidate],
        mut taken: u32,
        selection: &mut Selection,
    ) {
        let (kept, new): (Vec<&Candidate>, Vec<&Candidate>) =
            candidates.iter().partition(|candidate| previous.contains(&candidate.id));
        let mut texts: BTreeMap<u128, &AttemptId> = BTreeMap::new();
        for candidate in kept {
            texts.entry(candidate.fingerprint).or_insert(&candidate.id);
            selection.decisions.insert(candidate.id.clone(), Decision::Kept);
        }
        let (eligible, refused): (Vec<_>, Vec<_>) = new
            .into_iter()
            .map(|one| (one, self.objection(one)))
            .partition(|(_, objection)| objection.is_none());
        let refusals = refused.into_iter().filter_map(|(one, objection)| Some((one.id.clone(), objection?)));
        selection.decisions.extend(refusals);

        let eligible: Vec<_> = eligible.into_iter().map(|(candidate, _)| candidate).collect();
        for candidate in self.by_preference(eligible) {
            let decision = if let Some(twin) = texts.get(&candidate.fingerprint) {
                Decision::Duplicate((*twin).clone())
            } else if taken >= self.max_per_problem {
                Decision::NoPlace
            } else {
                taken += 1;
                texts.insert(candidate.fingerprint, &candidate.id);
                selection.selected.push(candidate.id.clone());
                Decision::Selected
            };
            selection.decisions.insert(candidate.id.clone(), decision);
        }
    }

    /// What keeps a candidate out whatever the others are.
    fn objection(&self, candidate: &Candidate) -> Option<Decision> {
        if self.verified_only && candidate.outcome != Outcome::Correct {
            return Some(Decision::NotCorrect(candidate.outcome));
        }
        if let Some(rejection) = candidate.rejection {
            return Some(Decision::Unhygienic(rejection));
        }
        let bound = self.max_perplexity?;
        let is_low = candidate.perplexity_over(self.span).is_some_and(|perplexity| perplexity <= bound);
        (!is_low).then_some(Decision::TooPerplexing)
    }

    /// The preferred first: by the sum of the ranks by perplexity and by length, then by attempt number.
    fn by_preference<'pool>(&self, candidates: Vec<&'pool Candidate>) -> Vec<&'pool Candidate> {
        let mut ranks = vec![0_usize; candidates.len()];
        let perplexity = |index: usize| candidates[index].perplexity_over(self.span);
        match self.perplexity {
            PerplexityPreference::High => add_ranks(&mut ranks, |one, two| {
                prefer(perplexity(one), perplexity(two), |one, two| two.total_cmp(&one))
            }),
            PerplexityPreference::Low => add_ranks(&mut ranks, |one, two| {
                prefer(perplexity(one), perplexity(two), |one, two| one.total_cmp(&two))
            }),
            PerplexityPreference::None => {}
        }
        let tokens = |index: usize| candidates[index].tokens_over(self.span);
        match self.length {
            LengthPreference::Long => add_ranks(&mut ranks, |one, two| tokens(two).cmp(&tokens(one))),
            LengthPreference::Short => add_ranks(&mut ranks, |one, two| tokens(one).cmp(&tokens(two))),
            LengthPreference::None => {}
        }
        let mut ranked: Vec<_> = ranks.into_iter().zip(candidates).collect();
        ranked.sort_by(|(one_rank, one), (two_rank, two)| {
            (one_rank, one.id.number).cmp(&(two_rank, two.id.number))
        });
        ranked.into_iter().map(|(_, candidate)| candidate).collect()
    }
}

/// Orders by a measure that may be missing; what has none comes last.
pub(crate) fn prefer(one: Option<f32>, two: Option<f32>, order: impl Fn(f32, f32) -> Ordering) -> Ordering {
    match (one, two) {
        (Some(one), Some(two)) => order(one, two),
        (one, two) => one.is_none().cmp(&two.is_none()),
    }
}

/// Adds to each rank the number of candidates that are strictly better; equals share a rank.
fn add_ranks(ranks: &mut [usize], order: impl Fn(usize, usize) -> Ordering) {
    let mut indices: Vec<usize> = (0..ranks.len()).collect();
    indices.sort_by(|one, two| order(*one, *two));
    let mut rank = 0;
    for (position, index) in indices.iter().enumerate() {
        if position > 0 && order(indices[position - 1], *index) != Ordering::Equal {
            rank = position;
        }
        ranks[*index] += rank;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{LengthPreference as L, PerplexityPreference as P, *};
    use crate::candidate::tests::candidate;

    fn ids(ids: &[AttemptId]) -> Vec<String> {
        ids.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_first_right_and_different_ones_are_taken_up_to_the_cap() {
        let mut pool = vec![
            candidate("p#0", Outcome::Wrong, 2.0),
            candidate("p#1", Outcome::Correct, 2.0),
            candidate("p#2", Outcome::Correct, 2.0),
            candidate("p#3", Outcome::Correct, 2.0),
            candidate("p#4", Outcome::Correct, 2.0),
            candidate("p#5", Outcome::Correct, 2.0),
        ];
        pool[2].fingerprint = pool[1].fingerprint;
        pool[3].rejection = Some(Rejection::Repetitive);
        let selection = SelectionConfig::default().select(&BTreeSet::new(), &pool);
        assert_eq!(ids(&selection.selected), ["p#1", "p#4"]);
        let decision = |index: usize| selection.decisions[&pool[index].id].clone();
        assert_eq!(decision(0), Decision::NotCorrect(Outcome::Wrong));
        assert_eq!(decision(2), Decision::Duplicate("p#1".parse().unwrap()));
        assert_eq!(decision(3), Decision::Unhygienic(Rejection::Repetitive));
        assert_eq!(decision(5), Decision::NoPlace);
        assert_eq!(selection.counts()["selected"], 2);
    }

    #[test]
    fn earlier_members_stay_and_use_up_places_even_when_they_are_gone_from_the_pool() {
        let pool = [candidate("p#1", Outcome::Correct, 2.0), candidate("p#2", Outcome::Correct, 2.0)];
        let previous = BTreeSet::from(["p#0".parse().unwrap(), "q#0".parse().unwrap()]);
        let selection = SelectionConfig::default().select(&previous, &pool);
        assert_eq!(ids(&selection.members), ["p#0", "p#1", "q#0"]);
        assert_eq!(ids(&selection.selected), ["p#1"]);
    }

    #[test]
    fn preferences_order_by_perplexity_by_length_or_by_both() {
        let mut pool = vec![
            candidate("p#0", Outcome::Correct, 1.5),
            candidate("p#1", Outcome::Correct, 4.0),
            candidate("p#2", Outcome::Correct, 3.0),
            candidate("p#3", Outcome::Correct, f32::NAN),
        ];
        for (candidate, tokens) in pool.iter_mut().zip([90, 10, 80, 85]) {
            candidate.thought_tokens = tokens;
        }
        let first = |perplexity, length| {
            let config = SelectionConfig { perplexity, length, max_per_problem: 1, ..Default::default() };
            ids(&config.select(&BTreeSet::new(), &pool).selected)
        };
        assert_eq!(first(P::High, L::None), ["p#1"]);
        assert_eq!(first(P::Low, L::None), ["p#0"]);
        assert_eq!(first(P::None, L::Long), ["p#0"]);
        assert_eq!(first(P::None, L::Short), ["p#1"]);
        assert_eq!(first(P::Low, L::Long), ["p#0"]);
        assert_eq!(first(P::High, L::Long), ["p#0"], "ranks 2+0, 0+3, 1+2, 3+1");
        assert_eq!(first(P::None, L::None), ["p#0"]);
    }

    #[test]
    fn a_perplexity_bound_and_the_unverified_ablation_do_what_they_say() {
        let pool = [candidate("p#0", Outcome::Correct, 9.0), candidate("p#1", Outcome::Wrong, 2.0)];
        let config =
            SelectionConfig { max_perplexity: Some(5.0), verified_only: false, ..Default::default() };
        let selection = config.select(&BTreeSet::new(), &pool);
        assert_eq!(ids(&selection.selected), ["p#1"]);
        assert_eq!(selection.decisions[&pool[0].id], Decision::TooPerplexing);
        assert!(SelectionConfig { max_perplexity: Some(0.5), ..Default::default() }.validate().is_err());
        assert!(SelectionConfig { max_per_problem: 0, ..Default::default() }.validate().is_err());
    }

    prop_compose! {
        fn pools()(drawn in prop::collection::vec(
            (0_u8..4, 0_u8..10, 0_usize..6, 0_u8..3, 1.0_f32..9.0, 1_u32..50), 0..40
        )) -> Vec<Candidate> {
            let one = |(problem, number, outcome, text, perplexity, tokens): (u8, u8, usize, u8, f32, u32)| {
                let mut one = candidate(&format!("p{problem}#{number}"), Outcome::ALL[outcome], perplexity);
                one.fingerprint = u128::from(text);
                one.thought_tokens = tokens;
                one
            };
            let by_id: BTreeMap<_, _> = drawn.into_iter().map(one).map(|one| (one.id.clone(), one)).collect();
            by_id.into_values().collect()
        }
    }

    proptest! {
        /// Only right, clean, different ones within the cap; every candidate decided; order irrelevant;
        /// a second selection on top of the first adds nothing.
        #[test]
        fn the_invariants_hold_for_any_pool(mut pool in pools(), cap in 1_u32..4, rotation in 0_usize..40) {
            let config = SelectionConfig {
                perplexity: PerplexityPreference::High,
                length: LengthPreference::Short,
                max_per_problem: cap,
                ..Default::default()
            };
            let selection = config.select(&BTreeSet::new(), &pool);
            prop_assert_eq!(selection.decisions.len(), pool.len());
            let mut texts = HashSet::new();
            let mut places: BTreeMap<&ProblemId, u32> = BTreeMap::new();
            for one in pool.iter().filter(|one| selection.selected.contains(&one.id)) {
                prop_assert_eq!(one.outcome, Outcome::Correct);
                prop_assert!(texts.insert((&one.id.problem, one.fingerprint)));
                *places.entry(&one.id.problem).or_default() += 1;
            }
            prop_assert!(places.values().all(|places| *places <= cap));

            let members: BTreeSet<_> = selection.members.iter().cloned().collect();
            let again = config.select(&members, &pool);
            prop_assert_eq!(&again.members, &selection.members);
            prop_assert!(again.selected.is_empty());

            let middle = rotation.min(pool.len());
            pool.rotate_left(middle);
            prop_assert_eq!(config.select(&BTreeSet::new(), &pool), selection);
        }
    }
}
