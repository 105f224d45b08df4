//! The loop as a newcomer sees it, shortened: imitation, then rounds that make the model better.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod harness;

use harness::{Daemon, pool, rounds};

#[test]
fn two_rounds_of_exploration_teach_what_the_demonstrations_barely_show() {
    let folder = tempfile::tempdir().unwrap();
    let (status, output) =
        Daemon::start(folder.path(), 2, &["task.quickstart.held_out_per_level=100"]).finish();
    assert!(status.success(), "{output}");

    let rounds = rounds(folder.path());
    assert_eq!(rounds.len(), 3, "imitation and two rounds");
    let hard = |index: usize| rounds[index]["evaluation"]["hard_accuracy"]["value"].as_f64().unwrap();
    assert!(hard(0) < 0.25, "imitation alone solves few hard problems, not {}", hard(0));
    assert!(hard(2) > hard(0) + 0.10, "two rounds lift the hard levels from {} only to {}", hard(0), hard(2));
    for round in &rounds {
        assert!(round["training_set"].is_string());
        let accuracy = &round["evaluation"]["accuracy"];
        let at = |key: &str| accuracy[key].as_f64().unwrap();
        assert!(at("low") <= at("value") && at("value") <= at("high"));
    }

    let pool = pool(folder.path());
    let mut ids: Vec<_> = pool.iter().map(|line| line["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), pool.len(), "no attempt is in the pool twice");
    for line in &pool {
        for field in ["problem", "attempt", "policy_version", "verdict"] {
            assert!(!line[field].is_null(), "`{field}` is missing in {line}");
        }
    }
}
