//! The whole loop with scripted roles: rounds, and what ends them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};

use still_actors::{Event, FinishReason, OnPublish, System};
use still_domain::{
    Algorithm, Outcome, PolicyName, PolicyOrigin, PolicyVersion, Problem, ProblemId, RoundNumber, Split, seed,
};
use still_testkit::{
    Harness, World,
    harness::{config, finished, wait_for},
};
use tokio::sync::broadcast;

#[tokio::test]
async fn three_rounds_turn_demonstrations_into_a_better_policy() {
    let harness = Harness::new(World::default());
    assert_eq!(harness.run(config(3)).await, FinishReason::RoundsDone);

    let rounds = harness.rounds();
    assert_eq!(rounds.iter().map(|round| round.round.0).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert!(rounds.iter().all(|round| round.phase.is_over()));
    let accuracy = |round: usize| rounds[round].evaluation.as_ref().unwrap().accuracy.value;
    assert!(accuracy(3) > accuracy(0) + 0.05, "{} {}", accuracy(0), accuracy(3));
    assert!(rounds[1..].iter().all(|round| round.tally.outcomes.values().sum::<u64>() >= 60));
    assert!(rounds.iter().all(|round| round.training_loss.is_some() && round.decision.is_some()));

    // The sets grow, and each holds an answer to every problem that the one before it held one to.
    let sets: Vec<_> =
        harness.sets().iter().map(|id| harness.store.training_set(id).unwrap().unwrap()).collect();
    for pair in sets.windows(2) {
        let [before, after] = pair else { unreachable!() };
        let problems: BTreeSet<_> = after.content.trajectories.iter().map(|id| &id.problem).collect();
        assert!(before.content.trajectories.iter().all(|id| problems.contains(&id.problem)));
        assert!(before.content.trajectories.len() <= after.content.trajectories.len());
        assert_eq!(after.content.previous.as_ref(), Some(&before.id));
    }
    assert!(!sets[3].content.trajectories.is_empty());
    // What became of every trajectory of the pool stands in the record.
    for round in &rounds[1..] {
        let decisions = &round.tally.decisions;
        assert_eq!(decisions.values().sum::<u64>(), round.tally.pool, "{decisions:?}");
        assert_eq!(decisions.get("selected").copied().unwrap_or(0), round.tally.selected);
    }

    // And so it does of each, in words: members of the last set are those that joined or stayed.
    let decided = harness.store.standing_decisions().unwrap();
    let members: Vec<_> = decided.iter().filter(|(_, decision)| decision.ends_with(" the set")).collect();
    assert!(members.iter().all(|(id, _)| sets[3].content.trajectories.contains(id)));
    let stayed = members.iter().filter(|(_, decision)| *decision == "stays in the set");
    assert_eq!(members.len(), sets[3].content.trajectories.len());
    assert_eq!(members.len() - stayed.count(), rounds[3].tally.selected as usize);
    let (left_out, _) = decided.iter().find(|(_, decision)| decision.starts_with("left out: ")).unwrap();
    assert!(!harness.store.decisions_of(left_out).unwrap().is_empty());

    // Every attempt is its own name, and its seed is the one that the name gives.
    let pool = harness.pool();
    for judged in &pool {
        assert_eq!(judged.trajectory.seed, seed::of_attempt(7, judged.id()));
    }
    let policies = harness.store.policies().unwrap();
    assert_eq!(policies[0].version, PolicyVersion(1));
    assert_eq!(policies[0].origin, PolicyOrigin::Round(RoundNumber(0)));
    let first = rounds[1].policy_version;
    assert_eq!(first, PolicyVersion(1));
}

#[tokio::test]
async fn a_run_that_is_resumed_ends_at_the_same_round_and_does_nothing_twice() {
    let harness = Harness::new(World::default());
    assert_eq!(harness.run(config(1)).await, FinishReason::RoundsDone);
    let pool = harness.attempts();
    let jobs = harness.script.jobs().len();
    assert_eq!(harness.run(config(1)).await, FinishReason::RoundsDone);
    assert_eq!((harness.attempts(), harness.script.jobs().len()), (pool, jobs));
    assert_eq!(harness.run(config(2)).await, FinishReason::RoundsDone);
    assert_eq!(harness.rounds().len(), 3);
}

#[tokio::test]
async fn without_demonstrations_exploration_starts_from_the_base_model() {
    let harness = Harness::new(World { demonstrations: 0, ..World::default() });
    assert_eq!(harness.run(config(1)).await, FinishReason::RoundsDone);
    let rounds = harness.rounds();
    assert_eq!((rounds[0].round, rounds[0].policy_version), (RoundNumber(1), PolicyVersion(0)));
    assert_eq!(harness.store.policies().unwrap()[0].origin, PolicyOrigin::Base);
}

#[tokio::test]
async fn without_exploration_rounds_train_on_the_demonstrations_alone() {
    let harness = Harness::new(World::default());
    let mut config = config(2);
    config.exploration.enabled = false;
    assert_eq!(harness.run(config).await, FinishReason::RoundsDone);
    assert!(harness.pool().is_empty());
    assert_eq!(harness.rounds().len(), 3);
}

#[tokio::test]
async fn an_endless_run_that_neither_explores_nor_finds_anything_to_train_on_waits() {
    let harness = Harness::new(World { demonstrations: 0, ..World::default() });
    let mut config = config(0);
    config.exploration.enabled = false;
    let system = harness.start(config).await;
    let mut events = system.subscribe();
    let starved = |event: &Event| matches!(event, Event::Warning { message } if message.contains("import"));
    wait_for(&system, &mut events, starved).await;
    assert_eq!(harness.rounds().len(), 1);
    harness.store.import_demonstrations(&World::default().demonstrations()).unwrap();
    system.records_imported();
    wait_for(&system, &mut events, |event| matches!(event, Event::Trained { .. })).await;
    assert_eq!(harness.rounds().len(), 2);
    system.stop();
    assert_eq!(finished(&system).await, FinishReason::Stopped);
}

#[tokio::test]
async fn preference_optimisation_trains_on_pairs_from_the_imitated_policy() {
    let harness = Harness::new(World::default());
    let mut config = config(2);
    config.round.algorithm = Algorithm::Dpo;
    assert_eq!(harness.run(config).await, FinishReason::RoundsDone);
    let jobs = harness.script.jobs();
    assert_eq!(jobs.len(), 3);
    assert!(jobs[1..].iter().all(|job| (job.start_skill - jobs[1].start_skill).abs() < 1e-6));
    assert!(jobs[1].start_skill > jobs[0].start_skill, "it starts where imitation ended");
    let set = harness.store.training_set(&jobs[2].training_set).unwrap().unwrap();
    assert!(!set.content.pairs.is_empty() && set.content.trajectories.is_empty());
}

#[tokio::test]
async fn a_round_whose_attempts_make_no_pair_trains_nothing_and_says_why() {
    let harness = Harness::new(World::default());
    let mut config = config(2);
    config.round.algorithm = Algorithm::Dpo;
    config.pairs.min_perplexity_margin = 1e9;
    assert_eq!(harness.run(config).await, FinishReason::RoundsDone);
    assert_eq!(harness.script.jobs().len(), 1, "imitation alone");
    for round in &harness.rounds()[1..] {
        let decision = round.decision.as_deref().unwrap_or_default();
        assert!(decision.contains("no pair to train on"), "{decision}");
        assert!(decision.contains("no problem has a right and a wrong attempt"), "{decision}");
    }
}

#[tokio::test]
async fn a_set_after_one_of_pairs_grows_from_the_trajectories_before_it() {
    let harness = Harness::new(World::default());
    let run = |rounds, algorithm| {
        let mut config = config(rounds);
        config.round.algorithm = algorithm;
        config
    };
    for (rounds, algorithm) in [(1, Algorithm::Sft), (2, Algorithm::Dpo), (3, Algorithm::Sft)] {
        assert_eq!(harness.run(run(rounds, algorithm)).await, FinishReason::RoundsDone);
    }
    let rounds = harness.rounds();
    let sets: Vec<_> = rounds[1..]
        .iter()
        .map(|round| {
            harness.store.training_set(round.training_set.as_ref().unwrap()).unwrap().unwrap().content
        })
        .collect();
    assert!(sets[1].trajectories.is_empty() && !sets[1].pairs.is_empty());
    let before: std::collections::BTreeSet<_> = sets[0].trajectories.iter().collect();
    let kept = sets[2].trajectories.iter().filter(|one| before.contains(one)).count();
    assert!(kept > 0);
    assert_eq!(
        rounds[3].tally.selected as usize,
        sets[2].trajectories.len() - kept,
        "what the set of the first round held is not new"
    );
}

#[tokio::test]
async fn an_exhausted_pool_ends_its_rounds_early() {
    let harness = Harness::new(World { problems_per_level: 2, ..World::default() });
    let mut config = config(2);
    config.round.problems = 250_000;
    assert_eq!(harness.run(config).await, FinishReason::RoundsDone);
    assert_eq!(harness.rounds().len(), 3);
}

/// Starts an endless run on one problem, and waits until it wants more.
async fn starved(lockstep: bool) -> (Harness, System, broadcast::Receiver<Event>) {
    let harness = Harness::new(World { problems_per_level: 1, levels: 1, ..World::default() });
    let mut config = config(0);
    config.lockstep = lockstep;
    config.exploration.attempts_per_problem = 4;
    let system = harness.start(config).await;
    let mut events = system.subscribe();
    let starved = |event: &Event| matches!(event, Event::Warning { message } if message.contains("import"));
    wait_for(&system, &mut events, starved).await;
    (harness, system, events)
}

#[tokio::test]
async fn an_endless_run_waits_for_problems_when_all_are_solved_and_goes_on_when_some_come() {
    for lockstep in [false, true] {
        let (harness, system, mut events) = starved(lockstep).await;
        let waiting = harness.rounds().last().unwrap().round;
        let late = Problem {
            id: ProblemId::new("late"),
            text: "level 1: 2*77=?".to_owned(),
            gold: "154".to_owned(),
            kind: still_domain::AnswerKind::Integer,
            level: Some(1),
            source: String::new(),
            split: Split::Explore,
        };
        harness.store.import_problems(std::slice::from_ref(&late)).unwrap();
        system.records_imported();
        wait_for(&system, &mut events, |event| matches!(event, Event::RoundEnded(_))).await;
        let round = harness.store.round(waiting).unwrap().unwrap();
        assert!(round.phase.is_over(), "{round:?}");
        assert_eq!(round.tally.outcomes.values().sum::<u64>(), 4, "the attempts at the late problem");
        assert_eq!(harness.store.trajectories_of(&late.id).unwrap().len(), 4);
        system.stop();
        assert_eq!(finished(&system).await, FinishReason::Stopped);
    }
}

#[tokio::test]
async fn sealing_ends_a_round_that_waits_for_problems() {
    for lockstep in [false, true] {
        let (harness, system, mut events) = starved(lockstep).await;
        let waiting = harness.rounds().last().unwrap().round;
        assert_eq!(system.seal().await, Ok(waiting));
        let ended =
            move |event: &Event| matches!(event, Event::RoundEnded(report) if report.round == waiting);
        wait_for(&system, &mut events, ended).await;
        assert!(harness.store.round(waiting).unwrap().unwrap().tally.outcomes.is_empty());
        system.stop();
        assert_eq!(finished(&system).await, FinishReason::Stopped);
    }
}

#[tokio::test]
async fn what_a_generator_refuses_is_recorded_as_an_error_and_never_asked_for_again() {
    let harness = Harness::new(World::default());
    let refused = Problem {
        text: "level 9: refuse 2*1=?".to_owned(),
        level: Some(9),
        ..World::default().problems()[0].clone()
    };
    let refused = Problem { id: ProblemId::new("refused"), ..refused };
    harness.store.import_problems(&[refused]).unwrap();
    let mut config = config(1);
    config.exploration.attempts_per_problem = 4;
    assert_eq!(harness.run(config).await, FinishReason::RoundsDone);
    let of_it: Vec<_> = harness.store.trajectories_of(&ProblemId::new("refused")).unwrap();
    assert_eq!(of_it.len(), 4);
    assert!(of_it.iter().all(|judged| judged.verdict.outcome == Outcome::Error));
    let asked = harness.script.rollouts();
    assert!(of_it.iter().all(|judged| asked[judged.id()].len() == 1));
}

#[tokio::test]
async fn a_verifier_that_panics_costs_at_most_its_own_judgements() {
    // without demonstrations exploration comes first, and the panics are its own
    let harness = Harness::new(World { demonstrations: 0, ..World::default() });
    harness.script.verifier_panics.store(5, std::sync::atomic::Ordering::SeqCst);
    let system = harness.start(config(1)).await;
    assert_eq!(finished(&system).await, FinishReason::RoundsDone);
    assert!(system.status().actors.iter().all(|actor| actor.restarts == 0));
    let errors = harness.pool().iter().filter(|judged| judged.verdict.outcome == Outcome::Error).count();
    assert_eq!(errors, 2, "five panics are two judgements that panicked twice and one that was tried again");
}

#[tokio::test]
async fn the_base_model_is_scored_once_and_test_problems_choose_nothing() {
    let world = World::default();
    let harness = Harness::new(world);
    let tests: Vec<_> = world
        .problems()
        .into_iter()
        .filter(|problem| problem.split == Split::Dev)
        .zip(90_001..)
        .map(|(problem, operand)| Problem {
            id: ProblemId::new(format!("test-{}", problem.id)),
            text: format!("level {}: 2*{operand}=?", problem.level.unwrap()),
            gold: (2 * operand).to_string(),
            split: Split::Test,
            ..problem
        })
        .collect();
    harness.store.import_problems(&tests).unwrap();
    let mut config = config(2);
    let system = harness.start(config.clone()).await;
    assert_eq!(finished(&system).await, FinishReason::RoundsDone);
    let base = system.status().round.base.expect("the status shows it");
    let rounds = harness.rounds();
    let scored: Vec<_> = rounds.iter().filter(|round| round.base.is_some()).collect();
    assert_eq!(scored.len(), 1, "once");
    assert_eq!((scored[0].round, scored[0].base.as_ref()), (RoundNumber(0), Some(&base)));
    let test_base = base.test.as_ref().unwrap();
    assert_eq!((base.dev.scores.len(), test_base.scores.len()), (40, 40));
    for round in &rounds {
        let (dev, test) = (round.evaluation.as_ref().unwrap(), round.test.as_ref().unwrap());
        assert!(dev.scores.iter().all(|score| !score.problem.as_str().starts_with("test")));
        assert!(test.scores.iter().all(|score| score.problem.as_str().starts_with("test")));
    }
    let decision = rounds[0].decision.as_deref().unwrap();
    assert!(decision.contains("against the base model"), "{decision}");

    // every answer is kept: the base model's and each candidate's, to all 80 problems
    let answers: Vec<_> = harness.store.scored_answers().collect::<Result<_, _>>().unwrap();
    assert_eq!(answers.len(), 80 * (1 + rounds.len()));
    for (round, policy) in [(0, PolicyName::BASE), (2, PolicyName::Candidate { candidate: RoundNumber(2) })] {
        let round = &rounds[round];
        let scores = round.base.as_ref().map_or(round.evaluation.as_ref().unwrap(), |base| &base.dev);
        let right = answers.iter().filter(|answer| {
            answer.policy == policy
                && answer.verdict.outcome == Outcome::Correct
                && !answer.id.problem.as_str().starts_with("test")
        });
        assert_eq!(right.count(), scores.accuracy.correct as usize);
        assert!(answers.iter().all(|answer| answer.tokens == 12 && answer.text.contains("boxed")));
    }

    config.evaluation.score_base = false;
    let silent = Harness::new(World::default());
    assert_eq!(silent.run(config).await, FinishReason::RoundsDone);
    assert!(silent.rounds().iter().all(|round| round.base.is_none() && round.test.is_none()));
}

#[tokio::test]
async fn a_round_is_sealed_with_every_attempt_that_was_given_out() {
    let harness = Harness::new(World::default());
    let mut config = config(3);
    config.exploration.max_policy_lag = 0;
    assert_eq!(harness.run(config).await, FinishReason::RoundsDone);
    assert_eq!(harness.pool().len(), 3 * 15 * 4, "three rounds of fifteen visits, and nothing is left out");
    assert_eq!(harness.rounds()[3].tally.pool, 3 * 15 * 4);
    let mut visits: BTreeMap<_, u32> = BTreeMap::new();
    for judged in harness.pool() {
        *visits.entry(judged.problem().clone()).or_default() += 1;
    }
    assert!(visits.values().all(|attempts| attempts.is_multiple_of(4)), "no visit is left half: {visits:?}");
}

/// Runs two rounds that explore ahead, and says how many of the pool's trajectories several policies drew.
async fn mixed_after(on_publish: OnPublish) -> (Harness, usize) {
    let harness = Harness::new(World::default());
    let mut config = config(3);
    config.exploration.on_publish = on_publish;
    assert_eq!(harness.run(config).await, FinishReason::RoundsDone);
    let mixed = harness.pool().iter().filter(|judged| judged.trajectory.is_mixed()).count();
    (harness, mixed)
}

#[tokio::test]
async fn rollouts_under_way_at_a_publication_end_under_their_policy_or_are_begun_anew() {
    for on_publish in [OnPublish::Finish, OnPublish::Cancel] {
        let (harness, mixed) = mixed_after(on_publish).await;
        assert_eq!(mixed, 0, "{on_publish:?}");
        let pool = harness.pool();
        assert!(pool.iter().all(|judged| judged.trajectory.finish == still_domain::FinishReason::Stop));
    }
}

#[tokio::test]
async fn what_several_policies_drew_is_in_no_set_unless_that_is_allowed() {
    let (harness, _) = mixed_after(OnPublish::Recompute).await;
    let pool = harness.pool();
    let mixed = pool.iter().filter(|judged| judged.trajectory.is_mixed()).map(|judged| judged.id().clone());
    let mixed: BTreeSet<_> = mixed.collect();
    for set in harness.store.training_sets().unwrap() {
        assert!(set.content.trajectories.iter().all(|id| !mixed.contains(id)));
    }
    let facts = harness.store.facts().unwrap();
    assert!(facts.iter().all(|fact| fact.is_mixed == mixed.contains(&fact.id)));
}
