//! Lockstep: the same seed gives the same training sets bit for bit, whatever dies in the middle.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::time::Duration;

use still_actors::{Activity, Event, FinishReason, SystemConfig};
use still_domain::{AttemptId, JudgedTrajectory, TrainingSetId};
use still_testkit::{
    Harness, World,
    harness::{config, finished, wait_for},
};

fn lockstep(rounds: u32) -> SystemConfig {
    SystemConfig { lockstep: true, ..config(rounds) }
}

/// What must be the same: sets, and every trajectory with its verdict.
fn outcome(harness: &Harness) -> (Vec<TrainingSetId>, Vec<JudgedTrajectory>) {
    (harness.sets(), harness.pool())
}

/// Runs the program on a runtime of its own and lets that die at an event, as a killed process would.
fn die_at(harness: &Harness, config: SystemConfig, is_it: impl Fn(&Event) -> bool) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let system = harness.start(config).await;
        let mut events = system.subscribe();
        wait_for(&system, &mut events, is_it).await;
    });
    runtime.shutdown_timeout(Duration::from_secs(5));
}

fn finish(harness: &Harness, config: SystemConfig) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let reason = runtime.block_on(async {
        let system = harness.start(config).await;
        finished(&system).await
    });
    assert_eq!(reason, FinishReason::RoundsDone);
}

fn uninterrupted() -> (Vec<TrainingSetId>, Vec<JudgedTrajectory>) {
    let harness = Harness::new(World::default());
    finish(&harness, lockstep(3));
    outcome(&harness)
}

#[test]
fn the_same_seed_gives_the_same_sets_and_another_seed_others() {
    let (sets, pool) = uninterrupted();
    assert_eq!(sets.len(), 4);
    assert_eq!(pool.len(), 180, "three rounds of exactly the quota");
    assert_eq!(uninterrupted(), (sets.clone(), pool));

    let harness = Harness::new(World::default());
    finish(&harness, SystemConfig { seed: 8, ..lockstep(3) });
    assert_eq!(harness.sets()[0], sets[0], "the demonstrations are the same");
    assert_ne!(harness.sets()[1], sets[1]);
}

#[test]
fn dying_anywhere_changes_nothing_that_is_sealed() {
    let whole = uninterrupted();
    let explored =
        |wanted: u64| move |event: &Event| matches!(event, Event::Explored { pool, .. } if *pool >= wanted);
    let trained = |wanted_round: u32, wanted: u64| move |event: &Event| matches!(event, Event::Trained { round, step, .. } if round.0 == wanted_round && *step >= wanted);
    let evaluated = |event: &Event| matches!(event, Event::Evaluated { round, .. } if round.0 == 1);
    let sealed = |event: &Event| matches!(event, Event::Sealed { round, .. } if round.0 == 2);

    let harness = Harness::new(World::default());
    die_at(&harness, lockstep(3), trained(0, 4));
    die_at(&harness, lockstep(3), explored(1));
    die_at(&harness, lockstep(3), explored(30));
    die_at(&harness, lockstep(3), trained(1, 5));
    die_at(&harness, lockstep(3), evaluated);
    die_at(&harness, lockstep(3), explored(90));
    die_at(&harness, lockstep(3), sealed);
    finish(&harness, lockstep(3));
    assert_eq!(outcome(&harness), whole);

    let begun = harness.script.rollouts();
    assert!(begun.values().all(|seeds| seeds.iter().all(|seed| *seed == seeds[0])), "one name, one seed");
}

#[test]
fn an_import_in_the_middle_of_a_round_waits_for_the_next_one_whatever_dies() {
    let late: Vec<_> = World { levels: 5, ..World::default() }.problems();
    let explored =
        |wanted: u64| move |event: &Event| matches!(event, Event::Explored { pool, .. } if *pool >= wanted);

    let whole = Harness::new(World::default());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let system = whole.start(lockstep(3)).await;
        let mut events = system.subscribe();
        wait_for(&system, &mut events, explored(1)).await;
        system.pause(Some(Activity::Explore));
        whole.store.import_problems(&late).unwrap();
        system.records_imported();
        system.resume(Some(Activity::Explore));
        assert_eq!(finished(&system).await, FinishReason::RoundsDone);
    });
    assert!(whole.attempts().iter().any(|id| id.problem.as_str().starts_with("explore-5")));

    let mortal = Harness::new(World::default());
    die_at(&mortal, lockstep(3), explored(1));
    mortal.store.import_problems(&late).unwrap();
    die_at(&mortal, lockstep(3), explored(30));
    die_at(&mortal, lockstep(3), explored(70));
    die_at(&mortal, lockstep(3), explored(130));
    finish(&mortal, lockstep(3));
    assert_eq!(outcome(&mortal), outcome(&whole));
}

#[test]
fn a_run_that_ran_free_goes_on_in_lockstep() {
    let harness = Harness::new(World::default());
    // one round alone, and what was made ahead of the next one while it was trained and scored
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let system = harness.start(config(1)).await;
        let mut events = system.subscribe();
        let explored = |event: &Event| matches!(event, Event::Explored { .. });
        wait_for(&system, &mut events, explored).await;
        harness.script.training.close();
        let ahead = |event: &Event| matches!(event, Event::Explored { pool, .. } if *pool > 90);
        wait_for(&system, &mut events, ahead).await;
        harness.script.training.open();
        assert_eq!(finished(&system).await, FinishReason::RoundsDone);
    });
    let first = &harness.rounds()[1];
    let counted: u64 = first.tally.outcomes.values().sum();
    assert!(harness.pool().len() as u64 > counted, "attempts that no round counted");
    finish(&harness, lockstep(3));
    assert_eq!(harness.rounds().len(), 4);
}

#[test]
fn free_running_loses_no_attempt_and_makes_none_twice_when_it_dies() {
    let harness = Harness::new(World::default());
    for wanted in [10, 40, 90, 120] {
        die_at(&harness, config(3), move |event| {
            matches!(event, Event::Explored { pool, .. } if *pool >= wanted)
                || matches!(event, Event::RoundEnded(report) if report.round.0 == 3)
        });
    }
    finish(&harness, config(3));
    let attempts = harness.attempts();
    // Attempts of a problem are numbered without a gap: none was skipped.
    let mut expected: Option<AttemptId> = None;
    for id in &attempts {
        let follows = expected.as_ref().is_some_and(|expected| expected == id);
        assert!(follows || id.number.0 == 0 || is_under_way(&attempts, id), "{id} follows a gap");
        expected = Some(AttemptId { number: id.number.next(), ..id.clone() });
    }
}

/// Whether the attempt's wave was cut short by the end of the run.
fn is_under_way(attempts: &[AttemptId], id: &AttemptId) -> bool {
    let last = attempts.iter().filter(|other| other.problem == id.problem).map(|other| other.number.0).max();
    last.is_some_and(|last| last / 4 == id.number.0 / 4)
}
