//! Random mutation without fuzzing tools: `cargo run --release --example mutate -- SECONDS [SEED]`.
//!
//! Mutates the labelled tables and stops with the input at the first one that breaks an invariant: no panic,
//! what can be read equals itself, exact values compare the same both ways round, a box around an answer changes
//! nothing. At the end it prints the executions and the slowest comparison (the faster of two runs).

mod shapes;

use std::io::{self, Write};
use std::time::{Duration, Instant};

use shapes::{is_balanced, is_exact};
use still_verify::{Gold, Kind, Outcome, Profile, equivalent, fingerprint, judge};

/// A small deterministic generator (`SplitMix64`).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let seconds: u64 = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(10);
    let seed: u64 = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(1);
    let seeds: Vec<&str> =
        [include_str!("../tests/equivalence.tsv"), include_str!("../tests/adversarial.tsv")]
            .iter()
            .flat_map(|table| table.lines())
            .filter(|line| !line.starts_with("# "))
            .flat_map(|line| line.split('\t').take(2))
            .collect();
    let mut random = Random(seed);
    let started = Instant::now();
    let mut count: u64 = 0;
    let mut worst = (Duration::ZERO, String::new());
    while started.elapsed() < Duration::from_secs(seconds) {
        let left = mutated(&seeds, &mut random);
        let right = mutated(&seeds, &mut random);
        count += 1;
        let once = Instant::now();
        let outcome = equivalent(&left, &right);
        let mut elapsed = once.elapsed();
        if elapsed > Duration::from_millis(2) {
            let again = Instant::now();
            let _ = equivalent(&left, &right);
            elapsed = elapsed.min(again.elapsed());
        }
        if elapsed > worst.0 {
            worst = (elapsed, format!("{left:?} against {right:?}"));
        }
        if let Some(broken) = broken_invariant(&left, &right, outcome) {
            writeln!(
                io::stdout(),
                "seed {seed}, after {count}: {broken}: {left:?} against {right:?}: {outcome}"
            )?;
            std::process::exit(1);
        }
    }
    writeln!(
        io::stdout(),
        "{count} mutants, nothing found, slowest comparison {:?}: {:.600}",
        worst.0,
        worst.1
    )
}

/// The name of the first invariant that two answers break.
fn broken_invariant(left: &str, right: &str, outcome: Outcome) -> Option<&'static str> {
    let _ = fingerprint(left);
    if left.trim().is_empty() {
        return None;
    }
    let itself = equivalent(left, left);
    if outcome == Outcome::Error || itself == Outcome::Error {
        return Some("a panic");
    }
    if itself == Outcome::Wrong {
        return Some("unequal to itself");
    }
    if is_exact(left) && is_exact(right) {
        let back = equivalent(right, left);
        if (outcome == Outcome::Correct) != (back == Outcome::Correct) {
            return Some("equal one way only");
        }
    }
    let Ok(gold) = Gold::parse(Kind::Math, left) else { return Some("refused as a gold") };
    if judge(&gold, right, Profile::Lenient).outcome == Outcome::Error {
        return Some("a panic in a completion");
    }
    let boxed = judge(&gold, &format!("\\boxed{{{right}}}"), Profile::Strict).outcome;
    if is_balanced(right) && boxed != outcome && !right.trim().is_empty() {
        return Some("another outcome in a box");
    }
    None
}

fn mutated(seeds: &[&str], random: &mut Random) -> String {
    const PIECES: [&str; 30] = [
        "{", "}", "(", ")", "[", "]", "\\", "^", "_", "!", "9", "\\frac", "\\sqrt", "-", ",", "=", "|",
        "\\pm", "%", "\\text{", ".", "e", "i", "x", "0", "^{", "\\cup", "<", "\\{", "½",
    ];
    let pick = |random: &mut Random| seeds.get(random.below(seeds.len())).copied().unwrap_or("1");
    let mut characters: Vec<char> = pick(random).chars().collect();
    for _ in 0..=random.below(6) {
        let at = random.below(characters.len() + 1);
        match random.below(5) {
            0 if at < characters.len() => {
                characters.remove(at);
            }
            1 => {
                let piece = PIECES.get(random.below(PIECES.len())).copied().unwrap_or("1");
                characters.splice(at..at, piece.chars());
            }
            2 => {
                let other: Vec<char> = pick(random).chars().collect();
                characters.splice(at..at, other);
            }
            3 => {
                let end = (at + random.below(8)).min(characters.len());
                let copied: Vec<char> = characters.get(at..end).unwrap_or(&[]).to_vec();
                for _ in 0..random.below(40) {
                    characters.splice(at..at, copied.iter().copied());
                }
            }
            _ => {
                let other = random.below(characters.len().max(1));
                if at < characters.len() && other < characters.len() {
                    characters.swap(at, other);
                }
            }
        }
        characters.truncate(3_000);
    }
    characters.into_iter().collect()
}
