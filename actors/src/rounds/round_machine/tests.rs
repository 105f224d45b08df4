//! The round's state machine without actors, and under random histories.

use std::collections::BTreeMap;

use proptest::prelude::*;
use still_curation::{Candidate, Evidence, GateConfig, statistics};
use still_domain::{
    AttemptId, AttemptNumber, Evaluation, PolicyName, PolicyScores, ProblemId, ProblemScore, TrainingSetId,
};

use super::*;
use crate::{
    config::{PreferenceStart, RoundSection},
    ground::protocol::{Delivery, Dryness, ExploredRound},
};

const V1: PolicyVersion = PolicyVersion(1);
const IMPORTS: Imports = Imports { has_demonstrations: true, problems: 5 };

fn config(rounds_wanted: u32, lockstep: bool) -> MachineConfig {
    MachineConfig {
        round: RoundSection::default(),
        quota_attempts: 4,
        gate: GateConfig { evidence: Evidence::Difference, ..GateConfig::default() },
        samples_per_problem: 1,
        scores_base: false,
        explores: true,
        lockstep,
        rounds_wanted,
    }
}

fn machine(config: MachineConfig, rounds: Vec<Round>, policies: Vec<PolicyRecord>) -> RoundMachine {
    RoundMachine::new(config, rounds, policies, &[], IMPORTS)
}

fn dry(newest: u64, problems: u64) -> Dryness {
    Dryness { round: RoundNumber(1), newest: PolicyVersion(newest), problems }
}

fn record(version: u64, origin: PolicyOrigin) -> PolicyRecord {
    PolicyRecord {
        version: PolicyVersion(version),
        origin,
        checkpoint: None,
        accuracy: None,
        published_at_ms: 0,
    }
}

fn over(number: u32, version: u64, phase: RoundPhase, judged: u64, correct: u32) -> Round {
    let mut round = Round::begin(RoundNumber(number), PolicyVersion(version), phase, 0);
    round.training_set = Some(TrainingSetId::new(format!("set-{number}")));
    if judged > 0 {
        round.tally.outcomes.insert(Outcome::Wrong, judged);
    }
    round.evaluation = Some(evaluation(correct));
    round
}

fn evaluation(correct: u32) -> Evaluation {
    let score = |number: u32| ProblemScore {
        problem: ProblemId::new(format!("h{number}")),
        level: None,
        correct: u32::from(number < correct),
        total: 1,
    };
    statistics::evaluation((0..20).map(score).collect(), &[], 0.0)
}

fn fact(number: u32, version: u64, outcome: Outcome) -> Candidate {
    Candidate {
        id: AttemptId { problem: ProblemId::new("p"), number: AttemptNumber(number) },
        outcome,
        rejection: None,
        fingerprint: u128::from(number),
        version: PolicyVersion(version),
        is_mixed: false,
        prompt_tokens: 5,
        response_tokens: 10,
        thought_tokens: 8,
        perplexity: 1.0,
        thought_perplexity: None,
    }
}

/// The candidate of a round is scored.
fn scored(machine: &RoundMachine, round: RoundNumber, correct: u32) -> Option<Round> {
    let scores = PolicyScores { dev: evaluation(correct), test: None };
    machine.scored(round, PolicyName::Candidate { candidate: round }, scores)
}

/// The supply has given out what the round at work wants, and all of it is durable.
fn deliver(machine: &mut RoundMachine) {
    let round = machine.round().unwrap().round;
    machine.delivered(Delivery { round, quota: machine.wanted() });
}

/// After imitation, with round 1 exploring.
fn exploring(config: MachineConfig) -> RoundMachine {
    let rounds = vec![
        over(0, 0, RoundPhase::Promoted, 0, 5),
        Round { problems: Some(5), ..Round::begin(RoundNumber(1), V1, RoundPhase::Exploring, 0) },
    ];
    machine(config, rounds, vec![record(1, PolicyOrigin::Round(RoundNumber(0)))])
}

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
    assert_eq!(order.explored, [ExploredRound { policy_version: V1, problems: None, judged: 4 }]);
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
fn the_base_model_is_scored_once_and_imitation_that_made_it_worse_is_told() {
    let mut config = config(1, false);
    config.scores_base = true;
    let mut imitation = Round::begin(RoundNumber(0), PolicyVersion(0), RoundPhase::Evaluating, 0);
    imitation.training_set = Some(TrainingSetId::new("set-0"));
    let mut machine = machine(config, vec![imitation], Vec::new());
    assert!(matches!(machine.next(0), Next::EvaluateBase { round: RoundNumber(0), .. }));
    assert_eq!(machine.next(0), Next::Wait);
    machine.evaluator_lost_it();
    assert!(matches!(machine.next(0), Next::EvaluateBase { .. }), "a new evaluator is asked again");
    let base = PolicyScores { dev: evaluation(9), test: Some(evaluation(8)) };
    let round = machine.scored(RoundNumber(0), PolicyName::BASE, base.clone()).unwrap();
    assert_eq!(worse_than_base(&round), None, "the candidate is not scored yet");
    machine.saved(round);
    assert_eq!(machine.scored(RoundNumber(0), PolicyName::BASE, base), None, "once is enough");
    assert!(matches!(machine.next(0), Next::Evaluate { round: RoundNumber(0), .. }));
    let round = scored(&machine, RoundNumber(0), 5).unwrap();
    let told = worse_than_base(&round).unwrap();
    assert!(told.contains("the imitated policy of round 0") && told.contains("-20.0 points"), "{told}");
    machine.saved(round);
    let Next::Publish(round) = machine.next(9) else { panic!("imitation is published all the same") };
    let decision = round.decision.as_deref().unwrap();
    assert!(decision.contains("-20.0 points") && decision.contains("against the base model"), "{decision}");
    assert_eq!(machine.base().unwrap().dev.accuracy.correct, 9);

    let mut better = Round { evaluation: Some(evaluation(12)), ..*round };
    assert_eq!(worse_than_base(&better), None);
    better.base = None;
    assert_eq!(worse_than_base(&better), None, "nothing is known of the base model");
}

#[test]
fn a_first_candidate_is_compared_with_the_base_model_where_that_is_in_force() {
    let mut first = over(1, 0, RoundPhase::Evaluating, 4, 2);
    first.base = Some(PolicyScores { dev: evaluation(9), test: None });
    let mut machine = machine(config(1, false), vec![first], vec![record(0, PolicyOrigin::Base)]);
    let Next::Save(round) = machine.next(9) else { panic!("a loss of seven problems is promoted") };
    assert_eq!(round.phase, RoundPhase::Rejected);
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

#[test]
fn a_better_candidate_is_published_and_a_worse_one_rejected() {
    for (correct, promoted) in [(9, true), (2, false)] {
        let mut candidate = over(1, 1, RoundPhase::Evaluating, 4, 0);
        candidate.evaluation = None;
        let rounds = vec![over(0, 0, RoundPhase::Promoted, 0, 5), candidate];
        let policies = vec![record(1, PolicyOrigin::Round(RoundNumber(0)))];
        let mut machine = machine(config(1, false), rounds, policies.clone());
        assert!(matches!(machine.next(0), Next::Evaluate { round: RoundNumber(1), .. }));
        assert_eq!(machine.next(0), Next::Wait);
        machine.evaluator_lost_it();
        assert!(matches!(machine.next(0), Next::Evaluate { .. }), "a new evaluator is asked again");
        assert_eq!(scored(&machine, RoundNumber(7), correct), None);
        let scored = scored(&machine, RoundNumber(1), correct).unwrap();
        machine.saved(scored);
        match machine.next(9) {
            Next::Publish(round) if promoted => {
                assert_eq!((round.phase, round.ended_at_ms), (RoundPhase::Promoted, Some(9)));
                assert_eq!(machine.next(9), Next::Wait);
                let policies = [policies, vec![record(2, PolicyOrigin::Round(RoundNumber(1)))]].concat();
                let rounds = vec![over(0, 0, RoundPhase::Promoted, 0, 5), *round];
                machine.published(policies, rounds);
            }
            Next::Save(round) if !promoted => {
                assert_eq!(round.phase, RoundPhase::Rejected);
                machine.saved(*round);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(machine.next(0), Next::Finish);
    }
}

#[test]
fn a_candidate_must_hold_its_own_against_the_best_policy_so_far() {
    // The best policy is no longer in force: after it came one that lost two of its nine problems.
    let mut candidate = over(3, 3, RoundPhase::Evaluating, 4, 7);
    candidate.evaluation = Some(evaluation(7));
    let best = over(1, 1, RoundPhase::Promoted, 4, 9);
    let rounds = vec![over(0, 0, RoundPhase::Promoted, 0, 5), best, over(2, 2, RoundPhase::Promoted, 4, 7)];
    let policies = (1..=3).map(|n| record(n, PolicyOrigin::Round(RoundNumber(n as u32 - 1)))).collect();
    let mut machine = machine(config(3, false), [rounds, vec![candidate]].concat(), policies);
    let Next::Save(round) = machine.next(9) else { panic!("a loss of two problems is promoted") };
    assert_eq!(round.phase, RoundPhase::Rejected);
    let decision = round.decision.unwrap();
    assert!(decision.contains("against the best policy so far"), "{decision}");
}

#[test]
fn the_gate_counts_the_comparisons_of_the_run() {
    let rejected = |number| over(number, 1, RoundPhase::Rejected, 4, 5);
    let mut untrained = rejected(2);
    untrained.evaluation = None;
    let rounds = vec![over(0, 0, RoundPhase::Promoted, 0, 5), rejected(1), untrained, rejected(3)];
    let policies = vec![record(1, PolicyOrigin::Round(RoundNumber(0)))];
    let machine = machine(config(9, false), rounds, policies);
    let at_work = over(4, 1, RoundPhase::Evaluating, 4, 5);
    assert_eq!(machine.comparison(&at_work), 3, "imitation and what was never scored are no comparisons");
}

#[test]
fn a_set_that_training_refuses_rejects_its_round_with_the_reason() {
    let mut at_work = over(1, 1, RoundPhase::Training, 4, 0);
    at_work.evaluation = None;
    let policies = vec![record(1, PolicyOrigin::Round(RoundNumber(0)))];
    let mut machine =
        machine(config(2, false), vec![over(0, 0, RoundPhase::Promoted, 0, 5), at_work], policies);
    assert_eq!(machine.refused(RoundNumber(0), "too long", 7), None, "another round's");
    let refused = machine.refused(RoundNumber(1), "too long", 7).unwrap();
    assert_eq!((refused.phase, refused.ended_at_ms), (RoundPhase::Rejected, Some(7)));
    assert_eq!(refused.decision.as_deref(), Some("rejected: too long"));
    machine.saved(refused);
    assert!(matches!(machine.next(8), Next::Save(next) if next.round == RoundNumber(2)));
}

#[test]
fn the_incumbent_of_a_policy_put_in_force_by_hand_is_the_round_that_earned_it() {
    let rounds = vec![
        over(0, 0, RoundPhase::Promoted, 0, 5),
        over(1, 1, RoundPhase::Promoted, 4, 15),
        Round::begin(RoundNumber(2), PolicyVersion(3), RoundPhase::Exploring, 0),
    ];
    let policies = vec![
        record(1, PolicyOrigin::Round(RoundNumber(0))),
        record(2, PolicyOrigin::Round(RoundNumber(1))),
        record(3, PolicyOrigin::Operator(PolicyVersion(1))),
    ];
    let machine = machine(config(2, false), rounds, policies);
    assert_eq!(machine.incumbent().unwrap().accuracy.correct, 5);
}

#[test]
fn training_starts_where_the_configuration_says() {
    use Algorithm::{Dpo, Sft};
    use PreferenceStart::{Current, Imitated};
    use TrainingStart::{Base, Previous};

    let start_from = |init, preference_init, algorithm, number: u32| {
        let mut config = config(5, false);
        config.round.init = init;
        config.round.preference_init = preference_init;
        config.round.algorithm = algorithm;
        let mut round = over(number, 2, RoundPhase::Training, 4, 0);
        round.evaluation = None;
        let policies = vec![
            record(1, PolicyOrigin::Round(RoundNumber(0))),
            record(2, PolicyOrigin::Round(RoundNumber(1))),
        ];
        match machine(config, vec![round], policies).next(0) {
            Next::Train { order, .. } => (order.objective, order.start_from),
            other => panic!("{other:?}"),
        }
    };
    let start_of = |init, algorithm, number| start_from(init, Imitated, algorithm, number);
    assert_eq!(start_of(Base, Sft, 2), (Sft, None));
    assert_eq!(start_of(Previous, Sft, 2), (Sft, Some(PolicyVersion(2))));
    assert_eq!(start_of(Previous, Dpo, 2), (Dpo, Some(PolicyVersion(1))));
    assert_eq!(start_of(Previous, Dpo, 0), (Sft, None), "imitation is always supervised, from the base");
    assert_eq!(start_from(Base, Current, Dpo, 2), (Dpo, Some(PolicyVersion(2))));
    assert_eq!(start_from(Base, Current, Sft, 2), (Sft, None));
}

#[test]
fn what_the_learner_leaves_out_stands_in_the_record_of_the_round_at_work_alone() {
    let mut round = over(2, 2, RoundPhase::Training, 4, 0);
    round.evaluation = None;
    let mut machine = machine(config(5, false), vec![round], vec![]);
    let noted = machine.training_begun(RoundNumber(2), 3).unwrap();
    assert_eq!(noted.tally.left_out, 3);
    machine.saved(noted);
    assert_eq!(machine.training_begun(RoundNumber(2), 3), None, "it is known");
    assert_eq!(machine.training_begun(RoundNumber(1), 7), None);
}

#[test]
fn an_endless_run_waits_when_dry_and_a_limited_one_goes_on() {
    let mut endless = exploring(config(0, false));
    endless.next(0);
    endless.ran_dry(dry(1, 5));
    assert_eq!(endless.next(0), Next::Wait);
    assert!(endless.is_starved());
    endless.imported(IMPORTS);
    assert!(endless.is_starved(), "no problem came");
    endless.imported(Imports { problems: 6, ..IMPORTS });
    assert!(!endless.is_starved());
    endless.ran_dry(dry(1, 5));
    assert!(!endless.is_starved(), "said before the supply learned of the import");
    endless.ran_dry(dry(1, 6));
    assert!(endless.is_starved());

    let mut limited = exploring(config(3, false));
    limited.next(0);
    limited.ran_dry(dry(1, 5));
    assert!(matches!(limited.next(0), Next::Seal(_)));
}

#[test]
fn an_endless_run_in_lockstep_that_has_no_plan_is_revived_by_an_import_or_ended_by_sealing() {
    for seals in [false, true] {
        let mut starved = exploring(config(0, true));
        assert!(matches!(starved.next(0), Next::Explore(_)));
        starved.planned(RoundNumber(1), 0);
        assert_eq!(starved.next(0), Next::Wait);
        assert!(starved.is_starved());
        if seals {
            assert_eq!(starved.seal_wanted(), Some(RoundNumber(1)));
            assert!(matches!(starved.next(0), Next::Seal(_)));
        } else {
            starved.imported(Imports { problems: 6, ..IMPORTS });
            let Next::Save(round) = starved.next(0) else { panic!() };
            assert_eq!((round.round, round.problems), (RoundNumber(1), Some(6)));
            starved.saved(*round);
            assert!(matches!(starved.next(0), Next::Explore(order) if order.problems == Some(6)));
            starved.planned(RoundNumber(1), 2);
            assert!(!starved.is_starved());
        }
    }
}

#[test]
fn without_exploration_an_endless_run_that_comes_to_nothing_waits_for_records() {
    let barren = |rounds_wanted| {
        let mut config = config(rounds_wanted, false);
        config.explores = false;
        let mut machine = exploring(config);
        let Next::Seal(round) = machine.next(0) else { panic!() };
        machine.saved(Round { phase: RoundPhase::Rejected, ..*round });
        machine
    };
    let mut endless = barren(0);
    assert_eq!(endless.next(0), Next::Wait);
    assert!(endless.starvation().unwrap().contains("import records"));
    endless.imported(IMPORTS);
    assert_eq!(endless.starvation(), None);
    assert!(matches!(endless.next(0), Next::Save(next) if next.round == RoundNumber(2)));
    assert!(matches!(barren(2).next(0), Next::Save(_)), "a limited run ends by itself");
}

proptest! {
    /// Whatever facts come in whatever order: a machine rebuilt from the same store wants the same thing as
    /// one that lived through it, and a round is sealed with exactly what its tally says.
    #[test]
    fn a_rebuilt_machine_stands_where_the_old_one_stood(
        facts in prop::collection::vec((0_u32..12, 0_u64..3, prop::sample::select(Outcome::ALL.to_vec())), 0..30),
        lockstep in any::<bool>(),
        planned in 1_u64..6,
    ) {
        let facts: Vec<_> =
            facts.into_iter().map(|(number, version, outcome)| fact(number, version, outcome)).collect();
        let mut lived = exploring(config(2, lockstep));
        lived.next(0);
        lived.planned(RoundNumber(1), planned);
        for one in &facts {
            lived.judged(std::slice::from_ref(one));
        }
        // in lockstep the plan alone decides
        let is_delivered = lived.progress().0 >= 4 && !lockstep;
        if is_delivered {
            deliver(&mut lived);
        }
        let stored: Vec<_> = lived.pool().facts().cloned().collect();
        let mut rebuilt = RoundMachine::new(
            config(2, lockstep),
            vec![
                over(0, 0, RoundPhase::Promoted, 0, 5),
                Round { problems: Some(5), ..Round::begin(RoundNumber(1), V1, RoundPhase::Exploring, 0) },
            ],
            vec![record(1, PolicyOrigin::Round(RoundNumber(0)))],
            &stored,
            IMPORTS,
        );
        rebuilt.planned(RoundNumber(1), planned);
        if is_delivered {
            deliver(&mut rebuilt);
        }
        let (one, two) = (lived.next(0), rebuilt.next(0));
        match one {
            Next::Seal(round) => {
                let judged: u64 = round.tally.outcomes.values().sum();
                let wanted = if lockstep { planned } else { 4 };
                prop_assert!(judged >= wanted);
                prop_assert_eq!(Next::Seal(round), two);
            }
            Next::Wait => prop_assert!(matches!(two, Next::Explore(_))),
            // a plan that came to nothing but errors
            Next::GiveUp { .. } => prop_assert_eq!(one, two),
            other => prop_assert!(false, "{other:?}"),
        }
    }
}
