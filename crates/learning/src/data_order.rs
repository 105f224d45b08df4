//! Which examples make up which step, from the seed alone.
//!
//! Each pass over the data shuffles the examples, sorts them by length within windows of a few batches, cuts
//! the windows into batches and shuffles the batches. So batches hold sequences of like length, every
//! example comes once a pass, and step `n` is the same whatever was interrupted before it.

use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use still_domain::seed;
use still_recipe::LearnerSettings;

/// Batches that are sorted by length together.
const WINDOW_BATCHES: usize = 16;

/// The order of examples over a job.
#[derive(Debug, Clone)]
pub(crate) struct DataOrder {
    seed: u64,
    lengths: Vec<usize>,
    batch_sequences: usize,
    batch_tokens: usize,
    pass: u64,
    /// Step at which the present pass begins.
    pass_start: u64,
    batches: Vec<Vec<usize>>,
}

impl DataOrder {
    /// The order of examples with these lengths, in tokens; at least one example.
    pub(crate) fn new(seed: u64, lengths: Vec<usize>, config: &LearnerSettings) -> Self {
        let mut order = Self {
            seed,
            lengths,
            batch_sequences: config.batch_sequences as usize,
            batch_tokens: config.batch_tokens as usize,
            pass: 0,
            pass_start: 0,
            batches: Vec::new(),
        };
        order.batches = order.shuffle(0);
        order
    }

    /// Steps of the whole job.
    pub(crate) fn total_steps(&self, config: &LearnerSettings) -> u64 {
        if config.steps > 0 {
            return config.steps;
        }
        ((config.epochs * self.batches.len() as f64).ceil() as u64).max(1)
    }

    /// The examples of step `step` (from 0). Steps are asked for in any order; ascending is quick.
    pub(crate) fn batch(&mut self, step: u64) -> &[usize] {
        if step < self.pass_start {
            (self.pass, self.pass_start) = (0, 0);
            self.batches = self.shuffle(0);
        }
        while step - self.pass_start >= self.batches.len() as u64 {
            self.pass_start += self.batches.len() as u64;
            self.pass += 1;
            self.batches = self.shuffle(self.pass);
        }
        self.batches.get((step - self.pass_start) as usize).map_or(&[], Vec::as_slice)
    }

    fn shuffle(&self, pass: u64) -> Vec<Vec<usize>> {
        let mut random = ChaCha8Rng::seed_from_u64(seed::derive(self.seed, &["pass", &pass.to_string()]));
        let mut order: Vec<usize> = (0..self.lengths.len()).collect();
        order.shuffle(&mut random);
        let mut batches = Vec::new();
        for window in self.windows(&order) {
            let mut window = window.to_vec();
            window.sort_by_key(|&example| self.length(example));
            self.cut(&window, &mut batches);
        }
        batches.shuffle(&mut random);
        batches
    }

    fn windows<'a>(&self, order: &'a [usize]) -> Vec<&'a [usize]> {
        if self.batch_sequences > 0 {
            return order.chunks(self.batch_sequences * WINDOW_BATCHES).collect();
        }
        let (mut windows, mut start, mut tokens) = (Vec::new(), 0, 0);
        for (index, &example) in order.iter().enumerate() {
            tokens += self.length(example);
            if tokens >= self.batch_tokens * WINDOW_BATCHES {
                windows.extend(order.get(start..=index));
                (start, tokens) = (index + 1, 0);
            }
        }
        windows.extend(order.get(start..).filter(|rest| !rest.is_empty()));
        windows
    }

    fn cut(&self, window: &[usize], batches: &mut Vec<Vec<usize>>) {
        if self.batch_sequences > 0 {
            batches.extend(window.chunks(self.batch_sequences).map(<[usize]>::to_vec));
            return;
        }
        let (mut batch, mut tokens) = (Vec::new(), 0);
        for &example in window {
            let length = self.length(example);
            if !batch.is_empty() && tokens + length > self.batch_tokens {
                batches.push(std::mem::take(&mut batch));
                tokens = 0;
            }
            batch.push(example);
            tokens += length;
        }
        if !batch.is_empty() {
            batches.push(batch);
        }
    }

    fn length(&self, example: usize) -> usize {
        self.lengths.get(example).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn config(batch_sequences: u32, batch_tokens: u32) -> LearnerSettings {
        LearnerSettings { batch_sequences, batch_tokens, epochs: 2.0, ..LearnerSettings::default() }
    }

    proptest! {
        #[test]
        fn a_pass_holds_every_example_once(
            lengths in prop::collection::vec(1_usize..60, 1..200),
            by_sequences: bool,
            seed: u64,
        ) {
            let config = if by_sequences { config(7, 0) } else { config(0, 100) };
            let count = lengths.len();
            let mut order = DataOrder::new(seed, lengths.clone(), &config);
            let steps = order.total_steps(&config) / 2;
            let mut seen: Vec<usize> = (0..steps).flat_map(|step| order.batch(step).to_vec()).collect();
            for step in 0..steps {
                let batch = order.batch(step);
                let tokens: usize = batch.iter().map(|example| lengths[*example]).sum();
                prop_assert!(by_sequences || batch.len() == 1 || tokens <= 100);
                prop_assert!(!by_sequences || batch.len() <= 7);
            }
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..count).collect::<Vec<_>>());
        }

        #[test]
        fn a_step_is_the_same_whatever_was_asked_before(seed: u64, step in 0_u64..60, before in 0_u64..60) {
            let lengths: Vec<usize> = (1..50).collect();
            let mut one = DataOrder::new(seed, lengths.clone(), &config(8, 0));
            let mut two = DataOrder::new(seed, lengths, &config(8, 0));
            two.batch(before);
            prop_assert_eq!(one.batch(step), two.batch(step));
        }
    }
}
