//! What every order holds to, and what the order of jobs that begin now does better, in figures.

use std::collections::BTreeSet;

use proptest::prelude::*;
use rand::Rng;

use super::*;

fn settings(batch_sequences: u32, batch_tokens: u32) -> LearnerSettings {
    LearnerSettings { batch_sequences, batch_tokens, epochs: 2.0, ..LearnerSettings::default() }
}

/// The batches of one pass.
fn pass(order: &DataOrder, number: u64) -> Vec<Vec<usize>> {
    order.batches_of(number)
}

/// Lengths of long thoughts: log-normal around 3,000 tokens, cut off at 20,000.
fn thoughts(count: usize) -> Vec<usize> {
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let mut uniform = || random.random_range(f64::EPSILON..1.0);
    (0..count)
        .map(|_| {
            let normal = (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos();
            (3_000.0 * normal.exp()).clamp(50.0, 20_000.0) as usize
        })
        .collect()
}

/// How unlike the steps of a pass are, and how like the steps of two passes.
#[derive(Debug)]
struct Figures {
    /// Examples of the largest step over those of the smallest: how much more an example of the latter weighs.
    weights: f64,
    /// Tokens of the longest step over those of the shortest.
    tokens: f64,
    /// Steps of the second pass that were steps of the first.
    repeated: usize,
    steps: usize,
}

fn figures(version: JobVersion, lengths: &[usize], batch_sequences: u32) -> Figures {
    let order = DataOrder::new(version, 3, lengths.to_vec(), &settings(batch_sequences, 0));
    let sets = |number| -> BTreeSet<BTreeSet<usize>> {
        pass(&order, number).into_iter().map(|batch| batch.into_iter().collect()).collect()
    };
    let ratio = |of: &dyn Fn(&Vec<usize>) -> usize| {
        let sizes: Vec<usize> = pass(&order, 0).iter().map(of).collect();
        *sizes.iter().max().unwrap() as f64 / *sizes.iter().min().unwrap() as f64
    };
    Figures {
        weights: ratio(&Vec::len),
        tokens: ratio(&|batch| batch.iter().map(|example| lengths[*example]).sum()),
        repeated: sets(0).intersection(&sets(1)).count(),
        steps: sets(0).len(),
    }
}

#[test]
fn the_papers_set_is_cut_anew_in_every_pass_into_steps_of_like_size() {
    // as many as the paper's demonstrations, at its batch
    let lengths = thoughts(1_100);
    let before = figures(JobVersion::Two, &lengths, 96);
    assert_eq!((before.repeated, before.steps), (12, 12), "{before:?}");
    assert!(before.tokens > 5.0 && before.weights > 2.0, "{before:?}");
    let found = figures(JobVersion::Three, &lengths, 96);
    assert_eq!((found.repeated, found.steps), (0, 12), "{found:?}");
    assert!(found.tokens < 1.05 && found.weights < 1.02, "{found:?}");
}

#[test]
fn one_example_too_many_is_no_step_of_its_own() {
    let lengths = thoughts(97);
    assert!(figures(JobVersion::Two, &lengths, 96).weights > 95.0);
    let found = figures(JobVersion::Three, &lengths, 96);
    assert!(found.weights < 1.03 && found.steps == 2 && found.repeated == 0, "{found:?}");
}

proptest! {
    #[test]
    fn a_pass_holds_every_example_once(
        lengths in prop::collection::vec(1_usize..60, 1..200),
        by_sequences: bool,
        is_new: bool,
        seed: u64,
    ) {
        let settings = if by_sequences { settings(7, 0) } else { settings(0, 100) };
        let version = if is_new { JobVersion::Three } else { JobVersion::Two };
        let count = lengths.len();
        let mut order = DataOrder::new(version, seed, lengths.clone(), &settings);
        let steps = order.total_steps(&settings) / 2;
        let mut seen: Vec<usize> = (0..steps).flat_map(|step| order.batch(step).to_vec()).collect();
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..count).collect::<Vec<_>>());
    }

    #[test]
    fn steps_are_as_large_as_asked_for_and_like_each_other(
        lengths in prop::collection::vec(1_usize..60, 1..200),
        by_sequences: bool,
        seed: u64,
    ) {
        let settings = if by_sequences { settings(7, 0) } else { settings(0, 100) };
        let order = DataOrder::new(JobVersion::Three, seed, lengths.clone(), &settings);
        let batches = pass(&order, 0);
        let tokens = |batch: &Vec<usize>| batch.iter().map(|example| lengths[*example]).sum::<usize>();
        let (most, fewest) =
            (batches.iter().map(tokens).max().unwrap(), batches.iter().map(tokens).min().unwrap());
        let longest = lengths.iter().max().unwrap();
        prop_assert!(most - fewest <= *longest, "{most} {fewest}");
        let (largest, smallest) =
            (batches.iter().map(Vec::len).max().unwrap(), batches.iter().map(Vec::len).min().unwrap());
        prop_assert!(largest - smallest <= 1 && smallest >= 1);
        let is_within = if by_sequences { largest <= 7 } else { most <= 100 + longest };
        prop_assert!(is_within, "{largest} examples, {most} tokens");
        for batch in &batches {
            prop_assert!(batch.is_sorted_by(|one, next| lengths[*one] >= lengths[*next]), "longest first");
        }
    }

    #[test]
    fn a_step_is_the_same_whatever_was_asked_before(seed: u64, step in 0_u64..60, before in 0_u64..60) {
        let lengths: Vec<usize> = (1..50).collect();
        let mut one = DataOrder::new(JobVersion::Three, seed, lengths.clone(), &settings(8, 0));
        let mut two = DataOrder::new(JobVersion::Three, seed, lengths, &settings(8, 0));
        two.batch(before);
        prop_assert_eq!(one.batch(step), two.batch(step));
    }
}
