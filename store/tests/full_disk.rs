//! A real file that may not grow: sled itself fails, and what was acknowledged is there afterwards.
//!
//! The test runs itself as the child, under a limit on the size of files that stands for the full disk.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

mod samples;

use std::{
    env,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Command, Stdio},
};

use samples::judged;
use still_domain::{JudgedTrajectory, Outcome};
use still_store::{Store, StoreError};

const CHILD: &str = "STILL_STORE_FULL_DISK_CHILD";
const TEST: &str = "a_full_disk_is_an_error_and_nothing_acknowledged_is_lost";
/// Units of 512 bytes, as the shell counts them.
const LIMIT: &str = "4096";
const GROUP: u32 = 16;

fn members(group: u32) -> Vec<JudgedTrajectory> {
    let member = |number| {
        let mut judged = judged(&format!("{group:08}"), number, Outcome::Wrong);
        judged.trajectory.text = "wait, ".repeat(300);
        judged
    };
    (0..GROUP).map(member).collect()
}

/// Commits groups until the disk is full, then sees that the store refuses everything.
fn commit_until_it_is_full(data_dir: &Path) {
    let store = Store::open(data_dir).unwrap();
    for group in 0.. {
        match store.commit_trajectories(&members(group)) {
            Ok(_) => println!("{group}"),
            Err(error) => {
                assert!(matches!(error, StoreError::Engine { .. }), "{error:?}");
                assert!(error.to_string().contains("is the disk full?"), "{error}");
                break;
            }
        }
    }
    let again = store.commit_trajectories(&members(0)).unwrap_err();
    assert!(again.to_string().contains("must be opened anew"), "{again}");
    assert!(store.last_sequence().is_err(), "nothing half written is shown");
    println!("refused");
    // the limit stays: whatever the engine would do at its end is not this test's matter
    std::process::exit(0);
}

#[test]
fn a_full_disk_is_an_error_and_nothing_acknowledged_is_lost() {
    if let Ok(data_dir) = env::var(CHILD) {
        commit_until_it_is_full(Path::new(&data_dir));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new("sh")
        .args(["-c", &format!("trap '' XFSZ; ulimit -f {LIMIT}; exec \"$0\" \"$@\"")])
        .arg(env::current_exe().unwrap())
        .args(["--exact", TEST, "--nocapture"])
        .env(CHILD, folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: Vec<_> = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok).collect();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success(), "{said}");
    assert!(lines.iter().any(|line| line == "refused"), "{lines:?} {said}");
    let acknowledged = lines.iter().filter_map(|line| line.trim().parse::<u32>().ok()).max();
    let acknowledged = acknowledged.expect("some groups fit");

    let store = Store::open_existing(folder.path()).unwrap();
    let pool: Vec<_> = store.trajectories().map(Result::unwrap).collect();
    assert_eq!(pool.len() as u64, store.last_sequence().unwrap());
    let groups = pool.len() as u32 / GROUP;
    assert!(groups > acknowledged, "{groups} of {acknowledged} acknowledged");
    assert_eq!(pool, (0..groups).flat_map(members).collect::<Vec<_>>(), "only whole groups");
    // room again: the loop goes on
    store.commit_trajectories(&members(groups)).unwrap();
    println!("{groups} groups fitted, {acknowledged} the last acknowledged");
}
