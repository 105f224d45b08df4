//! The processor's kernels and burn's operators give the same numbers.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use serde_json::json;
use still_decoder::{DecoderConfig, DecoderWeights, Threads};
use still_tensor_decoder::{
    Decoder, Device, ForwardSettings, HostDecoder, LayerObserver, Parameters, TensorPrecision, TokenBatch,
    TrainableDecoder,
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

fn settings(config: &DecoderConfig, recompute: bool) -> ForwardSettings {
    ForwardSettings {
        config: Arc::new(config.clone()),
        threads: Threads::new(2),
        recompute,
        observer: LayerObserver::default(),
    }
}

fn on_processor(weights: &DecoderWeights) -> HostDecoder {
    HostDecoder::whole(Arc::new(weights.clone()))
}

fn on_tensors(weights: &DecoderWeights, precision: TensorPrecision) -> Decoder {
    Decoder::from_weights(weights, &Device::flex().autodiff(), precision)
}

/// The mean loss over the targets, and every parameter's gradient by name.
fn loss_and_gradients(
    config: &DecoderConfig,
    decoder: &dyn TrainableDecoder,
    batch: &TokenBatch,
    settings: &ForwardSettings,
) -> (f32, Vec<(String, Vec<f32>)>) {
    let mean = -1.0 / batch.targets.len() as f64;
    let (loss, gradients) = decoder.weighted_likelihood_and_gradients(batch, settings, mean);
    (loss as f32, named(config, gradients))
}

fn named(config: &DecoderConfig, gradients: Parameters) -> Vec<(String, Vec<f32>)> {
    let Parameters::Full(gradients) = gradients else { panic!("all parameters are trained") };
    gradients.to_named(config).into_iter().map(|tensor| (tensor.name, tensor.values)).collect()
}

fn assert_close(name: &str, one: &[f32], two: &[f32]) {
    assert_eq!(one.len(), two.len(), "{name}");
    let scale = one.iter().fold(1e-3_f32, |scale, value| scale.max(value.abs()));
    for (one, two) in one.iter().zip(two) {
        assert!((one - two).abs() <= 2e-5 * scale, "{name}: {one} is not {two} at scale {scale}");
    }
}

#[test]
fn kernels_and_tensors_agree_on_loss_and_gradients() {
    for config in configs() {
        let weights = DecoderWeights::random(&config, 7);
        let tensors = on_tensors(&weights, TensorPrecision::F32);
        let (loss, gradients) = loss_and_gradients(&config, &tensors, &batch(), &settings(&config, false));
        assert!(gradients.iter().any(|(_, values)| values.iter().any(|value| value.abs() > 1e-3)));
        for recompute in [false, true] {
            let settings = settings(&config, recompute);
            let found = loss_and_gradients(&config, &on_processor(&weights), &batch(), &settings);
            assert_close("loss", &[loss], &[found.0]);
            for ((name, expected), (_, found)) in gradients.iter().zip(&found.1) {
                assert_close(&format!("{:?} {name}", config.architecture), expected, found);
            }
        }
    }
}

#[test]
fn a_loss_of_log_probabilities_has_the_gradients_of_what_it_comes_to() {
    for config in configs() {
        let (weights, settings) = (DecoderWeights::random(&config, 8), settings(&config, false));
        let decoders: [Box<dyn TrainableDecoder>; 2] =
            [Box::new(on_processor(&weights)), Box::new(on_tensors(&weights, TensorPrecision::F32))];
        for decoder in decoders {
            let (loss, gradients) = loss_and_gradients(&config, &*decoder, &batch(), &settings);
            let known = decoder.target_log_probabilities(&batch(), &settings);
            let (value, found) = decoder.loss_and_gradients(&batch(), &settings, &mut |found| {
                assert_close("log-probabilities", &known, found);
                let count = found.len() as f32;
                (f64::from(-found.iter().sum::<f32>() / count), vec![-1.0 / count; found.len()])
            });
            assert_close("loss", &[loss], &[value as f32]);
            for ((name, expected), (_, found)) in gradients.iter().zip(&named(&config, found)) {
                assert_close(name, expected, found);
            }
        }
    }
}

#[test]
fn a_sequence_has_the_same_log_probabilities_alone_and_in_company() {
    let config = &configs()[1];
    let (weights, settings) = (DecoderWeights::random(config, 9), settings(config, false));
    let decoders: [Box<dyn TrainableDecoder>; 2] =
        [Box::new(on_processor(&weights)), Box::new(on_tensors(&weights, TensorPrecision::F32))];
    for decoder in decoders {
        let together = decoder.target_log_probabilities(&batch(), &settings);
        let alone = TokenBatch::new([(&[6, 5, 3, 5][..], 1..4)], 19).unwrap();
        assert_close("packed", &together[5..], &decoder.target_log_probabilities(&alone, &settings));
    }
}

#[test]
fn attention_in_blocks_agrees_on_a_sequence_of_several_blocks() {
    let config = &configs()[2];
    let (weights, settings) = (DecoderWeights::random(config, 10), settings(config, false));
    let long: Vec<u32> = (0..1_300_u32).map(|position| position * position % 19).collect();
    let batch = TokenBatch::new([(&long[..], 700..1_300), (&long[..40], 1..40)], 19).unwrap();
    let tensors = on_tensors(&weights, TensorPrecision::F32);
    let expected = loss_and_gradients(config, &tensors, &batch, &settings);
    let found = loss_and_gradients(config, &on_processor(&weights), &batch, &settings);
    assert_close("loss", &[expected.0], &[found.0]);
    for ((name, expected), (_, found)) in expected.1.iter().zip(&found.1) {
        assert_close(name, expected, found);
    }
}

#[test]
fn matrices_of_half_precision_change_loss_and_gradients_a_little() {
    let config = &configs()[0];
    let weights = DecoderWeights::random(config, 11);
    let run = |precision| {
        let tensors = on_tensors(&weights, precision);
        loss_and_gradients(config, &tensors, &batch(), &settings(config, false))
    };
    let (exact, rounded) = (run(TensorPrecision::F32), run(TensorPrecision::Bf16));
    assert!((exact.0 - rounded.0).abs() < 0.05 * exact.0, "{} {}", exact.0, rounded.0);
    assert!(exact.0.to_bits() != rounded.0.to_bits());
    let norm = |values: &[f32]| values.iter().map(|value| value * value).sum::<f32>().sqrt();
    for ((name, exact), (_, rounded)) in exact.1.iter().zip(&rounded.1) {
        let off: Vec<f32> = exact.iter().zip(rounded).map(|(exact, rounded)| exact - rounded).collect();
        assert!(norm(&off) < 0.1 * norm(exact), "{name}: {} of {}", norm(&off), norm(exact));
    }
}
