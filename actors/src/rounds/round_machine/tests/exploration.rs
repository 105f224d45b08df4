//! When a round explores, and when its set is sealed.

use super::*;

#[test]
fn a_fresh_store_begins_with_imitation_and_one_without_demonstrations_with_the_base_model() {
    let mut fresh = machine(config(1, false), Vec::new(), Vec::new());
    let Next::Save(round) = fresh.next(5) else { panic!() };
    assert_eq!((round.round, round.phase, round.started_at_ms), (RoundNumber(0), RoundPhase::Training, 5));
    fresh.saved(*round);
    assert!(matches!(fresh.next(6), Next::Seal(_)));

    let none = Imports::default();
    let mut bare = RoundMachine::new(config(1, false), Vec::new(), Vec::new(), &[], none);
    assert_eq!(bare.next(0), Next::PublishBase);
    assert_eq!(bare.next(0), Next::Wait);
    bare.published(vec![record(0, PolicyOrigin::Base)], Vec::new());
    let Next::Save(round) = bare.next(0) else { panic!() };
    assert_eq!((round.round, round.phase), (RoundNumber(1), RoundPhase::Exploring));
}

#[test]
fn the_quota_counts_attempts_of_the_rounds_own_policy_only() {
    let mut machine = exploring(config(1, false));
    assert!(matches!(machine.next(0), Next::Explore(_)));
    machine.judged(&[fact(0, 0, Outcome::Wrong), fact(1, 1, Outcome::Wrong), fact(2, 1, Outcome::Wrong)]);
    machine.judged(&[fact(2, 1, Outcome::Wrong), fact(3, 1, Outcome::Correct)]);
    assert_eq!(machine.next(0), Next::Wait);
    machine.judged(&[fact(4, 2, Outcome::Wrong)]);
    assert_eq!(machine.next(0), Next::Wait, "more may be under way");
    deliver(&mut machine);
    let Next::Seal(round) = machine.next(0) else { panic!() };
    assert_eq!(round.tally.outcomes, BTreeMap::from([(Outcome::Wrong, 3), (Outcome::Correct, 1)]));
    assert_eq!(round.tally.pool, 5);
}

#[test]
fn judgements_that_failed_fill_no_quota_but_are_part_of_a_plan() {
    for lockstep in [false, true] {
        let mut machine = exploring(config(1, lockstep));
        machine.next(0);
        machine.planned(RoundNumber(1), 4);
        let mut judged = (0..3).map(|number| fact(number, 1, Outcome::Error)).collect::<Vec<_>>();
        judged.push(fact(3, 1, Outcome::Wrong));
        machine.judged(&judged);
        // the supply counts as the machine does, and has not delivered
        assert_eq!(matches!(machine.next(0), Next::Seal(_)), lockstep);
    }
}

#[test]
fn a_round_of_nothing_but_errors_is_given_up_once_it_can_make_no_more() {
    let failed = (0..4).map(|number| fact(number, 1, Outcome::Error)).collect::<Vec<_>>();
    let given_up = Next::GiveUp { round: RoundNumber(1), attempts: 4 };
    let mut planned = exploring(config(1, true));
    planned.next(0);
    planned.planned(RoundNumber(1), 4);
    planned.judged(&failed);
    assert_eq!(planned.next(0), given_up);
    let mut free = exploring(config(1, false));
    free.next(0);
    free.judged(&failed);
    assert_eq!(free.next(0), Next::Wait, "more attempts may come to something");
    free.ran_dry(dry(1, 5));
    assert_eq!(free.next(0), given_up);
}

#[test]
fn a_rejected_rounds_attempts_do_not_count_again_for_the_next_one() {
    let rounds = vec![
        over(0, 0, RoundPhase::Promoted, 0, 5),
        over(1, 1, RoundPhase::Rejected, 4, 5),
        Round::begin(RoundNumber(2), V1, RoundPhase::Exploring, 0),
    ];
    let mut machine = machine(config(2, false), rounds, vec![record(1, PolicyOrigin::Round(RoundNumber(0)))]);
    let wrong = |numbers: std::ops::Range<u32>| -> Vec<_> {
        numbers.map(|number| fact(number, 1, Outcome::Wrong)).collect()
    };
    machine.judged(&wrong(0..7));
    let Next::Explore(order) = machine.next(0) else { panic!() };
    assert_eq!(
        order.explored,
        [ExploredRound { round: RoundNumber(1), policy_version: V1, problems: None, judged: 4 }]
    );
    assert_eq!((order.counted, order.counted_errors, order.quota), (4, 0, 4));
    machine.judged(&wrong(7..8));
    deliver(&mut machine);
    assert!(matches!(machine.next(0), Next::Seal(_)));
}

#[test]
fn what_a_policy_put_in_force_by_hand_made_is_counted_once() {
    const V2: PolicyVersion = PolicyVersion(2);
    let mut machine = exploring(config(2, false));
    let made = |numbers: std::ops::Range<u32>, version, outcome| -> Vec<_> {
        numbers.map(|number| fact(number, version, outcome)).collect()
    };
    machine.judged(&made(0..2, 1, Outcome::Wrong));
    let policies =
        vec![record(1, PolicyOrigin::Round(RoundNumber(0))), record(2, PolicyOrigin::Operator(V1))];
    machine.published(policies, machine.rounds.clone());
    machine.judged(&made(2..4, 2, Outcome::Correct));
    deliver(&mut machine);
    let Next::Seal(sealed) = machine.next(0) else { panic!() };
    let by_version: Vec<_> = sealed.tally.by_version.iter().map(|one| (one.version, one.eligible)).collect();
    assert_eq!(by_version, [(V1, 0), (V2, 2)]);
    machine.saved(Round { phase: RoundPhase::Rejected, ..*sealed });

    let Next::Save(next) = machine.next(0) else { panic!() };
    assert_eq!(next.policy_version, V2);
    machine.saved(*next);
    assert!(matches!(machine.next(0), Next::Explore(_)), "the two by the second policy are used up");
    assert_eq!(machine.progress().0, 0);
    let mut wrong_and_dirty = made(4..7, 2, Outcome::Wrong);
    wrong_and_dirty[0].outcome = Outcome::Correct;
    wrong_and_dirty[0].rejection = Some(still_domain::Rejection::Truncated);
    machine.judged(&wrong_and_dirty);
    assert_eq!(machine.next(0), Next::Wait);
    machine.judged(&made(7..8, 2, Outcome::Correct));
    deliver(&mut machine);
    let Next::Seal(sealed) = machine.next(0) else { panic!() };
    assert_eq!(sealed.tally.by_version[0].eligible, 1);
}

#[test]
fn a_new_policy_ends_dryness_and_what_was_said_before_it_is_past() {
    let mut machine = exploring(config(0, false));
    machine.next(0);
    machine.ran_dry(dry(1, 5));
    assert!(machine.is_starved());
    let policies =
        vec![record(1, PolicyOrigin::Round(RoundNumber(0))), record(2, PolicyOrigin::Operator(V1))];
    machine.published(policies, machine.rounds.clone());
    assert!(!machine.is_starved());
    machine.ran_dry(dry(1, 5));
    assert!(!machine.is_starved(), "said before the supply learned of the policy");
    machine.ran_dry(dry(2, 5));
    assert!(machine.is_starved());
}

#[test]
fn a_round_keeps_the_problems_it_began_with_and_older_records_take_those_of_the_next() {
    let mut rounds = vec![
        over(0, 0, RoundPhase::Promoted, 0, 5),
        over(1, 1, RoundPhase::Rejected, 4, 5),
        over(2, 1, RoundPhase::Rejected, 4, 5),
        over(3, 1, RoundPhase::Rejected, 4, 5),
    ];
    rounds[2].problems = Some(3);
    let mut machine = machine(config(9, true), rounds, vec![record(1, PolicyOrigin::Round(RoundNumber(0)))]);
    let Next::Save(next) = machine.next(0) else { panic!() };
    assert_eq!(next.problems, Some(5));
    machine.saved(*next);
    machine.imported(Imports { problems: 8, ..IMPORTS });
    let Next::Explore(order) = machine.next(0) else { panic!() };
    assert_eq!(order.problems, Some(5), "an import in the middle waits for the next round");
    let of_earlier: Vec<_> = order.explored.iter().map(|round| round.problems).collect();
    assert_eq!(of_earlier, [Some(3), Some(3), Some(5)]);
}

#[test]
fn enough_right_ones_seal_early_and_too_few_explore_on() {
    let mut early = config(1, false);
    early.round.enough_eligible = 2;
    let mut early = exploring(early);
    early.judged(&[fact(0, 1, Outcome::Correct), fact(1, 1, Outcome::Correct)]);
    assert!(matches!(early.next(0), Next::Explore(_)), "the supply learns of the round first");
    assert_eq!(early.next(0), Next::CutPlan);
    assert_eq!(early.next(0), Next::Wait, "what is under way is waited for");
    deliver(&mut early);
    assert!(matches!(early.next(0), Next::Seal(_)));

    let mut late = config(1, false);
    late.round.min_eligible = 1;
    let mut late = exploring(late);
    late.judged(&(0..9).map(|number| fact(number, 1, Outcome::Wrong)).collect::<Vec<_>>());
    assert!(matches!(late.next(0), Next::Explore(order) if order.quota == 4));
    deliver(&mut late);
    assert!(matches!(late.next(0), Next::Explore(order) if order.quota == 5), "beyond its problems");
    late.delivered(Delivery { round: RoundNumber(1), quota: 4 });
    assert_eq!(late.next(0), Next::Wait, "told before more was wanted");
    late.ran_dry(dry(1, 5));
    assert!(matches!(late.next(0), Next::Seal(_)), "as long as a problem may be attempted");
}

#[test]
fn an_operator_and_the_clock_close_a_round_and_what_is_under_way_is_waited_for() {
    for by_clock in [false, true] {
        let mut machine = exploring(config(1, false));
        machine.next(0);
        machine.judged(&[fact(0, 1, Outcome::Correct)]);
        if by_clock {
            machine.timed_out(RoundNumber(1));
        } else {
            assert_eq!(machine.seal_wanted(), Some(RoundNumber(1)));
        }
        assert_eq!(machine.next(0), Next::CutPlan);
        machine.judged(&[fact(1, 1, Outcome::Correct)]);
        assert_eq!(machine.next(0), Next::Wait);
        deliver(&mut machine);
        let Next::Seal(round) = machine.next(0) else { panic!() };
        assert_eq!(round.tally.outcomes, BTreeMap::from([(Outcome::Correct, 2)]));
    }
}

#[test]
fn in_lockstep_the_plan_alone_decides() {
    let mut machine = exploring(config(1, true));
    assert!(matches!(machine.next(0), Next::Explore(_)));
    machine.ran_dry(dry(1, 5));
    machine.judged(&[fact(0, 1, Outcome::Wrong), fact(1, 1, Outcome::Wrong)]);
    assert_eq!(machine.next(0), Next::Wait);
    machine.planned(RoundNumber(1), 3);
    assert_eq!(machine.next(0), Next::Wait);
    machine.judged(&[fact(2, 1, Outcome::Wrong)]);
    assert!(matches!(machine.next(0), Next::Seal(_)));
}

#[test]
fn sealing_in_lockstep_waits_for_what_was_given_out() {
    let mut machine = exploring(config(1, true));
    machine.next(0);
    machine.planned(RoundNumber(1), 4);
    machine.judged(&[fact(0, 1, Outcome::Wrong)]);
    assert_eq!(machine.seal_wanted(), Some(RoundNumber(1)));
    assert_eq!(machine.next(0), Next::CutPlan);
    assert_eq!(machine.next(0), Next::Wait);
    machine.planned(RoundNumber(1), 2);
    assert_eq!(machine.next(0), Next::Wait);
    machine.judged(&[fact(1, 1, Outcome::Wrong)]);
    assert!(matches!(machine.next(0), Next::Seal(_)));
}
