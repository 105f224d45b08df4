//! `D_t`: which right trajectories are trained on beside the demonstrations.
//!
//! A round trains on what is best *now*. By default a problem that once gave a trajectory keeps giving one
//! (`D_t` grows by problems, as the paper's `D_t = D_{t-1}` + new ones does), but which one is chosen anew every
//! round from all that is right and clean under the verdicts and rules of today: a longer or cleaner answer of a
//! later policy replaces a first one. [`Keep`] says how much of the previous set stays.
//!
//! In order: what may not be trained on is refused; what lies outside the pool's quantiles is left out; within a
//! problem the preferred ones take its quotas; budgets cut the whole, every problem's first trajectory before
//! any second one. Every candidate has a [`Decision`]. The result depends on candidates, context and
//! configuration alone, not on the order in which they are given.

mod budgets;
mod config;
mod decision;
mod ranking;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use still_domain::{AttemptId, Outcome, ProblemId};

pub(crate) use self::ranking::prefer;
use self::{
    budgets::{Budgets, Contender},
    ranking::{bounds, by_preference},
};
pub use self::{
    config::{Keep, LengthPreference, MixedVersions, Order, PerplexityPreference, ScoredBy, SelectionConfig},
    decision::{Budget, Decision, Selection},
};
use crate::{candidate::Candidate, common_texts::CommonTexts};

/// What budgets need to know of a problem.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProblemTraits {
    /// Its level, when it has one.
    pub level: Option<u8>,
    /// Where it comes from.
    pub source: String,
}

/// What a set is selected for, beside the candidates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SelectionContext {
    /// The trajectories of `D_{t-1}`.
    pub previous: BTreeSet<AttemptId>,
    /// The problems; one that is missing has no level and no source.
    pub problems: BTreeMap<ProblemId, ProblemTraits>,
    /// The longest sequence that the learner takes, prompt included, in tokens; `None` sets no limit.
    pub max_sequence_tokens: Option<u32>,
    /// Demonstrations that are trained on beside the trajectories.
    pub demonstrations: u64,
}

impl SelectionConfig {
    /// Chooses the trajectories of `D_t` from the whole pool. Members of the previous set that are not in the
    /// pool stay with [`Keep::Members`] alone.
    pub fn select<'pool>(
        &self,
        context: &SelectionContext,
        candidates: impl IntoIterator<Item = &'pool Candidate>,
    ) -> Selection {
        let mut selection = Selection::default();
        let mut seen = HashSet::new();
        let mut pool: Vec<&Candidate> =
            candidates.into_iter().filter(|candidate| seen.insert(&candidate.id)).collect();
        pool.sort_by(|one, two| one.id.cmp(&two.id));

        let common = CommonTexts::of(pool.iter().copied(), self.max_problems_per_text);
        let keeps_members = self.keep == Keep::Members;
        let is_frozen = |one: &&Candidate| keeps_members && context.previous.contains(&one.id);
        let (frozen, pool): (Vec<_>, Vec<_>) = pool.into_iter().partition(is_frozen);
        let mut eligible = Vec::new();
        for candidate in pool {
            match self.objection(candidate, context, &common) {
                Some(objection) => {
                    selection.decisions.insert(candidate.id.clone(), objection);
                }
                None => eligible.push(candidate),
            }
        }
        let eligible = self.within_quantiles(eligible, &mut selection);

        let missing = context.previous.iter().filter(|_| keeps_members);
        let missing: Vec<_> =
            missing.filter(|id| !frozen.iter().any(|one| one.id == **id)).cloned().collect();
        let mut quotas = Quotas::default();
        for candidate in &frozen {
            quotas.take(&candidate.id.problem, candidate);
        }
        for id in &missing {
            *quotas.taken.entry(id.problem.clone()).or_default() += 1;
        }
        let contenders = self.contenders(context, eligible, &mut quotas, &mut selection);

        let mut budgets = Budgets::new(self, context);
        for id in frozen.iter().map(|one| &one.id).chain(&missing) {
            budgets.count(&id.problem);
        }
        let mut members: BTreeSet<AttemptId> = missing.into_iter().collect();
        let chosen = budgets.choose(contenders, &mut selection.decisions);
        for candidate in frozen.into_iter().chain(chosen) {
            let is_old = context.previous.contains(&candidate.id);
            let decision = if is_old { Decision::Kept } else { Decision::Selected };
            selection.decisions.insert(candidate.id.clone(), decision);
            members.insert(candidate.id.clone());
        }
        selection.selected = members.difference(&context.previous).cloned().collect();
        selection.left = context.previous.difference(&members).cloned().collect();
        selection.members = members.into_iter().collect();
        selection
    }

    /// A sentence to tell when so many demonstrations are a small part of the set with so many trajectories.
    pub fn demonstration_warning(&self, demonstrations: u64, trajectories: u64) -> Option<String> {
        let examples = demonstrations + trajectories;
        let share = demonstrations as f64 / examples.max(1) as f64;
        (demonstrations > 0 && share < self.warn_demonstration_share).then(|| {
            format!(
                "{demonstrations} demonstrations are {:.1} % of {examples} examples, below the \
                 {:.1} % of `selection.warn_demonstration_share`: raise `selection.min_demonstration_share`, or \
                 limit `selection.max_trajectories`",
                100.0 * share,
                100.0 * self.warn_demonstration_share
            )
        })
    }

    /// What keeps a candidate out whatever the others are.
    fn objection(
        &self,
        candidate: &Candidate,
        context: &SelectionContext,
        common: &CommonTexts,
    ) -> Option<Decision> {
        if self.verified_only && candidate.outcome != Outcome::Correct {
            return Some(Decision::NotCorrect(candidate.outcome));
        }
        if let Some(rejection) = candidate.rejection {
            return Some(Decision::Unhygienic(rejection));
        }
        if candidate.is_mixed && self.mixed_versions == MixedVersions::Reject {
            return Some(Decision::MixedVersions);
        }
        if context.max_sequence_tokens.is_some_and(|limit| candidate.sequence_tokens() > u64::from(limit)) {
            return Some(Decision::TooLongToTrain);
        }
        if common.contains(candidate) {
            return Some(Decision::CommonText);
        }
        let bound = self.max_perplexity?;
        let is_low = candidate.perplexity_over(self.span).is_some_and(|perplexity| perplexity <= bound);
        (!is_low).then_some(Decision::TooPerplexing)
    }

    /// Those whose length and perplexity lie between the quantiles of all.
    fn within_quantiles<'pool>(
        &self,
        eligible: Vec<&'pool Candidate>,
        selection: &mut Selection,
    ) -> Vec<&'pool Candidate> {
        let length = |one: &Candidate| f64::from(one.tokens_over(self.span));
        let perplexity = |one: &Candidate| one.perplexity_over(self.span).map(f64::from);
        let lengths = bounds(eligible.iter().map(|one| length(one)).collect(), self.length_quantiles);
        let known = eligible.iter().filter_map(|one| perplexity(one)).collect();
        let perplexities = bounds(known, self.perplexity_quantiles);
        let is_within = |value: f64, [low, high]: [f64; 2]| low <= value && value <= high;
        let is_inside = |one: &&Candidate| {
            let decision = if lengths.is_some_and(|bounds| !is_within(length(one), bounds)) {
                Decision::OutsideLengths
            } else if perplexities
                .is_some_and(|bounds| !perplexity(one).is_some_and(|value| is_within(value, bounds)))
            {
                Decision::OutsidePerplexities
            } else {
                return true;
            };
            selection.decisions.insert(one.id.clone(), decision);
            false
        };
        eligible.into_iter().filter(is_inside).collect()
    }

    /// Those that fit into their problem's quota.
    fn contenders<'pool>(
        &self,
        context: &SelectionContext,
        eligible: Vec<&'pool Candidate>,
        quotas: &mut Quotas<'pool>,
        selection: &mut Selection,
    ) -> Vec<Contender<'pool>> {
        let kept: HashSet<&ProblemId> = context.previous.iter().map(|id| &id.problem).collect();
        let mut contenders = Vec::new();
        for (rank, candidate) in by_preference(self, eligible) {
            let problem = &candidate.id.problem;
            let taken = quotas.taken.get(problem).copied().unwrap_or(0);
            let decision = if let Some(twin) = quotas.texts.get(&(problem, candidate.fingerprint)) {
                Decision::Duplicate((*twin).clone())
            } else if taken >= self.max_per_problem {
                Decision::QuotaFull
            } else {
                let is_kept = self.keep == Keep::Problems && taken == 0 && kept.contains(problem);
                contenders.push(Contender { candidate, is_kept, number: taken, rank });
                quotas.take(problem, candidate);
                continue;
            };
            selection.decisions.insert(candidate.id.clone(), decision);
        }
        contenders
    }
}

/// What is taken of every problem's quota, and by which texts.
#[derive(Debug, Default)]
struct Quotas<'pool> {
    taken: BTreeMap<ProblemId, u32>,
    texts: BTreeMap<(&'pool ProblemId, u128), &'pool AttemptId>,
}

impl<'pool> Quotas<'pool> {
    fn take(&mut self, problem: &'pool ProblemId, candidate: &'pool Candidate) {
        *self.taken.entry(problem.clone()).or_default() += 1;
        self.texts.entry((problem, candidate.fingerprint)).or_insert(&candidate.id);
    }
}

#[cfg(test)]
mod tests;
