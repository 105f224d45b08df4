//! Times whole judgements of the labelled sample: median, p99, worst, completions a second, on one thread.

use std::hint::black_box;
use std::io::{self, Write};
use std::time::Instant;

use serde_json::Value;
use still_verify::{Gold, Kind, Profile, judge};

/// How often the sample is judged.
const ROUNDS: usize = 1_000;

fn main() -> io::Result<()> {
    let mut cases = Vec::new();
    for line in include_str!("../tests/fixtures/grading_sample.jsonl").lines() {
        let value: Value = serde_json::from_str(line)?;
        let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let kind = if text("kind") == "multiple_choice" { Kind::MultipleChoice } else { Kind::Math };
        cases.push((kind, text("gold"), text("prediction")));
    }
    let mut nanoseconds = Vec::new();
    for round in 0..ROUNDS {
        for (kind, gold, prediction) in &cases {
            let started = Instant::now();
            if let Ok(gold) = Gold::parse(*kind, gold) {
                black_box(judge(&gold, black_box(prediction), Profile::Lenient));
            }
            // the first tenth warms caches
            if round >= ROUNDS / 10 {
                nanoseconds.push(started.elapsed().as_nanos() as u64);
            }
        }
    }
    nanoseconds.sort_unstable();
    let at = |share: f64| {
        let index = ((nanoseconds.len() - 1) as f64 * share) as usize;
        nanoseconds.get(index).map_or(0.0, |time| *time as f64 / 1e3)
    };
    let total: u64 = nanoseconds.iter().sum();
    writeln!(
        io::stdout(),
        "{} judgements with their golds: median {:.2} us, p99 {:.1} us, worst {:.1} us, {:.0} completions a second",
        nanoseconds.len(),
        at(0.5),
        at(0.99),
        at(1.0),
        nanoseconds.len() as f64 / (total as f64 / 1e9),
    )
}
