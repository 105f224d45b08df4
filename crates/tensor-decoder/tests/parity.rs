//! The fused operators, burn's own operators and the plain kernels give the same numbers.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use burn::tensor::Device;
use serde_json::json;
use still_decoder::{ActivationMode, DecoderConfig, DecoderWeights, Threads, model_gradients};
use still_tensor_decoder::{
    Decoder, ForwardSettings, LayerObserver, ParameterList, Parameters, TensorPrecision, TokenBatch,
};

/// A tiny decoder of each architecture: grouped queries, biases, normalised heads, tied and untied heads.
fn configs() -> Vec<DecoderConfig> {
    let model = |kind: &str, class: &str, tied: bool| {
        json!({
            "architectures": [class], "model_type": kind, "hidden_size": 16, "intermediate_size": 24,
            "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 4,
            "vocab_size": 19, "rms_norm_eps": 1e-5, "max_position_embeddings": 64, "hidden_act": "silu",
            "rope_theta": 10000.0, "tie_word_embeddings": tied
        })
    };
    let jsons = [
        model("llama", "LlamaForCausalLM", true),
        model("qwen2", "Qwen2ForCausalLM", false),
        model("qwen3", "Qwen3ForCausalLM", true),
    ];
    jsons.iter().map(|json| DecoderConfig::from_hugging_face(json).unwrap()).collect()
}

fn batch() -> TokenBatch {
    let (one, two) = ([3, 1, 4, 1, 5, 9, 2], [6, 5, 3, 5]);
    TokenBatch::new([(&one[..], 2..7), (&two[..], 1..4)], 19).unwrap()
}

fn settings(config: &DecoderConfig, fused: bool, recompute: bool) -> ForwardSettings {
    ForwardSettings {
        config: Arc::new(config.clone()),
        threads: Threads::new(2),
        recompute,
        fused,
        observer: LayerObserver::default(),
    }
}

/// The mean loss over the targets, and every parameter's gradient by name.
fn loss_and_gradients(
    config: &DecoderConfig,
    weights: &DecoderWeights,
    batch: &TokenBatch,
    settings: &ForwardSettings,
) -> (f32, Vec<(String, Vec<f32>)>) {
    let decoder = Decoder::from_weights(weights, &Device::flex().autodiff(), TensorPrecision::F32);
    let (loss, gradients) = decoder.loss_and_gradients(batch, settings, |found| found.mean().neg());
    let Parameters::Full(gradients) = gradients else { panic!("all parameters are trained") };
    let named = gradients.to_named(config).into_iter().map(|tensor| (tensor.name, tensor.values)).collect();
    (loss as f32, named)
}

fn assert_close(name: &str, one: &[f32], two: &[f32]) {
    assert_eq!(one.len(), two.len(), "{name}");
    let scale = one.iter().fold(1e-3_f32, |scale, value| scale.max(value.abs()));
    for (one, two) in one.iter().zip(two) {
        assert!((one - two).abs() <= 2e-5 * scale, "{name}: {one} is not {two} at scale {scale}");
    }
}

#[test]
fn fused_and_composed_operators_agree_on_loss_and_gradients() {
    for config in configs() {
        let weights = DecoderWeights::random(&config, 7);
        let (loss, gradients) =
            loss_and_gradients(&config, &weights, &batch(), &settings(&config, false, false));
        for recompute in [false, true] {
            let fused = loss_and_gradients(&config, &weights, &batch(), &settings(&config, true, recompute));
            assert_close("loss", &[loss], &[fused.0]);
            assert!(gradients.iter().any(|(_, values)| values.iter().any(|value| value.abs() > 1e-3)));
            for ((name, composed), (_, fused)) in gradients.iter().zip(&fused.1) {
                assert_close(&format!("{:?} {name}", config.architecture), composed, fused);
            }
        }
    }
}

#[test]
fn the_graph_changes_nothing_of_what_the_kernels_give() {
    for config in configs() {
        let weights = DecoderWeights::random(&config, 8);
        let batch = batch();
        let mut targets = vec![None; batch.tokens.len()];
        for (row, target) in batch.rows.iter().zip(&batch.targets) {
            targets[*row] = Some(*target);
        }
        let (loss, expected) = model_gradients(
            &config,
            &weights,
            &batch.segments,
            &batch.tokens,
            &targets,
            ActivationMode::Keep,
            &Threads::new(2),
        )
        .unwrap();
        let (value, gradients) =
            loss_and_gradients(&config, &weights, &batch, &settings(&config, true, false));
        assert_close("loss", &[loss], &[value]);
        for (expected, (name, values)) in expected.into_named(&config).iter().zip(&gradients) {
            assert_eq!(expected.name, *name);
            assert_close(name, &expected.values, values);
        }
    }
}

#[test]
fn a_sequence_has_the_same_log_probabilities_alone_and_in_company() {
    let config = &configs()[1];
    let weights = DecoderWeights::random(config, 9);
    let decoder = Decoder::from_weights(&weights, &Device::flex(), TensorPrecision::F32);
    for fused in [true, false] {
        let run = |batch: &TokenBatch| {
            let found = decoder.target_log_probabilities(batch, &settings(config, fused, false));
            found.into_data().try_into_vec::<f32>().unwrap()
        };
        let together = run(&batch());
        let alone = run(&TokenBatch::new([(&[6, 5, 3, 5][..], 1..4)], 19).unwrap());
        assert_close("packed", &together[5..], &alone);
    }
}

#[test]
fn attention_in_blocks_agrees_on_a_sequence_of_several_blocks() {
    let config = &configs()[2];
    let weights = DecoderWeights::random(config, 10);
    let long: Vec<u32> = (0..1_300_u32).map(|position| position * position % 19).collect();
    let batch = TokenBatch::new([(&long[..], 700..1_300), (&long[..40], 1..40)], 19).unwrap();
    let composed = loss_and_gradients(config, &weights, &batch, &settings(config, false, false));
    let fused = loss_and_gradients(config, &weights, &batch, &settings(config, true, false));
    assert_close("loss", &[composed.0], &[fused.0]);
    for ((name, composed), (_, fused)) in composed.1.iter().zip(&fused.1) {
        assert_close(name, composed, fused);
    }
}

#[test]
fn matrices_of_half_precision_change_loss_and_gradients_a_little() {
    let config = &configs()[0];
    let weights = DecoderWeights::random(config, 11);
    let run = |precision| {
        let decoder = Decoder::from_weights(&weights, &Device::flex().autodiff(), precision);
        decoder.loss_and_gradients(&batch(), &settings(config, false, false), |found| found.mean().neg())
    };
    let (exact, rounded) = (run(TensorPrecision::F32), run(TensorPrecision::Bf16));
    assert!((exact.0 - rounded.0).abs() < 0.05 * exact.0, "{} {}", exact.0, rounded.0);
    assert!(exact.0.to_bits() != rounded.0.to_bits());
    let norm = |values: &[f32]| values.iter().map(|value| value * value).sum::<f32>().sqrt();
    for ((name, exact), (_, rounded)) in exact.1.values().iter().zip(rounded.1.values()) {
        let off: Vec<f32> = exact.iter().zip(rounded).map(|(exact, rounded)| exact - rounded).collect();
        assert!(norm(&off) < 0.1 * norm(exact), "{name}: {} of {}", norm(&off), norm(exact));
    }
}
