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

mod quick_start;

use std::time::Instant;

use quick_start::{argument, estimate, levels, rounds, run};
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
    let seeds = argument("--seeds").unwrap_or_else(|| "0,1,2".to_owned());
    let round_count = argument("--rounds").unwrap_or_else(|| "5".to_owned());
    let chosen = argument("--variants");
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
            run(folder.path(), seed, &round_count, variant.settings);
            let seconds = begun.elapsed().as_secs_f64();
            report(variant, seed, seconds, &rounds(folder.path()));
        }
    }
}

fn report(variant: &Variant, seed: &str, seconds: f64, rounds: &[Value]) {
    let (Some(first), Some(last)) = (rounds.first(), rounds.last()) else {
        println!("| {} | {seed} | {seconds:.0} | no rounds | | |", variant.name);
        return;
    };
    println!(
        "| {} | {seed} | {seconds:.0} | {} | {} | {} |",
        variant.name,
        levels(first),
        levels(last),
        estimate(&last["evaluation"]["hard_accuracy"]),
    );
}
