//! A failure stays on its device: it is named, replaced or left out, and the others never stop.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
};

use still_actors::{ActorName, DeviceState, Event, FinishReason, System, SystemConfig};
use still_domain::Outcome;
use still_testkit::{
    Harness, Script, World,
    harness::{config, finished, scripted_generators, wait_for},
};

/// Devices, and what is wrong with three of them.
const DEVICES: usize = 8;
const FAILING: usize = 2;
const HANGING: usize = 4;
const LOSING: usize = 6;

/// A harness with eight devices, each with a script of its own.
fn eight_devices() -> (Harness, Vec<Arc<Script>>) {
    let mut harness = Harness::new(World { problems_per_level: 400, ..World::default() });
    let scripts: Vec<_> = (0..DEVICES).map(|_| Arc::new(Script::default())).collect();
    harness.roles.generators = scripts
        .iter()
        .enumerate()
        .map(|(index, script)| {
            scripted_generators(&format!("sampler-{index}"), script, &harness.checkpoints, 4)
        })
        .collect();
    (harness, scripts)
}

fn patient(mut config: SystemConfig) -> SystemConfig {
    config.supervision.max_silence_ms = 1_000;
    config.supervision.max_restarts = 3;
    // the device that hangs is not waited for
    config.supervision.stop_deadline_seconds = 1;
    config.exploration.in_flight_attempts = 48;
    config.round.problems = 100;
    config
}

/// Opens the gates of a test that fails: a thread that waits there would keep the runtime from ending.
struct Release(Vec<Arc<Script>>);

impl Drop for Release {
    fn drop(&mut self) {
        self.0.iter().for_each(|script| script.generation.open());
    }
}

async fn wait_until(system: &System, is_so: impl Fn(&System) -> bool) {
    let wait = async {
        while !is_so(system) {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(still_testkit::harness::PATIENCE, wait).await;
    waited.unwrap_or_else(|_| panic!("it does not come to be: {:#?}", system.status()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seven_devices_go_on_when_one_fails_one_hangs_and_one_loses_rollouts() {
    let (harness, scripts) = eight_devices();
    let _release = Release(scripts.clone());
    scripts[FAILING].generator_panics.store(u32::MAX, Ordering::SeqCst);
    scripts[HANGING].generation.close();
    scripts[LOSING].rollout_losses.store(20, Ordering::SeqCst);
    let system = harness.start(patient(config(0))).await;
    // it says what is wrong while it goes on
    let is_told = |system: &System, device: &str, reason: &str| {
        let is_reported =
            |wait: &still_actors::Wait| wait.waits_for == device && wait.reason.contains(reason);
        system.status().waits.iter().any(is_reported)
    };
    wait_until(&system, |system| is_told(system, "sampler-2", "left out: sampler-2: panicked")).await;
    wait_until(&system, |system| is_told(system, "sampler-4", "left out: sampler-4: nothing was heard"))
        .await;
    wait_until(&system, |_| scripts[LOSING].rollout_losses.load(Ordering::SeqCst) == 0).await;
    wait_until(&system, |system| system.status().round.rounds_over >= 2).await;
    system.drain();
    assert_eq!(finished(&system).await, FinishReason::Drained);
    scripts[HANGING].generation.open();

    let status = system.status();
    assert!(status.actors.iter().all(|actor| actor.restarts == 0), "{:?}", status.actors);
    for (index, script) in scripts.iter().enumerate() {
        let device = &status.devices.iter().find(|one| one.name == format!("sampler-{index}")).unwrap();
        match index {
            FAILING => assert!(device.last_failure.as_ref().unwrap().contains("panicked"), "{device:?}"),
            HANGING => assert!(device.last_failure.as_ref().unwrap().contains("nothing was heard")),
            _ => {
                assert_eq!((device.restarts, device.state), (0, DeviceState::Up), "{device:?}");
                assert!(!script.rollouts().is_empty(), "sampler-{index} was given work");
            }
        }
    }
    let attempts = harness.attempts();
    assert_eq!(attempts.iter().collect::<BTreeSet<_>>().len(), attempts.len(), "exactly once");
    assert!(attempts.len() >= 800);
    let is_an_error = |judged: &&still_domain::JudgedTrajectory| judged.verdict.outcome == Outcome::Error;
    assert_eq!(harness.pool().iter().filter(is_an_error).count(), 0, "a loss is no result");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_of_devices_change_no_set_of_lockstep() {
    let lockstep = || SystemConfig { lockstep: true, ..patient(config(2)) };
    let (whole, _) = eight_devices();
    assert_eq!(whole.run(lockstep()).await, FinishReason::RoundsDone);
    let (harness, scripts) = eight_devices();
    scripts[FAILING].generator_panics.store(2, Ordering::SeqCst);
    scripts[LOSING].rollout_losses.store(9, Ordering::SeqCst);
    assert_eq!(harness.run(lockstep()).await, FinishReason::RoundsDone);
    assert_eq!(harness.sets(), whole.sets());
    assert_eq!(harness.pool(), whole.pool());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_last_device_is_left_out_the_program_melts_down_with_its_reason() {
    let harness = Harness::new(World::default());
    harness.script.generator_panics.store(u32::MAX, Ordering::SeqCst);
    let mut config = config(1);
    config.supervision.max_restarts = 2;
    match harness.run(config).await {
        FinishReason::MeltDown { actor, error, restarts } => {
            assert!(actor == "sampler" || actor == "evaluator", "{actor}");
            assert_eq!(restarts, 2);
            assert!(error.contains("panicked: the script says so"), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_is_lost_each_time_is_an_error_of_nobodys_answer() {
    let harness = Harness::new(World { problems_per_level: 2, ..World::default() });
    let mut problem = harness.store.problems().unwrap().swap_remove(0);
    problem.id = still_domain::ProblemId::new("explore-1-unlucky");
    problem.text = "level 1: 2*7=? lose".to_owned();
    problem.split = still_domain::Split::Explore;
    harness.store.import_problems(&[problem.clone()]).unwrap();
    let mut config = SystemConfig { lockstep: true, ..config(1) };
    // so few that others have taken them all when it comes back: it waits for one, and is not drawn again
    config.exploration.in_flight_attempts = 2;
    assert_eq!(harness.run(config).await, FinishReason::RoundsDone);
    let pool = harness.pool();
    let unlucky: Vec<_> = pool.iter().filter(|judged| judged.id().problem == problem.id).collect();
    assert!(!unlucky.is_empty());
    for judged in unlucky {
        assert_eq!(judged.verdict.outcome, Outcome::Error);
        assert!(judged.verdict.rule.as_ref().unwrap().starts_with("lost 3 times"), "{:?}", judged.verdict);
        assert_eq!(judged.verdict.verifier, "scripted 1", "only the verifier makes verdicts");
        assert_eq!(harness.script.rollouts()[judged.id()].len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_learner_that_hangs_is_given_up_and_its_job_goes_on_from_the_checkpoint() {
    let harness = Harness::new(World::default());
    let mut config = config(1);
    config.supervision.max_silence_ms = 1_000;
    let system = harness.start(config).await;
    let mut events = system.subscribe();
    wait_for(&system, &mut events, |event| matches!(event, Event::Checkpointed { step: 3, .. })).await;
    harness.script.training.close();
    let hung = |event: &Event| matches!(event, Event::DeviceFailed { device, reason, .. } if device == "learner" && reason.contains("nothing was heard"));
    wait_for(&system, &mut events, hung).await;
    harness.script.training.open();
    assert_eq!(finished(&system).await, FinishReason::RoundsDone);
    assert_eq!(system.status().actors[ActorName::Trainer.ordinal()].restarts, 0);
    let jobs = harness.script.jobs();
    assert!(jobs[1].resumed_step >= 3 && jobs[1].round == jobs[0].round, "{jobs:?}");
    assert_eq!(harness.rounds().len(), 2);
}
