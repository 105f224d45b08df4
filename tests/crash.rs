//! `kill -9` at any moment loses nothing that was acknowledged, and the same command goes on.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod harness;

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use harness::{Daemon, SMALL, pool, rounds};
use serde_json::Value;

/// Rounds after the imitation.
const ROUNDS: u32 = 2;
/// After this many kills a run may finish.
const MAX_KILLS: u32 = 20;
/// A fifth of the whole time at most between two kills leaves room for at least these.
const FEWEST_KILLS: u32 = 3;

/// The pool by attempt.
fn by_id(data_dir: &Path) -> BTreeMap<String, Value> {
    let lines = pool(data_dir);
    let count = lines.len();
    let map: BTreeMap<_, _> =
        lines.into_iter().map(|line| (line["id"].as_str().unwrap().to_owned(), line)).collect();
    assert_eq!(map.len(), count, "an attempt is in the pool twice");
    map
}

fn training_sets(data_dir: &Path) -> Vec<Value> {
    rounds(data_dir).iter().map(|round| round["training_set"].clone()).collect()
}

/// An uninterrupted run, and how long it takes on this machine as it is now.
fn run_calmly(data_dir: &Path, rounds: u32, settings: &[&str]) -> Duration {
    let begin = Instant::now();
    let (status, output) = Daemon::start(data_dir, rounds, settings).finish();
    assert!(status.success(), "{output}");
    begin.elapsed()
}

/// Runs to the end while killing the daemon again and again; gives how often it was killed.
///
/// The moments are pseudo-random, `longest` at most, which is a share of what a calm run takes: whether the
/// machine is quick or slow, some fall in start-up, some in every phase, and several before the run can end.
fn run_with_kills(data_dir: &Path, rounds: u32, settings: &[&str], longest: Duration) -> u32 {
    let mut kills = 0;
    let mut acknowledged = BTreeMap::new();
    loop {
        let mut daemon = Daemon::start(data_dir, rounds, settings);
        let moment = longest * (1 + kills * 7919 % 23) / 23;
        if kills < MAX_KILLS && !daemon.ends_within(moment) {
            daemon.kill();
            kills += 1;
            if data_dir.join("store").exists() {
                let now = by_id(data_dir);
                for (id, before) in &acknowledged {
                    assert_eq!(now.get(id), Some(before), "{id} was acknowledged and is gone or changed");
                }
                acknowledged = now;
            }
            continue;
        }
        let (status, output) = daemon.finish();
        assert!(status.success(), "after {kills} kills:\n{output}");
        return kills;
    }
}

#[test]
fn a_killed_lockstep_run_seals_the_very_sets_of_an_uninterrupted_one() {
    let settings = [SMALL, &["run.lockstep=true"]].concat();
    let (calm, stormy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let duration = run_calmly(calm.path(), ROUNDS, &settings);
    let kills = run_with_kills(stormy.path(), ROUNDS, &settings, duration / 5);
    assert!(kills >= FEWEST_KILLS, "the run ended before it could be killed: {kills}");

    assert_eq!(training_sets(stormy.path()), training_sets(calm.path()), "after {kills} kills");
    assert_eq!(by_id(stormy.path()), by_id(calm.path()), "after {kills} kills");
}

#[test]
fn a_killed_free_run_keeps_what_it_acknowledged_and_finishes() {
    let (calm, stormy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let duration = run_calmly(calm.path(), ROUNDS, SMALL);
    let kills = run_with_kills(stormy.path(), ROUNDS, SMALL, duration / 5);
    assert!(kills >= FEWEST_KILLS, "the run ended before it could be killed: {kills}");
    let rounds = rounds(stormy.path());
    assert_eq!(rounds.len(), ROUNDS as usize + 1);
    assert!(rounds.iter().all(|round| round["phase"] == "promoted" || round["phase"] == "rejected"));
}

#[test]
#[ignore = "takes a quarter of an hour: run by .ci/long"]
fn the_whole_quick_start_survives_twenty_kills_and_learns_as_well() {
    const ROUNDS: u32 = 5;
    let (calm, stormy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let duration = run_calmly(calm.path(), ROUNDS, &[]);
    let kills = run_with_kills(stormy.path(), ROUNDS, &[], duration / 20);
    let hard = |data_dir: &Path| {
        let rounds = rounds(data_dir);
        assert_eq!(rounds.len(), ROUNDS as usize + 1);
        rounds.last().unwrap()["evaluation"]["hard_accuracy"]["value"].as_f64().unwrap()
    };
    let (without, with) = (hard(calm.path()), hard(stormy.path()));
    eprintln!("hard accuracy {without:.3} in {duration:.0?} without a kill, {with:.3} with {kills}");
    assert_eq!(kills, MAX_KILLS);
    assert!((with - without).abs() < 0.12, "{with} after {kills} kills, {without} without");
}
