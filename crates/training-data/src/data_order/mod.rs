//! Which examples make up which step, from the seed alone.
//!
//! | module | what it is |
//! |---|---|
//! | `dealt` | the order of jobs that begin now: short and long examples meet in every step |
//! | `windows` | the order of jobs that earlier programs began: batches of like length |
//!
//! Every example comes once a pass, and step `n` is the same whatever was interrupted before it.

mod dealt;
#[cfg(test)]
mod tests;
mod windows;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use still_domain::seed;
use still_recipe::LearnerSettings;

use crate::job_version::JobVersion;

/// What the size of a step is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Batching {
    /// At most so many examples.
    Sequences(usize),
    /// About so many tokens.
    Tokens(usize),
}

/// The order of examples over a job.
#[derive(Debug, Clone)]
pub struct DataOrder {
    version: JobVersion,
    seed: u64,
    lengths: Vec<usize>,
    batching: Batching,
    pass: u64,
    /// Step at which the present pass begins.
    pass_start: u64,
    batches: Vec<Vec<usize>>,
}

impl DataOrder {
    /// The order of examples with these lengths, in tokens; at least one example.
    pub fn new(version: JobVersion, seed: u64, lengths: Vec<usize>, settings: &LearnerSettings) -> Self {
        let batching = match settings.batch_sequences {
            0 => Batching::Tokens((settings.batch_tokens as usize).max(1)),
            count => Batching::Sequences(count as usize),
        };
        let (pass, pass_start, batches) = (0, 0, Vec::new());
        let mut order = Self { version, seed, lengths, batching, pass, pass_start, batches };
        order.batches = order.batches_of(0);
        order
    }

    /// Steps of the whole job.
    pub fn total_steps(&self, settings: &LearnerSettings) -> u64 {
        if settings.steps > 0 {
            return settings.steps;
        }
        ((settings.epochs * self.batches.len() as f64).ceil() as u64).max(1)
    }

    /// The examples of step `step` (from 0). Steps are asked for in any order; ascending is quick.
    pub fn batch(&mut self, step: u64) -> &[usize] {
        if step < self.pass_start {
            (self.pass, self.pass_start) = (0, 0);
            self.batches = self.batches_of(0);
        }
        while step - self.pass_start >= self.batches.len() as u64 {
            self.pass_start += self.batches.len() as u64;
            self.pass += 1;
            self.batches = self.batches_of(self.pass);
        }
        self.batches.get((step - self.pass_start) as usize).map_or(&[], Vec::as_slice)
    }

    fn batches_of(&self, pass: u64) -> Vec<Vec<usize>> {
        let mut random = ChaCha8Rng::seed_from_u64(seed::derive(self.seed, &["pass", &pass.to_string()]));
        match self.version {
            JobVersion::Two => windows::batches(&self.lengths, self.batching, &mut random),
            JobVersion::Three => dealt::batches(&self.lengths, self.batching, &mut random),
        }
    }
}
