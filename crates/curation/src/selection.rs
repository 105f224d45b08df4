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
mod tests;
