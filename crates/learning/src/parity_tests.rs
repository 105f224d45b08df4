//! Losses, gradient norms and updates against PyTorch, on the reference checkpoints of `still-decoder`.

use std::{fs, path::Path, sync::Arc};

use safetensors::SafeTensors;
use serde_json::Value;
use still_decoder::{DecoderConfig, DecoderWeights, NamedTensor, Threads, hugging_face};
use still_recipe::{DpoSettings, OptimizerName};
#[cfg(feature = "tensors")]
use still_tensor_decoder::{Decoder, Device, TensorPrecision};
use still_tensor_decoder::{ForwardSettings, HostDecoder, LayerObserver, Parameters, TrainableDecoder};
use still_training_data::{JobVersion, Sequence};

use crate::{
    loss,
    optimizer::{Optimizer, Update, clip_scale, global_norm},
    trained::Trained,
};

/// Gradients below this are rounding of numbers around 1.
const ROUNDING: f32 = 3e-7;
const MODELS: [&str; 4] = ["llama", "llama_smollm", "qwen2", "qwen3"];

/// A reference checkpoint and what PyTorch made of it.
struct Fixture {
    name: &'static str,
    config: DecoderConfig,
    weights: DecoderWeights,
    reference: Value,
    sequences: Vec<Sequence>,
}

impl Fixture {
    fn load(name: &'static str) -> Self {
        let folder = Path::new("../decoder/tests/fixtures").join(name);
        let (config, weights) = hugging_face::load_folder(&folder).unwrap();
        let reference: Value =
            serde_json::from_slice(&fs::read(folder.join("reference.json")).unwrap()).unwrap();
        let numbers = |key: &str| -> Vec<usize> { serde_json::from_value(reference[key].clone()).unwrap() };
        let ids: Vec<Vec<u32>> = serde_json::from_value(reference["input_ids"].clone()).unwrap();
        let sequences = ids.into_iter().zip(numbers("lens")).zip(numbers("prompt_lens"));
        let sequences = sequences
            .map(|((ids, length), prompt)| Sequence {
                tokens: ids[..length].to_vec(),
                prompt_tokens: prompt,
                target: prompt..length,
            })
            .collect();
        Self { name, config, weights, reference, sequences }
    }

    fn settings(&self) -> ForwardSettings {
        let config = Arc::new(self.config.clone());
        ForwardSettings {
            config,
            threads: Threads::new(2),
            recompute: false,
            observer: LayerObserver::default(),
        }
    }

    /// By the processor's kernels, and in builds with tensors by those.
    fn decoders(weights: &DecoderWeights) -> Vec<Box<dyn TrainableDecoder>> {
        vec![
            Box::new(HostDecoder::whole(Arc::new(weights.clone()))),
            #[cfg(feature = "tensors")]
            Box::new(Decoder::from_weights(weights, &Device::flex().autodiff(), TensorPrecision::F32)),
        ]
    }

    fn sft(&self, decoder: &dyn TrainableDecoder) -> loss::LossAndGradients {
        let sequences: Vec<&Sequence> = self.sequences.iter().collect();
        let targets = sequences.iter().map(|sequence| sequence.target.len()).sum();
        loss::sft(decoder, &sequences, targets, &self.settings()).unwrap()
    }

    fn fresh(&self) -> (Trained, Optimizer) {
        let trained = Trained::Full(self.weights.to_f32());
        let optimizer = Optimizer::new(OptimizerName::AdamW, &trained);
        (trained, optimizer)
    }

    /// One step of training as the reference was made; the loss and the gradients' norm before it.
    fn step(
        &self,
        trained: &mut Trained,
        optimizer: &mut Optimizer,
        clip_norm: f64,
    ) -> (loss::LossAndGradients, f64) {
        let Trained::Full(weights) = &*trained else { panic!("all parameters are trained") };
        let found = self.sft(&HostDecoder::whole(Arc::new(weights.clone())));
        let norm = global_norm(&found.gradients, 2);
        let update = Update {
            rate: 1e-3,
            gradient_scale: clip_scale(norm, clip_norm),
            betas: [0.9, 0.95],
            epsilon: 1e-8,
            // the reference decays everything
            decay: |_| 0.01,
            threads: &Threads::new(2),
        };
        optimizer.update(trained, &found.gradients, &update);
        (found, norm)
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    serde_json::from_value(value.clone()).unwrap()
}

#[track_caller]
fn assert_close(name: &str, found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance * expected.abs(), "{name}: {found} is not {expected}");
}

#[test]
fn losses_and_gradient_norms_are_pytorchs() {
    for name in MODELS {
        let fixture = Fixture::load(name);
        for decoder in Fixture::decoders(&fixture.weights) {
            let found = fixture.sft(&*decoder);
            assert_close(name, found.loss, fixture.reference["loss"].as_f64().unwrap(), 1e-5);
            let norm = fixture.reference["grad_norm_total"].as_f64().unwrap();
            assert_close(name, global_norm(&found.gradients, 2), norm, 1e-5);
        }
    }
}

#[test]
fn one_update_changes_every_parameter_as_pytorch_does() {
    for name in MODELS {
        let fixture = Fixture::load(name);
        let (mut trained, mut optimizer) = fixture.fresh();
        let gradients = fixture.step(&mut trained, &mut optimizer, 0.0).0.gradients;
        let Trained::Full(after) = &trained else { panic!("all parameters are trained") };
        let (before, after) = (fixture.weights.to_named(&fixture.config), after.to_named(&fixture.config));
        let norm = |values: &mut dyn Iterator<Item = f32>| {
            values.map(|value| f64::from(value) * f64::from(value)).sum::<f64>().sqrt()
        };
        for (before, after) in before.iter().zip(&after) {
            let tensor = &after.name;
            let expected = fixture.reference["after_step_norms"][tensor].as_f64().unwrap();
            // the first step of Adam moves a number by the sign of its gradient, be it mere rounding
            assert_close(tensor, norm(&mut after.values.iter().copied()), expected, 1e-4);
            let mut change = before.values.iter().zip(&after.values).map(|(before, after)| after - before);
            let expected = fixture.reference["after_step_delta_norms"][tensor].as_f64().unwrap();
            // softmax does not see what all keys share, so most gradients of their bias are rounding
            if !tensor.ends_with("k_proj.bias") {
                assert_close(tensor, norm(&mut change), expected, 1e-3);
            }
        }
        if ["qwen2", "qwen3"].contains(&name) {
            let Parameters::Full(gradients) = gradients else { panic!("all parameters are trained") };
            assert_same(&fixture, &after, &gradients.to_named(&fixture.config));
        }
    }
}

/// Compares number by number with the parameters that PyTorch had after the step, but for the few whose
/// gradient is mere rounding.
fn assert_same(fixture: &Fixture, found: &[NamedTensor], gradients: &[NamedTensor]) {
    let bytes = fs::read(format!("tests/fixtures/{}_after_step.safetensors", fixture.name)).unwrap();
    let expected = SafeTensors::deserialize(&bytes).unwrap();
    let (mut compared, mut left_out) = (0, 0);
    for (tensor, gradient) in found.iter().zip(gradients) {
        let expected = expected.tensor(&tensor.name).unwrap();
        let expected = expected.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        let largest = tensor.values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        for ((found, expected), gradient) in tensor.values.iter().zip(expected).zip(&gradient.values) {
            if *gradient != 0.0 && gradient.abs() < ROUNDING {
                left_out += 1;
                continue;
            }
            compared += 1;
            assert!((found - expected).abs() <= 1e-5 * largest, "{}: {found} is not {expected}", tensor.name);
        }
    }
    assert!(left_out * 100 < compared, "{left_out} of {compared}");
}

#[test]
fn ten_steps_follow_pytorchs_curve_with_and_without_clipping() {
    for name in MODELS {
        let fixture = Fixture::load(name);
        for (clip_norm, curve) in [(0.0, "loss_curve_11"), (1.0, "clip1_loss_curve_10")] {
            let (mut trained, mut optimizer) = fixture.fresh();
            let expected = numbers(&fixture.reference[curve]);
            let norms = numbers(&fixture.reference["clip1_grad_norms_10"]);
            for (step, expected) in expected.into_iter().enumerate() {
                let (found, norm) = fixture.step(&mut trained, &mut optimizer, clip_norm);
                assert_close(&format!("{name} {curve} at step {step}"), found.loss, expected, 1e-3);
                if clip_norm > 0.0 {
                    assert_close(&format!("{name} norm at step {step}"), norm, norms[step], 2e-3);
                }
            }
        }
    }
}

#[test]
fn preference_loss_and_its_gradient_are_pytorchs() {
    for name in MODELS {
        let fixture = Fixture::load(name);
        let expected = &fixture.reference["dpo"];
        let (mut trained, mut optimizer) = fixture.fresh();
        let pair = (fixture.sequences[0].clone(), fixture.sequences[1].clone());
        let base = HostDecoder::whole(Arc::new(fixture.weights.clone()));
        let settings = fixture.settings();
        let reference = loss::pair_sums(&base, &pair, &settings).unwrap();
        let sums = numbers(&expected["ref_logps"]);
        assert_close(name, f64::from(reference.0), sums[0], 1e-5);
        assert_close(name, f64::from(reference.1), sums[1], 1e-5);

        fixture.step(&mut trained, &mut optimizer, 0.0);
        let Trained::Full(policy) = &trained else { panic!("all parameters are trained") };
        let config = DpoSettings { beta: 0.1, ..DpoSettings::default() };
        for policy in Fixture::decoders(policy) {
            let (found, metrics) =
                loss::preference(&*policy, &[&pair], &[reference], 1, &config, JobVersion::Three, &settings)
                    .unwrap();
            assert_close(name, found.loss, expected["loss"].as_f64().unwrap(), 1e-3);
            assert_close(
                name,
                global_norm(&found.gradients, 2),
                expected["grad_norm_total"].as_f64().unwrap(),
                1e-3,
            );
            let sums = numbers(&expected["policy_logps"]);
            assert_close(name, metrics.chosen_log_probability, sums[0], 1e-5);
            assert_close(name, metrics.rejected_log_probability, sums[1], 1e-5);
            let margin = -(found.loss.exp() - 1.0).ln();
            assert_close(name, metrics.margin, margin, 1e-3);
            assert!((metrics.accuracy - f64::from(u8::from(margin > 0.0))).abs() < 1e-12);
        }
    }
}
