//! Where training starts, and what becomes of a candidate.

use super::*;

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
    assert_eq!(start_of(TrainingStart::Imitated, Sft, 2), (Sft, Some(PolicyVersion(1))));
    assert_eq!(start_of(TrainingStart::Imitated, Sft, 0), (Sft, None), "there is nothing before it");
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
