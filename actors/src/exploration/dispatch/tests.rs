//! What is given out when, and what a lockstep plan is made of.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use still_domain::{AnswerKind, AttemptNumber, Outcome, Split};

use super::*;
use crate::ground::protocol::ExploredRound;

const V1: PolicyVersion = PolicyVersion(1);

fn problem(id: &str, level: Option<u8>) -> Problem {
    Problem {
        id: ProblemId::new(id),
        text: id.to_owned(),
        gold: String::new(),
        kind: AnswerKind::Exact,
        level,
        source: String::new(),
        split: Split::Explore,
    }
}

fn result(outcome: Outcome, version: PolicyVersion) -> AttemptResult {
    AttemptResult { outcome, version, is_truncated: false }
}

fn supply(lockstep: bool) -> Dispatch {
    let settings = ExplorationSection {
        attempts_per_visit: 2,
        stop_after_correct: 1,
        park_after: 8,
        max_policy_lag: 1,
        max_ahead_attempts: 3,
        ..ExplorationSection::default()
    };
    let mut supply = Dispatch::new(settings, lockstep);
    for level in 1..=4 {
        assert!(supply.add_problem(&problem(&format!("p{level}"), Some(level))));
    }
    supply.policy_published(V1);
    supply
}

fn order(round: u32, explored: &[u64], quota: u64) -> ExplorationOrder {
    let explored: Vec<_> = (1..)
        .map(RoundNumber)
        .zip(explored)
        .map(|(round, &judged)| ExploredRound { round, policy_version: V1, problems: None, judged })
        .collect();
    let counted = explored.iter().map(|round| round.judged).sum();
    let round = RoundNumber(round);
    ExplorationOrder {
        round,
        policy_version: V1,
        problems: None,
        explored,
        counted,
        counted_errors: 0,
        quota,
    }
}

fn take_all(supply: &mut Dispatch) -> Vec<String> {
    std::iter::from_fn(|| supply.next()).map(|id| id.to_string()).collect()
}

fn planned(supply: &Dispatch) -> u64 {
    supply.plan().unwrap().1
}

fn judge(supply: &mut Dispatch, id: &str, outcome: Outcome) {
    supply.record(&id.parse().unwrap(), result(outcome, V1));
}

#[test]
fn nothing_is_given_out_before_a_round_is_opened_or_a_policy_published() {
    let mut idle = supply(false);
    assert_eq!(idle.next(), None);
    let mut unpublished = Dispatch::new(idle.settings.clone(), idle.lockstep);
    unpublished.add_problem(&problem("p", None));
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
        assert!(!supply.record(&id.parse().unwrap(), result(Outcome::Wrong, V2)));
    }
    assert!(
        supply.record(&"p3#3".parse().unwrap(), result(Outcome::Wrong, V1)),
        "the round does not count it"
    );
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
    let second = |problems| {
        let mut order = ExplorationOrder { problems: Some(problems), ..order(2, &[8], 100) };
        order.explored[0].problems = Some(4);
        order
    };
    supply.open(second(4));
    assert_eq!(supply.plan(), Some((RoundNumber(2), 0)));
    assert!(supply.add_problem(&problem("late", Some(9))));
    supply.open(second(5));
    assert_eq!(supply.plan(), Some((RoundNumber(2), 2)));
    supply.next().unwrap();
    supply.open(second(5));
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
    assert!(resumed.add_problem(&problem("late", Some(9))));
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
    supply.cut();
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
    supply.record(&first, result(Outcome::Wrong, V1));
    assert_eq!(supply.next(), None, "it counts as made ahead");
    supply.open(order(2, &[4], 4));
    assert!(supply.next().is_some());
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
    assert!(supply.add_problem(&problem("new", None)));
    assert_eq!(supply.dryness(), None);
}

#[test]
fn a_lost_attempt_is_given_out_again_before_all_others_and_given_up_in_the_end() {
    for lockstep in [false, true] {
        let mut supply = supply(lockstep);
        supply.open(order(1, &[], 4));
        let planned_before = lockstep.then(|| planned(&supply));
        let first = supply.next().unwrap();
        let _second = supply.next().unwrap();
        assert_eq!(supply.lost(&"p9#0".parse().unwrap()), Loss::Unknown);
        assert_eq!(supply.lost(&first), Loss::Again);
        assert_eq!(supply.in_flight(), 1, "nobody is at it");
        assert!(supply.dryness().is_none(), "and yet it is under way");
        assert_eq!(supply.next(), Some(first.clone()));
        assert_eq!(supply.lost(&first), Loss::Again);
        assert_eq!(supply.next(), Some(first.clone()));
        assert_eq!(supply.lost(&first), Loss::GivenUp { losses: 3 });
        assert_ne!(supply.next(), Some(first.clone()));
        assert_eq!(lockstep.then(|| planned(&supply)), planned_before, "it still counts for the plan");
        judge(&mut supply, &first.to_string(), Outcome::Error);
        assert_eq!(supply.lost(&first), Loss::Unknown, "what is recorded is lost no more");
    }
}

#[test]
fn a_round_gives_out_its_quota_completes_its_visits_and_is_delivered_when_all_is_durable() {
    let mut supply = supply(false);
    supply.open(order(1, &[], 3));
    let given = take_all(&mut supply);
    assert_eq!(given, ["p4#0", "p4#1", "p3#0", "p3#1"], "a visit that was begun is completed");
    for id in &given[..3] {
        judge(&mut supply, id, Outcome::Wrong);
    }
    assert_eq!(supply.delivery(), None, "one is under way");
    assert_eq!(supply.next(), None, "and nothing more is given out");
    judge(&mut supply, &given[3], Outcome::Wrong);
    assert_eq!(supply.delivery(), Some(Delivery { round: RoundNumber(1), quota: 3 }));
    // too few of them are right: more is wanted
    supply.open(order(1, &[], 5));
    assert_eq!(supply.delivery(), None);
    assert_eq!(
        take_all(&mut supply),
        ["p4#2", "p4#3"],
        "nothing was learnt of any, and the hardest comes first"
    );
}

#[test]
fn judgements_that_failed_and_attempts_of_an_older_policy_fill_no_quota() {
    let mut supply = supply(false);
    supply.open(order(1, &[], 2));
    let given = take_all(&mut supply);
    judge(&mut supply, &given[0], Outcome::Error);
    let id = given[1].parse().unwrap();
    supply.record(&id, result(Outcome::Wrong, PolicyVersion(0)));
    assert_eq!(supply.delivery(), None);
    assert_eq!(take_all(&mut supply).len(), 2, "as many more are given out");
    // a process that comes up counts the same
    let mut resumed = Dispatch::new(supply.settings.clone(), false);
    resumed.add_problem(&problem("p4", Some(4)));
    resumed.policy_published(V1);
    judge(&mut resumed, &given[0], Outcome::Error);
    resumed.record(&id, result(Outcome::Wrong, PolicyVersion(0)));
    judge(&mut resumed, "p4#2", Outcome::Wrong);
    judge(&mut resumed, "p4#3", Outcome::Wrong);
    resumed.open(ExplorationOrder { counted: 1, counted_errors: 1, ..order(1, &[], 2) });
    assert_eq!(resumed.delivery(), Some(Delivery { round: RoundNumber(1), quota: 2 }));
}

#[test]
fn a_round_that_is_cut_is_delivered_with_what_was_given_out() {
    let mut supply = supply(false);
    supply.open(order(1, &[], 100));
    let first = supply.next().unwrap();
    supply.cut();
    assert_eq!((supply.next(), supply.delivery()), (None, None));
    judge(&mut supply, &first.to_string(), Outcome::Wrong);
    assert_eq!(supply.delivery(), Some(Delivery { round: RoundNumber(1), quota: 100 }));
    supply.close(RoundNumber(1), 0);
    supply.open(order(2, &[1], 100));
    assert!(supply.next().is_some(), "the next round is another one");
}

/// The tokens of a rollout: log-normal with a median of 3,000 and a standard deviation of 1, cut off at 16,384.
fn drawn_tokens(random: &mut ChaCha8Rng) -> u64 {
    // the sum of twelve uniform variables less six is close to a standard normal one
    let normal: f64 = (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
    (3_000.0 * normal.exp()).min(16_384.0) as u64
}

/// 128 rollouts at once, a token each a step, until a round is sealed; what was given out and what came back, each as
/// the tokens of rollouts. `is_sealed` is asked after every one that comes back.
fn simulated_round(quota: u64, is_sealed: impl Fn(&Dispatch, usize) -> bool) -> (Vec<u64>, Vec<u64>) {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let mut supply = Dispatch::new(ExplorationSection::default(), false);
    for number in 0..1_000 {
        supply.add_problem(&problem(&format!("p{number:04}"), None));
    }
    supply.policy_published(V1);
    supply.open(order(1, &[], quota));
    let (mut given, mut back) = (Vec::new(), Vec::new());
    let mut at_work: BTreeSet<(u64, u64, AttemptId)> = BTreeSet::new();
    let mut now = 0;
    loop {
        while at_work.len() < 128
            && let Some(id) = supply.next()
        {
            let tokens = drawn_tokens(&mut random);
            given.push(tokens);
            at_work.insert((now + tokens, tokens, id));
        }
        let Some((end, tokens, id)) = at_work.pop_first() else { return (given, back) };
        now = end;
        back.push(tokens);
        supply.record(&id, result(Outcome::Wrong, V1));
        if is_sealed(&supply, back.len()) {
            return (given, back);
        }
    }
}

/// Share of the rollouts above 10,000 tokens that were given out and did not come back before the round was sealed.
fn lost_share((given, back): &(Vec<u64>, Vec<u64>)) -> f64 {
    let long = |all: &[u64]| all.iter().filter(|tokens| **tokens > 10_000).count() as f64;
    1.0 - long(back) / long(given)
}

#[test]
fn no_long_thought_is_lost_at_sealing_where_counting_judgements_loses_most_of_them() {
    let counted = simulated_round(0, |_, judged| judged == 400);
    assert!(lost_share(&counted) > 0.6, "sealed at once: {:.2} lost", lost_share(&counted));
    let delivered = simulated_round(400, |supply, _| supply.delivery().is_some());
    assert_eq!(delivered.0.len(), 400);
    assert!(lost_share(&delivered).abs() < 1e-12, "waited for: {:.2} lost", lost_share(&delivered));
}

#[test]
fn a_revived_problem_is_attempted_at_once_or_in_lockstep_from_its_rounds_plan_on() {
    let revival = |supply: &Dispatch, problem: &str, round: u32| {
        let problem = ProblemId::new(problem);
        let from = supply.curriculum.revivable_from(&problem).map_or(AttemptNumber(8), |from| from);
        Revival { problem, from, attempts: 2, round: RoundNumber(round) }
    };
    let give_up = |supply: &mut Dispatch| {
        let mut made = Vec::new();
        while let Some(id) = supply.next() {
            judge(supply, &id.to_string(), Outcome::Wrong);
            made.push(id.to_string());
        }
        made
    };
    let mut free = supply(false);
    free.open(order(1, &[], 0));
    assert_eq!(give_up(&mut free).len(), 32, "eight attempts at each of four problems");
    free.set_revivals(vec![revival(&free, "p3", 2)]);
    assert_eq!(give_up(&mut free), ["p3#8", "p3#9"]);

    let mut bound = supply(true);
    let mut explored = Vec::new();
    let mut explore = |supply: &mut Dispatch| {
        supply.open(order(explored.len() as u32 + 1, &explored, 0));
        let made = give_up(supply);
        explored.push(made.len() as u64);
        made
    };
    for _ in 0..4 {
        assert_eq!(explore(&mut bound).len(), 8, "a visit to each of four problems");
    }
    assert_eq!(explore(&mut bound), [""; 0]);
    bound.set_revivals(vec![revival(&bound, "p3", 7)]);
    assert_eq!(explore(&mut bound), [""; 0], "it is revived for the round after this one");
    assert_eq!(explore(&mut bound), ["p3#8", "p3#9"]);
    assert_eq!(explore(&mut bound), [""; 0], "the plans before it are found again as they were");
}

#[test]
fn a_problem_that_cannot_be_attempted_here_counts_and_is_never_given_out() {
    for lockstep in [false, true] {
        let mut supply = supply(lockstep);
        assert!(supply.leave_out(&problem("too-long", Some(9))));
        assert!(!supply.leave_out(&problem("too-long", Some(9))), "it is known");
        assert!(supply.add_problem(&problem("late", Some(9))));
        assert_eq!(supply.problems(), 6);
        supply.open(ExplorationOrder { problems: Some(5), ..order(1, &[], 100) });
        let given = take_all(&mut supply);
        assert!(!given.iter().any(|id| id.starts_with("too-long")), "{given:?}");
        // a plan is made of the problems that were there; what came later is the next round's
        assert_eq!(given.iter().any(|id| id.starts_with("late")), !lockstep, "{given:?}");
    }
}

#[test]
fn attempts_that_no_device_takes_are_not_asked_for_again_until_the_problem_is_revived() {
    let mut supply = supply(false);
    supply.open(order(1, &[], 100));
    let first: AttemptId = supply.next().unwrap();
    supply.refused(&first.problem);
    assert!(take_all(&mut supply).iter().all(|id| !id.starts_with(first.problem.as_str())));
    judge(&mut supply, &first.to_string(), Outcome::Error);
    assert_eq!(supply.next(), None);
    let revival = Revival {
        problem: first.problem.clone(),
        from: AttemptNumber(2),
        attempts: 2,
        round: RoundNumber(1),
    };
    supply.set_revivals(vec![revival]);
    assert!(take_all(&mut supply).iter().any(|id| id.starts_with(first.problem.as_str())));
}
