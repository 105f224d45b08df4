//! The quick start and its ablations, side by side: what thinking, verifying and exploring are each worth.
//!
//! ```text
//! cargo bench --bench ablations                      # 3 seeds, 5 rounds, all variants
//! cargo bench --bench ablations -- --seeds 0 --rounds 3 --variants verified,direct
//! ```
//!
//! Each run is the program itself, from an empty data directory. Printed as a Markdown table: greedy
//! accuracy on the held-out problems with its 95 % interval after imitation and after the last round.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

use std::{path::Path, process::Command, time::Instant};

use serde_json::Value;

/// A variant of the quick start: its name and the settings that make it.
struct Variant {
    name: &'static str,
    settings: &'static [&'static str],
}

const VARIANTS: &[Variant] = &[
    Variant { name: "verified", settings: &[] },
    Variant { name: "slips", settings: &["task.quickstart.slip_probability=0.015"] },
    Variant { name: "unverified", settings: &["selection.verified_only=false"] },
    Variant { name: "no_exploration", settings: &["exploration.enabled=false"] },
    Variant {
        name: "direct",
        settings: &[
            "task.quickstart.style=direct",
            "hygiene.require_format=false",
            "hygiene.min_thought_tokens=0",
        ],
    },
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let value = |flag: &str| {
        let position = arguments.iter().position(|argument| argument == flag)?;
        arguments.get(position + 1).cloned()
    };
    let seeds = value("--seeds").unwrap_or_else(|| "0,1,2".to_owned());
    let rounds = value("--rounds").unwrap_or_else(|| "5".to_owned());
    let chosen = value("--variants");
    println!(
        "| variant | seed | seconds | imitation: 3 / 4 / 5 / 6 | last round: 3 / 4 / 5 / 6 | hard levels, 95 % interval |"
    );
    println!("|---|---|---|---|---|---|");
    for variant in VARIANTS {
        if chosen.as_ref().is_some_and(|list| !list.split(',').any(|name| name == variant.name)) {
            continue;
        }
        for seed in seeds.split(',') {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let begun = Instant::now();
            run(folder.path(), variant, seed, &rounds);
            let seconds = begun.elapsed().as_secs_f64();
            report(variant, seed, seconds, &inspect(folder.path()));
        }
    }
}

fn run(data_dir: &Path, variant: &Variant, seed: &str, rounds: &str) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stilld"));
    command.args(["run", "--config", "configs/quickstart.toml"]);
    command.arg("--data-dir").arg(data_dir).args(["--rounds", rounds]);
    command.args(["--set", &format!("run.seed={seed}"), "--set", "http.listen=127.0.0.1:0"]);
    for setting in variant.settings {
        command.args(["--set", setting]);
    }
    let output = command.output().expect("stilld starts");
    assert!(
        output.status.success(),
        "{} with seed {seed} ended with {}:\n{}",
        variant.name,
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

fn inspect(data_dir: &Path) -> Vec<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_stilld"))
        .args(["inspect", "rounds", "--json", "--data-dir"])
        .arg(data_dir)
        .output()
        .expect("stilld inspects");
    serde_json::from_slice(&output.stdout).expect("inspect prints JSON")
}

fn report(variant: &Variant, seed: &str, seconds: f64, rounds: &[Value]) {
    let levels = |round: &Value| {
        let by_level = round["evaluation"]["by_level"].as_object().cloned().unwrap_or_default();
        let shares =
            by_level.values().map(|level| format!("{:.1}", 100.0 * level["value"].as_f64().unwrap_or(0.0)));
        shares.collect::<Vec<_>>().join(" / ")
    };
    let (Some(first), Some(last)) = (rounds.first(), rounds.last()) else {
        println!("| {} | {seed} | {seconds:.0} | no rounds | | |", variant.name);
        return;
    };
    let percent = |key: &str| 100.0 * last["evaluation"]["hard_accuracy"][key].as_f64().unwrap_or(0.0);
    println!(
        "| {} | {seed} | {seconds:.0} | {} | {} | {:.1} ({:.1} to {:.1}) |",
        variant.name,
        levels(first),
        levels(last),
        percent("value"),
        percent("low"),
        percent("high"),
    );
}
