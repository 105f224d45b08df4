//! What choosing by perplexity and length is worth: sets of one size chosen from one pool, each trained on from the base.
//!
//! ```text
//! cargo bench --bench selection                      # 3 seeds, 400 trajectories of the pool of three rounds
//! cargo bench --bench selection -- --seeds 0 --rounds 2 --trajectories 200 --steps 400
//! ```
//!
//! The quick start fills a pool. Copies of its data directory then seal one round more, without exploring, each
//! with another choice of as many trajectories, and train the base model on the demonstrations and on them. Printed as a
//! Markdown table: greedy accuracy on the held-out problems.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

mod quick_start;

use std::{fs, path::Path};

use quick_start::{argument, estimate, levels, rounds, run};

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
    let value = |flag: &str, default: &str| argument(flag).unwrap_or_else(|| default.to_owned());
    let explored: u32 = value("--rounds", "3").parse().expect("a number of rounds");
    let (trajectories, steps) = (value("--trajectories", "400"), value("--steps", "600"));
    println!(
        "| choice | seed | trajectories | 3 / 4 / 5 / 6 | all levels, 95 % interval |\n|---|---|---|---|---|"
    );
    for seed in value("--seeds", "0,1,2").split(',') {
        let pool = tempfile::tempdir().expect("a temporary folder");
        run(pool.path(), seed, &explored.to_string(), &[]);
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
            run(copy.path(), seed, &(explored + 1).to_string(), &[&sealing, *settings].concat());
            let rounds = rounds(copy.path());
            let last = rounds.last().expect("a round");
            let accuracy = estimate(&last["evaluation"]["accuracy"]);
            // of those chosen, some were in the set of the round before
            let chosen = ["selected", "kept"]
                .map(|decision| last["tally"]["decisions"][decision].as_u64().unwrap_or(0));
            println!("| {name} | {seed} | {} | {} | {accuracy} |", chosen.iter().sum::<u64>(), levels(last));
        }
    }
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
