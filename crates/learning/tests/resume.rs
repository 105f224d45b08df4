//! A job that is interrupted anywhere and resumed ends in the same bits as one that was not.
#![allow(clippy::unwrap_used, missing_docs)]

mod harness;

use harness::{job, learner, preference_examples, sft_examples};
use still_roles::{Learner, LearnerError, TrainingExamples, TrainingJob};

const STEPS: u64 = 12;

fn uninterrupted(examples: &TrainingExamples) -> still_roles::Weights {
    let mut learner = learner(16, 2, STEPS, 1);
    learner.begin(job(examples.clone())).unwrap();
    while !learner.step().unwrap().is_last() {}
    learner.weights().unwrap()
}

#[test]
fn a_resumed_job_ends_in_the_same_bits() {
    for examples in [sft_examples(), preference_examples()] {
        let expected = uninterrupted(&examples);
        for interruption in [1, 5, STEPS - 1, STEPS] {
            let folder = tempfile::tempdir().unwrap();
            let mut first = learner(16, 2, STEPS, 1);
            first.begin(job(examples.clone())).unwrap();
            for _ in 0..interruption {
                first.step().unwrap();
            }
            first.save(folder.path()).unwrap();
            drop(first);

            let mut second = learner(16, 2, STEPS, 1);
            let resumed = TrainingJob { resume: Some(folder.path().to_owned()), ..job(examples.clone()) };
            let plan = second.begin(resumed).unwrap();
            assert_eq!((plan.total_steps, plan.resumed_step), (STEPS, interruption));
            for _ in interruption..STEPS {
                second.step().unwrap();
            }
            assert!(*second.weights().unwrap() == *expected, "interrupted after step {interruption}");
            let (_, loaded) = still_learning::load_policy(folder.path()).unwrap();
            assert!(interruption < STEPS || loaded == *expected);
        }
    }
}

#[test]
fn another_job_does_not_go_on_from_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = learner(16, 2, STEPS, 1);
    first.begin(job(sft_examples())).unwrap();
    first.step().unwrap();
    first.save(folder.path()).unwrap();
    let other = TrainingJob { seed: 6, resume: Some(folder.path().to_owned()), ..job(sft_examples()) };
    let error = first.begin(other).unwrap_err();
    assert!(matches!(error, LearnerError::Checkpoint { .. }), "{error}");
    assert!(matches!(first.step().unwrap_err(), LearnerError::NoJob));
}

#[test]
fn a_cut_off_file_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut learner = learner(16, 2, STEPS, 1);
    learner.begin(job(sft_examples())).unwrap();
    learner.save(folder.path()).unwrap();
    let path = folder.path().join("learner.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let resumed = TrainingJob { resume: Some(folder.path().to_owned()), ..job(sft_examples()) };
    let error = learner.begin(resumed).unwrap_err();
    assert!(error.to_string().contains("learner.safetensors"), "{error}");
}
