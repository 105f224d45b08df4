//! What choosing by perplexity and length is worth: sets of one size chosen from one pool, each trained on from the base.
//!
//! ```text
//! cargo bench --bench selection                      # 3 seeds, 400 trajectories of the pool of three rounds
//! cargo bench --bench selection -- --seeds 0 --rounds 2 --trajectories 200 --steps 2000
//! ```
//!
//! The quick start fills a pool. Copies of its data directory then seal one round more, without exploring, each
//! with another choice of as many trajectories, and train the base model on the demonstrations and on them. Printed as a
//! Markdown table: greedy accuracy on the held-out problems.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

use std::{fs, path::Path, process::Command};

use serde_json::Value;

/// A choice: its name and the settings that make it.
const CHOICES: &[(&str, &[&str])] = &[
    ("any, by chance", &["selection.order=random"]),
    ("high perplexity", &["selection.perplexity=high"]),
    ("low perplexity", &["selection.perplexity=low"]),
    ("long", &["selection.length=long"]),
    ("short", &["selection.length=short"]),
    ("high perplexity and long", &["selection.perplexity=high", "selection.length=long"]),
    ("demonstrations only", &["selection.max_perplexity=1.0"]),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let value = |flag: &str, default: &str| {
        let position = arguments.iter().position(|argument| argument == flag);
        position.and_then(|at| arguments.get(at + 1).cloned()).unwrap_or_else(|| default.to_owned())
    };
    let rounds: u32 = value("--rounds", "3").parse().expect("a number of rounds");
    let (trajectories, steps) = (value("--trajectories", "400"), value("--steps", "2500"));
    println!(
        "| choice | seed | trajectories | 3 / 4 / 5 / 6 | all levels, 95 % interval |\n|---|---|---|---|---|"
    );
    for seed in value("--seeds", "0,1,2").split(',') {
        let pool = tempfile::tempdir().expect("a temporary folder");
        run(pool.path(), seed, rounds, &[]);
        for (name, settings) in CHOICES {
            let copy = tempfile::tempdir().expect("a temporary folder");
            copy_folder(pool.path(), copy.path());
            let size = format!("selection.max_trajectories={trajectories}");
            let steps = format!("training.improvement.steps={steps}");
            let sealing = [
                "exploration.enabled=false",
                "round.init=base",
                "selection.keep=none",
                "selection.scored_by=imitated",
                &size,
                &steps,
            ];
            run(copy.path(), seed, rounds + 1, &[&sealing, *settings].concat());
            report(name, seed, &inspect(copy.path()));
        }
    }
}

fn run(data_dir: &Path, seed: &str, rounds: u32, settings: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stilld"));
    command.args(["run", "--config", "configs/quickstart.toml", "--rounds", &rounds.to_string()]);
    command.arg("--data-dir").arg(data_dir);
    command.args(["--set", &format!("run.seed={seed}"), "--set", "http.listen=127.0.0.1:0"]);
    command.args(settings.iter().flat_map(|setting| ["--set", setting]));
    let output = command.output().expect("stilld starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "seed {seed}, {settings:?}: {}:\n{error}", output.status);
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a folder").map(|entry| entry.expect("an entry")) {
        let target = to.join(entry.file_name());
        let kind = entry.file_type().expect("a kind");
        if kind.is_dir() {
            fs::create_dir_all(&target).expect("a folder is made");
            copy_folder(&entry.path(), &target);
        } else if kind.is_file() {
            fs::copy(entry.path(), target).expect("a file is copied");
        }
    }
}

fn inspect(data_dir: &Path) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_stilld"))
        .args(["inspect", "rounds", "--json", "--data-dir"])
        .arg(data_dir)
        .output()
        .expect("stilld inspects");
    let rounds: Vec<Value> = serde_json::from_slice(&output.stdout).expect("inspect prints JSON");
    rounds.last().cloned().expect("a round")
}

fn report(name: &str, seed: &str, round: &Value) {
    let evaluation = &round["evaluation"];
    let percent = |value: &Value| 100.0 * value.as_f64().unwrap_or(f64::NAN);
    let by_level = evaluation["by_level"].as_object().cloned().unwrap_or_default();
    let levels: Vec<_> = by_level.values().map(|level| format!("{:.1}", percent(&level["value"]))).collect();
    let all = &evaluation["accuracy"];
    println!(
        "| {name} | {seed} | {} | {} | {:.1} ({:.1} to {:.1}) |",
        round["selected"],
        levels.join(" / "),
        percent(&all["value"]),
        percent(&all["low"]),
        percent(&all["high"]),
    );
}
