//! A process that commits is killed again and again; what it acknowledged is there, group by group.
//!
//! The test runs itself as the child: the child commits groups of four and prints each group's number after
//! the commits returned. Every third group is of long thoughts, which the engine keeps in files of their own;
//! with every group a round moves on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

mod samples;

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use samples::{judged, round, training_set};
use still_domain::{JudgedTrajectory, Outcome, RoundNumber, RoundPhase};
use still_store::Store;

const CHILD: &str = "STILL_STORE_CRASH_CHILD";
const TEST: &str = "nothing_acknowledged_is_lost_and_nothing_is_half_there";
const GROUP: u32 = 4;
const KILLS: u32 = 36;
const LONG_THOUGHT_TOKENS: u32 = 15_000;

fn members(group: u32) -> Vec<JudgedTrajectory> {
    let member = |number| {
        let mut judged = judged(&format!("{group:08}"), number, Outcome::Correct);
        if group.is_multiple_of(3) {
            judged.trajectory.tokens = (0..LONG_THOUGHT_TOKENS).collect();
            judged.trajectory.log_probabilities = vec![-0.5; LONG_THOUGHT_TOKENS as usize];
        }
        judged
    };
    (0..GROUP).map(member).collect()
}

/// Commits groups and seals a round with each until it is killed, from the first round that is not there.
fn commit_for_ever(data_dir: &Path) {
    let store = Store::open(data_dir).unwrap();
    let mut group = store.rounds().unwrap().len() as u32;
    loop {
        store.commit_trajectories(&members(group)).unwrap();
        let set = training_set(group, &[&format!("{group:08}#0")]);
        store.seal_round(&set, &round(group, RoundPhase::Training, Some(&set)), None).unwrap();
        println!("{group}");
        std::io::stdout().flush().unwrap();
        group += 1;
    }
}

/// Checks a store of which `acknowledged` rounds are known to have been there; gives how many are.
fn check(store: &Store, acknowledged: u32) -> u32 {
    let rounds = store.rounds().unwrap().len() as u32;
    assert!(
        (acknowledged..=acknowledged + 1).contains(&rounds),
        "{acknowledged} acknowledged, {rounds} there"
    );
    for round in 0..rounds {
        let set = store.training_set_of(RoundNumber(round)).unwrap();
        assert!(set.is_some_and(|set| set.is_intact()), "round {round} has lost its set");
    }
    assert_eq!(store.training_sets().unwrap().len() as u32, rounds, "a round and its set are one commit");

    let mut groups: BTreeMap<u32, u32> = BTreeMap::new();
    for judged in store.trajectories() {
        let judged = judged.unwrap();
        let group = judged.problem().as_str().parse().unwrap();
        assert_eq!(judged, members(group)[judged.id().number.0 as usize]);
        *groups.entry(group).or_default() += 1;
    }
    assert!(groups.values().all(|members| *members == GROUP), "a group is half there: {groups:?}");
    let count = groups.len() as u32;
    assert!(groups.keys().copied().eq(0..count), "{groups:?}");
    assert!((rounds..=rounds + 1).contains(&count), "{rounds} rounds, {count} groups");
    let sequences = store.facts_since(0).map(|fact| fact.unwrap().sequence);
    assert!(sequences.eq(1..=u64::from(count * GROUP)), "a fact is missing or double");
    rounds
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_half_there() {
    if let Ok(data_dir) = env::var(CHILD) {
        commit_for_ever(Path::new(&data_dir));
    }
    let folder = tempfile::tempdir().unwrap();
    drop(Store::open(folder.path()).unwrap());
    let (mut acknowledged, start) = (0, Instant::now());
    for kill in 0..KILLS {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", TEST, "--nocapture"])
            .env(CHILD, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut numbers = lines.filter_map(|line| line.trim().parse::<u32>().ok());
        if kill % 2 == 0 {
            // at some moment of a commit: after a different number of acknowledgements each time
            for _ in 0..=(kill * 7 % 5) {
                acknowledged = numbers.next().expect("the child commits") + 1;
            }
        } else {
            // at any moment, opening and recovery included: a moment that no event of the child's stands for
            std::thread::sleep(Duration::from_micros(u64::from(kill) * 1_700 % 40_000));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged = numbers.last().map_or(acknowledged, |group| group + 1);
        acknowledged = check(&Store::open_existing(folder.path()).unwrap(), acknowledged);
    }
    println!("{KILLS} kills, {acknowledged} rounds, in {:.1} s", start.elapsed().as_secs_f64());
}
