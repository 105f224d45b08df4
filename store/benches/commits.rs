//! What commits cost: groups a second, bytes on the disk for a byte kept, and how fast a start is.
//!
//! `cargo bench -p still-store --bench commits -- [response tokens] [groups] [group size] [folder]`
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::{error::Error, path::PathBuf, time::Instant};

use still_domain::{
    AttemptId, AttemptNumber, FinishReason, JudgedTrajectory, Measures, Outcome, PolicyVersion, ProblemId,
    Round, RoundNumber, RoundPhase, SamplingSettings, Trajectory, Verdict, VersionSpan,
};
use still_store::Store;

/// The quick start's responses, and those of a long thought.
const SHAPES: [(usize, u32, u32); 2] = [(100, 500, 16), (8_000, 100, 16)];

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let number = |position: usize| words.get(position).map(|word| word.parse::<usize>()).transpose();
    let shapes = match (number(0)?, number(1)?, number(2)?) {
        (Some(tokens), groups, size) => {
            vec![(tokens, groups.unwrap_or(100) as u32, size.unwrap_or(16) as u32)]
        }
        _ => SHAPES.to_vec(),
    };
    for (tokens, groups, size) in shapes {
        let folder = tempfile::tempdir_in(words.get(3).map_or_else(std::env::temp_dir, PathBuf::from))?;
        measure(folder.path(), tokens, groups, size)?;
    }
    overwrite()
}

/// One record again and again, as a round's phases: the files must not grow for ever.
fn overwrite() -> Result<(), Box<dyn Error>> {
    const TIMES: u32 = 5_000;
    let folder = tempfile::tempdir()?;
    let store = Store::open(folder.path())?;
    let mut round = Round::begin(RoundNumber(1), PolicyVersion(1), RoundPhase::Exploring, 0);
    let start = Instant::now();
    for time in 0..TIMES {
        round.tally.pool = u64::from(time);
        round.decision = Some("x".repeat(2_000));
        store.put_round(&round)?;
    }
    let seconds = start.elapsed().as_secs_f64();
    let size = store.size()?;
    println!(
        "one record put {TIMES} times: {:.0} commits/s, {:.1} MB written, {:.1} MB on the disk",
        f64::from(TIMES) / seconds,
        size.written_bytes as f64 / 1e6,
        size.disk_bytes as f64 / 1e6,
    );
    Ok(())
}

fn measure(folder: &std::path::Path, tokens: usize, groups: u32, size: u32) -> Result<(), Box<dyn Error>> {
    let store = Store::open(folder)?;
    let start = Instant::now();
    for group in 0..groups {
        let members: Vec<_> = (0..size).map(|member| judged(tokens, group * size + member)).collect();
        store.commit_trajectories(&members)?;
    }
    let seconds = start.elapsed().as_secs_f64();
    let kept = store.size()?;
    drop(store);

    let start = Instant::now();
    let store = Store::open(folder)?;
    let opened = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let count = store.facts()?.len();
    let counted = start.elapsed().as_secs_f64();
    let start = Instant::now();
    for judged in store.trajectories() {
        judged?;
    }
    let read = start.elapsed().as_secs_f64();
    println!(
        "{tokens} tokens, groups of {size}: {:.0} groups/s, {:.1} MB/s; {:.1} MB kept on {:.1} MB; \
         opened in {opened:.3} s, {count} facts read in {counted:.3} s, trajectories in {read:.3} s",
        f64::from(groups) / seconds,
        kept.written_bytes as f64 / seconds / 1e6,
        kept.written_bytes as f64 / 1e6,
        kept.disk_bytes as f64 / 1e6,
    );
    Ok(())
}

/// Like a rollout; ids spread over problems as an exploration spreads them.
fn judged(tokens: usize, number: u32) -> JudgedTrajectory {
    let problem = ProblemId::new(format!("problem-{:05}", number.wrapping_mul(2_654_435_761) % 2_000));
    JudgedTrajectory {
        trajectory: Trajectory {
            id: AttemptId { problem, number: AttemptNumber(number) },
            prompt_token_count: 80,
            tokens: (0..tokens as u32)
                .map(|position| position.wrapping_mul(2_654_435_761) % 150_000)
                .collect(),
            log_probabilities: (0..tokens).map(|position| -(position as f32) / 1e4).collect(),
            sampling_log_probabilities: Vec::new(),
            text: "wait, ".repeat(tokens * 2 / 3),
            sampling: SamplingSettings::default(),
            seed: u64::from(number),
            finish: FinishReason::Stop,
            versions: vec![VersionSpan { policy: PolicyVersion(1).into(), start: 0, end: tokens as u32 }],
            provenance: None,
        },
        verdict: Verdict {
            outcome: Outcome::Correct,
            extracted: Some("49".to_owned()),
            rule: None,
            verifier: "bench-1".to_owned(),
        },
        measures: Measures::default(),
        rejection: None,
        eviction: None,
    }
}
