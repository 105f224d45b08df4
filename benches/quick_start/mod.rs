//! The program itself, run on the quick start by a bench.
#![allow(unreachable_pub, reason = "each bench that includes it is a crate of its own")]

use std::{path::Path, process::Command};

use serde_json::Value;

/// The value that follows a flag on the bench's command line.
pub fn argument(flag: &str) -> Option<String> {
    let arguments: Vec<String> = std::env::args().collect();
    let position = arguments.iter().position(|argument| argument == flag)?;
    arguments.get(position + 1).cloned()
}

/// Runs the quick start in a data directory until so many rounds are over.
pub fn run(data_dir: &Path, seed: &str, rounds: &str, settings: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stilld"));
    command.args(["run", "--config", "configs/quickstart.toml", "--rounds", rounds]);
    command.arg("--data-dir").arg(data_dir);
    command.args(["--set", &format!("run.seed={seed}"), "--set", "http.listen=127.0.0.1:0"]);
    command.args(settings.iter().flat_map(|setting| ["--set", setting]));
    let output = command.output().expect("stilld starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "seed {seed}, {settings:?}: {}:\n{error}", output.status);
}

/// The rounds of a data directory, oldest first.
pub fn rounds(data_dir: &Path) -> Vec<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_stilld"))
        .args(["inspect", "rounds", "--json", "--data-dir"])
        .arg(data_dir)
        .output()
        .expect("stilld inspects");
    serde_json::from_slice(&output.stdout).expect("inspect prints JSON")
}

/// A round's accuracies in %, one level after the other.
pub fn levels(round: &Value) -> String {
    let by_level = round["evaluation"]["by_level"].as_object().cloned().unwrap_or_default();
    let shares: Vec<_> = by_level.values().map(|level| format!("{:.1}", percent(&level["value"]))).collect();
    shares.join(" / ")
}

/// An estimate in %, with its 95 % interval.
pub fn estimate(estimate: &Value) -> String {
    let [value, low, high] = ["value", "low", "high"].map(|key| percent(&estimate[key]));
    format!("{value:.1} ({low:.1} to {high:.1})")
}

fn percent(share: &Value) -> f64 {
    100.0 * share.as_f64().unwrap_or(0.0)
}
