//! How many trajectories the whole set, a level and a source may have.

use std::{cmp::Reverse, collections::BTreeMap};

use still_domain::{AttemptId, ProblemId, fingerprint::of_words};

use super::{Budget, Decision, ProblemTraits, SelectionConfig, SelectionContext};
use crate::candidate::Candidate;

/// A candidate within its problem's quota, before budgets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Contender<'pool> {
    pub(super) candidate: &'pool Candidate,
    /// Whether it stands for a problem of the previous set: it goes before the others.
    pub(super) is_kept: bool,
    /// Its number among those of its problem, from 0.
    pub(super) number: u32,
    /// Its sum of ranks among all; smaller is preferred.
    pub(super) rank: usize,
}

/// What is left of each budget.
#[derive(Debug)]
pub(super) struct Budgets<'context> {
    problems: &'context BTreeMap<ProblemId, ProblemTraits>,
    total: Option<u64>,
    beside_demonstrations: Option<u64>,
    levels: BTreeMap<u8, u64>,
    sources: BTreeMap<String, u64>,
}

impl<'context> Budgets<'context> {
    pub(super) fn new(config: &SelectionConfig, context: &'context SelectionContext) -> Self {
        let share = config.min_demonstration_share;
        let beside = context.demonstrations as f64 * (1.0 - share) / share;
        Self {
            problems: &context.problems,
            total: (config.max_trajectories > 0).then_some(config.max_trajectories),
            // a quotient that should be whole is not always; without demonstrations there is no share to keep
            beside_demonstrations: (share > 0.0 && context.demonstrations > 0)
                .then_some((beside + 1e-9).floor() as u64),
            levels: config.level_budgets.clone(),
            sources: config.source_budgets.clone(),
        }
    }

    /// Takes one of each budget, whatever is left.
    pub(super) fn count(&mut self, problem: &ProblemId) {
        let traits = self.problems.get(problem);
        let level = traits.and_then(|traits| traits.level).and_then(|level| self.levels.get_mut(&level));
        let source = traits.and_then(|traits| self.sources.get_mut(&traits.source));
        let whole = [self.total.as_mut(), self.beside_demonstrations.as_mut()];
        for left in whole.into_iter().chain([level, source]).flatten() {
            *left = left.saturating_sub(1);
        }
    }

    /// Those that the budgets allow: first what stands for the previous set's problems, then every problem's
    /// first trajectory before any second one, the preferred first. Where that says nothing a hash of the name
    /// decides, so that no source is preferred for its names. The others' decisions are noted.
    pub(super) fn choose<'pool>(
        &mut self,
        contenders: Vec<Contender<'pool>>,
        decisions: &mut BTreeMap<AttemptId, Decision>,
    ) -> Vec<&'pool Candidate> {
        let mut contenders = contenders;
        contenders.sort_by_cached_key(|one| {
            let name = of_words(one.candidate.id.problem.as_str());
            (Reverse(one.is_kept), one.number, one.rank, name, one.candidate.id.clone())
        });
        let mut chosen = Vec::new();
        for Contender { candidate, .. } in contenders {
            if let Some(budget) = self.exceeded(&candidate.id.problem) {
                decisions.insert(candidate.id.clone(), Decision::OverBudget(budget));
            } else {
                self.count(&candidate.id.problem);
                chosen.push(candidate);
            }
        }
        chosen
    }

    /// The first budget that has nothing left for a trajectory of a problem.
    fn exceeded(&self, problem: &ProblemId) -> Option<Budget> {
        let traits = self.problems.get(problem);
        let level = traits.and_then(|traits| traits.level).and_then(|level| self.levels.get(&level));
        let source = traits.and_then(|traits| self.sources.get(&traits.source));
        let budgets = [
            (Budget::Total, self.total.as_ref()),
            (Budget::DemonstrationShare, self.beside_demonstrations.as_ref()),
            (Budget::Level, level),
            (Budget::Source, source),
        ];
        budgets.into_iter().find(|(_, left)| *left == Some(&0)).map(|(budget, _)| budget)
    }
}
