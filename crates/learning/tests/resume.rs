//! A job that is interrupted anywhere and resumed ends in the same bits as one that was not.
#![allow(clippy::unwrap_used, missing_docs)]

mod harness;

use harness::{
    decoder_config, job, learner, learner_config, learner_with, lora, preference_examples, sft_examples,
};
use still_decoder::DecoderWeights;
use still_domain::{CheckpointId, PolicyRef, RoundNumber};
use still_embedded::{Learner, LearnerError, LearnerJob};
use still_learning::{LearnerConfig, PolicyLearner};
use still_recipe::OptimizerName;
use still_roles::TrainingJob;
use still_tensor_decoder::peft;

const STEPS: u64 = 12;

/// Trained as a whole, or adapters beside it.
fn fresh(adapters: bool) -> PolicyLearner {
    fresh_by(OptimizerName::AdamW, adapters)
}

fn fresh_by(optimizer: OptimizerName, adapters: bool) -> PolicyLearner {
    let config = learner_config(STEPS, |training| {
        training.lora = lora(if adapters { 4 } else { 0 }, 8.0);
        training.imitation.optimizer = optimizer;
        training.preference.optimizer = optimizer;
    });
    learner_with(16, 2, LearnerConfig { threads: 2, ..config })
}

#[test]
fn a_resumed_job_ends_in_the_same_bits() {
    for (examples, optimizer, adapters) in [
        (sft_examples(), OptimizerName::AdamW, false),
        (preference_examples(), OptimizerName::AdamW, false),
        (sft_examples(), OptimizerName::AdamW, true),
        (preference_examples(), OptimizerName::AdamW, true),
        (sft_examples(), OptimizerName::Muon, false),
        (sft_examples(), OptimizerName::Muon, true),
    ] {
        let fresh = |adapters| fresh_by(optimizer, adapters);
        let mut uninterrupted = fresh(adapters);
        uninterrupted.begin(&job(examples.clone())).unwrap();
        while !uninterrupted.step().unwrap().is_last() {}
        let expected = uninterrupted.weights().unwrap();
        for interruption in 0..=STEPS {
            let folder = tempfile::tempdir().unwrap();
            let mut first = fresh(adapters);
            first.begin(&job(examples.clone())).unwrap();
            for _ in 0..interruption {
                first.step().unwrap();
            }
            first.save(folder.path()).unwrap();
            let saved = first.weights().unwrap();
            drop(first);
            let (_, loaded) = still_learning::load_policy(folder.path()).unwrap();
            assert!(loaded == *saved);

            let mut second = fresh(adapters);
            let resumed = LearnerJob { resume: Some(folder.path().to_owned()), ..job(examples.clone()) };
            let plan = second.begin(&resumed).unwrap();
            assert_eq!((plan.total_steps, plan.resumed_step), (STEPS, interruption));
            for _ in interruption..STEPS {
                second.step().unwrap();
            }
            assert!(*second.weights().unwrap() == *expected, "interrupted after step {interruption}");
        }
    }
}

#[test]
fn a_checkpoint_of_adapters_holds_them_and_the_merged_policy() {
    let folder = tempfile::tempdir().unwrap();
    let mut learner = fresh(true);
    learner.begin(&job(sft_examples())).unwrap();
    learner.step().unwrap();
    learner.save(folder.path()).unwrap();
    let config = decoder_config(16, 2);
    let adapters = peft::load(&folder.path().join("adapter"), &config).unwrap();
    let settings = std::fs::read_to_string(folder.path().join("adapter/adapter_config.json")).unwrap();
    assert!(settings.contains("owner/base") && settings.contains("c0ffee"), "{settings}");
    let base = DecoderWeights::random(&config, 1);
    assert!(adapters.merge(&base, &config) == *learner.weights().unwrap());
    // what training whole parameters wrote is no start for adapters
    let resumed = LearnerJob { resume: Some(folder.path().to_owned()), ..job(sft_examples()) };
    let error = fresh(false).begin(&resumed).unwrap_err();
    assert!(matches!(error, LearnerError::Checkpoint { .. }), "{error}");
}

/// A policy that is no base model, in a folder: one step away from it.
fn another_policy(seed: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut learner = fresh(false);
    let mut started = job(sft_examples());
    started.job.seed = seed;
    learner.begin(&started).unwrap();
    learner.step().unwrap();
    learner.save(folder.path()).unwrap();
    folder
}

#[test]
fn adapters_beside_a_policy_that_others_cannot_load_are_not_written_alone() {
    let folder = tempfile::tempdir().unwrap();
    let policies = [2, 3].map(another_policy);
    let started_from = |index: usize| {
        let checkpoint = CheckpointId::new(policies[index].path().to_str().unwrap());
        let mut started = job(sft_examples());
        started.job.start = Some(PolicyRef::candidate(RoundNumber(1), checkpoint));
        started
    };
    let mut learner = fresh(true);
    learner.begin(&started_from(0)).unwrap();
    learner.step().unwrap();
    learner.save(folder.path()).unwrap();
    assert!(!folder.path().join("adapter").exists());
    let (_, policy) = still_learning::load_policy(folder.path()).unwrap();
    assert!(policy == *learner.weights().unwrap());
    // and beside another policy nothing goes on with them
    let resumed = |index| LearnerJob { resume: Some(folder.path().to_owned()), ..started_from(index) };
    let error = fresh(true).begin(&resumed(1)).unwrap_err();
    assert!(matches!(error, LearnerError::Checkpoint { .. }), "{error}");
    assert_eq!(fresh(true).begin(&resumed(0)).unwrap().resumed_step, 1);
}

#[test]
fn another_job_does_not_go_on_from_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = learner(16, 2, STEPS, 1);
    first.begin(&job(sft_examples())).unwrap();
    first.step().unwrap();
    first.save(folder.path()).unwrap();
    let other = LearnerJob { resume: Some(folder.path().to_owned()), ..job(sft_examples()) };
    let other = LearnerJob { job: TrainingJob { seed: 6, ..other.job.clone() }, ..other };
    let error = first.begin(&other).unwrap_err();
    assert!(matches!(error, LearnerError::Checkpoint { .. }), "{error}");
    assert!(matches!(first.step().unwrap_err(), LearnerError::NoJob));
}

#[test]
fn a_cut_off_file_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut learner = learner(16, 2, STEPS, 1);
    learner.begin(&job(sft_examples())).unwrap();
    learner.save(folder.path()).unwrap();
    let path = folder.path().join("learner.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let resumed = LearnerJob { resume: Some(folder.path().to_owned()), ..job(sft_examples()) };
    let error = learner.begin(&resumed).unwrap_err();
    assert!(error.to_string().contains("learner.safetensors"), "{error}");
}
