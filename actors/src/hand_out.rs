//! Which attempt is given out next, and whether any may be: the problem supply without its mailbox.
//!
//! Everything here is a function of problems, durable attempts and the conductor's order. Free-running, the
//! curriculum is asked attempt by attempt. In lockstep a round has a plan, made once from the store as it was
//! when the round began: earlier rounds are replayed (each took as many attempts as it judged), then the
//! curriculum names the round's attempts before any of them is made. A process that dies in the middle makes
//! the same plan again and asks for what is missing.

use std::collections::{BTreeSet, HashMap, VecDeque};

use still_curation::{Curriculum, CurriculumConfig};
use still_domain::{AttemptId, Outcome, PolicyVersion, ProblemId, RoundNumber};

use crate::protocol::{Dryness, ExplorationOrder};

/// How the conductor wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HandOutConfig {
    pub(crate) curriculum: CurriculumConfig,
    pub(crate) lockstep: bool,
    /// Rounds that may be trained and scored while attempts for later ones are made.
    pub(crate) max_policy_lag: u64,
    /// Attempts that may be made ahead, those under way included.
    pub(crate) max_ahead_attempts: u64,
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

/// What is given out, and what is not.
#[derive(Debug)]
pub(crate) struct HandOut {
    config: HandOutConfig,
    problems: Vec<(ProblemId, Option<u8>)>,
    curriculum: Curriculum,
    newest: Option<PolicyVersion>,
    recorded: HashMap<AttemptId, (Outcome, PolicyVersion)>,
    in_flight: BTreeSet<AttemptId>,
    plan: VecDeque<AttemptId>,
    stage: Stage,
}

impl HandOut {
    /// A supply without problems that waits for an order.
    pub(crate) fn new(config: HandOutConfig) -> Self {
        Self {
            config,
            problems: Vec::new(),
            curriculum: Curriculum::new(config.curriculum),
            newest: None,
            recorded: HashMap::new(),
            in_flight: BTreeSet::new(),
            plan: VecDeque::new(),
            stage: Stage::Idle,
        }
    }

    /// Learns of a problem; false when it is known.
    pub(crate) fn add_problem(&mut self, id: &ProblemId, level: Option<u8>) -> bool {
        let is_new = self.curriculum.add(id.clone(), level);
        if is_new {
            self.problems.push((id.clone(), level));
        }
        is_new
    }

    /// Learns of a durable attempt; true when it was drawn by an older policy than the open round's, which
    /// does not count it.
    pub(crate) fn record(&mut self, id: &AttemptId, outcome: Outcome, version: PolicyVersion) -> bool {
        self.in_flight.remove(id);
        let is_new = self.recorded.insert(id.clone(), (outcome, version)).is_none();
        self.curriculum.record(id, outcome, version);
        if let Stage::Ahead { made, .. } = &mut self.stage {
            *made += u64::from(is_new);
        }
        matches!(&self.stage, Stage::Open(order) if version < order.policy_version)
    }

    /// An attempt came to nothing: it is given out again under the same name.
    pub(crate) fn lost(&mut self, id: &AttemptId) {
        if self.in_flight.remove(id) {
            self.curriculum.release(id);
            if self.config.lockstep {
                self.plan.push_front(id.clone());
            }
        }
    }

    /// Learns of the policy in force.
    pub(crate) fn policy_published(&mut self, version: PolicyVersion) {
        self.newest = self.newest.max(Some(version));
        if !self.config.lockstep {
            self.curriculum.policy_promoted(version);
        }
    }

    /// Opens a round. In lockstep the same round twice keeps its plan, but for one made of nothing.
    pub(crate) fn open(&mut self, order: ExplorationOrder) {
        let has_plan = self.plan().is_some_and(|(round, attempts)| round == order.round && attempts > 0);
        if self.config.lockstep && !has_plan {
            let plan = self.plan_of(&order);
            self.plan = plan.into();
        }
        self.stage = Stage::Open(order);
    }

    /// Cuts the plan down to what has been given out.
    pub(crate) fn cut_plan(&mut self) {
        self.plan.clear();
    }

    /// In lockstep: the open round, and how many attempts it is made of.
    pub(crate) fn plan(&self) -> Option<(RoundNumber, u64)> {
        match &self.stage {
            Stage::Open(order) if self.config.lockstep => Some((order.round, self.planned(order))),
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
        let may = match &self.stage {
            Stage::Idle => false,
            Stage::Open(_) => true,
            Stage::Ahead { made, .. } => {
                !self.config.lockstep
                    && self.config.max_policy_lag > 0
                    && made + (self.in_flight.len() as u64) < self.config.max_ahead_attempts
            }
        };
        if !may {
            return None;
        }
        let attempt = loop {
            let attempt =
                if self.config.lockstep { self.plan.pop_front()? } else { self.curriculum.next_attempt()? };
            if !self.recorded.contains_key(&attempt) && !self.in_flight.contains(&attempt) {
                break attempt;
            }
        };
        self.in_flight.insert(attempt.clone());
        Some(attempt)
    }

    /// Attempts under way.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Problems that may be attempted now, for the queue's depth.
    pub(crate) fn ready(&self) -> usize {
        if self.config.lockstep { self.plan.len() } else { self.curriculum.counts().ready() }
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
        let own = self.recorded.values().filter(|(_, version)| *version >= order.policy_version).count();
        let is_missing = |id: &&AttemptId| !self.recorded.contains_key(*id) && !self.in_flight.contains(*id);
        let coming = self.in_flight.len() + self.plan.iter().filter(is_missing).count();
        (own as u64).saturating_sub(order.counted) + coming as u64
    }

    /// The attempts that a round is made of, as they follow from what was durable when it began.
    fn plan_of(&self, order: &ExplorationOrder) -> Vec<AttemptId> {
        let mut curriculum = Curriculum::new(self.config.curriculum);
        let mut later = self.problems.iter();
        let mut added = 0;
        let mut add = |curriculum: &mut Curriculum, problems: Option<u64>| {
            let count = problems.unwrap_or(u64::MAX).saturating_sub(added);
            for (id, level) in later.by_ref().take(usize::try_from(count).unwrap_or(usize::MAX)) {
                curriculum.add(id.clone(), *level);
                added += 1;
            }
        };
        for round in &order.explored {
            add(&mut curriculum, round.problems);
            curriculum.policy_promoted(round.policy_version);
            for attempt in take(&mut curriculum, round.judged) {
                match self.recorded.get(&attempt) {
                    Some((outcome, version)) => {
                        curriculum.record(&attempt, *outcome, *version);
                    }
                    None => {
                        curriculum.release(&attempt);
                    }
                }
            }
        }
        add(&mut curriculum, order.problems);
        // what older policies made beyond their rounds, while the program ran free
        for (attempt, (outcome, version)) in &self.recorded {
            if *version < order.policy_version {
                curriculum.record(attempt, *outcome, *version);
            }
        }
        curriculum.policy_promoted(order.policy_version);
        take(&mut curriculum, if order.quota == 0 { u64::MAX } else { order.quota })
    }
}

fn take(curriculum: &mut Curriculum, count: u64) -> Vec<AttemptId> {
    (0..count).map_while(|_| curriculum.next_attempt()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ExploredRound;

    const V1: PolicyVersion = PolicyVersion(1);

    fn supply(lockstep: bool) -> HandOut {
        let config = HandOutConfig {
            curriculum: CurriculumConfig { attempts_per_wave: 2, correct_to_retire: 1, ..Default::default() },
            lockstep,
            max_policy_lag: 1,
            max_ahead_attempts: 3,
        };
        let mut supply = HandOut::new(config);
        for level in 1..=4 {
            assert!(supply.add_problem(&ProblemId::new(format!("p{level}")), Some(level)));
        }
        supply.policy_published(V1);
        supply
    }

    fn order(round: u32, explored: &[u64], quota: u64) -> ExplorationOrder {
        let explored: Vec<_> = explored
            .iter()
            .map(|&judged| ExploredRound { policy_version: V1, problems: None, judged })
            .collect();
        let counted = explored.iter().map(|round| round.judged).sum();
        let round = RoundNumber(round);
        ExplorationOrder { round, policy_version: V1, problems: None, explored, counted, quota }
    }

    fn take_all(supply: &mut HandOut) -> Vec<String> {
        std::iter::from_fn(|| supply.next()).map(|id| id.to_string()).collect()
    }

    fn planned(supply: &HandOut) -> u64 {
        supply.plan().unwrap().1
    }

    fn judge(supply: &mut HandOut, id: &str, outcome: Outcome) {
        supply.record(&id.parse().unwrap(), outcome, V1);
    }

    #[test]
    fn nothing_is_given_out_before_a_round_is_opened_or_a_policy_published() {
        let mut idle = supply(false);
        assert_eq!(idle.next(), None);
        let mut unpublished = HandOut::new(idle.config);
        unpublished.add_problem(&ProblemId::new("p"), None);
        unpublished.open(order(1, &[], 4));
        assert_eq!(unpublished.next(), None);
        assert_eq!(unpublished.dryness(), None, "a supply that waits for a policy is not dry");
    }

    #[test]
    fn a_lockstep_plan_depends_on_the_store_at_the_rounds_beginning_alone() {
        let mut whole = supply(true);
        whole.open(order(1, &[], 4));
        assert_eq!(planned(&whole), 4);
        let plan = take_all(&mut whole);
        assert_eq!(plan, ["p4#0", "p4#1", "p3#0", "p3#1"]);

        // A process that died with one attempt durable, out of order, makes the same plan.
        let mut resumed = supply(true);
        judge(&mut resumed, "p3#0", Outcome::Correct);
        resumed.open(order(1, &[], 4));
        assert_eq!(planned(&resumed), 4);
        assert_eq!(take_all(&mut resumed), ["p4#0", "p4#1", "p3#1"]);

        // The next round replays the first: p3 is solved and retired.
        for id in ["p4#0", "p4#1", "p3#1"] {
            judge(&mut resumed, id, Outcome::Wrong);
        }
        resumed.close(RoundNumber(1), 0);
        assert_eq!(resumed.next(), None, "nothing is made ahead in lockstep");
        resumed.open(order(2, &[4], 6));
        assert_eq!(planned(&resumed), 6);
        assert_eq!(take_all(&mut resumed), ["p4#2", "p4#3", "p2#0", "p2#1", "p1#0", "p1#1"]);
    }

    #[test]
    fn a_plan_counts_no_attempt_of_an_older_policy_and_asks_for_none_of_them_again() {
        const V2: PolicyVersion = PolicyVersion(2);
        let mut supply = supply(true);
        // round 1 counted two attempts of four: the program ran free, two were made ahead
        for id in ["p4#0", "p4#1", "p3#0", "p3#1"] {
            judge(&mut supply, id, Outcome::Wrong);
        }
        supply.policy_published(V2);
        let order = ExplorationOrder { policy_version: V2, counted: 0, ..order(2, &[2], 4) };
        supply.open(order);
        assert_eq!(planned(&supply), 4);
        assert_eq!(take_all(&mut supply), ["p4#2", "p4#3", "p3#2", "p3#3"]);

        for id in ["p4#2", "p4#3", "p3#2"] {
            assert!(!supply.record(&id.parse().unwrap(), Outcome::Wrong, V2));
        }
        assert!(supply.record(&"p3#3".parse().unwrap(), Outcome::Wrong, V1), "the round does not count it");
        assert_eq!(planned(&supply), 3);
    }

    #[test]
    fn a_plan_made_of_nothing_is_made_anew_and_any_other_is_kept() {
        let mut supply = supply(true);
        supply.open(order(1, &[], 100));
        assert_eq!(planned(&supply), 8);
        for id in take_all(&mut supply) {
            judge(&mut supply, &id, Outcome::Correct);
        }
        supply.close(RoundNumber(1), 0);
        supply.open(order(2, &[8], 100));
        assert_eq!(supply.plan(), Some((RoundNumber(2), 0)));
        assert!(supply.add_problem(&ProblemId::new("late"), Some(9)));
        supply.open(order(2, &[8], 100));
        assert_eq!(supply.plan(), Some((RoundNumber(2), 2)));
        supply.next().unwrap();
        supply.open(order(2, &[8], 100));
        assert_eq!((planned(&supply), supply.ready()), (2, 1), "the same plan");
    }

    #[test]
    fn a_plan_and_its_replay_hold_the_problems_of_their_rounds_and_no_later_ones() {
        let first = || ExplorationOrder { problems: Some(4), ..order(1, &[], 2) };
        let mut whole = supply(true);
        whole.open(first());
        let of_first = take_all(&mut whole);

        // the harder problem comes in the middle of the round, and the process dies
        let mut resumed = supply(true);
        assert!(resumed.add_problem(&ProblemId::new("late"), Some(9)));
        resumed.open(first());
        assert_eq!(take_all(&mut resumed), of_first);
        for id in &of_first {
            judge(&mut resumed, id, Outcome::Wrong);
        }
        let mut second = order(2, &[2], 4);
        second.problems = Some(5);
        second.explored[0].problems = Some(4);
        resumed.open(second);
        assert_eq!(take_all(&mut resumed), ["late#0", "late#1", "p4#2", "p4#3"]);
    }

    #[test]
    fn cutting_a_plan_leaves_what_was_given_out() {
        let mut supply = supply(true);
        supply.open(order(1, &[], 6));
        supply.next().unwrap();
        supply.next().unwrap();
        supply.cut_plan();
        assert_eq!(supply.plan(), Some((RoundNumber(1), 2)));
        assert_eq!(supply.next(), None);
    }

    #[test]
    fn attempts_made_ahead_are_bounded_and_those_under_way_count() {
        let mut supply = supply(false);
        supply.open(order(1, &[], 4));
        let first = supply.next().unwrap();
        supply.close(RoundNumber(1), 1);
        assert!(supply.next().is_some(), "one is durable, one under way");
        assert_eq!(supply.next(), None);
        supply.record(&first, Outcome::Wrong, V1);
        assert_eq!(supply.next(), None, "it counts as made ahead");
        supply.open(order(2, &[4], 4));
        assert!(supply.next().is_some());
    }

    #[test]
    fn a_lost_attempt_comes_back_first_under_its_own_name() {
        for lockstep in [false, true] {
            let mut supply = supply(lockstep);
            supply.open(order(1, &[], 8));
            let first = supply.next().unwrap();
            let second = supply.next().unwrap();
            supply.lost(&first);
            assert_eq!(supply.next(), Some(first));
            assert_ne!(supply.next(), Some(second));
        }
    }

    #[test]
    fn a_round_is_dry_when_nothing_is_left_and_nothing_under_way() {
        let mut supply = supply(false);
        supply.open(order(3, &[], 100));
        assert_eq!(supply.dryness(), None);
        let all = take_all(&mut supply);
        assert_eq!(all.len(), 8);
        for id in &all {
            assert_eq!(supply.dryness(), None);
            judge(&mut supply, id, Outcome::Correct);
        }
        let dryness = Dryness { round: RoundNumber(3), newest: V1, problems: 4 };
        assert_eq!(supply.dryness(), Some(dryness));
        assert!(supply.add_problem(&ProblemId::new("new"), None));
        assert_eq!(supply.dryness(), None);
    }
}
