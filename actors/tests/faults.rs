//! Actors die, devices fail, the store fails: the loop goes on, or the program says why it ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::{collections::BTreeSet, sync::atomic::Ordering};

use still_actors::{
    Activity, ActorName, Event, FinishReason, Refusal, SupervisionSection, System, SystemConfig,
};
use still_domain::{CheckpointId, PolicyOrigin, RoundNumber, RoundPhase, TrainingSetContent};
use still_store::{Fault, FaultPlan, Store};
use still_telemetry::Exporter;
use still_testkit::{
    Harness, World,
    harness::{config, finished, wait_for},
};
use tokio::task::JoinSet;

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
            |event: &Event| matches!(event, Event::Restarted { actor: name, .. } if *name == actor.as_str());
        wait_for(&system, &mut events, restarted).await;
        assert_eq!(finished(&system).await, FinishReason::RoundsDone, "{actor}");
        let status = system.status();
        assert_eq!(status.actors[actor.ordinal()].restarts, 1);

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
            let system = harness.start(config(1)).await;
            let mut events = system.subscribe();
            wait_for(&system, &mut events, |event| matches!(event, Event::Published { .. })).await;
            // nothing more is drawn, so that the sampler has something in its hands when it dies
            harness.script.generation.close();
            let is_at_work = |system: &System| {
                let sampler = ActorName::Sampler.as_str();
                system.status().devices.iter().any(|device| device.actor == sampler && device.in_flight > 0)
            };
            while !is_at_work(&system) {
                tokio::task::yield_now().await;
            }
            system.kill_actor("sampler").unwrap();
            harness.script.generation.open();
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
    let status = system.status();
    assert!(status.actors.iter().all(|actor| actor.restarts == 0), "no actor goes down with it");
    assert!(status.devices.iter().map(|device| device.restarts).sum::<u64>() >= 3);
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
async fn more_checkpoints_than_the_learner_takes_are_refused_and_harm_nobody() {
    let harness = Harness::new(World::default());
    harness.script.training.close();
    let system = harness.start(config(1)).await;
    while harness.script.jobs().is_empty() {
        tokio::task::yield_now().await;
    }
    let mut asked = JoinSet::new();
    for _ in 0..200 {
        let system = system.clone();
        asked.spawn(async move {
            system.pause(Some(Activity::Train));
            system.resume(Some(Activity::Train));
            system.checkpoint().await
        });
    }
    let is_refused = |answer: &Result<CheckpointId, Refusal>| matches!(answer, Err(Refusal::NotNow(_)));
    assert!(is_refused(&asked.join_next().await.unwrap().unwrap()), "the first answer comes before a step");
    harness.script.training.open();
    let answers = asked.join_all().await;
    let (refused, written): (Vec<_>, Vec<_>) = answers.into_iter().partition(is_refused);
    assert!(!refused.is_empty());
    assert!(!written.is_empty() && written.iter().all(Result::is_ok), "{written:?}");
    assert_eq!(finished(&system).await, FinishReason::RoundsDone);
    assert!(system.status().actors.iter().all(|actor| actor.restarts == 0));
}

#[tokio::test]
async fn training_that_goes_back_is_told_and_a_restart_goes_on_from_where_it_went_back_to() {
    let harness = Harness::new(World::default());
    harness.script.learner_diverges_at_step.store(8, Ordering::SeqCst);
    let system = harness.start(config(1)).await;
    let mut events = system.subscribe();
    let is_reported =
        |event: &Event| matches!(event, Event::Warning { message } if message.contains("diverged"));
    wait_for(&system, &mut events, is_reported).await;
    let saved = |event: &Event| matches!(event, Event::Checkpointed { step: 0, .. });
    wait_for(&system, &mut events, saved).await;
    // what was saved on the way there, at steps 3 and 6, is not gone on from
    harness.script.learner_fails_at_step.store(2, Ordering::SeqCst);
    harness.script.training.open();
    assert_eq!(finished(&system).await, FinishReason::RoundsDone);
    let jobs = harness.script.jobs();
    assert_eq!((jobs[1].round, jobs[1].resumed_step), (RoundNumber(0), 0), "{jobs:?}");
    assert!(jobs[1].resume.as_ref().unwrap().ends_with("round-0-step-0"), "{jobs:?}");
    let training = system.status().training;
    assert_eq!((training.skipped_steps, training.rollbacks, training.memory_shortages), (1, 1, 0));
}

#[tokio::test]
async fn training_that_diverges_with_no_state_in_memory_goes_back_to_its_newest_checkpoint() {
    let harness = Harness::new(World::default());
    harness.script.learner_diverges_at_step.store(5, Ordering::SeqCst);
    harness.script.learner_keeps_no_state.store(true, Ordering::SeqCst);
    harness.script.training.close();
    let system = harness.start(config(1)).await;
    let mut events = system.subscribe();
    harness.script.training.open();
    let is_reported =
        |event: &Event| matches!(event, Event::Warning { message } if message.contains("back to step 3"));
    wait_for(&system, &mut events, is_reported).await;
    let saved = |event: &Event| matches!(event, Event::Checkpointed { step: 3, .. });
    wait_for(&system, &mut events, saved).await;
    assert_eq!(finished(&system).await, FinishReason::RoundsDone);
    let jobs = harness.script.jobs();
    assert_eq!((jobs[0].resumed_step, jobs[1].resumed_step), (0, 3), "{jobs:?}");
    assert_eq!(system.status().training.rollbacks, 1);
}

#[tokio::test]
async fn a_set_that_the_learner_refuses_ends_its_round_and_not_the_program() {
    let harness = Harness::new(World::default());
    assert_eq!(harness.run(config(1)).await, FinishReason::RoundsDone);
    harness.script.learner_refusals.store(1, Ordering::SeqCst);
    let system = harness.start(config(2)).await;
    assert_eq!(finished(&system).await, FinishReason::RoundsDone);
    assert!(system.status().actors.iter().all(|actor| actor.restarts == 0));
    let rounds = harness.rounds();
    let refused = rounds.last().unwrap();
    assert_eq!((refused.round, refused.phase), (RoundNumber(2), RoundPhase::Rejected));
    let decision = refused.decision.as_ref().unwrap();
    assert_eq!(decision, "rejected: the training job is refused: every example is too long");
    assert!(refused.ended_at_ms.is_some());
}

#[tokio::test]
async fn demonstrations_that_the_learner_refuses_end_the_program_before_it_explores() {
    let harness = Harness::new(World::default());
    harness.script.learner_refusals.store(1, Ordering::SeqCst);
    let reason = harness.run(config(1)).await;
    assert!(
        matches!(&reason, FinishReason::NotImitated { cause } if cause.contains("too long")),
        "{reason:?}"
    );
    assert!(!reason.is_success());
    assert!(harness.store.policies().unwrap().is_empty(), "nothing is put in force");
    assert_eq!(harness.store.trajectories().count(), 0, "nothing is explored");
    // the cause is mended: the next start imitates
    assert_eq!(harness.run(config(1)).await, FinishReason::RoundsDone);
    assert_eq!(harness.store.policies().unwrap()[0].origin, PolicyOrigin::Round(RoundNumber::IMITATION));
}

#[tokio::test]
async fn a_job_that_begins_anew_with_fewer_steps_keeps_its_checkpoints_and_its_policy_is_found_again() {
    let harness = Harness::new(World::default());
    harness.script.learner_fails_at_step.store(10, Ordering::SeqCst);
    let mut mortal = config(1);
    mortal.supervision = SupervisionSection { max_restarts: 0, ..mortal.supervision };
    assert!(matches!(harness.run(mortal).await, FinishReason::MeltDown { .. }));
    harness.script.training_steps.store(5, Ordering::SeqCst);
    assert_eq!(harness.run(config(1)).await, FinishReason::RoundsDone);
    for policy in harness.store.policies().unwrap() {
        assert!(harness.checkpoints.is_intact(&policy.checkpoint.unwrap()).unwrap());
    }
    let steps: Vec<_> = harness.store.checkpoints_of(RoundNumber(0)).unwrap();
    assert!(steps.iter().all(|manifest| manifest.step <= 5), "{steps:?}");
    assert_eq!(harness.run(config(2)).await, FinishReason::RoundsDone);
}

#[tokio::test]
async fn a_candidate_whose_checkpoint_is_gone_is_trained_again_and_never_published_without_it() {
    let harness = Harness::new(World::default());
    harness.script.judgement.close();
    let system = harness.start(config(1)).await;
    let mut events = system.subscribe();
    let scored = |event: &Event| matches!(event, Event::Phase { phase: RoundPhase::Evaluating, .. });
    wait_for(&system, &mut events, scored).await;
    let manifests = harness.store.checkpoints_of(RoundNumber(0)).unwrap();
    let candidate = manifests.iter().find(|manifest| manifest.is_final).unwrap();
    std::fs::remove_dir_all(harness.checkpoints.folder(&candidate.id)).unwrap();
    harness.script.judgement.open();
    assert_eq!(finished(&system).await, FinishReason::RoundsDone);
    for policy in harness.store.policies().unwrap() {
        assert!(harness.checkpoints.is_intact(&policy.checkpoint.unwrap()).unwrap());
    }
}

#[tokio::test]
async fn a_damaged_checkpoint_is_passed_over_for_the_one_before() {
    let harness = Harness::new(World::default());
    harness.script.learner_fails_at_step.store(8, Ordering::SeqCst);
    let mut mortal = config(1);
    mortal.supervision = SupervisionSection { max_restarts: 0, ..mortal.supervision };
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
    config.supervision = SupervisionSection { max_restarts: 3, ..config.supervision };
    match harness.run(config).await {
        FinishReason::MeltDown { actor, error, restarts } => {
            assert_eq!((actor.as_str(), restarts), ("trainer", 3));
            assert_eq!(error, "learner: cannot be built: the script says so");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_set_that_was_sealed_behind_the_conductors_back_is_taken_over() {
    let harness = Harness::new(World::default());
    let system = harness.start(config(1)).await;
    let mut events = system.subscribe();
    let explores = |event: &Event| matches!(event, Event::Phase { phase: RoundPhase::Exploring, .. });
    system.pause(Some(Activity::Explore));
    wait_for(&system, &mut events, explores).await;
    // as the late work of a conductor that was killed would leave it
    let set = harness.store.training_set(&harness.sets()[0]).unwrap().unwrap();
    let content = TrainingSetContent { round: RoundNumber(1), ..set.content };
    let set = content.seal();
    let mut sealed = harness.store.round(RoundNumber(1)).unwrap().unwrap();
    sealed.phase = RoundPhase::Training;
    sealed.training_set = Some(set.id.clone());
    harness.store.seal_round(&set, &sealed, None).unwrap();
    system.resume(Some(Activity::Explore));
    assert_eq!(finished(&system).await, FinishReason::RoundsDone);
    assert_eq!(harness.sets()[1], set.id);
    assert!(system.status().actors.iter().all(|actor| actor.restarts == 0));
}

/// Starts exploration with judgements that wait, so that attempts stay in flight.
async fn with_attempts_in_flight(harness: &Harness, change: impl Fn(&mut SystemConfig)) -> System {
    let mut config = config(0);
    change(&mut config);
    let system = harness.start(config).await;
    let mut events = system.subscribe();
    let explored = |event: &Event| matches!(event, Event::Explored { .. });
    wait_for(&system, &mut events, explored).await;
    harness.script.judgement.close();
    let waits = || system.status().actors[ActorName::Verifiers.ordinal()].queued > 0;
    while !waits() {
        tokio::task::yield_now().await;
    }
    system
}

async fn drained_in_part(harness: &Harness, system: &System) -> String {
    let reason = finished(system).await;
    harness.script.judgement.open();
    assert!(reason.is_success() && reason.to_string().contains("in part"), "{reason}");
    let FinishReason::DrainedInPart { cause } = reason else { panic!("{reason:?}") };
    cause
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_that_cannot_finish_everything_says_so_and_why() {
    let harness = Harness::new(World::default());
    let too_late = |config: &mut SystemConfig| config.supervision.drain_deadline_seconds = 0;
    let system = with_attempts_in_flight(&harness, too_late).await;
    system.drain();
    let cause = drained_in_part(&harness, &system).await;
    assert!(cause.contains("problem_supply") && cause.contains("in time"), "{cause}");

    let harness = Harness::new(World::default());
    let system = with_attempts_in_flight(&harness, |_| {}).await;
    system.drain();
    system.kill_actor("curator").unwrap();
    let cause = drained_in_part(&harness, &system).await;
    assert!(cause.contains("the curator failed"), "{cause}");

    let harness = Harness::new(World::default());
    let slowly = |config: &mut SystemConfig| {
        (config.supervision.first_backoff_ms, config.supervision.max_backoff_ms) = (600_000, 600_000);
    };
    let system = with_attempts_in_flight(&harness, slowly).await;
    let mut events = system.subscribe();
    system.kill_actor("sampler").unwrap();
    wait_for(&system, &mut events, |event| matches!(event, Event::Restarted { .. })).await;
    system.drain();
    let cause = drained_in_part(&harness, &system).await;
    assert!(cause.contains("the sampler had failed"), "{cause}");
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

/// The training of a first round that stands at a step until its gate is opened, while attempts are made ahead.
async fn at_a_step_that_lasts(harness: &Harness, change: impl Fn(&mut SystemConfig)) -> System {
    let mut config = config(0);
    config.checkpoints.every_steps = 0;
    change(&mut config);
    let system = harness.start(config).await;
    let mut events = system.subscribe();
    system.pause(Some(Activity::Explore));
    let explores = |event: &Event| matches!(event, Event::Phase { phase: RoundPhase::Exploring, .. });
    wait_for(&system, &mut events, explores).await;
    harness.script.training_steps.store(1_000_000_000, Ordering::SeqCst);
    system.resume(Some(Activity::Explore));
    let trained =
        |event: &Event| matches!(event, Event::Trained { round, step, .. } if round.0 > 0 && *step >= 3);
    wait_for(&system, &mut events, trained).await;
    harness.script.training.close();
    system
}

/// The step that the newest checkpoint was written after.
fn saved_step(harness: &Harness) -> u64 {
    let checkpoints = harness.store.checkpoints().unwrap();
    checkpoints.iter().max_by_key(|manifest| (manifest.round, manifest.step)).unwrap().step
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_outlasted_by_attempts_and_a_step_leaves_the_attempts_behind_and_saves_the_training() {
    let harness = Harness::new(World::default());
    let too_late = |config: &mut SystemConfig| {
        config.supervision.drain_deadline_seconds = 0;
        config.exploration.max_ahead_attempts = u64::MAX;
        config.exploration.attempts_per_problem = u32::MAX;
        config.exploration.attempts_per_policy = u32::MAX;
        config.exploration.stop_after_correct = u32::MAX;
        config.exploration.park_after = 0;
    };
    let system = at_a_step_that_lasts(&harness, too_late).await;
    harness.script.judgement.close();
    let waits = || system.status().actors[ActorName::Verifiers.ordinal()].queued > 0;
    while !waits() {
        tokio::task::yield_now().await;
    }
    let mut events = system.subscribe();
    system.drain();
    let told =
        |event: &Event| matches!(event, Event::Warning { message } if message.contains("the trainer is at"));
    wait_for(&system, &mut events, told).await;
    assert_eq!(system.status().finished, None, "it waits for the step");
    harness.script.training.open();
    let cause = drained_in_part(&harness, &system).await;
    assert!(cause.contains("problem_supply") && !cause.contains("trainer"), "{cause}");
    assert!(saved_step(&harness) >= 3, "what was trained is saved");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_takes_long_tells_of_its_parts_and_is_given_up_between_two_of_them_when_the_program_drains()
 {
    let harness = Harness::new(World::default());
    let system = at_a_step_that_lasts(&harness, |_| ()).await;
    // the whole step at the gate goes through, and the next one is taken in parts
    harness.script.parts_of_a_step.store(1_000_000_000, Ordering::SeqCst);
    harness.script.training.open();
    while system.status().training.step_share.is_none() {
        tokio::task::yield_now().await;
    }
    harness.script.training.close();
    let mut events = system.subscribe();
    system.tell_what_is_waited_for();
    let is_told = |event: &Event| matches!(event, Event::AtWork { waits } if waits.iter().any(|wait| wait.reason.contains("% of it done")));
    wait_for(&system, &mut events, is_told).await;
    let step = system.status().training.step;
    system.drain();
    wait_for(&system, &mut events, |event| matches!(event, Event::Draining)).await;
    wait_for(&system, &mut events, is_told).await;
    harness.script.training.open();
    let reason = finished(&system).await;
    assert!(reason.is_success(), "{reason:?}");
    assert_eq!(saved_step(&harness), step, "the part of a step at work is done again");
}
