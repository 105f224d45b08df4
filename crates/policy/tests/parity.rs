//! The fused operators, burn's own operators and the plain kernels give the same numbers.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use serde_json::json;
use still_decoder::{ActivationMode, DecoderConfig, DecoderWeights, Threads, model_gradients};
use still_policy::{Decoder, ForwardSettings, TokenBatch};

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
    ForwardSettings { config: Arc::new(config.clone()), threads: Threads::new(2), recompute, fused }
}

/// The mean loss over the targets, and every parameter's gradient by name.
fn loss_and_gradients(
    config: &DecoderConfig,
    weights: &DecoderWeights,
    settings: &ForwardSettings,
) -> (f32, Vec<(String, Vec<f32>)>) {
    let decoder = Decoder::from_weights(weights, &Device::flex().autodiff());
    let loss: Tensor<1> = decoder.target_log_probabilities(&batch(), settings).mean().neg();
    let value = loss.clone().into_scalar::<f32>();
    let gradients = decoder.gradients(&loss.backward());
    let named = gradients.to_named(config).into_iter().map(|tensor| (tensor.name, tensor.values)).collect();
    (value, named)
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
        let (loss, gradients) = loss_and_gradients(&config, &weights, &settings(&config, false, false));
        for recompute in [false, true] {
            let fused = loss_and_gradients(&config, &weights, &settings(&config, true, recompute));
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
        let (value, gradients) = loss_and_gradients(&config, &weights, &settings(&config, true, false));
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
    let decoder = Decoder::from_weights(&weights, &Device::flex());
    let run = |batch: &TokenBatch| {
        let found = decoder.target_log_probabilities(batch, &settings(config, true, false));
        found.into_data().try_into_vec::<f32>().unwrap()
    };
    let together = run(&batch());
    let alone = run(&TokenBatch::new([(&[6, 5, 3, 5][..], 1..4)], 19).unwrap());
    assert_close("packed", &together[5..], &alone);
}
