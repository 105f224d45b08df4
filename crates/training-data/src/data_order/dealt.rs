//! The order of jobs of [`JobVersion::Three`](crate::job_version::JobVersion): examples are dealt out to the steps of a
//! pass by length, as cards are.
//!
//! The examples are sorted by length, longest first, and cut into strata of as many as the pass has steps; every step is
//! dealt one example of each stratum, in an order drawn anew for every stratum of every pass. So
//!
//! - every step holds long and short examples, and its tokens differ from any other step's by no more than the longest
//!   example has: the mean over a step's tokens weighs them alike in all steps;
//! - steps differ by one example at most: there is no remainder whose few examples weigh as much as a whole batch;
//! - every pass cuts the set into other steps.

use std::cmp::Reverse;

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::Batching;

/// The batches of a pass; each holds its longest examples first.
pub(super) fn batches(lengths: &[usize], batching: Batching, random: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
    let steps = step_count(lengths, batching);
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    // those of one length fall into another stratum each time
    order.shuffle(random);
    order.sort_by_key(|example| Reverse(lengths.get(*example)));
    let mut batches = vec![Vec::new(); steps];
    for stratum in order.chunks(steps) {
        let mut places: Vec<usize> = (0..steps).collect();
        places.shuffle(random);
        for (example, place) in stratum.iter().zip(places) {
            if let Some(batch) = batches.get_mut(place) {
                batch.push(*example);
            }
        }
    }
    batches
}

/// Steps of a pass: as few as keep a step's examples, or the mean of its tokens, within what is asked for.
fn step_count(lengths: &[usize], batching: Batching) -> usize {
    match batching {
        Batching::Sequences(count) => lengths.len().div_ceil(count),
        Batching::Tokens(count) => lengths.iter().sum::<usize>().div_ceil(count),
    }
    .clamp(1, lengths.len().max(1))
}
