//! One evaluation: `stilld eval` asks, draws, judges and counts as the daemon does when it scores a candidate.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod harness;

use std::{collections::BTreeSet, fs};

use harness::{Daemon, rounds, stilld};
use serde_json::{Value, json};

const SAMPLES: &str = "4";
const SEED: &str = "7";

/// A problem of the quick start, whose name says it all: `product-7x12`.
fn line(name: &str, level: &Value) -> String {
    let factors = name.strip_prefix("product-").unwrap();
    let (one, other) = factors.split_once('x').unwrap();
    let product = one.parse::<u64>().unwrap() * other.parse::<u64>().unwrap();
    let (problem, answer) = (format!("{one}*{other}=?"), product.to_string());
    json!({ "id": name, "problem": problem, "answer": answer, "level": level, "kind": "integer" }).to_string()
}

#[test]
fn a_job_gives_the_score_that_the_daemon_gave_with_the_same_seed() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let settings = [
        "run.seed=7",
        "task.quickstart.demonstrations={1=40,2=160}",
        "task.quickstart.level_weights={2=1.0}",
        "task.quickstart.problems=100",
        "task.quickstart.held_out_levels=[1,2]",
        "task.quickstart.held_out_per_level=10",
        "training.imitation.steps=400",
        "training.improvement.steps=2",
        "round.problems=4",
        "evaluation.samples_per_problem=4",
        "evaluation.sampling.temperature=1.0",
    ];
    let (status, output) = Daemon::start(&data, 1, &settings).finish();
    assert!(status.success(), "{output}");
    let scored = rounds(&data)[0]["evaluation"].clone();
    let scores = scored["scores"].as_array().unwrap();
    let counts: BTreeSet<_> = scores.iter().map(|score| score["correct"].as_u64().unwrap()).collect();
    assert!(counts.len() > 2, "draws that are all right or all wrong would show nothing: {counts:?}");

    let problems = folder.path().join("held-out.jsonl");
    let lines = scores.iter().map(|score| line(score["problem"].as_str().unwrap(), &score["level"]) + "\n");
    fs::write(&problems, lines.collect::<String>()).unwrap();
    let evaluate = |seed: &str| -> Value {
        let mut job = stilld();
        job.args(["eval", "--json", "--samples", SAMPLES, "--seed", seed, "--temperature", "1"]);
        job.args(["--max-new-tokens", "128", "--prompt", "raw", "--problems"]).arg(&problems);
        job.arg("--model").arg(data.join("checkpoints/round-0-step-400"));
        let output = job.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let found = evaluate(SEED);
    for field in ["scores", "accuracy", "by_level", "truncated"] {
        assert_eq!(found[field], scored[field], "{field}");
    }
    assert_eq!(found["errors"], 0);
    assert_ne!(evaluate("8")["scores"], scored["scores"], "another seed draws other answers");
}
