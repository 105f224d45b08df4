//! A verifier that fails or panics: what it costs, what is counted, and when the alarm is raised.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::sync::atomic::Ordering;

use still_actors::{Event, FinishReason, SystemConfig};
use still_domain::{AttemptId, Outcome};
use still_telemetry::Exporter;
use still_testkit::{
    Harness, World,
    harness::{config, finished, wait_for},
};
use tokio::sync::broadcast::error::TryRecvError;

/// Judgements in the alarm's window.
const WINDOW: usize = 20;

fn watched(rounds: u32) -> SystemConfig {
    let mut config = config(rounds);
    config.verifiers.alarm_window = WINDOW;
    config.verifiers.alarm_error_share = 0.25;
    // one judgement after the other, so that a script is gone through in order
    config.verifiers.workers = 1;
    config
}

/// Runs a test on one thread, so that its metrics are its own.
fn on_one_thread<T>(test: impl AsyncFnOnce(&Exporter) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    Exporter::within(|exporter| runtime.block_on(test(exporter))).unwrap()
}

/// The value of a metric without labels.
fn shown(exporter: &Exporter, name: &str) -> f64 {
    let page = exporter.render();
    let line = page.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("{name} is not in\n{page}")).parse().unwrap()
}

fn is_alarm(event: &Event) -> bool {
    matches!(event, Event::Warning { message } if message.contains("judgements failed"))
}

#[test]
fn a_judgement_that_fails_once_is_tried_again_and_none_is_lost() {
    on_one_thread(async |exporter| {
        let harness = Harness::new(World::default());
        harness.script.verifier_errors.store(1, Ordering::SeqCst);
        assert_eq!(harness.run(watched(1)).await, FinishReason::RoundsDone);
        assert!(harness.pool().iter().all(|judged| judged.verdict.outcome != Outcome::Error));
        assert!(shown(exporter, "still_verifier_failures_total").abs() < f64::EPSILON);
        assert!(shown(exporter, "still_verifier_judgements_total") >= harness.pool().len() as f64);
    });
}

#[test]
fn the_alarm_is_raised_while_judgements_fail_and_says_why() {
    on_one_thread(async |exporter| {
        let harness = Harness::new(World::default());
        harness.script.verifier_errors.store(u32::MAX, Ordering::SeqCst);
        let system = harness.start(watched(1)).await;
        let mut events = system.subscribe();
        let Event::Warning { message } = wait_for(&system, &mut events, is_alarm).await else {
            unreachable!()
        };
        assert!(message.ends_with("the last one: the script says so"), "{message}");
        assert!((shown(exporter, "still_verifier_error_alarm") - 1.0).abs() < f64::EPSILON);
        assert!((shown(exporter, "still_verifier_recent_error_ratio") - 1.0).abs() < f64::EPSILON);
        assert!(shown(exporter, "still_verifier_failures_total") > 5.0);
        assert!(system.status().actors.iter().all(|actor| actor.restarts == 0));
        system.stop();
        assert_eq!(finished(&system).await, FinishReason::Stopped);
    });
}

#[test]
fn an_outage_fills_no_quota_and_little_is_attempted_while_it_lasts() {
    on_one_thread(async |_| {
        let harness = Harness::new(World::default());
        harness.script.verifier_errors.store(u32::MAX, Ordering::SeqCst);
        let system = harness.start(watched(1)).await;
        let mut events = system.subscribe();
        // imitation is scored by no answer at all; then exploration begins
        wait_for(&system, &mut events, is_alarm).await;
        let explored = |event: &Event| matches!(event, Event::Explored { round, pool, .. } if round.0 == 1 && *pool >= 40);
        wait_for(&system, &mut events, explored).await;
        let on_their_way = harness.script.rollouts().keys().filter(|id| is_explored(id)).count();
        assert!(on_their_way <= harness.pool().len() + 1, "one at a time: {on_their_way}");
        harness.script.verifier_errors.store(0, Ordering::SeqCst);
        assert_eq!(finished(&system).await, FinishReason::RoundsDone);
        let outcomes = harness.rounds()[1].tally.outcomes.clone();
        let errors = outcomes[&Outcome::Error];
        assert!(errors >= 40 && outcomes.values().sum::<u64>() - errors >= 60, "{outcomes:?}");
    });
}

fn is_explored(id: &AttemptId) -> bool {
    id.problem.as_str().starts_with("explore")
}

#[test]
fn the_alarm_falls_when_judgements_succeed_again_and_has_rung_once() {
    on_one_thread(async |exporter| {
        let harness = Harness::new(World::default());
        // a judgement takes two tries: eight judgements that panic, then all is well
        harness.script.verifier_panics.store(16, Ordering::SeqCst);
        let system = harness.start(watched(2)).await;
        let mut events = system.subscribe();
        assert_eq!(finished(&system).await, FinishReason::RoundsDone);
        let mut alarms = 0;
        loop {
            match events.try_recv() {
                Ok(event) => alarms += usize::from(is_alarm(&event)),
                Err(TryRecvError::Lagged(count)) => panic!("{count} events were missed"),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        assert_eq!(alarms, 1);
        assert!((shown(exporter, "still_verifier_failures_total") - 8.0).abs() < f64::EPSILON);
        assert!(shown(exporter, "still_verifier_error_alarm").abs() < f64::EPSILON);
        assert!(shown(exporter, "still_verifier_recent_error_ratio") < 0.2);
    });
}
