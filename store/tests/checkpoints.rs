//! What the folders of checkpoints promise: whole or not there, damage reported, leftovers swept, the needed kept.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod samples;

use std::fs;

use samples::{manifest_of, policy, training_set};
use still_domain::{CheckpointManifest, PolicyOrigin, PolicyRecord, PolicyVersion, RoundNumber};
use still_store::{CheckpointFolders, CheckpointsSection, Fault, FaultPlan, Store, WrittenCheckpoint};

/// A checkpoint of round 1 whose files are written.
fn written(step: u64) -> WrittenCheckpoint {
    WrittenCheckpoint {
        round: RoundNumber(1),
        step,
        training_set: training_set(1, &["p#0"]).id,
        is_final: false,
        went_back_to: None,
        now_ms: 0,
    }
}

/// Writes and commits a checkpoint of round 1.
fn commit(folders: &CheckpointFolders, step: u64, content: &str, is_final: bool) -> CheckpointManifest {
    let folder = folders.begin(RoundNumber(1), step).unwrap();
    fs::write(folder.join("weights"), content).unwrap();
    folders.commit(WrittenCheckpoint { is_final, ..written(step) }).unwrap()
}

/// The steps of round 1 whose files are as they were written, newest first, and the damaged ones.
fn checked(folders: &CheckpointFolders) -> (Vec<u64>, Vec<u64>) {
    let known = folders.newest_first(RoundNumber(1), &training_set(1, &["p#0"]).id).unwrap();
    let (intact, damaged): (Vec<_>, Vec<_>) = known.iter().partition(|one| folders.check(one).is_ok());
    (intact.iter().map(|one| one.step).collect(), damaged.iter().map(|one| one.step).collect())
}

#[test]
fn a_damaged_checkpoint_is_passed_over_and_reported() {
    let data = tempfile::tempdir().unwrap();
    let store = Store::in_memory().unwrap();
    let folders = CheckpointFolders::open(data.path(), store.clone()).unwrap();
    for step in [10, 20] {
        commit(&folders, step, &format!("at {step}"), step == 20);
    }
    let set = training_set(1, &["p#0"]).id;
    let newest = manifest_of(&store, 20);
    assert_eq!(checked(&folders), (vec![20, 10], vec![]));
    assert_eq!(folders.finished(RoundNumber(1), &set).unwrap().as_ref(), Some(&newest.id));

    fs::write(folders.folder(&newest.id).join("weights"), "at 2O").unwrap();
    assert_eq!(checked(&folders), (vec![10], vec![20]));
    assert!(!folders.is_intact(&newest.id).unwrap());
    assert!(folders.is_intact(&manifest_of(&store, 10).id).unwrap());
    assert_eq!(folders.check(&newest).unwrap_err().checkpoint, newest.id);
    assert_eq!(folders.finished(RoundNumber(1), &set).unwrap(), None);
    fs::remove_file(folders.folder(&newest.id).join("weights")).unwrap();
    assert_eq!(checked(&folders), (vec![10], vec![20]));
    let other = training_set(1, &["p#1"]);
    assert!(folders.newest_first(RoundNumber(1), &other.id).unwrap().is_empty(), "of another set");
}

#[test]
fn what_a_crash_left_is_swept_and_old_checkpoints_go_but_published_ones_stay() {
    let data = tempfile::tempdir().unwrap();
    let store = Store::in_memory().unwrap();
    let folders = CheckpointFolders::open(data.path(), store.clone()).unwrap();
    for step in 1..=4 {
        commit(&folders, step, "x", false);
    }
    let unfinished = folders.begin(RoundNumber(1), 5).unwrap();
    fs::write(unfinished.join("weights"), "half").unwrap();
    store.publish(&policy(1, "round-1-step-1")).unwrap();

    let folders = CheckpointFolders::open(data.path(), store.clone()).unwrap();
    assert!(!unfinished.exists());
    let newest = manifest_of(&store, 4).id;
    let removed = folders
        .retain_by(
            &CheckpointsSection {
                keep_last: 2,
                keep_best: 0,
                keep_every_rounds: 0,
                keep_published: 0,
                ..CheckpointsSection::default()
            },
            &newest,
        )
        .unwrap();
    assert_eq!(removed.iter().map(ToString::to_string).collect::<Vec<_>>(), ["round-1-step-2"]);
    let steps: Vec<_> = store.checkpoints().unwrap().into_iter().map(|manifest| manifest.step).collect();
    assert_eq!(steps, [1, 3, 4]);
    assert!(folders.folder(&policy(1, "round-1-step-1").checkpoint.unwrap()).exists());
}

#[test]
fn a_checkpoint_whose_manifest_fails_does_not_exist_and_may_be_made_again() {
    let data = tempfile::tempdir().unwrap();
    let store = Store::failing(FaultPlan { first: 1, count: 1, fault: Fault::Refused }).unwrap();
    let folders = CheckpointFolders::open(data.path(), store.clone()).unwrap();
    fs::write(folders.begin(RoundNumber(1), 5).unwrap().join("weights"), "x").unwrap();
    assert!(folders.commit(written(5)).is_err());
    assert_eq!(checked(&folders), (vec![], vec![]));
    commit(&folders, 5, "again", false);
    assert_eq!(checked(&folders), (vec![5], vec![]));
}

#[test]
fn the_same_step_again_replaces_the_checkpoint() {
    let data = tempfile::tempdir().unwrap();
    let store = Store::in_memory().unwrap();
    let folders = CheckpointFolders::open(data.path(), store.clone()).unwrap();
    commit(&folders, 5, "first", false);
    let second = commit(&folders, 5, "second", true);
    assert_eq!(store.checkpoints().unwrap(), std::slice::from_ref(&second));
    folders.check(&second).unwrap();
}

#[test]
fn what_is_not_a_checkpoint_is_left_alone_and_a_folder_inside_one_belongs_to_it() {
    let data = tempfile::tempdir().unwrap();
    fs::create_dir(data.path().join("my-notes")).unwrap();
    fs::create_dir(data.path().join("round-9-step-1")).unwrap();
    let folders = CheckpointFolders::open(data.path(), Store::in_memory().unwrap()).unwrap();
    assert!(data.path().join("my-notes").exists());
    assert!(!data.path().join("round-9-step-1").exists(), "no manifest names it");
    let inner = folders.begin(RoundNumber(1), 1).unwrap().join("inner");
    fs::create_dir(&inner).unwrap();
    fs::write(inner.join("adapter"), "x").unwrap();
    let manifest = folders.commit(written(1)).unwrap();
    assert_eq!(manifest.files[0].name, "inner/adapter");
    folders.check(&manifest).unwrap();
    fs::write(folders.folder(&manifest.id).join("inner/adapter"), "y").unwrap();
    assert!(folders.check(&manifest).unwrap_err().reason.contains("inner/adapter"));
}

#[test]
fn a_policy_whose_checkpoint_went_is_not_put_in_force_again() {
    let data = tempfile::tempdir().unwrap();
    let store = Store::in_memory().unwrap();
    let folders = CheckpointFolders::open(data.path(), store.clone()).unwrap();
    for step in 1..=3 {
        commit(&folders, step, "x", true);
        store.publish(&policy(step, &format!("round-1-step-{step}"))).unwrap();
    }
    let retention = CheckpointsSection {
        keep_last: 1,
        keep_best: 0,
        keep_every_rounds: 0,
        keep_published: 2,
        ..CheckpointsSection::default()
    };
    let removed = folders.retain_by(&retention, &manifest_of(&store, 3).id).unwrap();
    assert_eq!(removed.iter().map(ToString::to_string).collect::<Vec<_>>(), ["round-1-step-1"]);
    let again = |version, earlier: u64| PolicyRecord {
        origin: PolicyOrigin::Operator(PolicyVersion(earlier)),
        ..policy(version, &format!("round-1-step-{earlier}"))
    };
    let error = store.publish(&again(4, 1)).unwrap_err().to_string();
    assert!(error.contains("round-1-step-1 is gone") && error.contains("keep_published"), "{error}");
    store.publish(&again(4, 2)).unwrap();
    assert_eq!(store.policies().unwrap().len(), 4, "every policy stays on record");
}

#[test]
fn retention_removes_records_and_files_of_what_it_does_not_keep() {
    let data = tempfile::tempdir().unwrap();
    let store = Store::in_memory().unwrap();
    let folders = CheckpointFolders::open(data.path(), store.clone()).unwrap();
    for step in 1..=4 {
        commit(&folders, step, "x", step == 2);
    }
    let newest = manifest_of(&store, 4).id;
    let removed = folders
        .retain_by(
            &CheckpointsSection {
                keep_last: 1,
                keep_best: 0,
                keep_every_rounds: 1,
                keep_published: 0,
                ..CheckpointsSection::default()
            },
            &newest,
        )
        .unwrap();
    assert_eq!(removed.len(), 2);
    let steps: Vec<_> = store.checkpoints().unwrap().iter().map(|manifest| manifest.step).collect();
    assert_eq!(steps, [2, 4]);
    assert_eq!(fs::read_dir(data.path()).unwrap().count(), 2);
}

fn steps(store: &Store) -> Vec<u64> {
    store.checkpoints().unwrap().iter().map(|manifest| manifest.step).collect()
}

#[test]
fn the_checkpoint_just_committed_stays_though_others_have_taken_more_steps() {
    let data = tempfile::tempdir().unwrap();
    let store = Store::in_memory().unwrap();
    let folders = CheckpointFolders::open(data.path(), store.clone()).unwrap();
    for step in [900, 953, 500] {
        commit(&folders, step, "x", false);
    }
    let committed = manifest_of(&store, 500).id;
    folders
        .retain_by(
            &CheckpointsSection {
                keep_last: 1,
                keep_best: 0,
                keep_every_rounds: 0,
                keep_published: 0,
                ..CheckpointsSection::default()
            },
            &committed,
        )
        .unwrap();
    assert!(steps(&store).contains(&500));
    assert!(folders.is_intact(&committed).unwrap());
}

#[test]
fn a_commit_that_goes_back_removes_the_rounds_later_checkpoints_but_published_ones() {
    let data = tempfile::tempdir().unwrap();
    let store = Store::in_memory().unwrap();
    let folders = CheckpointFolders::open(data.path(), store.clone()).unwrap();
    for step in [100, 200, 300, 400] {
        commit(&folders, step, "x", false);
    }
    folders.begin(RoundNumber(2), 300).unwrap();
    let training_set = training_set(2, &["p#0"]).id;
    folders.commit(WrittenCheckpoint { round: RoundNumber(2), training_set, ..written(300) }).unwrap();
    store.publish(&policy(1, "round-1-step-300")).unwrap();
    fs::write(folders.begin(RoundNumber(1), 150).unwrap().join("weights"), "again").unwrap();
    folders.commit(WrittenCheckpoint { went_back_to: Some(100), ..written(150) }).unwrap();
    assert_eq!(steps(&store), [100, 150, 300, 300], "by round: the other round's is its own");
    assert!(!data.path().join("round-1-step-400").exists());
}

#[test]
fn no_checkpoint_is_older_than_one_committed_before_it_though_the_clock_goes_back() {
    let data = tempfile::tempdir().unwrap();
    let folders = CheckpointFolders::open(data.path(), Store::in_memory().unwrap()).unwrap();
    let at = |step, now_ms| {
        folders.begin(RoundNumber(1), step).unwrap();
        folders.commit(WrittenCheckpoint { now_ms, ..written(step) }).unwrap()
    };
    assert_eq!((at(20, 9).created_at_ms, at(10, 5).created_at_ms), (9, 9));
}
