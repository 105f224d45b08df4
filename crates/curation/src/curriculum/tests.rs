//! The curriculum's rules, one by one, and its invariants under random histories.

use proptest::prelude::*;
use still_domain::RoundNumber;

use super::*;

const V1: PolicyVersion = PolicyVersion(1);
const CONFIG: CurriculumConfig = CurriculumConfig {
    order: CurriculumOrder::Hardest,
    attempts_per_problem: 20,
    attempts_per_policy: 20,
    revive_attempts: 0,
    attempts_per_visit: 4,
    stop_after_correct: 2,
    park_after: 8,
    park_after_truncated: 8,
};

fn curriculum(config: CurriculumConfig, problems: &[(&str, u8)]) -> Curriculum {
    let mut curriculum = Curriculum::new(config);
    curriculum.policy_promoted(V1);
    for (id, level) in problems {
        assert!(curriculum.add(ProblemId::new(*id), "source", Some(*level)));
    }
    curriculum
}

fn take(curriculum: &mut Curriculum, count: usize) -> Vec<String> {
    (0..count).map_while(|_| curriculum.next_attempt()).map(|id| id.to_string()).collect()
}

fn record(curriculum: &mut Curriculum, attempt: &str, outcome: Outcome) {
    let result = ended(outcome, curriculum.newest);
    assert_eq!(curriculum.record(&attempt.parse().unwrap(), result), Recorded::New);
}

/// A response that ended by itself.
fn ended(outcome: Outcome, version: PolicyVersion) -> AttemptResult {
    AttemptResult { outcome, version, is_truncated: false }
}

fn cut_off(curriculum: &mut Curriculum, attempt: &str) {
    let result = AttemptResult { outcome: Outcome::NoAnswer, version: curriculum.newest, is_truncated: true };
    assert_eq!(curriculum.record(&attempt.parse().unwrap(), result), Recorded::New);
}

#[test]
fn the_hardest_unsolved_problem_comes_first_in_whole_visits() {
    let config = CurriculumConfig { attempts_per_visit: 2, ..CONFIG };
    let mut curriculum = curriculum(config, &[("easy", 1), ("hard", 5), ("middle", 3)]);
    let first = take(&mut curriculum, 6);
    assert_eq!(first, ["hard#0", "hard#1", "middle#0", "middle#1", "easy#0", "easy#1"]);
    assert_eq!(curriculum.next_attempt(), None);
    assert_eq!(curriculum.counts().of(ProblemState::Running), 3);

    record(&mut curriculum, "hard#0", Outcome::Correct);
    record(&mut curriculum, "hard#1", Outcome::Wrong);
    record(&mut curriculum, "easy#0", Outcome::Wrong);
    record(&mut curriculum, "easy#1", Outcome::Wrong);
    assert_eq!(take(&mut curriculum, 4), ["easy#2", "easy#3", "hard#2", "hard#3"], "unsolved before hard");
}

#[test]
fn the_supplied_order_is_kept_and_finishes_a_problem_first() {
    let config = CurriculumConfig { order: CurriculumOrder::Supplied, attempts_per_visit: 2, ..CONFIG };
    let mut curriculum = curriculum(config, &[("a", 1), ("b", 5)]);
    assert_eq!(take(&mut curriculum, 3), ["a#0", "a#1", "b#0"]);
    record(&mut curriculum, "a#0", Outcome::Wrong);
    record(&mut curriculum, "a#1", Outcome::Wrong);
    assert_eq!(take(&mut curriculum, 2), ["b#1", "a#2"], "a visit begun is completed first");
}

#[test]
fn the_frontier_is_the_level_solved_about_half_the_time() {
    let config = CurriculumConfig {
        order: CurriculumOrder::Frontier,
        attempts_per_visit: 1,
        park_after: 1,
        stop_after_correct: 1,
        ..CONFIG
    };
    let mut problems: Vec<(String, u8)> = Vec::new();
    for level in 1..=3 {
        problems.extend((0..200).map(|number| (format!("l{level}-{number}"), level)));
    }
    let problems: Vec<(&str, u8)> = problems.iter().map(|(id, level)| (id.as_str(), *level)).collect();
    let mut curriculum = curriculum(config, &problems);
    for number in 0..100 {
        let half = if number % 2 == 0 { Outcome::Correct } else { Outcome::Wrong };
        record(&mut curriculum, &format!("l1-{number}#0"), Outcome::Correct);
        record(&mut curriculum, &format!("l2-{number}#0"), half);
        record(&mut curriculum, &format!("l3-{number}#0"), Outcome::Wrong);
    }
    assert!(take(&mut curriculum, 50).iter().all(|id| id.starts_with("l2-")));
}

#[test]
fn enough_right_answers_retire_a_problem_once_its_visit_is_complete() {
    let config = CurriculumConfig { attempts_per_visit: 3, stop_after_correct: 2, ..CONFIG };
    let mut curriculum = curriculum(config, &[("p", 1)]);
    take(&mut curriculum, 3);
    record(&mut curriculum, "p#0", Outcome::Correct);
    record(&mut curriculum, "p#2", Outcome::Correct);
    assert_eq!(curriculum.state(&ProblemId::new("p")), Some(ProblemState::Running));
    record(&mut curriculum, "p#1", Outcome::Wrong);
    assert_eq!(curriculum.state(&ProblemId::new("p")), Some(ProblemState::Retired));
    assert_eq!(curriculum.next_attempt(), None);
}

#[test]
fn a_hopeless_problem_is_parked_until_the_policy_improves_and_then_capped() {
    let config = CurriculumConfig { attempts_per_visit: 2, park_after: 2, attempts_per_problem: 5, ..CONFIG };
    let id = ProblemId::new("p");
    let mut curriculum = curriculum(config, &[("p", 1)]);
    for (version, visit) in [(2, vec!["p#0", "p#1"]), (3, vec!["p#2", "p#3"]), (4, vec!["p#4"])] {
        assert_eq!(take(&mut curriculum, 9), visit);
        for attempt in visit {
            record(&mut curriculum, attempt, Outcome::Wrong);
        }
        if version < 4 {
            assert_eq!(curriculum.state(&id), Some(ProblemState::Parked));
            assert_eq!(curriculum.next_attempt(), None);
        }
        curriculum.policy_promoted(PolicyVersion(version));
    }
    assert_eq!(curriculum.state(&id), Some(ProblemState::Exhausted));
    assert_eq!(curriculum.next_attempt(), None);
}

#[test]
fn a_policy_has_its_own_attempts_beside_those_of_the_run() {
    let config = CurriculumConfig {
        attempts_per_visit: 4,
        attempts_per_problem: 20,
        attempts_per_policy: 8,
        park_after: 99,
        ..CONFIG
    };
    let id = ProblemId::new("p");
    let mut curriculum = curriculum(config, &[("p", 1)]);
    let mut made = Vec::new();
    for version in 2..=5 {
        let mut attempts = 0;
        while let Some(attempt) = curriculum.next_attempt() {
            record(&mut curriculum, &attempt.to_string(), Outcome::Wrong);
            attempts += 1;
        }
        made.push((attempts, curriculum.state(&id).unwrap()));
        curriculum.policy_promoted(PolicyVersion(version));
    }
    let (parked, exhausted) = (ProblemState::Parked, ProblemState::Exhausted);
    assert_eq!(made, [(8, parked), (8, parked), (4, exhausted), (0, exhausted)]);

    let revived = CurriculumConfig { revive_attempts: 4, ..config };
    let mut curriculum = super::Curriculum::new(revived);
    curriculum.add(id.clone(), "source", None);
    for version in 1..=4 {
        curriculum.policy_promoted(PolicyVersion(version));
        made.push((0, ProblemState::Fresh));
        while let Some(attempt) = curriculum.next_attempt() {
            record(&mut curriculum, &attempt.to_string(), Outcome::Wrong);
            made.last_mut().unwrap().0 += 1;
        }
    }
    let attempts: Vec<_> = made[4..].iter().map(|(attempts, _)| *attempts).collect();
    assert_eq!(attempts, [8, 8, 4, 4], "the fourth policy has its four although twenty were made");
    assert_eq!(curriculum.state(&id), Some(ProblemState::Exhausted));
}

#[test]
fn a_problem_that_was_given_up_has_further_attempts_by_an_operators_word() {
    for limits in [
        CurriculumConfig { attempts_per_problem: 6, park_after: 99, ..CONFIG },
        CurriculumConfig { attempts_per_problem: 99, park_after: 5, ..CONFIG },
    ] {
        let config = CurriculumConfig { attempts_per_visit: 4, attempts_per_policy: 99, ..limits };
        let id = ProblemId::new("p");
        let mut curriculum = curriculum(config, &[("p", 1)]);
        assert_eq!(curriculum.revivable_from(&id), None, "it is fresh");
        let attempts = |curriculum: &mut super::Curriculum| {
            let mut attempts = Vec::new();
            while let Some(attempt) = curriculum.next_attempt() {
                record(curriculum, &attempt.to_string(), Outcome::Wrong);
                attempts.push(attempt.number.0);
            }
            attempts
        };
        let made = attempts(&mut curriculum).len() as u32;
        let from = curriculum.revivable_from(&id).unwrap();
        assert_eq!(from.0, made);
        let revival = Revival { problem: id.clone(), from, attempts: 6, round: RoundNumber(3) };
        assert!(curriculum.revive(&revival));
        assert_eq!(curriculum.state(&id), Some(ProblemState::Open));
        let further = attempts(&mut curriculum);
        assert!(further.len() >= 6 && further[0] == made, "{further:?}");
        assert!(curriculum.revivable_from(&id).is_some(), "and is given up again");
        let unknown = Revival { problem: ProblemId::new("q"), ..revival };
        assert!(!curriculum.revive(&unknown));
    }
}

#[test]
fn a_response_that_was_cut_off_is_no_failure_and_uses_up_no_attempt() {
    let config = CurriculumConfig {
        attempts_per_visit: 2,
        attempts_per_problem: 4,
        park_after: 2,
        park_after_truncated: 4,
        ..CONFIG
    };
    let id = ProblemId::new("p");
    let mut curriculum = curriculum(config, &[("p", 1)]);
    for attempt in ["p#0", "p#1"] {
        assert_eq!(take(&mut curriculum, 1), [attempt]);
        cut_off(&mut curriculum, attempt);
    }
    assert_eq!(curriculum.state(&id), Some(ProblemState::Open), "two failures would have parked it");
    assert!((curriculum.pass_rate(&id).unwrap().mean() - 0.5).abs() < 1e-12, "nothing is known of it");
    for attempt in ["p#2", "p#3"] {
        assert_eq!(take(&mut curriculum, 1), [attempt]);
        cut_off(&mut curriculum, attempt);
    }
    assert_eq!(curriculum.state(&id), Some(ProblemState::Parked), "this policy has no room for it");
    let tally = AttemptTally { truncated: 4, ..Default::default() };
    assert_eq!(curriculum.tally(&id), Some(tally));
    curriculum.policy_promoted(PolicyVersion(2));
    for attempt in ["p#4", "p#5"] {
        assert_eq!(take(&mut curriculum, 1), [attempt], "four attempts are left beside the four cut off");
        record(&mut curriculum, attempt, Outcome::Wrong);
    }
}

#[test]
fn levels_are_compared_within_their_source() {
    let config = CurriculumConfig { attempts_per_visit: 1, ..CONFIG };
    let mut curriculum = Curriculum::new(config);
    curriculum.policy_promoted(V1);
    // competition levels up to 2, school levels up to 9, and a source that gives none
    for (id, source, level) in [
        ("easy-school", "school", Some(7)),
        ("middle-school", "school", Some(8)),
        ("hard-school", "school", Some(9)),
        ("hard-competition", "competition", Some(2)),
        ("easy-competition", "competition", Some(1)),
        ("contest", "contest", None),
    ] {
        assert!(curriculum.add(ProblemId::new(id), source, level));
    }
    let order = take(&mut curriculum, 6);
    let expected = ["hard-school#0", "hard-competition#0"];
    assert_eq!(order[..2], expected);
    assert!(
        order[2..4].contains(&"contest#0".to_owned()),
        "without a level it stands in the middle: {order:?}"
    );
    assert_eq!(order[4..], ["easy-competition#0", "easy-school#0"]);
}

#[test]
fn the_frontier_knows_problems_of_one_level_apart() {
    let config = CurriculumConfig {
        order: CurriculumOrder::Frontier,
        attempts_per_visit: 4,
        stop_after_correct: 99,
        park_after: 99,
        ..CONFIG
    };
    let mut curriculum = Curriculum::new(config);
    curriculum.policy_promoted(V1);
    for id in ["always", "half", "never"] {
        curriculum.add(ProblemId::new(id), "source", None);
    }
    for number in 0..4 {
        record(&mut curriculum, &format!("always#{number}"), Outcome::Correct);
        let outcome = if number < 2 { Outcome::Correct } else { Outcome::Wrong };
        record(&mut curriculum, &format!("half#{number}"), outcome);
        record(&mut curriculum, &format!("never#{number}"), Outcome::Wrong);
    }
    assert_eq!(take(&mut curriculum, 1), ["half#4"]);
    let mean = |id| curriculum.pass_rate(&ProblemId::new(id)).unwrap().mean();
    assert!(mean("always") > 0.8 && mean("never") < 0.2, "{} {}", mean("always"), mean("never"));
}

#[test]
fn errors_of_the_verifier_never_park_a_problem() {
    let config = CurriculumConfig { attempts_per_visit: 2, park_after: 1, ..CONFIG };
    let mut curriculum = curriculum(config, &[("p", 1)]);
    take(&mut curriculum, 2);
    record(&mut curriculum, "p#0", Outcome::Error);
    record(&mut curriculum, "p#1", Outcome::Error);
    assert_eq!(take(&mut curriculum, 1), ["p#2"]);
}

#[test]
fn errors_of_the_verifier_use_up_no_attempt_until_they_are_as_many_as_attempts() {
    let config = CurriculumConfig {
        attempts_per_visit: 2,
        attempts_per_problem: 3,
        stop_after_correct: 9,
        park_after: 9,
        ..CONFIG
    };
    let id = ProblemId::new("p");
    let mut outage = curriculum(config, &[("p", 1)]);
    assert_eq!(take(&mut outage, 9), ["p#0", "p#1"]);
    record(&mut outage, "p#0", Outcome::Error);
    record(&mut outage, "p#1", Outcome::Wrong);
    assert_eq!(take(&mut outage, 9), ["p#2", "p#3"], "one of them in the place of the first");
    record(&mut outage, "p#2", Outcome::Wrong);
    record(&mut outage, "p#3", Outcome::Wrong);
    assert_eq!(outage.state(&id), Some(ProblemState::Exhausted));

    let mut broken = curriculum(config, &[("p", 1)]);
    let mut errors = 0;
    while let Some(attempt) = broken.next_attempt() {
        broken.record(&attempt, ended(Outcome::Error, V1));
        errors += 1;
    }
    assert_eq!((errors, broken.state(&id)), (4, Some(ProblemState::Exhausted)), "in whole visits");
}

#[test]
fn what_ran_when_the_process_died_is_asked_for_again_under_the_same_name() {
    let config = CurriculumConfig { attempts_per_visit: 4, stop_after_correct: 1, ..CONFIG };
    let mut rebuilt = curriculum(config, &[("p", 1), ("q", 1)]);
    record(&mut rebuilt, "p#0", Outcome::Correct);
    record(&mut rebuilt, "p#2", Outcome::Wrong);
    assert_eq!(take(&mut rebuilt, 3), ["p#1", "p#3", "q#0"], "the visit is completed though p is solved");
    for attempt in ["p#1", "p#3", "q#0"] {
        assert!(rebuilt.release(&attempt.parse().unwrap()));
    }
    assert!(!rebuilt.release(&"p#1".parse().unwrap()));
    assert_eq!(take(&mut rebuilt, 2), ["p#1", "p#3"]);
    assert!(rebuilt.release(&"p#1".parse().unwrap()));
    assert_eq!(take(&mut rebuilt, 1), ["p#1"]);
}

#[test]
fn unknown_problems_and_doubles_change_nothing() {
    let mut curriculum = curriculum(CONFIG, &[("p", 1)]);
    assert!(!curriculum.add(ProblemId::new("p"), "source", Some(7)));
    let unknown = "x#0".parse().unwrap();
    assert_eq!(curriculum.record(&unknown, ended(Outcome::Correct, V1)), Recorded::UnknownProblem);
    record(&mut curriculum, "p#0", Outcome::Wrong);
    let known = "p#0".parse().unwrap();
    assert_eq!(curriculum.record(&known, ended(Outcome::Correct, V1)), Recorded::Known);
    assert_eq!(curriculum.problems[0].correct(), 0);
    assert_eq!(curriculum.counts().problems(), 1);
}

#[test]
fn an_attempt_number_beyond_the_cap_stalls_nothing() {
    let mut curriculum = curriculum(CONFIG, &[("p", 1)]);
    record(&mut curriculum, &format!("p#{}", u32::MAX), Outcome::Wrong);
    assert_eq!(take(&mut curriculum, 2), ["p#0", "p#1"]);
}

#[test]
fn a_limit_of_zero_parks_nothing() {
    let never = CurriculumConfig { attempts_per_visit: 1, park_after: 0, ..CONFIG };
    let mut curriculum = curriculum(never, &[("p", 1)]);
    for number in 0..CONFIG.attempts_per_problem {
        assert_eq!(take(&mut curriculum, 1), [format!("p#{number}")]);
        record(&mut curriculum, &format!("p#{number}"), Outcome::Wrong);
    }
    assert_eq!(curriculum.counts().of(ProblemState::Exhausted), 1);
}

/// Problem and attempt, then outcome, policy version and whether the response was cut off.
type RandomFact = ((usize, u32), (Outcome, u64, bool));

fn orders() -> impl Strategy<Value = CurriculumOrder> {
    prop_oneof![
        Just(CurriculumOrder::Hardest),
        Just(CurriculumOrder::Frontier),
        Just(CurriculumOrder::Supplied)
    ]
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop::sample::select(Outcome::ALL.to_vec())
}

proptest! {
    /// Facts in any order give the same state and the same next attempts.
    #[test]
    fn the_order_of_facts_does_not_matter(
        order in orders(),
        facts in prop::collection::btree_map((0_usize..6, 0_u32..12), (outcomes(), 1_u64..4, any::<bool>()), 0..40),
        rotation in 0_usize..40,
    ) {
        let config = CurriculumConfig { order, attempts_per_problem: 12, ..CONFIG };
        let problems: Vec<(String, u8)> = (0..6).map(|n| (format!("p{n}"), n as u8 % 3)).collect();
        let build = |facts: &[RandomFact]| {
            let mut curriculum = Curriculum::new(config);
            for (id, level) in &problems {
                curriculum.add(ProblemId::new(id.as_str()), ["one", "two"][usize::from(*level) % 2], Some(*level));
            }
            for ((problem, number), (outcome, version, is_truncated)) in facts {
                let id = AttemptId { problem: ProblemId::new(format!("p{problem}")), number: AttemptNumber(*number) };
                let version = PolicyVersion(*version);
                curriculum.record(&id, AttemptResult { outcome: *outcome, version, is_truncated: *is_truncated });
            }
            curriculum.policy_promoted(PolicyVersion(3));
            curriculum
        };
        let mut facts: Vec<_> = facts.into_iter().collect();
        let mut one = build(&facts);
        let middle = rotation.min(facts.len());
        facts.rotate_left(middle);
        let mut two = build(&facts);
        prop_assert_eq!(one.counts(), two.counts());
        prop_assert_eq!(take(&mut one, 100), take(&mut two, 100));
    }

    /// Whatever happens, no attempt is given out twice, no cap is broken, and the counts add up.
    #[test]
    fn a_random_history_keeps_the_invariants(
        order in orders(),
        steps in prop::collection::vec((0_u8..8, outcomes(), any::<prop::sample::Index>()), 1..200),
    ) {
        let config = CurriculumConfig { order, attempts_per_problem: 6, ..CONFIG };
        let problems: Vec<(String, u8)> = (0..5).map(|n| (format!("p{n}"), n as u8)).collect();
        let borrowed: Vec<(&str, u8)> = problems.iter().map(|(id, level)| (id.as_str(), *level)).collect();
        let mut curriculum = curriculum(config, &borrowed);
        let mut running: Vec<AttemptId> = Vec::new();
        let mut done: BTreeSet<AttemptId> = BTreeSet::new();
        let mut errors: HashMap<ProblemId, u32> = HashMap::new();
        let mut version = V1;
        for (kind, outcome, pick) in steps {
            match kind {
                0 if !running.is_empty() => {
                    let lost = running.swap_remove(pick.index(running.len()));
                    prop_assert!(curriculum.release(&lost));
                }
                1 => {
                    version = version.next();
                    curriculum.policy_promoted(version);
                }
                2..=4 if !running.is_empty() => {
                    let finished = running.swap_remove(pick.index(running.len()));
                    prop_assert_eq!(curriculum.record(&finished, ended(outcome, version)), Recorded::New);
                    *errors.entry(finished.problem.clone()).or_default() += u32::from(outcome == Outcome::Error);
                    done.insert(finished);
                }
                _ => if let Some(attempt) = curriculum.next_attempt() {
                    let errors = errors.get(&attempt.problem).copied().unwrap_or(0);
                    prop_assert!(attempt.number.0 < 6 + errors.min(6));
                    prop_assert!(!done.contains(&attempt) && !running.contains(&attempt));
                    running.push(attempt);
                },
            }
            prop_assert_eq!(curriculum.counts().problems(), 5);
            let queued: usize = curriculum.queues.values().map(BTreeSet::len).sum();
            prop_assert_eq!(curriculum.counts().ready(), queued);
        }
    }
}
