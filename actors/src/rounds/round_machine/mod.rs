//! The round's state machine, without a mailbox: facts in, the next thing to do out.
//!
//! ```text
//!            ┌────────────► Exploring ──enough──┐
//!            │                                  ▼
//!  (nothing) ┼─demonstrations─► (imitation) ─► seal ─► Training ─► Evaluating ─┬─► Promoted ─┐
//!            │                                  │            │                 └─► Rejected ─┤
//!            └──── base model published         │            └─ refused ─────────► Rejected ─┤
//!                        ▲                      └─ nothing to train on ──────────► Rejected ─┤
//!                        ▲                                                                   │
//!                        └────────────────────── next round, or finished ◄───────────────────┘
//! ```
//!
//! Every change of phase is made durable by the conductor before the machine is asked again, so the machine
//! rebuilt from the store stands where the old one stood. What is asked for once per life of the process
//! (exploration, training, evaluation, publication) is asked for again by the next one.

mod exploring;
mod facts;
mod gating;

pub(super) use gating::worse_than_base;

use still_curation::Candidate;
use still_domain::{
    Algorithm, Outcome, PolicyOrigin, PolicyRecord, PolicyVersion, Recipe, Round, RoundNumber, RoundPhase,
    TrainingSetId,
};

use crate::{
    config::{PreferenceStart, TrainingStart},
    ground::protocol::{ExplorationOrder, TrainingOrder},
    rounds::{judged_pool::JudgedPool, round_config::MachineConfig},
};

/// The next thing to do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Next {
    /// Put the base model in force: there is nothing to imitate.
    PublishBase,
    /// Make this round durable, then ask again.
    Save(Box<Round>),
    /// Have attempts made for the round.
    Explore(ExplorationOrder),
    /// Have nothing more given out for the round: what is under way is waited for.
    CutPlan,
    /// Seal the round's set, then ask again.
    Seal(Box<Round>),
    /// The round's set is sealed: attempts are made ahead, and the policy is trained.
    Train { order: TrainingOrder, ahead: u64 },
    /// Have the base model scored, for once: what candidates are worth beside it; attempts are still made ahead.
    EvaluateBase { round: RoundNumber, ahead: u64 },
    /// Have the round's candidate scored; attempts are still made ahead.
    Evaluate { round: RoundNumber, ahead: u64 },
    /// Publish the round's candidate, with the round as it will stand.
    Publish(Box<Round>),
    /// Every round that was wanted is over.
    Finish,
    /// The round's attempts all came to nothing, so many of them.
    GiveUp { round: RoundNumber, attempts: u64 },
    /// Nothing: facts must come first.
    Wait,
}

/// What a process asks for once per phase of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Exploration(RoundNumber),
    Cut(RoundNumber),
    Training(RoundNumber),
    BaseEvaluation(RoundNumber),
    Evaluation(RoundNumber),
    Publication(RoundNumber),
    Base,
}

/// What the store holds to work on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Imports {
    /// Whether there is something to imitate.
    pub(crate) has_demonstrations: bool,
    /// Problems to explore.
    pub(crate) problems: u64,
}

/// The rounds.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "four facts that hold independently of one another")]
pub(crate) struct RoundMachine {
    config: MachineConfig,
    rounds: Vec<Round>,
    policies: Vec<PolicyRecord>,
    pool: JudgedPool,
    imports: Imports,
    asked: Option<Asked>,
    planned: Option<u64>,
    is_dry: bool,
    /// What the round wanted is durable, and nothing of it under way. Free-running alone.
    is_delivered: bool,
    /// Attempts wanted beyond the quota, because too few of them can be trained on.
    extension: u64,
    seal_wanted: bool,
    /// The last round had nothing to train on, and no record has come since.
    came_to_nothing: bool,
}

impl RoundMachine {
    /// A machine that stands where the store stands.
    pub(crate) fn new(
        config: MachineConfig,
        rounds: Vec<Round>,
        policies: Vec<PolicyRecord>,
        pool: &[Candidate],
        imports: Imports,
    ) -> Self {
        let mut judged = JudgedPool::default();
        judged.add(pool);
        Self {
            config,
            rounds,
            policies,
            pool: judged,
            imports,
            asked: None,
            planned: None,
            is_dry: false,
            is_delivered: false,
            extension: 0,
            seal_wanted: false,
            came_to_nothing: false,
        }
    }

    /// The next thing to do. Asked again without a new fact, it says [`Next::Wait`].
    pub(crate) fn next(&mut self, now_ms: u64) -> Next {
        let Some(round) = self.rounds.last().cloned() else { return self.begin_first(now_ms) };
        match round.phase {
            RoundPhase::Promoted | RoundPhase::Rejected => self.begin_next(&round, now_ms),
            RoundPhase::Exploring => self.explore(round),
            RoundPhase::Training if round.training_set.is_none() => Next::Seal(Box::new(round)),
            RoundPhase::Training => self.train(&round),
            RoundPhase::Evaluating => self.evaluate(round, now_ms),
        }
    }

    fn begin_first(&mut self, now_ms: u64) -> Next {
        if self.imports.has_demonstrations && self.policies.is_empty() {
            let imitation =
                Round::begin(RoundNumber::IMITATION, PolicyVersion(0), RoundPhase::Training, now_ms);
            return Next::Save(Box::new(imitation));
        }
        match self.in_force() {
            Some(version) => self.begin_exploring(RoundNumber(1), version, now_ms),
            None => self.once(Asked::Base, Next::PublishBase),
        }
    }

    fn begin_next(&mut self, last: &Round, now_ms: u64) -> Next {
        if self.limit_is_reached() {
            return Next::Finish;
        }
        if self.waits_for_records() {
            return Next::Wait;
        }
        let Some(version) = self.in_force() else { return self.once(Asked::Base, Next::PublishBase) };
        self.begin_exploring(last.round.next(), version, now_ms)
    }

    fn begin_exploring(&self, number: RoundNumber, version: PolicyVersion, now_ms: u64) -> Next {
        let round = Round::begin(number, version, RoundPhase::Exploring, now_ms);
        Next::Save(Box::new(Round { problems: Some(self.imports.problems), ..round }))
    }

    fn train(&mut self, round: &Round) -> Next {
        let Some(training_set) = round.training_set.clone() else { return Next::Wait };
        let recipe = round.recipe();
        let config = &self.config.round;
        let (objective, start_from) = match (recipe, config.algorithm, config.init) {
            (Recipe::Imitation, ..) | (Recipe::Improvement, Algorithm::Sft, TrainingStart::Base) => {
                (Algorithm::Sft, None)
            }
            (Recipe::Improvement, Algorithm::Sft, TrainingStart::Previous) => {
                (Algorithm::Sft, Some(round.policy_version))
            }
            (Recipe::Improvement, Algorithm::Sft, TrainingStart::Imitated) => {
                (Algorithm::Sft, Some(self.imitated_or(round.policy_version)))
            }
            (Recipe::Improvement, Algorithm::Dpo, _) => {
                let reference = match config.preference_init {
                    PreferenceStart::Imitated => self.imitated_or(round.policy_version),
                    PreferenceStart::Current => round.policy_version,
                };
                (Algorithm::Dpo, Some(reference))
            }
        };
        let order = TrainingOrder { round: round.round, training_set, recipe, objective, start_from };
        let ahead = self.ahead_of(round);
        self.once(Asked::Training(round.round), Next::Train { order, ahead })
    }

    /// The policy that imitation brought, or another where there was none to imitate.
    fn imitated_or(&self, other: PolicyVersion) -> PolicyVersion {
        let of_imitation = PolicyOrigin::Round(RoundNumber::IMITATION);
        let imitated = self.policies.iter().find(|record| record.origin == of_imitation);
        imitated.map_or(other, |record| record.version)
    }

    /// Trajectories that came after the round's set was sealed.
    fn ahead_of(&self, round: &Round) -> u64 {
        self.pool.len().saturating_sub(round.tally.pool)
    }

    fn evaluate(&mut self, mut round: Round, now_ms: u64) -> Next {
        let number = round.round;
        let Some(evaluation) = &round.evaluation else {
            if self.config.scores_base && self.base().is_none() {
                let next = Next::EvaluateBase { round: number, ahead: self.ahead_of(&round) };
                return self.once(Asked::BaseEvaluation(number), next);
            }
            let next = Next::Evaluate { round: number, ahead: self.ahead_of(&round) };
            return self.once(Asked::Evaluation(number), next);
        };
        let (is_promoted, decision) = self.decide(&round, evaluation);
        round.decision = Some(decision);
        round.ended_at_ms = Some(now_ms);
        if is_promoted {
            round.phase = RoundPhase::Promoted;
            self.once(Asked::Publication(number), Next::Publish(Box::new(round)))
        } else {
            round.phase = RoundPhase::Rejected;
            Next::Save(Box::new(round))
        }
    }

    /// Without a limit of rounds, training on and on upon the same set would never end: wait for problems.
    const fn waits_when_dry(&self) -> bool {
        self.config.rounds_wanted == 0
    }

    /// Without exploration the next of endless rounds would find what the last one found: nothing to train on.
    const fn waits_for_records(&self) -> bool {
        self.came_to_nothing && !self.config.explores && self.waits_when_dry()
    }

    /// What the rounds wait for, when it must be imported.
    pub(crate) fn starvation(&self) -> Option<&'static str> {
        if self.waits_for_records() {
            return Some("there is nothing to train on, and nothing is explored: import records");
        }
        self.is_starved().then_some(
            "every problem is solved, parked or exhausted: import or revive problems, or seal the round",
        )
    }

    /// Whether the round waits for new problems.
    fn is_starved(&self) -> bool {
        let Some(round) = self.rounds.last() else { return false };
        let is_dry = if self.config.lockstep { self.planned == Some(0) } else { self.is_dry };
        round.phase == RoundPhase::Exploring && is_dry && !self.is_enough(round)
    }

    fn limit_is_reached(&self) -> bool {
        self.config.rounds_wanted > 0 && self.rounds_over() >= u64::from(self.config.rounds_wanted)
    }

    fn once(&mut self, asked: Asked, next: Next) -> Next {
        if self.asked == Some(asked) {
            return Next::Wait;
        }
        self.asked = Some(asked);
        next
    }

    /// All rounds, in order.
    pub(crate) fn rounds(&self) -> &[Round] {
        &self.rounds
    }

    /// Every published policy, oldest first.
    pub(crate) fn policies(&self) -> &[PolicyRecord] {
        &self.policies
    }

    /// The round at work.
    pub(crate) fn round(&self) -> Option<&Round> {
        self.rounds.last()
    }

    /// The last round that ended.
    pub(crate) fn last_over(&self) -> Option<&Round> {
        self.rounds.iter().rfind(|round| round.phase.is_over())
    }

    /// Rounds that are over, imitation not counted.
    pub(crate) fn rounds_over(&self) -> u64 {
        let is_over = |round: &&Round| round.phase.is_over() && round.round > RoundNumber::IMITATION;
        self.rounds.iter().filter(is_over).count() as u64
    }

    /// The newest version; `None` before the first publication.
    pub(crate) fn in_force(&self) -> Option<PolicyVersion> {
        self.policies.last().map(|record| record.version)
    }

    /// Judged and correct in the round at work, and the trajectories of the whole pool.
    pub(crate) fn progress(&self) -> (u64, u64, u64) {
        let pool = self.pool.len();
        let Some(round) = self.rounds.last() else { return (0, 0, pool) };
        let outcomes = match round.phase {
            RoundPhase::Exploring => self.pool.outcomes_of(round, &self.rounds),
            _ => round.tally.outcomes.clone(),
        };
        (self.judged_of(&outcomes), outcomes.get(&Outcome::Correct).copied().unwrap_or(0), pool)
    }

    /// Judgements that the round at work waits for; 0 when there is no quota.
    pub(crate) fn quota(&self) -> u64 {
        self.planned.unwrap_or(self.wanted())
    }

    /// The set that the next one grows from.
    pub(crate) fn previous_set(&self) -> Option<&TrainingSetId> {
        self.rounds.iter().rev().find_map(|round| round.training_set.as_ref())
    }

    /// The judged attempts.
    pub(crate) const fn pool(&self) -> &JudgedPool {
        &self.pool
    }
}

#[cfg(test)]
mod tests;
