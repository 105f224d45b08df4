//! Times the hostile inputs: the slowest judgements, each the fastest of five runs, and the worst of the sample.

#[path = "../tests/inputs/mod.rs"]
mod inputs;

use std::hint::black_box;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use inputs::{GOLDS, inputs};
use still_verify::{Gold, Kind, Profile, judge};

fn main() -> io::Result<()> {
    let mut slowest: Vec<(Duration, String)> = Vec::new();
    for gold in GOLDS {
        let Ok(gold) = Gold::parse(Kind::Math, gold) else { continue };
        for input in inputs() {
            for completion in
                [input.clone(), format!("\\boxed{{{input}}}"), format!("The answer is ${input}$.")]
            {
                let fastest = (0..5).map(|_| {
                    let started = Instant::now();
                    black_box(judge(&gold, black_box(&completion), Profile::Lenient));
                    started.elapsed()
                });
                let shown: String = completion.chars().take(50).collect();
                slowest.push((fastest.min().unwrap_or_default(), format!("{shown} against {}", gold.text())));
            }
        }
    }
    slowest.sort_by(|(one, _), (other, _)| other.cmp(one));
    writeln!(io::stdout(), "{} hostile judgements; the slowest:", slowest.len())?;
    for (time, shown) in slowest.iter().take(5) {
        writeln!(io::stdout(), "{:8.3} ms  {shown}", time.as_secs_f64() * 1e3)?;
    }
    Ok(())
}
