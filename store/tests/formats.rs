//! Stores that earlier programs wrote, one folder a format, are opened and read in full.
//!
//! With `STILL_WRITE_FORMAT=1` the folder of the present format is written anew first; do that only together with a new
//! format, never over a folder that was released.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod samples;

use std::{env, fs, path::Path};

use samples::{judged, policy, problem, round, training_set};
use still_domain::{
    Demonstration, DemonstrationId, JudgedTrajectory, Outcome, PolicyName, PolicyVersion, Rejection,
    RoundNumber, RoundPhase, Score, ScoredAnswer,
};
use still_store::{RunIdentity, Store};

/// Every format that there has been, the present one last.
const FORMATS: [&str; 3] = ["format-1", "format-2", PRESENT];
const PRESENT: &str = "format-3";

fn fixture(format: &str) -> std::path::PathBuf {
    Path::new("tests/fixtures").join(format)
}

fn identity() -> RunIdentity {
    RunIdentity { seed: 7, facts: [("model".to_owned(), "embedded".to_owned())].into() }
}

fn demonstration() -> Demonstration {
    Demonstration {
        id: DemonstrationId::new("d1"),
        problem: "6*7?".to_owned(),
        response: "<|begin_of_thought|>six times seven<|end_of_thought|>".to_owned(),
        gold: None,
        level: None,
        source: "test".to_owned(),
    }
}

fn pool() -> Vec<JudgedTrajectory> {
    let mut wrong = judged("p", 1, Outcome::NoAnswer);
    wrong.rejection = Some(Rejection::Truncated);
    wrong.verdict.extracted = Some("41".to_owned());
    vec![judged("p", 0, Outcome::Correct), wrong, judged("q", 0, Outcome::Timeout)]
}

fn score() -> Score {
    Score::of("p#0".parse().unwrap(), PolicyVersion(1), &judged("p", 0, Outcome::Correct).measures)
}

fn answer() -> ScoredAnswer {
    let JudgedTrajectory { trajectory, verdict, .. } = judged("q", 0, Outcome::Correct);
    ScoredAnswer {
        policy: PolicyName::BASE,
        id: trajectory.id,
        verdict,
        tokens: 2,
        finish: trajectory.finish,
        text: trajectory.text,
    }
}

fn fill(store: &Store) {
    store.identify(&identity()).unwrap();
    store.import_problems(&[problem("p", "42"), problem("q", "43")]).unwrap();
    store.import_demonstrations(&[demonstration()]).unwrap();
    store.commit_trajectories(&pool()).unwrap();
    store.put_scores(&[score()]).unwrap();
    store.put_scored_answers(&[answer()]).unwrap();
    let set = training_set(1, &["p#0"]);
    store.seal_round(&set, &round(1, RoundPhase::Training, Some(&set)), None).unwrap();
    let ended = round(1, RoundPhase::Promoted, Some(&set));
    store.finish_round(&ended, Some(&policy(1, "round-1-step-9"))).unwrap();
}

fn is_whole(store: &Store) {
    assert_eq!(store.identity().unwrap(), Some(identity()));
    assert_eq!(store.problems().unwrap(), [problem("p", "42"), problem("q", "43")]);
    assert_eq!(store.demonstrations().unwrap(), [demonstration()]);
    assert_eq!(store.trajectories().map(Result::unwrap).collect::<Vec<_>>(), pool());
    let facts = store.facts().unwrap();
    assert!(facts.iter().map(|fact| &fact.id).eq(pool().iter().map(JudgedTrajectory::id)));
    let set = training_set(1, &["p#0"]);
    assert_eq!(store.training_set_of(RoundNumber(1)).unwrap().as_ref(), Some(&set));
    assert_eq!(store.rounds().unwrap(), [round(1, RoundPhase::Promoted, Some(&set))]);
    assert_eq!(store.policies().unwrap(), [policy(1, "round-1-step-9")]);
}

#[test]
fn stores_of_every_format_are_read_in_full() {
    if env::var_os("STILL_WRITE_FORMAT").is_some() {
        write_the_fixture_of_the_present_format();
    }
    for format in FORMATS {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("store")).unwrap();
        for entry in fs::read_dir(fixture(format)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), folder.path().join("store").join(entry.file_name())).unwrap();
        }
        let looked_at = Store::open_read_only(folder.path());
        if format == PRESENT {
            let store = looked_at.unwrap();
            is_whole(&store);
            assert_eq!(store.scores(PolicyVersion(1)).unwrap().into_values().collect::<Vec<_>>(), [score()]);
            assert_eq!(store.scored_answers().map(Result::unwrap).collect::<Vec<_>>(), [answer()]);
        } else {
            let error = looked_at.unwrap_err().to_string();
            let found = format.replace('-', " ");
            assert!(error.contains(&found) && error.contains("start `stilld`"), "{error}");
        }
        let store = Store::open(folder.path()).unwrap();
        is_whole(&store);
        // and it is gone on with
        store.commit_trajectories(&[judged("r", 0, Outcome::Wrong)]).unwrap();
        drop(store);
        assert_eq!(Store::open(folder.path()).unwrap().last_sequence().unwrap(), 4);
    }
}

fn write_the_fixture_of_the_present_format() {
    let folder = tempfile::tempdir().unwrap();
    fill(&Store::open(folder.path()).unwrap());
    let target = fixture(PRESENT);
    fs::create_dir_all(&target).unwrap();
    for entry in fs::read_dir(folder.path().join("store")).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), target.join(entry.file_name())).unwrap();
        }
    }
}
