//! Whether the device computes what the processor computes, and what it does when memory runs out.

use serde_json::json;
use still_decoder::{CpuDecoder, DecoderConfig, DecoderWeights};
use still_rollout::{Span, StepError, StepModel};
use still_tensor_decoder::{CacheSize, DecoderMemory, Device, DeviceDecoder, DeviceName, TensorPrecision};

use crate::{
    Outcome,
    models::{Shape, tiled_weights},
};

/// Tokens of the sequence that both decoders read.
const TOKENS: usize = 300;
/// Largest difference of a logit as a share of the largest logit: tensor cores round f32 to 11 bits, and bf16
/// has 8.
const TOLERANCE: [(TensorPrecision, f32); 2] = [(TensorPrecision::F32, 0.01), (TensorPrecision::Bf16, 0.06)];
/// What is left free of a GPU before the step that is to fail.
const LEFT_BYTES: usize = 1 << 30;

/// Logits of small models of each kind, token by token and in chunks, against the processor's decoder.
pub(crate) fn parity(device: &Device) -> Outcome {
    let mut sound = true;
    for (name, config) in small_models() {
        let weights = DecoderWeights::random(&config, 11);
        let tokens: Vec<u32> = (0..TOKENS as u32).map(|position| position * 7 % 300).collect();
        let mut cpu = CpuDecoder::new(config.clone(), &weights, 1, TOKENS, 1);
        let mut expected = Vec::new();
        cpu.step(&[Span { slot: 0, start: 0, tokens: &tokens, wants_logits: true }], &mut expected);
        let scale = expected.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        for (precision, tolerance) in TOLERANCE {
            for chunk in [1, 17, 128, TOKENS] {
                let size = CacheSize { slots: 3, slot_capacity_tokens: TOKENS };
                let mut decoder = DeviceDecoder::new(config.clone(), &weights, device, precision, size)?;
                let mut found = Vec::new();
                for (index, tokens) in tokens.chunks(chunk).enumerate() {
                    let span = Span { slot: 1, start: index * chunk, tokens, wants_logits: true };
                    decoder.step(&[span], &mut found)?;
                }
                let differences =
                    found.iter().zip(&expected).map(|(found, expected)| (found - expected).abs());
                let difference = differences.fold(0.0_f32, f32::max) / scale;
                let holds = difference < tolerance;
                sound &= holds;
                let precision = format!("{precision:?}");
                println!(
                    "{}",
                    json!({"check": "parity", "model": name, "precision": precision, "chunk": chunk,
                        "difference": difference, "tolerance": tolerance, "holds": holds})
                );
            }
        }
    }
    Ok(sound)
}

/// Fills a GPU, asks for a step that cannot fit, and sees whether a smaller one still gives the right logits.
pub(crate) fn memory(name: DeviceName, device: &Device) -> Outcome {
    let Some(memory) = name.memory() else {
        println!("{}", json!({"check": "memory", "skipped": "the device's memory is not known"}));
        return Ok(true);
    };
    let config = Shape::Half.config();
    let weights = tiled_weights(&config);
    let precision = TensorPrecision::Bf16;
    let size = |slots| CacheSize { slots, slot_capacity_tokens: 16_383 };
    let span = |tokens| Span { slot: 0, start: 0, tokens, wants_logits: true };
    let (prompt, mut expected, mut found) = (vec![5_u32; 16_000], Vec::new(), Vec::new());
    DeviceDecoder::new(config.clone(), &weights, device, precision, size(1))?
        .step(&[span(&prompt[..40])], &mut expected)?;

    let impossible = DeviceDecoder::new(config.clone(), &weights, device, precision, size(1 << 14));
    let refused = matches!(impossible, Err(StepError::OutOfMemory(_)));
    let of = |slots| DecoderMemory::of(&config, precision, size(slots), 0);
    let cache_of_one = of(2).cache_bytes - of(1).cache_bytes;
    let room = memory.free_bytes.saturating_sub(of(1).weights_bytes + LEFT_BYTES);
    let slots = (room / cache_of_one).max(1);
    let decoder = DeviceDecoder::new(config.clone(), &weights, device, precision, size(slots))?;
    // no pieces: the scores of the whole prompt at once are to burst the memory
    let mut decoder = decoder.with_max_scores(usize::MAX);
    let burst = decoder.step(&[span(&prompt)], &mut found);
    let burst_told = matches!(burst, Err(StepError::OutOfMemory(_)));
    decoder.step(&[span(&prompt[..40])], &mut found)?;
    let recovered = found == expected;
    println!(
        "{}",
        json!({"check": "memory", "slots": slots, "too_large_a_cache_is_refused": refused,
            "a_step_that_bursts_is_told": burst_told, "the_next_step_is_right": recovered,
            "burst": format!("{burst:?}"), "holds": refused && burst_told && recovered})
    );
    Ok(refused && burst_told && recovered)
}

/// Grouped heads, biases, head norms, tied and untied heads, an embedding multiplier.
fn small_models() -> [(&'static str, DecoderConfig); 3] {
    let qwen2 = DecoderConfig { head_dim: 64, max_position_count: 512, ..Shape::Tiny.config() };
    let qwen3 = DecoderConfig {
        attention_bias: false,
        query_key_norm: true,
        tied_embeddings: false,
        ..qwen2.clone()
    };
    let llama = DecoderConfig { query_key_norm: false, embedding_multiplier: 8.0, ..qwen3.clone() };
    [("qwen2", qwen2), ("qwen3", qwen3), ("llama", llama)]
}
