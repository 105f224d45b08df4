//! The order of jobs of [`JobVersion::Two`](crate::job_version::JobVersion): kept for those that were begun in it.
//!
//! Each pass shuffles the examples, sorts them by length within windows of sixteen batches, cuts the windows into batches
//! and shuffles the batches. Where a set is no larger than a window, every pass cuts it into the same batches, the last of
//! them holds what is left over, and long and short examples never meet.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::Batching;

/// Batches that are sorted by length together.
const WINDOW_BATCHES: usize = 16;

/// The batches of a pass.
pub(super) fn batches(lengths: &[usize], batching: Batching, random: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.shuffle(random);
    let length = |example: usize| lengths.get(example).copied().unwrap_or(0);
    let mut batches = Vec::new();
    for window in windows(&order, batching, length) {
        let mut window = window.to_vec();
        window.sort_by_key(|&example| length(example));
        cut(&window, batching, length, &mut batches);
    }
    batches.shuffle(random);
    batches
}

fn windows(order: &[usize], batching: Batching, length: impl Fn(usize) -> usize) -> Vec<&[usize]> {
    let batch_tokens = match batching {
        Batching::Sequences(count) => return order.chunks(count * WINDOW_BATCHES).collect(),
        Batching::Tokens(count) => count,
    };
    let (mut windows, mut start, mut tokens) = (Vec::new(), 0, 0);
    for (index, &example) in order.iter().enumerate() {
        tokens += length(example);
        if tokens >= batch_tokens * WINDOW_BATCHES {
            windows.extend(order.get(start..=index));
            (start, tokens) = (index + 1, 0);
        }
    }
    windows.extend(order.get(start..).filter(|rest| !rest.is_empty()));
    windows
}

fn cut(window: &[usize], batching: Batching, length: impl Fn(usize) -> usize, batches: &mut Vec<Vec<usize>>) {
    let batch_tokens = match batching {
        Batching::Sequences(count) => {
            return batches.extend(window.chunks(count).map(<[usize]>::to_vec));
        }
        Batching::Tokens(count) => count,
    };
    let (mut batch, mut tokens) = (Vec::new(), 0);
    for &example in window {
        let more = length(example);
        if !batch.is_empty() && tokens + more > batch_tokens {
            batches.push(std::mem::take(&mut batch));
            tokens = 0;
        }
        batch.push(example);
        tokens += more;
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
}
