//! Grades a JSONL file from standard input: `cargo run --release --example grade < FILE.jsonl`.

use std::error::Error;
use std::io::{self, BufWriter};

use still_verify::{Profile, grade::grade};

fn main() -> Result<(), Box<dyn Error>> {
    let strict = std::env::args().any(|argument| argument == "strict");
    let profile = if strict { Profile::Strict } else { Profile::Lenient };
    let summary =
        grade(io::stdin().lock(), BufWriter::new(io::stdout()), profile, |error| eprintln!("{error}"))?;
    eprintln!("{summary}");
    Ok(())
}
