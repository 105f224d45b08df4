//! What the machine takes in: the facts that decide what comes next.

use still_curation::Candidate;
use still_domain::{PolicyName, PolicyRecord, PolicyScores, Round, RoundNumber, RoundPhase};

use super::{Asked, Imports, RoundMachine};
use crate::ground::protocol::{Delivery, Dryness};

impl RoundMachine {
    /// Attempts are durable.
    pub(crate) fn judged(&mut self, facts: &[Candidate]) {
        self.pool.add(facts);
    }

    /// The lockstep plan of a round has this many attempts.
    pub(crate) fn planned(&mut self, round: RoundNumber, attempts: u64) {
        if self.rounds.last().is_some_and(|at_work| at_work.round == round) {
            self.planned = Some(attempts);
        }
    }

    /// No problem may be attempted now; what the supply said before it learned of the newest policy or of all
    /// problems is past. In lockstep the plan alone decides.
    pub(crate) fn ran_dry(&mut self, dryness: Dryness) {
        let is_at_work = self.rounds.last().is_some_and(|at_work| at_work.round == dryness.round);
        let knows_all = Some(dryness.newest) >= self.in_force() && dryness.problems >= self.imports.problems;
        if is_at_work && knows_all {
            self.is_dry = true;
        }
    }

    /// What a round wanted is durable; what was told before more was wanted is past.
    pub(crate) fn delivered(&mut self, delivery: Delivery) {
        let explores = |round: &&Round| round.round == delivery.round && round.phase == RoundPhase::Exploring;
        if self.rounds.last().as_ref().is_some_and(explores) && delivery.quota == self.wanted() {
            self.is_delivered = true;
        }
    }

    /// The operator wants the round's exploration closed; says which round's, when one explores.
    pub(crate) fn seal_wanted(&mut self) -> Option<RoundNumber> {
        let round = self.rounds.last().filter(|round| round.phase == RoundPhase::Exploring)?;
        self.seal_wanted = true;
        Some(round.round)
    }

    /// The longest time of exploration has passed; stale alarms change nothing.
    pub(crate) fn timed_out(&mut self, number: RoundNumber) {
        let explores = |round: &&Round| round.round == number && round.phase == RoundPhase::Exploring;
        if self.rounds.last().as_ref().is_some_and(explores) && !self.config.lockstep {
            self.seal_wanted = true;
        }
    }

    /// The store holds new records: a supply that ran dry may flow again where there are new problems.
    pub(crate) fn imported(&mut self, imports: Imports) {
        if self.imports.problems < imports.problems {
            self.is_dry = false;
        }
        self.imports = imports;
        self.came_to_nothing = false;
    }

    /// The round is durable as given.
    pub(crate) fn saved(&mut self, round: Round) {
        self.came_to_nothing = round.phase == RoundPhase::Rejected && round.evaluation.is_none();
        match self.rounds.last_mut() {
            Some(last) if last.round == round.round => {
                if last.phase != round.phase {
                    self.asked = None;
                }
                *last = round;
            }
            _ => {
                self.rounds.push(round);
                self.asked = None;
                self.planned = None;
                self.is_dry = false;
                self.is_delivered = false;
                self.extension = 0;
                self.seal_wanted = false;
            }
        }
    }

    /// The learner left so many examples of a round's set out; the round to make durable where that is not known yet.
    pub(crate) fn training_begun(&self, number: RoundNumber, left_out: u64) -> Option<Round> {
        let round = self.rounds.last()?;
        let is_news =
            round.round == number && round.phase == RoundPhase::Training && round.tally.left_out != left_out;
        is_news.then(|| {
            let mut round = round.clone();
            round.tally.left_out = left_out;
            round
        })
    }

    /// Training is done; `None` when it is not this round's, else the round to make durable.
    pub(crate) fn trained(&self, number: RoundNumber, loss: Option<f64>) -> Option<Round> {
        let round = self.rounds.last()?;
        (round.round == number && round.phase == RoundPhase::Training).then(|| Round {
            phase: RoundPhase::Evaluating,
            training_loss: loss.or(round.training_loss),
            ..round.clone()
        })
    }

    /// Training refuses the round's set for good; `None` when it is not this round's, else the round to make
    /// durable.
    pub(crate) fn refused(&self, number: RoundNumber, reason: &str, now_ms: u64) -> Option<Round> {
        let round = self.rounds.last()?;
        (round.round == number && round.phase == RoundPhase::Training).then(|| Round {
            phase: RoundPhase::Rejected,
            decision: Some(format!("rejected: {reason}")),
            ended_at_ms: Some(now_ms),
            ..round.clone()
        })
    }

    /// A policy is scored; `None` when the round at work waits for no such scores, else the round to make durable.
    pub(crate) fn scored(
        &self,
        number: RoundNumber,
        policy: PolicyName,
        scores: PolicyScores,
    ) -> Option<Round> {
        let round = self.rounds.last()?;
        if round.round != number || round.phase != RoundPhase::Evaluating || round.evaluation.is_some() {
            return None;
        }
        if policy == PolicyName::BASE {
            return self.base().is_none().then(|| Round { base: Some(scores), ..round.clone() });
        }
        let PolicyScores { dev, test } = scores;
        Some(Round { evaluation: Some(dev), test, ..round.clone() })
    }

    /// The candidate's checkpoint is gone: train again.
    pub(crate) fn candidate_lost(&self) -> Option<Round> {
        let round = self.rounds.last()?;
        Some(Round { phase: RoundPhase::Training, evaluation: None, test: None, ..round.clone() })
    }

    /// A policy is durable and in force: what was hopeless under the one before may be attempted again.
    pub(crate) fn published(&mut self, policies: Vec<PolicyRecord>, rounds: Vec<Round>) {
        if self.policies.len() < policies.len() {
            self.is_dry = false;
        }
        self.policies = policies;
        let stood_at = self.rounds.last().map(|round| (round.round, round.phase));
        self.rounds = rounds;
        if self.rounds.last().map(|round| (round.round, round.phase)) != stood_at {
            self.asked = None;
        }
    }

    /// Evaluation must be asked for again.
    pub(crate) fn evaluator_lost_it(&mut self) {
        if matches!(self.asked, Some(Asked::BaseEvaluation(_) | Asked::Evaluation(_))) {
            self.asked = None;
        }
    }
}
