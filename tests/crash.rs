//! `kill -9` at any moment loses nothing that was acknowledged, and the same command goes on.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod harness;

use std::{collections::BTreeMap, path::Path, time::Duration};

use harness::{Daemon, SMALL, pool, rounds};
use serde_json::Value;

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

/// Runs to the end while killing the daemon again and again, later and later; gives how often it was killed.
fn run_with_kills(data_dir: &Path, settings: &[&str]) -> u32 {
    let mut kills = 0;
    let mut acknowledged = BTreeMap::new();
    loop {
        let mut daemon = Daemon::start(data_dir, 2, settings);
        // pseudo-random moments from the number of the kill: some in start-up, some in every phase
        let moment = Duration::from_millis(150 + u64::from(kills * 7919 % 23) * 90);
        if kills < 12 && !daemon.ends_within(moment) {
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
    let (status, output) = Daemon::start(calm.path(), 2, &settings).finish();
    assert!(status.success(), "{output}");
    let kills = run_with_kills(stormy.path(), &settings);
    assert!(kills >= 3, "the run ended before it could be killed: {kills}");

    assert_eq!(training_sets(stormy.path()), training_sets(calm.path()), "after {kills} kills");
    assert_eq!(by_id(stormy.path()), by_id(calm.path()), "after {kills} kills");
}

#[test]
fn a_killed_free_run_keeps_what_it_acknowledged_and_finishes() {
    let folder = tempfile::tempdir().unwrap();
    let kills = run_with_kills(folder.path(), SMALL);
    assert!(kills >= 3, "the run ended before it could be killed: {kills}");
    let rounds = rounds(folder.path());
    assert_eq!(rounds.len(), 3);
    assert!(rounds.iter().all(|round| round["phase"] == "promoted" || round["phase"] == "rejected"));
}
