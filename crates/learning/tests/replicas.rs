//! How many devices share a job does not change a bit of what is learnt.
#![allow(clippy::unwrap_used, missing_docs)]

mod harness;

use std::path::Path;

use harness::{job, learner_config, learner_on, lora, preference_examples, sft_examples};
use still_embedded::{Learner, LearnerJob};
use still_learning::{LearnerConfig, PolicyLearner};
use still_roles::{Example, LearnerStep};

const STEPS: u64 = 6;
/// A step's sixteen examples make more parts than there are replicas.
const PART_TOKENS: u32 = 150;

fn begun(replicas: usize, examples: &[Example], adapters: bool, resume: Option<&Path>) -> PolicyLearner {
    let config = learner_config(STEPS, |training| {
        training.lora = lora(if adapters { 4 } else { 0 }, 8.0);
        training.micro_batch_tokens = PART_TOKENS;
    });
    let mut learner = learner_on(replicas, 16, 2, LearnerConfig { threads: 2, ..config });
    learner.begin(&LearnerJob { resume: resume.map(Path::to_owned), ..job(examples.to_vec()) }).unwrap();
    learner
}

fn take(learner: &mut PolicyLearner, steps: u64) -> Vec<LearnerStep> {
    (0..steps).map(|_| learner.step().unwrap()).collect()
}

#[test]
fn any_number_of_replicas_ends_in_the_same_bits_and_goes_on_from_anothers_checkpoint() {
    for (examples, adapters) in [
        (sft_examples(), false),
        (preference_examples(), false),
        (sft_examples(), true),
        (preference_examples(), true),
    ] {
        let mut one = begun(1, &examples, adapters, None);
        let folder = tempfile::tempdir().unwrap();
        let mut expected = take(&mut one, STEPS / 2);
        one.save(folder.path()).unwrap();
        expected.extend(take(&mut one, STEPS / 2));
        for replicas in [2, 3] {
            let mut several = begun(replicas, &examples, adapters, None);
            let several_folder = tempfile::tempdir().unwrap();
            let mut found = take(&mut several, STEPS / 2);
            several.save(several_folder.path()).unwrap();
            found.extend(take(&mut several, STEPS / 2));
            assert_eq!(found, expected, "{replicas} replicas");
            assert!(*several.weights().unwrap() == *one.weights().unwrap(), "{replicas} replicas");
            for (replicas, folder) in [(replicas, &folder), (1, &several_folder)] {
                let mut resumed = begun(replicas, &examples, adapters, Some(folder.path()));
                assert_eq!(take(&mut resumed, STEPS / 2), expected[STEPS as usize / 2..]);
                assert!(*resumed.weights().unwrap() == *one.weights().unwrap());
            }
        }
    }
}

#[test]
fn replicas_serve_one_job_after_another() {
    let examples = sft_examples();
    let mut learner = begun(2, &examples, true, None);
    let first = take(&mut learner, 2);
    learner.end();
    learner.begin(&job(examples)).unwrap();
    assert_eq!(take(&mut learner, 2), first);
}
