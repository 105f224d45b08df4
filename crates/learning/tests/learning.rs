//! The losses fall, do what they are for, and do not depend on how a step is cut.
#![allow(clippy::unwrap_used, missing_docs)]

mod harness;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use harness::{
    job, job_config, learner, learner_config, learner_on, learner_with, lora, preference_examples,
    sft_examples,
};
use still_decoder::WeightPrecision;
use still_domain::Recipe;
use still_embedded::{Halting, Learner, LearnerError, LearnerJob, StepOversight};
use still_learning::LearnerConfig;
use still_recipe::{CpuArithmetic, LearnerSettings};

#[test]
fn imitation_learns_the_form_of_the_demonstrations() {
    let mut learner = learner(32, 2, 80, 1);
    learner.begin(&job(sft_examples())).unwrap();
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
    learner.begin(&job(preference_examples())).unwrap();
    let steps: Vec<_> = (0..30).map(|_| learner.step().unwrap()).collect();
    let losses: Vec<f64> = steps.iter().map(|step| step.loss).collect();
    let metrics = steps[29].preferences.unwrap();
    assert!((losses[0] - std::f64::consts::LN_2).abs() < 1e-4, "{losses:?}");
    assert!(losses[29] < 0.5, "{losses:?}");
    assert!(metrics.margin > 0.3 && metrics.accuracy > 0.9 && metrics.kl > 0.0, "{metrics:?}");
}

#[test]
fn pairs_obey_a_section_of_their_own_whatever_the_recipe() {
    let config = learner_config(30, |training| {
        training.preference =
            LearnerSettings { steps: 0, epochs: 1.0, batch_sequences: 12, ..LearnerSettings::of_pairs() };
    });
    let mut learner = learner_with(16, 2, config);
    for recipe in [Recipe::Imitation, Recipe::Improvement] {
        let mut pairs = job(preference_examples());
        pairs.job.recipe = recipe;
        // 48 pairs, in one pass
        assert_eq!(learner.begin(&pairs).unwrap().total_steps, 4);
        let rates: Vec<f64> = (0..4).map(|_| learner.step().unwrap().learning_rate).collect();
        assert!(rates.iter().all(|rate| *rate > 0.0 && *rate <= 5e-7), "{rates:?}");
    }
}

#[test]
fn preference_optimisation_tells_once_that_it_is_near_a_bound_and_is_refused_beyond_it() {
    let config = learner_config(60, |training| training.dpo.max_margin = 0.4);
    let mut learner = learner_with(16, 2, config);
    learner.begin(&job(preference_examples())).unwrap();
    let mut steps = Vec::new();
    let error = loop {
        match learner.step() {
            Ok(step) => steps.push(step),
            Err(error) => break error,
        }
        assert!(steps.len() < 60, "{:?}", steps.last());
    };
    assert!(
        matches!(&error, LearnerError::Refused(reason) if reason.contains("training.dpo.max_margin")),
        "{error}"
    );
    let alarms = steps.iter().filter(|step| step.alarm.is_some()).count();
    let alarming = steps.iter().filter(|step| step.preferences.unwrap().is_alarming).count();
    assert!(alarms >= 1 && alarms <= alarming, "{alarms} {alarming}");
    for step in &steps {
        let metrics = step.preferences.unwrap();
        assert!(metrics.margin <= 0.4 && metrics.is_alarming == (metrics.margin >= 0.2), "{metrics:?}");
    }
}

#[test]
fn what_is_too_long_for_the_learner_is_told_with_the_plan() {
    let examples = sft_examples();
    let plan = |limit| {
        let config = learner_config(3, |training| training.imitation.max_sequence_tokens = limit);
        learner_with(16, 1, config).begin(&job(examples.clone())).unwrap()
    };
    assert_eq!(plan(0).left_out, 0);
    let left_out = plan(40).left_out as usize;
    assert!(left_out > 0 && left_out < examples.len(), "{left_out}");
}

#[test]
fn adapters_alone_learn_as_well() {
    let config = learner_config(80, |training| training.lora = lora(8, 32.0));
    let mut learner = learner_with(32, 2, config);
    learner.begin(&job(sft_examples())).unwrap();
    let losses: Vec<f64> = (0..80).map(|_| learner.step().unwrap().loss).collect();
    assert!(losses[79] < 0.7 * losses[0], "{losses:?}");
}

#[test]
fn products_in_bf16_take_the_same_way_within_their_rounding() {
    for rank in [0, 8] {
        for examples in [sft_examples(), preference_examples()] {
            let run = |cpu_arithmetic, threads| {
                let config = learner_config(20, |training| {
                    training.cpu_arithmetic = cpu_arithmetic;
                    training.lora = lora(rank, 32.0);
                });
                let mut learner = learner_with(32, 2, LearnerConfig { threads, ..config });
                learner.begin(&job(examples.clone())).unwrap();
                (0..20).map(|_| learner.step().unwrap().loss).collect::<Vec<_>>()
            };
            let (exact, rounded) = (run(CpuArithmetic::F32, 1), run(CpuArithmetic::Bf16, 1));
            for (exact, rounded) in exact.iter().zip(&rounded) {
                assert!((exact - rounded).abs() < 0.02 * exact, "{exact} {rounded}");
            }
            assert_eq!(exact != rounded, WeightPrecision::Bf16.rounds_inputs(), "where it can, it rounds");
            let shared = run(CpuArithmetic::Bf16, 2);
            for (one, two) in rounded.iter().zip(&shared) {
                assert!((one - two).abs() < 1e-2 * one, "{one} {two}");
            }
        }
    }
}

#[test]
fn a_step_is_the_same_however_it_is_cut() {
    for examples in [sft_examples(), preference_examples()] {
        let run = |micro_batch_tokens| {
            let config = learner_config(3, |training| training.micro_batch_tokens = micro_batch_tokens);
            let mut learner = learner_with(16, 2, config);
            learner.begin(&job(examples.clone())).unwrap();
            (0..3).map(|_| learner.step().unwrap()).collect::<Vec<_>>()
        };
        for (whole, cut) in run(32_768).iter().zip(run(100)) {
            assert_eq!(whole.tokens, cut.tokens);
            assert!((whole.loss - cut.loss).abs() < 1e-6 * whole.loss.abs().max(1.0), "{whole:?} {cut:?}");
            assert!((whole.gradient_norm - cut.gradient_norm).abs() < 1e-4 * whole.gradient_norm);
        }
    }
}

#[test]
fn training_that_diverges_goes_back_slower_and_gives_up_in_the_end() {
    // a rate at which the second step overflows
    let diverging = LearnerSettings { peak_learning_rate: 1e30, warm_up_fraction: 0.0, ..job_config(9) };
    let config = learner_config(9, |training| {
        training.imitation = diverging;
        training.max_skipped_steps = 1;
    });
    let mut learner = learner_with(16, 2, config);
    learner.begin(&job(sft_examples())).unwrap();
    let start = learner.weights().unwrap();
    let mut seen = Vec::new();
    let error = loop {
        match learner.step() {
            Ok(step) => seen.push(step),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, LearnerError::Diverged { .. }), "{error}");
    let back: Vec<_> = seen.iter().filter(|step| step.step == 0).collect();
    assert_eq!(back.len(), 3, "{seen:?}");
    assert!(back.iter().all(|step| step.skipped && step.rolled_back));
    let first_rates: Vec<_> =
        seen.iter().filter(|step| step.step == 1).map(|step| step.learning_rate).collect();
    assert!(first_rates.windows(2).all(|pair| (pair[1] / pair[0] - 0.5).abs() < 1e-9), "{first_rates:?}");
    assert!(*learner.weights().unwrap() != *start);
}

#[test]
fn with_no_state_in_memory_training_asks_for_a_checkpoint_and_goes_on_slower() {
    let diverging = LearnerSettings { peak_learning_rate: 1e30, warm_up_fraction: 0.0, ..job_config(9) };
    let config = learner_config(9, |training| {
        training.imitation = diverging;
        training.max_skipped_steps = 1;
        training.max_kept_parameters = 0;
    });
    let mut learner = learner_with(16, 2, config);
    learner.begin(&job(sft_examples())).unwrap();
    let (start, diverging) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    learner.save(start.path()).unwrap();
    let resumed = |folder: &tempfile::TempDir, rollbacks| LearnerJob {
        resume: Some(folder.path().to_owned()),
        rollbacks,
        ..job(sft_examples())
    };
    let (mut first_rates, mut times_back) = (Vec::new(), 0);
    let error = loop {
        match learner.step() {
            Ok(step) if step.step == 1 => first_rates.push(step.learning_rate),
            Ok(step) => {
                assert!(step.skipped);
                if times_back == 0 {
                    learner.save(diverging.path()).unwrap();
                }
            }
            Err(LearnerError::BackToCheckpoint { diverged, rollbacks }) => {
                times_back += 1;
                assert_eq!((diverged.step, diverged.skipped, rollbacks), (3, true, times_back));
                let unfit = learner.begin(&resumed(&diverging, rollbacks)).unwrap_err();
                assert!(unfit.to_string().contains("diverging"), "{unfit}");
                assert_eq!(learner.begin(&resumed(&start, rollbacks)).unwrap().resumed_step, 0);
            }
            Err(error) => break error,
        }
    };
    assert!(matches!(error, LearnerError::Diverged { .. }), "{error}");
    assert_eq!(times_back, 3);
    assert!(first_rates.windows(2).all(|pair| (pair[1] / pair[0] - 0.5).abs() < 1e-9), "{first_rates:?}");
    // the same folder is gone on from where training has not gone back
    assert_eq!(learner.begin(&resumed(&diverging, 0)).unwrap().resumed_step, 2);
}

#[test]
fn gradients_do_not_depend_on_threads_beyond_rounding() {
    let run = |threads| {
        let mut learner = learner(16, 2, 3, threads);
        learner.begin(&job(sft_examples())).unwrap();
        (0..3).map(|_| learner.step().unwrap().loss).collect::<Vec<_>>()
    };
    for (one, two) in run(1).iter().zip(run(2)) {
        assert!((one - two).abs() < 1e-5, "{one} {two}");
    }
}

#[test]
fn a_state_between_skipped_steps_is_no_state_to_go_back_to() {
    let diverging = LearnerSettings { peak_learning_rate: 1e30, warm_up_fraction: 0.0, ..job_config(9) };
    let config = learner_config(9, |training| {
        training.imitation = diverging;
        training.max_skipped_steps = 1;
    });
    let mut learner = learner_with(16, 2, config);
    learner.begin(&job(sft_examples())).unwrap();
    let folder = tempfile::tempdir().unwrap();
    while !learner.step().unwrap().skipped {}
    learner.save(folder.path()).unwrap();
    learner.begin(&LearnerJob { resume: Some(folder.path().to_owned()), ..job(sft_examples()) }).unwrap();
    let error = learner.step().unwrap_err();
    assert!(matches!(error, LearnerError::BackToCheckpoint { rollbacks: 1, .. }), "{error}");
}

#[test]
fn a_step_that_is_given_up_between_its_parts_changes_nothing_and_is_taken_again() {
    for replicas in [1, 2] {
        let in_parts = || {
            let settings = learner_config(4, |training| training.micro_batch_tokens = 64);
            learner_on(replicas, 16, 1, settings)
        };
        let mut whole = in_parts();
        whole.begin(&job(sft_examples())).unwrap();
        let expected = [whole.step().unwrap(), whole.step().unwrap()];

        let (halting, parts) = (Halting::default(), Arc::new(AtomicUsize::new(0)));
        let (asked, seen) = (halting.clone(), Arc::clone(&parts));
        let oversight = StepOversight::new(halting.clone(), move |_, parts| {
            if seen.swap(parts, Ordering::SeqCst) == 0 {
                asked.set(true);
            }
        });
        let mut overseen = in_parts();
        overseen.begin(&LearnerJob { oversight, ..job(sft_examples()) }).unwrap();
        assert!(matches!(overseen.step(), Err(LearnerError::GivenUp)), "{replicas}");
        assert!(parts.load(Ordering::SeqCst) > 2, "{parts:?}");
        halting.set(false);
        assert_eq!([overseen.step().unwrap(), overseen.step().unwrap()], expected, "{replicas}");
    }
}

#[test]
fn a_step_of_one_part_tells_of_every_layer_that_it_has_gone_through() {
    const LAYERS: usize = 3;
    for (examples, is_of_pairs) in [(sft_examples(), false), (preference_examples(), true)] {
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        let oversight = StepOversight::new(Halting::default(), move |done, pieces| {
            heard.lock().unwrap().push((done, pieces));
        });
        let mut overseen = learner(16, LAYERS, 2, 1);
        overseen.begin(&LearnerJob { oversight, ..job(examples) }).unwrap();
        // what a job of pairs starts from is asked about each of them
        let begun = std::mem::take(&mut *told.lock().unwrap());
        assert_eq!(begun.is_empty(), !is_of_pairs);
        assert!(begun.last().is_none_or(|(done, pieces)| done == pieces), "{begun:?}");
        overseen.step().unwrap();
        let step = std::mem::take(&mut *told.lock().unwrap());
        let expected: Vec<_> = (1..=2 * LAYERS).map(|done| (done, 2 * LAYERS)).collect();
        assert_eq!(step, expected, "forward and backward");
    }
}
