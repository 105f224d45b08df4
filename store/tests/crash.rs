//! A process that commits is killed again and again; what it acknowledged is there, group by group.
//!
//! The test runs itself as the child: the child commits groups of four and prints each group's number after
//! the commit returned.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

mod samples;

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use samples::judged;
use still_domain::Outcome;
use still_store::Store;

const CHILD: &str = "STILL_STORE_CRASH_CHILD";
const GROUP: u32 = 4;
const KILLS: usize = 25;

/// Commits groups until it is killed, from the first that is not there.
fn commit_for_ever(data_dir: &Path) {
    let store = Store::open(data_dir).unwrap();
    let mut group = groups(&store).len() as u32;
    loop {
        let members: Vec<_> =
            (0..GROUP).map(|member| judged(&format!("{group:08}"), member, Outcome::Correct)).collect();
        store.commit_trajectories(&members).unwrap();
        println!("{group}");
        std::io::stdout().flush().unwrap();
        group += 1;
    }
}

/// Members of every group that is there.
fn groups(store: &Store) -> BTreeMap<u32, u32> {
    let mut groups = BTreeMap::new();
    store
        .each_trajectory(|judged| {
            *groups.entry(judged.problem().as_str().parse().unwrap()).or_default() += 1;
            Ok(())
        })
        .unwrap();
    groups
}

#[test]
fn nothing_acknowledged_is_lost_and_no_group_is_half_there() {
    if let Ok(data_dir) = env::var(CHILD) {
        commit_for_ever(Path::new(&data_dir));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = None;
    for kill in 0..KILLS {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "nothing_acknowledged_is_lost_and_no_group_is_half_there", "--nocapture"])
            .env(CHILD, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // killed after a different number of acknowledgements each time, with a commit under way
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut numbers = lines.filter_map(|line| line.trim().parse::<u32>().ok());
        for _ in 0..=(kill * 7 % 11) {
            acknowledged = Some(numbers.next().expect("the child commits"));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged = numbers.last().or(acknowledged);

        let store = Store::open_existing(folder.path()).unwrap();
        let groups = groups(&store);
        let last = acknowledged.unwrap();
        assert!(
            (0..=last).all(|group| groups.contains_key(&group)),
            "{last} was acknowledged, of {groups:?}"
        );
        assert!(groups.values().all(|members| *members == GROUP), "{groups:?}");
        assert!(groups.len() as u32 <= last + 2, "at most one group was under way");
    }
}
