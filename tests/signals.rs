//! The first signal drains, the second ends at once, and either way nothing acknowledged is lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod harness;

use std::{collections::BTreeSet, fs::File, path::Path, process::Command};

use harness::{Daemon, Watch, ids, pool, rounds, small, stillctl};
use serde_json::Value;

/// More attempts in flight than any machine finishes before a second signal comes.
const CROWDED: &[&str] = &[
    "round.problems=1000000",
    "exploration.attempts_per_problem=100000",
    "exploration.attempts_per_policy=100000",
    "exploration.stop_after_correct=100000",
    "exploration.concurrent_rollouts=2",
    "exploration.in_flight_attempts=20000",
];

/// The names of all trajectories that a running daemon shows.
fn exported(data: &Path) -> BTreeSet<String> {
    let output = stillctl(data, &["pool", "export"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let line = |line: &str| serde_json::from_str::<Value>(line).unwrap()["trajectory"].clone();
    ids(&text.lines().map(line).collect::<Vec<_>>())
}

#[test]
fn a_signal_while_exploring_drains_and_the_same_command_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let settings = small(&["round.problems=100"]);
    for signal in ["TERM", "INT"] {
        let mut daemon = Daemon::start(data, 0, &settings);
        daemon.wait_until_up();
        let mut watch = Watch::start(data);
        watch.wait_for("explored", |event| event["judged"].as_u64().unwrap() > 5);
        let acknowledged = exported(data);
        assert!(!acknowledged.is_empty());
        daemon.signal(signal);
        let (status, output) = daemon.finish();
        assert_eq!(status.code(), Some(0), "SIG{signal}: {output}");
        assert!(output.contains("a second signal ends at once"), "{output}");
        assert!(output.contains("drained"), "it says why it ended: {output}");
        assert!(watch.finish().0.success());
        assert!(ids(&pool(data)).is_superset(&acknowledged), "SIG{signal}");
    }
    let before = rounds(data);
    let wanted = before.len() as u32;
    let (status, output) = Daemon::start(data, wanted, &settings).finish();
    assert!(status.success(), "{output}");
    let after = rounds(data);
    assert_eq!(after.len() as u32, wanted + 1, "imitation and the rounds wanted");
    assert!(after.iter().all(|round| ["promoted", "rejected"].contains(&round["phase"].as_str().unwrap())));
    assert_eq!(after[0], before[0], "imitation was not done again");
    ids(&pool(data));
}

#[test]
fn a_signal_while_training_saves_the_step_and_the_next_run_goes_on_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let settings = small(&["training.imitation.steps=1000000", "checkpoints.every_steps=0"]);
    let mut daemon = Daemon::start(data, 1, &settings);
    daemon.wait_until_up();
    let mut watch = Watch::start(data);
    watch.wait_for("trained", |event| event["step"].as_u64().unwrap() >= 5);
    daemon.signal("TERM");
    let (status, output) = daemon.finish();
    assert_eq!(status.code(), Some(0), "{output}");
    let events = watch.finish().1;
    let saved = events.iter().rev().find(|event| event["event"] == "checkpointed").expect("a checkpoint");
    let step = saved["step"].as_u64().unwrap();
    assert!(step >= 5);

    let mut daemon = Daemon::start(data, 1, &settings);
    daemon.wait_until_up();
    let mut watch = Watch::start(data);
    let first = watch.wait_for("trained", |_| true)["step"].as_u64().unwrap();
    assert!(first > step, "step {first} was taken again: {step} was saved");
    daemon.signal("TERM");
    assert_eq!(daemon.finish().0.code(), Some(0));
}

#[test]
fn a_second_signal_ends_at_once_and_loses_nothing_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let settings = small(CROWDED);
    let mut daemon = Daemon::start(data, 1, &settings);
    daemon.wait_until_up();
    let mut watch = Watch::start(data);
    watch.wait_for("explored", |event| event["judged"].as_u64().unwrap() > 5);
    let acknowledged = exported(data);
    daemon.signal("TERM");
    daemon.wait_for_line("draining");
    daemon.signal("TERM");
    let (status, output) = daemon.finish();
    assert_eq!(status.code(), Some(130), "{output}");
    assert!(ids(&pool(data)).is_superset(&acknowledged));

    // and so do two that come together
    let mut daemon = Daemon::start(data, 1, &settings);
    daemon.wait_until_up();
    let mut watch = Watch::start(data);
    watch.wait_for("explored", |_| true);
    daemon.signal("STOP");
    daemon.signal("TERM");
    daemon.signal("INT");
    daemon.signal("CONT");
    let (status, output) = daemon.finish();
    assert_eq!(status.code(), Some(130), "{output}");
    assert!(ids(&pool(data)).is_superset(&acknowledged));
}

#[test]
fn a_signal_while_the_daemon_is_starting_ends_it_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("problems.jsonl");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let files = format!("task.files.evaluation=[{pipe:?}]");
    let mut daemon = Daemon::start(&folder.path().join("data"), 1, &["task.source=files", &files]);
    // the file opens for writing once the daemon reads it, which lasts as long as it is open
    let held = File::options().write(true).open(&pipe).unwrap();
    daemon.signal("TERM");
    daemon.wait_for_line("ended while it was starting");
    drop(held);
    assert_eq!(daemon.finish().0.code(), Some(0));
}
