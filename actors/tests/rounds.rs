//! The whole loop with scripted roles: rounds, what ends them, and what operators may do meanwhile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use still_actors::{Activity, Event, FinishReason, OnPublish, Refusal, System};
use still_curation::{PerplexityPreference, ScoredBy};
use still_domain::{
    Algorithm, AttemptId, JudgedTrajectory, Outcome, PolicyName, PolicyOrigin, PolicyVersion, Problem,
    ProblemId, RoundNumber, RoundPhase, Split, seed,
};
use still_store::CheckpointsSection;
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
async fn pausing_exploration_holds_attempts_back_until_it_is_resumed() {
    let harness = Harness::new(World::default());
    let system = harness.start(config(2)).await;
    system.pause(Some(Activity::Explore));
    let mut events = system.subscribe();
    let explores = |wanted: u32| move |event: &Event| matches!(event, Event::Phase { round, phase: RoundPhase::Exploring } if round.0 == wanted);
    wait_for(&system, &mut events, explores(1)).await;
    // a whole round passes meanwhile
    assert_eq!(system.seal().await, Ok(RoundNumber(1)));
    wait_for(&system, &mut events, explores(2)).await;
    assert!(system.status().exploration_paused);
    assert!(harness.pool().is_empty());
    let asked = harness.script.rollouts();
    assert!(asked.keys().all(|id| !id.problem.as_str().starts_with("explore")));
    system.resume(None);
    assert_eq!(finished(&system).await, FinishReason::RoundsDone);
    assert!(harness.pool().len() >= 60);
}

#[tokio::test]
async fn pausing_training_takes_no_step_and_a_checkpoint_can_be_written_all_the_same() {
    let harness = Harness::new(World::default());
    harness.script.training.close();
    let system = harness.start(config(1)).await;
    let mut events = system.subscribe();
    assert!(matches!(system.checkpoint().await, Err(Refusal::NotNow(_)) | Ok(_)));
    system.pause(Some(Activity::Train));
    harness.script.training.open();
    let trained = |event: &Event| matches!(event, Event::Trained { .. });
    let exploring = |event: &Event| matches!(event, Event::Phase { phase: RoundPhase::Exploring, .. });
    let checkpoint = loop {
        match system.checkpoint().await {
            Ok(id) => break id,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    assert!(checkpoint.as_str().starts_with("round-0-step-"), "{checkpoint}");
    assert!(system.status().training_paused);
    system.resume(Some(Activity::Train));
    wait_for(&system, &mut events, trained).await;
    wait_for(&system, &mut events, exploring).await;
    assert_eq!(finished(&system).await, FinishReason::RoundsDone);
}

#[tokio::test]
async fn sealing_closes_the_round_with_what_it_has() {
    for lockstep in [false, true] {
        let harness = Harness::new(World::default());
        let mut config = config(1);
        config.lockstep = lockstep;
        config.round.problems = 75;
        let system = harness.start(config).await;
        let mut events = system.subscribe();
        assert!(matches!(system.seal().await, Err(Refusal::NotNow(_))));
        wait_for(
            &system,
            &mut events,
            |event| matches!(event, Event::Explored { judged, .. } if *judged > 0),
        )
        .await;
        assert_eq!(system.seal().await, Ok(RoundNumber(1)));
        assert_eq!(finished(&system).await, FinishReason::RoundsDone);
        let judged: u64 = harness.rounds()[1].tally.outcomes.values().sum();
        assert!(judged < 300, "{judged}");
    }
}

#[tokio::test]
async fn a_drain_finishes_what_is_in_flight_and_ends() {
    let harness = Harness::new(World::default());
    let system = harness.start(config(0)).await;
    let mut events = system.subscribe();
    wait_for(&system, &mut events, |event| matches!(event, Event::Explored { judged, .. } if *judged > 0))
        .await;
    system.drain();
    assert_eq!(finished(&system).await, FinishReason::Drained);
    let begun = harness.script.rollouts();
    let explored = begun.keys().filter(|id| id.problem.as_str().starts_with("explore")).count();
    assert_eq!(harness.pool().len(), explored, "everything that was begun is durable");
    assert!(!system.is_alive());
}

#[tokio::test]
async fn a_drain_in_training_leaves_a_checkpoint_that_the_next_start_goes_on_from() {
    let harness = Harness::new(World::default());
    let system = harness.start(config(1)).await;
    let mut events = system.subscribe();
    wait_for(&system, &mut events, |event| matches!(event, Event::Trained { .. })).await;
    system.drain();
    assert_eq!(finished(&system).await, FinishReason::Drained);
    let unfinished = harness.rounds()[0].phase == RoundPhase::Training;
    assert_eq!(harness.run(config(1)).await, FinishReason::RoundsDone);
    if unfinished {
        assert!(harness.script.jobs()[1].resumed_step > 0, "{:?}", harness.script.jobs());
    }
}

#[tokio::test]
async fn an_earlier_policy_is_put_in_force_under_a_new_version_and_rolled_back_from() {
    let harness = Harness::new(World::default());
    harness.run(config(2)).await;
    let newest = harness.store.policies().unwrap().last().unwrap().version;
    let mut config = config(0);
    config.round.problems = 250_000;
    let system = harness.start(config).await;
    assert!(matches!(system.promote(PolicyVersion(99)).await, Err(Refusal::Unknown(_))));
    assert_eq!(system.promote(PolicyVersion(1)).await, Ok(PolicyVersion(newest.0 + 1)));
    let records = harness.store.policies().unwrap();
    assert_eq!(records.last().unwrap().origin, PolicyOrigin::Operator(PolicyVersion(1)));
    assert!(matches!(system.roll_back().await, Err(Refusal::NotNow(_))), "nothing comes before the first");
    system.promote(PolicyVersion(2)).await.unwrap();
    system.roll_back().await.unwrap();
    let records = harness.store.policies().unwrap();
    assert_eq!(records.last().unwrap().origin, PolicyOrigin::Operator(PolicyVersion(1)));
    assert_eq!(system.status().policy, records.last().map(|record| record.version));
    system.stop();
    finished(&system).await;
}

#[tokio::test]
async fn the_newest_the_best_and_every_third_checkpoint_stay_and_the_published_ones() {
    let harness = Harness::new(World::default());
    let mut config = config(5);
    config.checkpoints = CheckpointsSection {
        keep_last: 1,
        keep_best: 1,
        keep_every_rounds: 3,
        keep_published: 0,
        ..CheckpointsSection::default()
    };
    // nothing gains so much: every round but imitation is rejected, and only retention keeps what it trained
    config.gate.tolerance = -1.0;
    assert_eq!(harness.run(config).await, FinishReason::RoundsDone);
    let rounds = harness.rounds();
    assert_eq!(rounds.iter().filter(|round| round.phase == RoundPhase::Rejected).count(), 5);

    // the best is known from the rounds that were scored when the last checkpoint was written
    let scored = rounds[..5].iter().map(|round| (round.evaluation.as_ref().unwrap().accuracy.value, round));
    let best = scored.max_by(|(one, first), (other, second)| {
        one.total_cmp(other).then_with(|| Reverse(first.round).cmp(&Reverse(second.round)))
    });
    let kept: BTreeSet<_> = [0, 3, 5, best.unwrap().1.round.0].into();
    let checkpoints = harness.store.checkpoints().unwrap();
    assert!(checkpoints.iter().all(|checkpoint| checkpoint.is_final), "{checkpoints:?}");
    assert_eq!(checkpoints.iter().map(|checkpoint| checkpoint.round.0).collect::<BTreeSet<_>>(), kept);
    for checkpoint in &checkpoints {
        harness.checkpoints.check(checkpoint).unwrap();
    }
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

#[tokio::test]
async fn sets_are_chosen_by_the_perplexities_of_one_policy_where_that_is_asked_for() {
    for scored_by in [ScoredBy::Current, ScoredBy::Imitated] {
        let harness = Harness::new(World::default());
        let mut config = config(2);
        config.selection.scored_by = scored_by;
        config.selection.perplexity = PerplexityPreference::High;
        config.selection.max_per_problem = 1;
        config.exploration.stop_after_correct = 4;
        assert_eq!(harness.run(config).await, FinishReason::RoundsDone);
        let rounds = harness.rounds();
        for round in &rounds[1..] {
            let under = if scored_by == ScoredBy::Imitated { PolicyVersion(1) } else { round.policy_version };
            assert_eq!(round.tally.ranked_under, Some(under));
        }
        // the double finds later attempts more perplexing, whatever the sampler measured
        let scores = harness.store.scores(rounds[2].tally.ranked_under.unwrap()).unwrap();
        let pool = harness.pool();
        let right = pool.iter().filter(|judged| judged.is_correct()).map(JudgedTrajectory::id);
        let mut last: BTreeMap<&ProblemId, &AttemptId> = BTreeMap::new();
        for id in right.filter(|id| scores.contains_key(*id)) {
            last.insert(&id.problem, id);
        }
        let set = harness.store.training_set_of(RoundNumber(2)).unwrap().unwrap();
        let is_later = |chosen: &AttemptId| chosen.number.0 > 0;
        assert!(set.content.trajectories.iter().any(is_later), "{:?}", set.content.trajectories);
        assert!(set.content.trajectories.iter().all(|chosen| last[&chosen.problem] == chosen));
        let mut asked = harness.script.scores();
        let total = asked.len();
        asked.sort();
        asked.dedup();
        if scored_by == ScoredBy::Imitated {
            assert_eq!(asked.len(), total, "what is scored stays scored");
        }
    }
}

#[tokio::test]
async fn a_pass_of_scoring_that_fails_is_told_and_leaves_the_samplers_perplexities() {
    let harness = Harness::new(World::default());
    harness.script.scorer_failures.store(1, std::sync::atomic::Ordering::SeqCst);
    let mut config = config(2);
    config.selection.scored_by = ScoredBy::Current;
    let system = harness.start(config).await;
    let mut events = system.subscribe();
    let failed =
        |event: &Event| matches!(event, Event::Warning { message } if message.contains("scoring failed"));
    wait_for(&system, &mut events, failed).await;
    assert_eq!(finished(&system).await, FinishReason::RoundsDone);
    let ranked: Vec<_> = harness.rounds().iter().map(|round| round.tally.ranked_under).collect();
    assert_eq!((ranked[0], ranked[1]), (None, None));
    assert!(ranked[2].is_some(), "the next round is scored again");
}

#[tokio::test]
async fn engines_are_compared_with_the_learner_every_round_and_one_that_is_too_far_is_warned_of() {
    let harness = Harness::new(World::default());
    harness.script.gap_thousandths.store(200, std::sync::atomic::Ordering::SeqCst);
    let mut config = config(2);
    config.round.gap_sample = 5;
    config.round.gap_max_tokens = 7;
    let system = harness.start(config).await;
    let mut events = system.subscribe();
    let is_alarm =
        |event: &Event| matches!(event, Event::Warning { message } if message.contains("round.max_gap_nats"));
    wait_for(&system, &mut events, is_alarm).await;
    assert_eq!(finished(&system).await, FinishReason::RoundsDone);
    let rounds = harness.rounds();
    assert_eq!(rounds[0].gap, None, "imitation explores nothing");
    let mut compared = BTreeSet::new();
    for round in &rounds[1..] {
        let gap = round.gap.clone().unwrap();
        assert_eq!((gap.policy, gap.trajectories, gap.tokens), (round.policy_version, 5, 35));
        assert!((gap.mean_nats - 0.2).abs() < 1e-6 && (gap.bias_nats - 0.2).abs() < 1e-6, "{gap:?}");
        let furthest = harness.store.trajectory(&gap.furthest).unwrap().unwrap();
        assert_eq!(furthest.trajectory.policy_version(), round.policy_version);
        assert!(compared.insert(gap.furthest), "each round is compared anew");
    }
    assert_eq!(system.status().round.gap, rounds[2].gap);
    // what each trajectory names is there
    for judged in harness.pool() {
        let name = judged.trajectory.provenance.unwrap();
        assert_eq!(harness.store.provenance(&name).unwrap().unwrap().engine, "scripted");
    }
}

#[tokio::test]
async fn a_comparison_that_fails_is_told_and_keeps_no_round_from_being_trained_on() {
    let harness = Harness::new(World::default());
    harness.script.gap_failures.store(1, std::sync::atomic::Ordering::SeqCst);
    let system = harness.start(config(2)).await;
    let mut events = system.subscribe();
    let is_told = |event: &Event| matches!(event, Event::Warning { message } if message.contains("could not be measured"));
    wait_for(&system, &mut events, is_told).await;
    assert_eq!(finished(&system).await, FinishReason::RoundsDone);
    let rounds = harness.rounds();
    assert_eq!(rounds[1].gap, None);
    assert!(rounds[2].gap.as_ref().is_some_and(|gap| gap.mean_nats < 1e-9), "{:?}", rounds[2].gap);
}

#[tokio::test]
async fn nothing_is_compared_where_that_is_not_wanted() {
    let harness = Harness::new(World::default());
    harness.script.gap_failures.store(1, std::sync::atomic::Ordering::SeqCst);
    let mut config = config(1);
    config.round.gap_sample = 0;
    assert_eq!(harness.run(config).await, FinishReason::RoundsDone);
    assert_eq!(harness.rounds()[1].gap, None);
    assert_eq!(harness.script.gap_failures.load(std::sync::atomic::Ordering::SeqCst), 1);
}
