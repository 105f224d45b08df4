//! Actors die, devices fail, the store fails: the loop goes on, or the program says why it ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::{collections::BTreeSet, sync::atomic::Ordering};

use still_actors::{ActorName, Event, FinishReason, SupervisionConfig};
use still_domain::RoundNumber;
use still_store::{Fault, FaultPlan, Store};
use still_telemetry::Exporter;
use still_testkit::{
    Harness, World,
    harness::{config, finished, wait_for},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_any_actor_restarts_it_and_the_loop_goes_on() {
    for actor in ActorName::ALL {
        let harness = Harness::new(World::default());
        let system = harness.start(config(2)).await;
        let mut events = system.subscribe();
        wait_for(
            &system,
            &mut events,
            |event| matches!(event, Event::Explored { judged, .. } if *judged > 10),
        )
        .await;
        system.kill_actor(actor.as_str()).unwrap();
        let restarted =
            |event: &Event| matches!(event, Event::Restarted { actor: name, .. } if *name == actor);
        wait_for(&system, &mut events, restarted).await;
        assert_eq!(finished(&system).await, FinishReason::RoundsDone, "{actor}");
        let status = system.status();
        assert_eq!(status.actors[actor.place()].restarts, 1);

        let attempts = harness.attempts();
        assert_eq!(attempts.iter().collect::<BTreeSet<_>>().len(), attempts.len());
        assert_eq!(harness.rounds().len(), 3, "{actor}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_actors_in_every_phase_of_lockstep_changes_no_set() {
    let lockstep = || still_actors::SystemConfig { lockstep: true, ..config(2) };
    let whole = Harness::new(World::default());
    whole.run(lockstep()).await;
    for actor in ActorName::ALL {
        let harness = Harness::new(World::default());
        let system = harness.start(lockstep()).await;
        let mut events = system.subscribe();
        for round in [1, 2].map(RoundNumber) {
            let explored = move |event: &Event| matches!(event, Event::Explored { round: at, judged, .. } if *at == round && *judged > 10);
            wait_for(&system, &mut events, explored).await;
            system.kill_actor(actor.as_str()).unwrap();
            let trained =
                move |event: &Event| matches!(event, Event::Trained { round: at, .. } if *at == round);
            wait_for(&system, &mut events, trained).await;
            system.kill_actor(actor.as_str()).unwrap();
        }
        assert_eq!(finished(&system).await, FinishReason::RoundsDone, "{actor}");
        assert_eq!(harness.sets(), whole.sets(), "{actor}");
        assert_eq!(harness.pool(), whole.pool(), "{actor}");
    }
}

#[test]
fn attempts_that_are_lost_with_their_actor_are_counted() {
    let page = Exporter::within(|exporter| {
        // handlers of this runtime run on this thread, where the exporter listens
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let harness = Harness::new(World::default());
            let mut config = config(1);
            config.round.quota_attempts = 200;
            let system = harness.start(config).await;
            let mut events = system.subscribe();
            let explored = |event: &Event| matches!(event, Event::Explored { judged, .. } if *judged > 10);
            wait_for(&system, &mut events, explored).await;
            system.kill_actor("sampler").unwrap();
            assert_eq!(finished(&system).await, FinishReason::RoundsDone);
        });
        exporter.render()
    });
    let page = page.unwrap();
    let lost = page.lines().find_map(|line| {
        line.strip_prefix("still_rollout_lost_attempts_total{reason=\"actor_ended\"} ")?.parse::<u64>().ok()
    });
    assert!(lost.unwrap() > 0, "{page}");
}

#[test]
fn every_verdict_is_counted_once_whoever_is_down_when_it_is_committed() {
    let (page, pool) = Exporter::within(|exporter| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let pool = runtime.block_on(async {
            let harness = Harness::new(World::default());
            let system = harness.start(still_actors::SystemConfig { lockstep: true, ..config(1) }).await;
            let mut events = system.subscribe();
            let explored = |event: &Event| matches!(event, Event::Explored { judged, .. } if *judged > 10);
            wait_for(&system, &mut events, explored).await;
            system.kill_actor("conductor").unwrap();
            assert_eq!(finished(&system).await, FinishReason::RoundsDone);
            harness.pool().len() as f64
        });
        (exporter.render(), pool)
    })
    .unwrap();
    for name in ["still_verifier_verdicts_total", "still_pool_trajectories"] {
        let of_name = page.lines().filter(|line| line.starts_with(&format!("{name}{{")));
        let counted: f64 = of_name.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum();
        assert!((counted - pool).abs() < f64::EPSILON, "{name}: {counted} of {pool}\n{page}");
    }
}

#[tokio::test]
async fn an_unknown_actor_cannot_be_killed() {
    let harness = Harness::new(World::default());
    let system = harness.start(config(1)).await;
    assert!(system.kill_actor("janitor").unwrap_err().to_string().contains("publisher"));
    finished(&system).await;
}

#[tokio::test]
async fn a_generator_that_panics_is_built_anew_and_its_attempts_are_made_again() {
    let harness = Harness::new(World::default());
    harness.script.generator_panics.store(3, Ordering::SeqCst);
    let system = harness.start(config(1)).await;
    assert_eq!(finished(&system).await, FinishReason::RoundsDone);
    let restarts: u64 = system.status().actors.iter().map(|actor| actor.restarts).sum();
    assert!(restarts >= 1);
    assert!(harness.pool().len() >= 60);
}

#[tokio::test]
async fn a_learner_that_fails_goes_on_from_its_last_checkpoint() {
    let harness = Harness::new(World::default());
    harness.script.learner_fails_at_step.store(5, Ordering::SeqCst);
    assert_eq!(harness.run(config(1)).await, FinishReason::RoundsDone);
    let jobs = harness.script.jobs();
    assert_eq!((jobs[0].resumed_step, jobs[1].resumed_step), (0, 3), "{jobs:?}");
}

#[tokio::test]
async fn training_that_goes_back_is_saved_there_counted_and_told() {
    let harness = Harness::new(World::default());
    harness.script.learner_diverges_at_step.store(5, Ordering::SeqCst);
    harness.script.training.close();
    let system = harness.start(config(1)).await;
    let mut events = system.subscribe();
    harness.script.training.open();
    let told = |event: &Event| matches!(event, Event::Warning { message } if message.contains("diverged"));
    wait_for(&system, &mut events, told).await;
    let saved = |event: &Event| matches!(event, Event::Checkpointed { step: 0, .. });
    wait_for(&system, &mut events, saved).await;
    assert_eq!(finished(&system).await, FinishReason::RoundsDone);
    let training = system.status().training;
    assert_eq!((training.skipped_steps, training.rollbacks, training.memory_shortages), (1, 1, 0));
}

#[tokio::test]
async fn a_damaged_checkpoint_is_passed_over_for_the_one_before() {
    let harness = Harness::new(World::default());
    harness.script.learner_fails_at_step.store(8, Ordering::SeqCst);
    let mut mortal = config(1);
    mortal.supervision = SupervisionConfig { max_restarts: 0, ..mortal.supervision };
    let reason = harness.run(mortal).await;
    assert!(matches!(reason, FinishReason::MeltDown { .. }), "{reason:?}");
    let manifests = harness.store.checkpoints().unwrap();
    let steps: Vec<_> = manifests.iter().map(|manifest| manifest.step).collect();
    assert_eq!(steps, [3, 6], "every checkpoint that was begun is written before the thread ends");
    let newest = harness.checkpoints.folder(&manifests[1].id).join(&manifests[1].files[0].name);
    std::fs::write(newest, "damaged").unwrap();
    assert_eq!(harness.run(config(1)).await, FinishReason::RoundsDone);
    let jobs = harness.script.jobs();
    assert_eq!(jobs[1].resumed_step, 3, "{jobs:?}");
}

#[tokio::test]
async fn a_learner_that_cannot_be_built_melts_the_program_down_with_the_reason() {
    let harness = Harness::new(World::default());
    harness.script.learner_build_failures.store(u32::MAX, Ordering::SeqCst);
    let mut config = config(1);
    config.supervision = SupervisionConfig { max_restarts: 3, ..config.supervision };
    match harness.run(config).await {
        FinishReason::MeltDown { actor, error, restarts } => {
            assert_eq!((actor.as_str(), restarts), ("trainer", 3));
            assert_eq!(error, "learner: cannot be built: the script says so");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_store_that_fails_ends_the_program_and_acknowledges_nothing_that_is_not_there() {
    for first in [4, 6, 9, 14] {
        let world = World::default();
        let plan = FaultPlan { first, count: u64::MAX / 2, fault: Fault::Refused };
        let harness = Harness::on(Store::failing(plan).unwrap());
        harness.store.import_problems(&world.problems()).unwrap();
        harness.store.import_demonstrations(&world.demonstrations()).unwrap();
        let system = harness.start(config(2)).await;
        let reason = finished(&system).await;
        assert!(matches!(reason, FinishReason::StoreFailed { .. }), "{first}: {reason:?}");
        assert!(!reason.is_success());
        assert_eq!(system.status().finished, Some(reason));
    }
}
