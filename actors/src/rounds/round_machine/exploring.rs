//! When a round's exploration is over, and what the supply is told of it.

use std::collections::BTreeMap;

use still_domain::{Outcome, Round, RoundNumber};

use super::{Asked, Next, RoundMachine};
use crate::{
    ground::protocol::{ExplorationOrder, ExploredRound},
    rounds::judged_pool::counted_in,
};

impl RoundMachine {
    pub(super) fn explore(&mut self, mut round: Round) -> Next {
        let number = round.round;
        if let Some(attempts) = self.came_to_errors(&round) {
            return Next::GiveUp { round: number, attempts };
        }
        if self.is_enough(&round) {
            round.tally.outcomes = self.pool.outcomes_of(&round, &self.rounds);
            round.tally.by_version = self.pool.counting_for(&round, &self.rounds);
            round.tally.pool = self.pool.len();
            return Next::Seal(Box::new(round));
        }
        match self.asked {
            // a supply that was never told of the round could not say what is under way in it
            Some(Asked::Exploration(_)) if self.is_closed_early(&round) => {
                return self.once(Asked::Cut(number), Next::CutPlan);
            }
            Some(Asked::Cut(_)) => return Next::Wait,
            _ => {}
        }
        if self.is_delivered {
            // too few of them can be trained on: the round goes on beyond its problems
            self.extension += (self.config.quota_attempts / 4).max(1);
            (self.is_delivered, self.asked) = (false, None);
        }
        let has_later_problems = round.problems.is_none_or(|known| known < self.imports.problems);
        if self.config.lockstep && self.planned == Some(0) && has_later_problems {
            // nothing can be made of the round's own problems: those that came since are made its own
            (self.planned, self.asked) = (None, None);
            return Next::Save(Box::new(Round { problems: Some(self.imports.problems), ..round }));
        }
        let order = ExplorationOrder {
            round: number,
            policy_version: round.policy_version,
            problems: round.problems,
            explored: self.explored_before(number),
            counted: self.counted_before(&round, |_| true),
            counted_errors: self.counted_before(&round, |outcome| outcome == Outcome::Error),
            quota: self.wanted(),
        };
        self.once(Asked::Exploration(number), Next::Explore(order))
    }

    /// Whether the round's exploration is over.
    pub(super) fn is_enough(&self, round: &Round) -> bool {
        if !self.config.explores {
            return true;
        }
        if self.config.lockstep {
            let judged = self.judged_of(&self.pool.outcomes_of(round, &self.rounds));
            let may_be_empty = self.seal_wanted || !self.waits_when_dry();
            return self.planned.is_some_and(|planned| judged >= planned && (planned > 0 || may_be_empty));
        }
        let eligible = self.pool.eligible_of(round, &self.rounds);
        if self.is_dry && (eligible > 0 || !self.waits_when_dry()) {
            return true;
        }
        self.is_delivered && (self.is_closed_early(round) || eligible >= self.config.round.min_eligible)
    }

    /// How many attempts the round has made where it can make no more, and not one could be judged.
    fn came_to_errors(&self, round: &Round) -> Option<u64> {
        let outcomes = self.pool.outcomes_of(round, &self.rounds);
        let errors = outcomes.get(&Outcome::Error).copied().unwrap_or(0);
        let is_nothing_else = errors > 0 && outcomes.values().sum::<u64>() == errors;
        (is_nothing_else && !self.seal_wanted && (self.is_dry || self.is_enough(round))).then_some(errors)
    }

    /// Whether nothing more is wanted of a round before its quota is given out: an operator or the clock says so, or
    /// enough of it can be trained on.
    fn is_closed_early(&self, round: &Round) -> bool {
        let enough = self.config.round.enough_eligible;
        let has_enough = || enough > 0 && self.pool.eligible_of(round, &self.rounds) >= enough;
        self.seal_wanted || (!self.config.lockstep && has_enough())
    }

    /// Attempts wanted of the round at work; 0 has no end.
    pub(super) const fn wanted(&self) -> u64 {
        match self.config.quota_attempts {
            0 => 0,
            quota => quota + self.extension,
        }
    }

    /// What the quota counts of a round's outcomes: a judgement that failed says nothing and fills no quota. A
    /// lockstep plan is over when all of it is durable, whatever came of it.
    pub(super) fn judged_of(&self, outcomes: &BTreeMap<Outcome, u64>) -> u64 {
        let counts = |outcome: Outcome| self.config.lockstep || outcome != Outcome::Error;
        outcomes.iter().filter(|(outcome, _)| counts(**outcome)).map(|(_, count)| count).sum()
    }

    /// The rounds before one, in order. Where a record of an earlier program does not tell the problems of a
    /// round, they are no more than those of the next one that does.
    fn explored_before(&self, number: RoundNumber) -> Vec<ExploredRound> {
        let mut problems = None;
        let mut explored = Vec::new();
        for round in self.rounds.iter().rev().filter(|round| round.round > RoundNumber::IMITATION) {
            problems = round.problems.or(problems);
            if round.round < number {
                let judged = round.tally.outcomes.values().sum();
                let Round { round, policy_version, .. } = *round;
                explored.push(ExploredRound { round, policy_version, problems, judged });
            }
        }
        explored.reverse();
        explored
    }

    /// Attempts by the round's policy or a later one that the rounds before it counted, by outcome.
    fn counted_before(&self, round: &Round, is_asked_for: impl Fn(Outcome) -> bool) -> u64 {
        let mut count = 0;
        for earlier in self.rounds.iter().filter(|earlier| earlier.round < round.round) {
            let counted = counted_in(earlier);
            let own = counted.iter().filter(|tally| tally.version >= round.policy_version);
            let outcomes = own.flat_map(|tally| &tally.outcomes);
            count += outcomes.filter(|(one, _)| is_asked_for(**one)).map(|(_, count)| count).sum::<u64>();
        }
        count
    }
}
