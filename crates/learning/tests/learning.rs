//! The losses fall, do what they are for, and do not depend on how a step is cut.
#![allow(clippy::unwrap_used, missing_docs)]

mod harness;

use harness::{job, learner, preference_examples, sft_examples};
use still_roles::Learner;

#[test]
fn imitation_learns_the_form_of_the_demonstrations() {
    let mut learner = learner(32, 2, 80, 1);
    learner.begin(job(sft_examples())).unwrap();
    let losses: Vec<f64> = (0..80).map(|_| learner.step().unwrap().loss).collect();
    let mean = |range: &[f64]| range.iter().sum::<f64>() / range.len() as f64;
    assert!(
        (2.0..6.0).contains(&losses[0]),
        "a random policy is about as unsure as 26 tokens allow: {losses:?}"
    );
    assert!(mean(&losses[70..]) < 0.5 * losses[0], "{losses:?}");
}

#[test]
fn preference_optimisation_starts_at_ln_2_and_widens_the_margin() {
    let mut learner = learner(16, 2, 30, 1);
    learner.begin(job(preference_examples())).unwrap();
    let losses: Vec<f64> = (0..30).map(|_| learner.step().unwrap().loss).collect();
    assert!((losses[0] - std::f64::consts::LN_2).abs() < 1e-4, "{losses:?}");
    assert!(losses[29] < 0.5, "{losses:?}");
}

#[test]
fn gradients_do_not_depend_on_threads_beyond_rounding() {
    let run = |threads| {
        let mut learner = learner(16, 2, 3, threads);
        learner.begin(job(sft_examples())).unwrap();
        (0..3).map(|_| learner.step().unwrap().loss).collect::<Vec<_>>()
    };
    for (one, two) in run(1).iter().zip(run(2)) {
        assert!((one - two).abs() < 1e-5, "{one} {two}");
    }
}
