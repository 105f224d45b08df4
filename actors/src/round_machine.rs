//! The round's state machine, without a mailbox: facts in, the next thing to do out.
//!
//! ```text
//!            ┌────────────► Exploring ──enough──┐
//!            │                                  ▼
//!  (nothing) ┼─demonstrations─► (imitation) ─► seal ─► Training ─► Evaluating ─┬─► Promoted ─┐
//!            │                                  │                              └─► Rejected ─┤
//!            └──── base model published         └─ nothing to train on ──────────► Rejected ─┤
//!                        ▲                                                                   │
//!                        └────────────────────── next round, or finished ◄───────────────────┘
//! ```
//!
//! Every change of phase is made durable by the conductor before the machine is asked again, so the machine
//! rebuilt from the store stands where the old one stood. What is asked for once per life of the process
//! (exploration, training, evaluation, publication) is asked for again by the next one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use still_curation::GateConfig;
use still_domain::{
    Algorithm, AttemptId, Evaluation, Outcome, PolicyOrigin, PolicyRecord, PolicyVersion, Round, RoundNumber,
    RoundPhase, TrainingSetId, seed,
};

use crate::{
    ledger::effective_version,
    protocol::{ExplorationOrder, ExploredRound, JudgedFact, TrainingOrder},
};

/// What a round's training starts from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrainingStart {
    /// The configured base model: the paper's way.
    #[default]
    Base,
    /// The policy in force when the round began: suits a budget of minutes.
    Previous,
}

/// When a round's set is sealed, and how it is trained on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RoundConfig {
    /// Attempts that the round's policy must have made and that must be judged before the set is sealed; 0
    /// goes on until no problem may be attempted any more. Default: 4096.
    pub quota_attempts: u64,
    /// Seal earlier, at this many right and hygienic trajectories of the round; 0 never. Free-running only.
    /// Default: 0.
    pub enough_eligible: u64,
    /// Explore on beyond the quota while there are fewer right and hygienic trajectories of the round than
    /// this, as long as a problem may be attempted. Free-running only. Default: 0.
    pub min_eligible: u64,
    /// Seal after this long with what there is, in seconds; 0 waits without end. Free-running only.
    /// Default: 0.
    pub max_exploration_seconds: u64,
    /// What supervised training starts from; preference optimisation always starts from the imitated
    /// policy. Default: `base`.
    pub init: TrainingStart,
    /// How rounds after imitation are trained. Default: `sft`.
    pub algorithm: Algorithm,
}

impl Default for RoundConfig {
    fn default() -> Self {
        Self {
            quota_attempts: 4096,
            enough_eligible: 0,
            min_eligible: 0,
            max_exploration_seconds: 0,
            init: TrainingStart::Base,
            algorithm: Algorithm::Sft,
        }
    }
}

/// What the machine must know of the whole configuration.
#[derive(Debug, Clone)]
pub(crate) struct MachineConfig {
    pub(crate) round: RoundConfig,
    pub(crate) gate: GateConfig,
    pub(crate) explores: bool,
    pub(crate) lockstep: bool,
    pub(crate) rounds_wanted: u32,
    pub(crate) seed: u64,
}

/// The next thing to do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Next {
    /// Put the base model in force: there is nothing to imitate.
    PublishBase,
    /// Make this round durable, then ask again.
    Save(Box<Round>),
    /// Have attempts made for the round.
    Explore(ExplorationOrder),
    /// In lockstep: have the plan cut to what was given out.
    CutPlan(RoundNumber),
    /// Seal the round's set, then ask again with [`RoundMachine::sealed`].
    Seal(Box<Round>),
    /// The round's set is sealed: attempts are made ahead, and the policy is trained.
    Train { order: TrainingOrder, ahead: u64 },
    /// Have the round's candidate scored; attempts are still made ahead.
    Evaluate { round: RoundNumber, ahead: u64 },
    /// Publish the round's candidate, with the round as it will stand.
    Publish(Box<Round>),
    /// Every round that was wanted is over.
    Finish,
    /// Nothing: facts must come first.
    Wait,
}

/// What a process asks for once per phase of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Exploration(RoundNumber),
    Cut(RoundNumber),
    Training(RoundNumber),
    Evaluation(RoundNumber),
    Publication(RoundNumber),
    Base,
}

/// What one policy's attempts came to, so that no question needs a walk through the pool.
#[derive(Debug, Default)]
struct VersionTally {
    outcomes: BTreeMap<Outcome, u64>,
    eligible: u64,
}

/// The rounds.
#[derive(Debug)]
pub(crate) struct RoundMachine {
    config: MachineConfig,
    rounds: Vec<Round>,
    policies: Vec<PolicyRecord>,
    pool: BTreeMap<AttemptId, JudgedFact>,
    by_version: BTreeMap<PolicyVersion, VersionTally>,
    has_demonstrations: bool,
    asked: Option<Asked>,
    planned: Option<u64>,
    is_dry: bool,
    seal_wanted: bool,
}

impl RoundMachine {
    /// A machine that stands where the store stands.
    pub(crate) fn new(
        config: MachineConfig,
        rounds: Vec<Round>,
        policies: Vec<PolicyRecord>,
        pool: &[JudgedFact],
        has_demonstrations: bool,
    ) -> Self {
        let mut machine = Self {
            config,
            rounds,
            policies,
            pool: BTreeMap::new(),
            by_version: BTreeMap::new(),
            has_demonstrations,
            asked: None,
            planned: None,
            is_dry: false,
            seal_wanted: false,
        };
        machine.judged(pool);
        machine
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
        if self.has_demonstrations && self.policies.is_empty() {
            let imitation = Round::begin(RoundNumber(0), PolicyVersion(0), RoundPhase::Training, now_ms);
            return Next::Save(Box::new(imitation));
        }
        match self.in_force() {
            Some(version) => {
                let first = Round::begin(RoundNumber(1), version, RoundPhase::Exploring, now_ms);
                Next::Save(Box::new(first))
            }
            None => self.once(Asked::Base, Next::PublishBase),
        }
    }

    fn begin_next(&mut self, last: &Round, now_ms: u64) -> Next {
        if self.limit_is_reached() {
            return Next::Finish;
        }
        let Some(version) = self.in_force() else { return self.once(Asked::Base, Next::PublishBase) };
        let next = Round::begin(last.round.next(), version, RoundPhase::Exploring, now_ms);
        Next::Save(Box::new(next))
    }

    fn explore(&mut self, mut round: Round) -> Next {
        let number = round.round;
        if self.is_enough(&round) {
            round.tally.outcomes = self.outcomes_of(&round);
            round.tally.pool = self.pool.len() as u64;
            return Next::Seal(Box::new(round));
        }
        if self.seal_wanted && self.config.lockstep && self.asked != Some(Asked::Cut(number)) {
            self.asked = Some(Asked::Cut(number));
            return Next::CutPlan(number);
        }
        if self.asked == Some(Asked::Cut(number)) {
            return Next::Wait;
        }
        let order = ExplorationOrder {
            round: number,
            policy_version: round.policy_version,
            explored: self.explored_before(number),
            quota: self.config.round.quota_attempts,
        };
        self.once(Asked::Exploration(number), Next::Explore(order))
    }

    fn train(&mut self, round: &Round) -> Next {
        let Some(training_set) = round.training_set.clone() else { return Next::Wait };
        let is_imitation = round.round == RoundNumber(0);
        let algorithm = if is_imitation { Algorithm::Sft } else { self.config.round.algorithm };
        let start_from = match (is_imitation, algorithm, self.config.round.init) {
            (true, ..) | (false, Algorithm::Sft, TrainingStart::Base) => None,
            (false, Algorithm::Sft, TrainingStart::Previous) => Some(round.policy_version),
            (false, Algorithm::Dpo, _) => {
                let imitated = |record: &&PolicyRecord| record.origin == PolicyOrigin::Round(RoundNumber(0));
                let imitated = self.policies.iter().find(imitated);
                Some(imitated.map_or(round.policy_version, |record| record.version))
            }
        };
        let order = TrainingOrder { round: round.round, training_set, algorithm, start_from };
        let ahead = self.ahead_of(round);
        self.once(Asked::Training(round.round), Next::Train { order, ahead })
    }

    /// Trajectories that came after the round's set was sealed.
    fn ahead_of(&self, round: &Round) -> u64 {
        (self.pool.len() as u64).saturating_sub(round.tally.pool)
    }

    fn evaluate(&mut self, mut round: Round, now_ms: u64) -> Next {
        let number = round.round;
        let Some(evaluation) = &round.evaluation else {
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

    /// The imitated policy is always promoted: nothing explores without one.
    fn decide(&self, round: &Round, candidate: &Evaluation) -> (bool, String) {
        if round.round == RoundNumber(0) {
            return (true, "promoted: the imitated policy is the first".to_owned());
        }
        let seed = seed::derive(self.config.seed, &["gate", &round.round.to_string()]);
        let decision = self.config.gate.decide(candidate, self.incumbent(), seed);
        (decision.is_promoted, decision.to_string())
    }

    /// How the policy in force was scored when it was promoted.
    fn incumbent(&self) -> Option<&Evaluation> {
        let record = self.policies.last()?;
        let version = effective_version(&self.policies, record);
        let record = self.policies.iter().find(|record| record.version == version)?;
        let PolicyOrigin::Round(number) = record.origin else { return None };
        self.rounds.iter().find(|round| round.round == number)?.evaluation.as_ref()
    }

    /// Whether the round's exploration is over.
    fn is_enough(&self, round: &Round) -> bool {
        if !self.config.explores {
            return true;
        }
        let judged = self.judged_in(round);
        let settings = &self.config.round;
        if self.config.lockstep {
            let is_empty = self.planned == Some(0);
            return self.planned.is_some_and(|planned| judged >= planned)
                && !(is_empty && self.waits_when_dry());
        }
        if self.seal_wanted {
            return true;
        }
        let eligible = self.eligible_in(round);
        if settings.enough_eligible > 0 && eligible >= settings.enough_eligible {
            return true;
        }
        if self.is_dry {
            return eligible > 0 || !self.waits_when_dry();
        }
        settings.quota_attempts > 0 && judged >= settings.quota_attempts && eligible >= settings.min_eligible
    }

    /// Without a limit of rounds, training on and on upon the same set would never end: wait for problems.
    const fn waits_when_dry(&self) -> bool {
        self.config.rounds_wanted == 0
    }

    /// Whether the round waits for new problems.
    pub(crate) fn is_starved(&self) -> bool {
        let Some(round) = self.rounds.last() else { return false };
        round.phase == RoundPhase::Exploring
            && (self.is_dry || self.planned == Some(0))
            && !self.is_enough(round)
    }

    /// What the round's policy did, and later ones that an operator put in force meanwhile.
    fn tallies_of(&self, version: PolicyVersion) -> impl Iterator<Item = &VersionTally> {
        self.by_version.range(version..).map(|(_, tally)| tally)
    }

    /// Outcomes that count for the round: those of its policy that no earlier round counted. A round that
    /// was rejected leaves its policy to the next one.
    fn outcomes_of(&self, round: &Round) -> BTreeMap<Outcome, u64> {
        let mut outcomes: BTreeMap<Outcome, u64> = BTreeMap::new();
        for (outcome, count) in self.tallies_of(round.policy_version).flat_map(|tally| &tally.outcomes) {
            *outcomes.entry(*outcome).or_default() += count;
        }
        for (outcome, count) in self.rounds_before(round).flat_map(|earlier| &earlier.tally.outcomes) {
            let left = outcomes.entry(*outcome).or_default();
            *left = left.saturating_sub(*count);
        }
        outcomes.retain(|_, count| *count > 0);
        outcomes
    }

    fn rounds_before(&self, round: &Round) -> impl Iterator<Item = &Round> {
        let (number, version) = (round.round, round.policy_version);
        self.rounds.iter().filter(move |earlier| earlier.round < number && earlier.policy_version >= version)
    }

    fn judged_in(&self, round: &Round) -> u64 {
        self.outcomes_of(round).values().sum()
    }

    /// Right and hygienic trajectories of the round; those of rejected rounds before it are counted out by
    /// their right ones, so it errs on the low side.
    fn eligible_in(&self, round: &Round) -> u64 {
        let all: u64 = self.tallies_of(round.policy_version).map(|tally| tally.eligible).sum();
        let before =
            self.rounds_before(round).filter_map(|earlier| earlier.tally.outcomes.get(&Outcome::Correct));
        all.saturating_sub(before.sum())
    }

    fn explored_before(&self, number: RoundNumber) -> Vec<ExploredRound> {
        self.rounds
            .iter()
            .filter(|round| round.round < number && round.round > RoundNumber(0))
            .map(|round| ExploredRound {
                policy_version: round.policy_version,
                judged: round.tally.outcomes.values().sum(),
            })
            .collect()
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

    /// Trajectories of the pool by outcome.
    pub(crate) fn outcomes(&self) -> BTreeMap<Outcome, u64> {
        let mut outcomes = BTreeMap::new();
        for (outcome, count) in self.by_version.values().flat_map(|tally| &tally.outcomes) {
            *outcomes.entry(*outcome).or_default() += count;
        }
        outcomes
    }

    /// All rounds, in order.
    pub(crate) fn rounds(&self) -> &[Round] {
        &self.rounds
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
        let is_over = |round: &&Round| round.phase.is_over() && round.round > RoundNumber(0);
        self.rounds.iter().filter(is_over).count() as u64
    }

    /// The newest version; `None` before the first publication.
    pub(crate) fn in_force(&self) -> Option<PolicyVersion> {
        self.policies.last().map(|record| record.version)
    }

    /// Judged and correct in the round at work, and the trajectories of the whole pool.
    pub(crate) fn progress(&self) -> (u64, u64, u64) {
        let pool = self.pool.len() as u64;
        let Some(round) = self.rounds.last() else { return (0, 0, pool) };
        if round.phase == RoundPhase::Exploring {
            let outcomes = self.outcomes_of(round);
            (outcomes.values().sum(), outcomes.get(&Outcome::Correct).copied().unwrap_or(0), pool)
        } else {
            let outcomes = &round.tally.outcomes;
            (outcomes.values().sum(), outcomes.get(&Outcome::Correct).copied().unwrap_or(0), pool)
        }
    }

    /// Judgements that the round at work waits for; 0 when there is no quota.
    pub(crate) fn quota(&self) -> u64 {
        self.planned.unwrap_or(self.config.round.quota_attempts)
    }

    /// The pool.
    pub(crate) fn facts(&self) -> impl Iterator<Item = &JudgedFact> {
        self.pool.values()
    }

    /// The set that the next one grows from.
    pub(crate) fn previous_set(&self) -> Option<&TrainingSetId> {
        self.rounds.iter().rev().find_map(|round| round.training_set.as_ref())
    }

    /// Attempts are durable; gives those that were not known before.
    pub(crate) fn judged<'facts>(&mut self, facts: &'facts [JudgedFact]) -> Vec<&'facts JudgedFact> {
        let mut new = Vec::new();
        for fact in facts {
            if self.pool.contains_key(&fact.candidate.id) {
                continue;
            }
            let tally = self.by_version.entry(fact.version).or_default();
            *tally.outcomes.entry(fact.candidate.outcome).or_default() += 1;
            let is_right = fact.candidate.outcome == Outcome::Correct;
            tally.eligible += u64::from(is_right && fact.candidate.rejection.is_none());
            self.pool.insert(fact.candidate.id.clone(), fact.clone());
            new.push(fact);
        }
        new
    }

    /// The lockstep plan of a round has this many attempts.
    pub(crate) fn planned(&mut self, round: RoundNumber, attempts: u64) {
        if self.rounds.last().is_some_and(|at_work| at_work.round == round) {
            self.planned = Some(attempts);
        }
    }

    /// No problem may be attempted now. In lockstep the plan alone decides.
    pub(crate) fn ran_dry(&mut self, round: RoundNumber) {
        self.is_dry = self.rounds.last().is_some_and(|at_work| at_work.round == round);
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

    /// The store holds new records: a dry supply may flow again.
    pub(crate) fn imported(&mut self, has_demonstrations: bool) {
        self.has_demonstrations = has_demonstrations;
        self.is_dry = false;
        if self.planned == Some(0) {
            // The plan was made of nothing: it is made anew.
            self.planned = None;
            self.asked = None;
        }
    }

    /// The round is durable as given.
    pub(crate) fn saved(&mut self, round: Round) {
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
                self.seal_wanted = false;
            }
        }
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

    /// The candidate is scored; `None` when it is not this round's, else the round to make durable.
    pub(crate) fn scored(&self, number: RoundNumber, evaluation: Evaluation) -> Option<Round> {
        let round = self.rounds.last()?;
        let waits =
            round.round == number && round.phase == RoundPhase::Evaluating && round.evaluation.is_none();
        waits.then(|| Round { evaluation: Some(evaluation), ..round.clone() })
    }

    /// The candidate's checkpoint is gone: train again.
    pub(crate) fn candidate_lost(&self) -> Option<Round> {
        let round = self.rounds.last()?;
        Some(Round { phase: RoundPhase::Training, evaluation: None, ..round.clone() })
    }

    /// A policy is durable and in force.
    pub(crate) fn published(&mut self, policies: Vec<PolicyRecord>, rounds: Vec<Round>) {
        self.policies = policies;
        let stood_at = self.rounds.last().map(|round| (round.round, round.phase));
        self.rounds = rounds;
        if self.rounds.last().map(|round| (round.round, round.phase)) != stood_at {
            self.asked = None;
        }
    }

    /// Evaluation must be asked for again.
    pub(crate) fn evaluator_lost_it(&mut self) {
        if matches!(self.asked, Some(Asked::Evaluation(_))) {
            self.asked = None;
        }
    }
}

#[cfg(test)]
#[path = "round_machine_tests.rs"]
mod tests;
