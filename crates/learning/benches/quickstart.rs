//! Training throughput on the quick start's model: 1,000 imitation steps, on one thread and on two.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

#[path = "../tests/harness/mod.rs"]
mod harness;

use std::time::Instant;

use harness::{job, learner, sft_examples};
use still_roles::Learner;

fn main() {
    let steps = 300;
    for threads in [1, 2] {
        let mut learner = learner(64, 3, steps, threads);
        learner.begin(job(sft_examples())).unwrap();
        let (begun, mut tokens, mut loss) = (Instant::now(), 0, 0.0);
        for _ in 0..steps {
            let step = learner.step().unwrap();
            tokens += step.tokens;
            loss = step.loss;
        }
        let seconds = begun.elapsed().as_secs_f64();
        println!(
            "{threads} thread(s): {steps} steps in {seconds:.2} s, {:.0} tokens a second, last loss {loss:.3}",
            tokens as f64 / seconds
        );
    }
}
