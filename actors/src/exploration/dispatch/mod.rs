//! Which attempt is given out next, and whether any may be: the problem supply without its mailbox.
//!
//! Everything here is a function of problems, durable attempts and the conductor's order. Free-running, the
//! curriculum is asked attempt by attempt, until a round's quota is given out and the visits begun are complete; what
//! was given out is then waited for. A round that was sealed as soon as its quota is judged would leave the longest
//! thoughts behind: they are what comes back last. In lockstep a round has a plan, made once from the store as it was
//! when the round began: earlier rounds are replayed (each took as many attempts as it judged), then the
//! curriculum names the round's attempts before any of them is made. A process that dies in the middle makes
//! the same plan again and asks for what is missing.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use still_curation::{AttemptResult, Curriculum};
use still_domain::{AttemptId, Outcome, PolicyVersion, Problem, ProblemId, Revival, RoundNumber};

use crate::{
    config::ExplorationSection,
    ground::protocol::{Delivery, Dryness, ExplorationOrder},
};

/// Times that an attempt may be lost.
const MAX_LOSSES: u32 = 3;

/// What becomes of an attempt that came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// It is given out again.
    Again,
    /// It was lost as often as one may be: it is not given out any more.
    GivenUp {
        /// How often it was lost.
        losses: u32,
    },
    /// It is not under way.
    Unknown,
}

/// What the supply may do at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    /// Nobody has asked for anything yet.
    Idle,
    /// A round explores.
    Open(ExplorationOrder),
    /// A round's set is sealed; attempts are made ahead for the next one.
    Ahead { round: RoundNumber, made: u64 },
}

/// What the curriculum must know of a problem.
#[derive(Debug)]
struct Described {
    id: ProblemId,
    source: String,
    level: Option<u8>,
}

impl Described {
    fn of(problem: &Problem) -> Self {
        let Problem { id, source, level, .. } = problem;
        Self { id: id.clone(), source: source.clone(), level: *level }
    }
}

/// What is given out, and what is not.
#[derive(Debug)]
pub(crate) struct Dispatch {
    settings: ExplorationSection,
    lockstep: bool,
    problems: Vec<Described>,
    /// Those of them that cannot be attempted here.
    left_out: HashSet<ProblemId>,
    curriculum: Curriculum,
    revivals: Vec<Revival>,
    newest: Option<PolicyVersion>,
    recorded: HashMap<AttemptId, AttemptResult>,
    in_flight: BTreeSet<AttemptId>,
    /// Attempts that came to nothing, to be given out again before all others.
    again: VecDeque<AttemptId>,
    losses: HashMap<AttemptId, u32>,
    plan: VecDeque<AttemptId>,
    stage: Stage,
    /// Durable attempts that fill the open round's quota.
    own: u64,
    /// Nothing more is given out for the open round.
    is_cut: bool,
}

impl Dispatch {
    /// A supply without problems that waits for an order.
    pub(crate) fn new(settings: ExplorationSection, lockstep: bool) -> Self {
        let curriculum = Curriculum::new(settings.curriculum());
        Self {
            settings,
            lockstep,
            problems: Vec::new(),
            left_out: HashSet::new(),
            curriculum,
            revivals: Vec::new(),
            newest: None,
            recorded: HashMap::new(),
            in_flight: BTreeSet::new(),
            again: VecDeque::new(),
            losses: HashMap::new(),
            plan: VecDeque::new(),
            stage: Stage::Idle,
            own: 0,
            is_cut: false,
        }
    }

    /// Learns of a problem; false when it is known.
    pub(crate) fn add_problem(&mut self, problem: &Problem) -> bool {
        let is_new = self.curriculum.add(problem.id.clone(), &problem.source, problem.level);
        if is_new {
            self.problems.push(Described::of(problem));
        }
        is_new
    }

    /// Learns of a problem that cannot be attempted here: it counts among the problems, and no attempt at it is given
    /// out. False when it is known.
    pub(crate) fn leave_out(&mut self, problem: &Problem) -> bool {
        let is_new = self.left_out.insert(problem.id.clone());
        if is_new {
            self.problems.push(Described::of(problem));
        }
        is_new
    }

    /// Learns that attempts at a problem can never be served: until the program starts again no more are given out. In
    /// lockstep a plan is kept all the same, as it follows from what is durable alone.
    pub(crate) fn refused(&mut self, problem: &ProblemId) {
        if !self.lockstep {
            self.curriculum.set_aside(problem);
        }
    }

    /// Learns of all revivals. In lockstep each holds from its round's plan on.
    pub(crate) fn set_revivals(&mut self, revivals: Vec<Revival>) {
        if !self.lockstep {
            for revival in &revivals {
                self.curriculum.revive(revival);
            }
        }
        self.revivals = revivals;
    }

    /// Learns of a durable attempt; true when it was drawn by an older policy than the open round's, which
    /// does not count it.
    pub(crate) fn record(&mut self, id: &AttemptId, result: AttemptResult) -> bool {
        self.in_flight.remove(id);
        self.losses.remove(id);
        let is_new = self.recorded.insert(id.clone(), result).is_none();
        self.curriculum.record(id, result);
        match &mut self.stage {
            Stage::Idle => false,
            Stage::Open(order) => {
                self.own += u64::from(is_new && fills_quota(order, result));
                result.version < order.policy_version
            }
            Stage::Ahead { made, .. } => {
                *made += u64::from(is_new);
                false
            }
        }
    }

    /// Learns that an attempt under way came to nothing. It stays under way: it is given out again before all others,
    /// or, lost as often as one may be, given up.
    pub(crate) fn lost(&mut self, id: &AttemptId) -> Loss {
        if !self.in_flight.contains(id) {
            return Loss::Unknown;
        }
        let losses = self.losses.entry(id.clone()).or_default();
        *losses += 1;
        if *losses >= MAX_LOSSES {
            return Loss::GivenUp { losses: *losses };
        }
        self.again.push_back(id.clone());
        Loss::Again
    }

    /// Learns of the policy in force.
    pub(crate) fn policy_published(&mut self, version: PolicyVersion) {
        self.newest = self.newest.max(Some(version));
        if !self.lockstep {
            self.curriculum.policy_promoted(version);
        }
    }

    /// Opens a round. In lockstep the same round twice keeps its plan, but for one made of nothing.
    pub(crate) fn open(&mut self, order: ExplorationOrder) {
        let has_plan = self.plan().is_some_and(|(round, attempts)| round == order.round && attempts > 0);
        if self.lockstep && !has_plan {
            let plan = self.plan_of(&order);
            self.plan = plan.into();
        }
        let own = self.recorded.values().filter(|result| fills_quota(&order, **result)).count() as u64;
        self.own = own.saturating_sub(order.counted - order.counted_errors);
        self.is_cut &= matches!(&self.stage, Stage::Open(open) if open.round == order.round);
        self.stage = Stage::Open(order);
    }

    /// Gives out nothing more for the open round.
    pub(crate) fn cut(&mut self) {
        self.plan.clear();
        self.is_cut = true;
    }

    /// What was wanted of the open round, once all of it is durable. Free-running alone.
    pub(crate) fn delivery(&self) -> Option<Delivery> {
        let Stage::Open(order) = &self.stage else { return None };
        let is_over = self.in_flight.is_empty() && (self.is_cut || !self.wants_more(order));
        let delivery = Delivery { round: order.round, quota: order.quota };
        (!self.lockstep && is_over).then_some(delivery)
    }

    /// Whether attempts are wanted of the open round beside those under way: up to its quota, and to the end of
    /// every visit that was begun.
    fn wants_more(&self, order: &ExplorationOrder) -> bool {
        let given_out = self.own + self.in_flight.len() as u64;
        order.quota == 0 || given_out < order.quota || self.curriculum.has_open_visit()
    }

    /// In lockstep: the open round, and how many attempts it is made of.
    pub(crate) fn plan(&self) -> Option<(RoundNumber, u64)> {
        match &self.stage {
            Stage::Open(order) if self.lockstep => Some((order.round, self.planned(order))),
            _ => None,
        }
    }

    /// Closes the round's exploration; `ahead` attempts beyond it are durable already.
    pub(crate) fn close(&mut self, round: RoundNumber, ahead: u64) {
        if !matches!(self.stage, Stage::Ahead { round: closed, .. } if closed == round) {
            self.stage = Stage::Ahead { round, made: ahead };
        }
    }

    /// Gives out the next attempt.
    pub(crate) fn next(&mut self) -> Option<AttemptId> {
        self.newest?;
        if let Some(lost) = self.again.pop_front() {
            return Some(lost);
        }
        let may = match &self.stage {
            Stage::Idle => false,
            Stage::Open(_) if self.lockstep => true,
            Stage::Open(order) => !self.is_cut && self.wants_more(order),
            Stage::Ahead { made, .. } => {
                !self.lockstep
                    && self.settings.max_policy_lag > 0
                    && made + (self.in_flight.len() as u64) < self.settings.max_ahead_attempts
            }
        };
        if !may {
            return None;
        }
        let attempt = loop {
            let attempt =
                if self.lockstep { self.plan.pop_front()? } else { self.curriculum.next_attempt()? };
            if !self.recorded.contains_key(&attempt) && !self.in_flight.contains(&attempt) {
                break attempt;
            }
        };
        self.in_flight.insert(attempt.clone());
        Some(attempt)
    }

    /// The newest policy known of.
    pub(crate) const fn newest(&self) -> Option<PolicyVersion> {
        self.newest
    }

    /// Attempts under way at others: those that came to nothing and wait to be given out again left out.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.len() - self.again.len()
    }

    /// Problems that may be attempted now, for the queue's depth.
    pub(crate) fn ready(&self) -> usize {
        if self.lockstep { self.plan.len() } else { self.curriculum.counts().ready() }
    }

    /// Whether nothing is under way in the open round and nothing can be given out.
    pub(crate) fn dryness(&self) -> Option<Dryness> {
        let Stage::Open(order) = &self.stage else { return None };
        let dryness = Dryness { round: order.round, newest: self.newest?, problems: self.problems() };
        (self.in_flight.is_empty() && self.ready() == 0).then_some(dryness)
    }

    /// Problems known.
    pub(crate) fn problems(&self) -> u64 {
        self.problems.len() as u64
    }

    /// Attempts that count for a round: durable, under way and still planned. What an older policy drew counts
    /// for none: it was made ahead while the program ran free.
    fn planned(&self, order: &ExplorationOrder) -> u64 {
        let own = self.recorded.values().filter(|result| result.version >= order.policy_version).count();
        let is_missing = |id: &&AttemptId| !self.recorded.contains_key(*id) && !self.in_flight.contains(*id);
        let coming = self.in_flight.len() + self.plan.iter().filter(is_missing).count();
        (own as u64).saturating_sub(order.counted) + coming as u64
    }

    /// What was revived for a round's plan.
    fn revive_for(&self, round: RoundNumber, curriculum: &mut Curriculum) {
        for revival in self.revivals.iter().filter(|revival| revival.round == round) {
            curriculum.revive(revival);
        }
    }

    /// The attempts that a round is made of, as they follow from what was durable when it began.
    fn plan_of(&self, order: &ExplorationOrder) -> Vec<AttemptId> {
        let mut curriculum = Curriculum::new(self.settings.curriculum());
        let mut later = self.problems.iter();
        let mut added = 0;
        let mut add = |curriculum: &mut Curriculum, problems: Option<u64>| {
            let count = problems.unwrap_or(u64::MAX).saturating_sub(added);
            for problem in later.by_ref().take(usize::try_from(count).unwrap_or(usize::MAX)) {
                if !self.left_out.contains(&problem.id) {
                    curriculum.add(problem.id.clone(), &problem.source, problem.level);
                }
                added += 1;
            }
        };
        for round in &order.explored {
            add(&mut curriculum, round.problems);
            curriculum.policy_promoted(round.policy_version);
            self.revive_for(round.round, &mut curriculum);
            for attempt in take(&mut curriculum, round.judged) {
                match self.recorded.get(&attempt) {
                    Some(result) => {
                        curriculum.record(&attempt, *result);
                    }
                    None => {
                        curriculum.release(&attempt);
                    }
                }
            }
        }
        add(&mut curriculum, order.problems);
        // what older policies made beyond their rounds, while the program ran free
        for (attempt, result) in &self.recorded {
            if result.version < order.policy_version {
                curriculum.record(attempt, *result);
            }
        }
        curriculum.policy_promoted(order.policy_version);
        self.revive_for(order.round, &mut curriculum);
        take(&mut curriculum, if order.quota == 0 { u64::MAX } else { order.quota })
    }
}

/// Whether an attempt fills the quota of a round: one by its policy or a later one that could be judged.
fn fills_quota(order: &ExplorationOrder, result: AttemptResult) -> bool {
    result.version >= order.policy_version && result.outcome != Outcome::Error
}

fn take(curriculum: &mut Curriculum, count: u64) -> Vec<AttemptId> {
    (0..count).map_while(|_| curriculum.next_attempt()).collect()
}

#[cfg(test)]
mod tests;
