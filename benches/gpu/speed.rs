//! Decoding: tokens a second against the memory's bandwidth, and whether steps settle.

use std::time::Instant;

use serde_json::json;
use still_decoder::DecoderConfig;
use still_rollout::{Span, StepModel};
use still_tensor_decoder::{CacheSize, DecoderMemory, Device, DeviceDecoder, TensorPrecision};

use crate::{
    Outcome,
    models::{Shape, tiled_weights},
};

const PRECISION: TensorPrecision = TensorPrecision::Bf16;
/// Steps before any are measured: kernels are compiled and tuned in them.
const WARM_UP_STEPS: usize = 12;
const MEASURED_STEPS: usize = 48;
/// Steps that are timed one by one.
const SETTLING_STEPS: usize = 400;
/// A step may take this many times the median once all have settled.
const SETTLED: f64 = 3.0;

/// Rollouts of equal length that decode together.
struct Rollouts {
    decoder: DeviceDecoder,
    count: usize,
    length: usize,
}

impl Rollouts {
    /// Reads one prompt of `context` tokens and copies its keys and values for all others.
    fn new(
        device: &Device,
        shape: Shape,
        count: usize,
        context: usize,
        more: usize,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let config = shape.config();
        let size = CacheSize { slots: count, slot_capacity_tokens: context + more };
        let weights = tiled_weights(&config);
        let mut decoder = DeviceDecoder::new(config, &weights, device, PRECISION, size)?;
        let prompt: Vec<u32> = (0..context as u32).map(|position| position % 251).collect();
        let mut logits = Vec::new();
        for (index, tokens) in prompt.chunks(1_024).enumerate() {
            let span = Span { slot: 0, start: index * 1_024, tokens, wants_logits: false };
            decoder.step(&[span], &mut logits)?;
        }
        for slot in 1..count {
            decoder.copy_prefix(0, slot, context)?;
        }
        Ok(Self { decoder, count, length: context })
    }

    /// Runs a token of every rollout; how long it took, in seconds.
    fn step(&mut self, wants_logits: bool) -> Result<f64, Box<dyn std::error::Error>> {
        let tokens: Vec<u32> = (0..self.count as u32).map(|slot| slot + 3).collect();
        let spans: Vec<_> = tokens
            .chunks(1)
            .enumerate()
            .map(|(slot, tokens)| Span { slot, start: self.length, tokens, wants_logits })
            .collect();
        let mut logits = Vec::new();
        let began = Instant::now();
        self.decoder.step(&spans, &mut logits)?;
        self.length += 1;
        Ok(began.elapsed().as_secs_f64())
    }

    fn median_step(&mut self, wants_logits: bool) -> Result<f64, Box<dyn std::error::Error>> {
        for _ in 0..WARM_UP_STEPS {
            self.step(wants_logits)?;
        }
        let times = (0..MEASURED_STEPS).map(|_| self.step(wants_logits));
        Ok(median(times.collect::<Result<Vec<_>, _>>()?))
    }
}

/// Tokens a second at several batch sizes, and how near they come to what the bandwidth allows.
pub(crate) fn decode(device: &Device, shape: Shape, bandwidth: f64) -> Outcome {
    let config = shape.config();
    for &count in shape.batches() {
        let context = shape.context_tokens();
        let more = 2 * (WARM_UP_STEPS + MEASURED_STEPS);
        let mut rollouts = Rollouts::new(device, shape, count, context, more)?;
        let with_logits = rollouts.median_step(true)?;
        let without = rollouts.median_step(false)?;
        let least = min_bytes(&config, count, context) as f64 / (bandwidth * 1e9);
        println!(
            "{}",
            json!({"check": "decode", "model": format!("{shape:?}"), "rollouts": count, "context": context,
                "step_ms": with_logits * 1e3, "step_without_logits_ms": without * 1e3,
                "tokens_per_second": count as f64 / with_logits,
                "roofline_ms": least * 1e3, "share_of_roofline": least / with_logits,
                "share_of_roofline_without_logits": least / without})
        );
    }
    Ok(true)
}

/// Times of single steps across several extents of the cache: after the first few no step may stand out,
/// as one would that compiles or tunes a kernel.
pub(crate) fn steady(device: &Device, shape: Shape) -> Outcome {
    let mut rollouts = Rollouts::new(device, shape, 8, shape.context_tokens(), SETTLING_STEPS)?;
    let times = (0..SETTLING_STEPS).map(|_| rollouts.step(true)).collect::<Result<Vec<_>, _>>()?;
    let settled = median(times[SETTLING_STEPS / 2..].to_vec());
    let slow: Vec<_> = times.iter().enumerate().filter(|(_, time)| **time > SETTLED * settled).collect();
    let last_slow = slow.last().map(|(step, _)| *step);
    let holds = last_slow.is_none_or(|step| step < SETTLING_STEPS / 2);
    println!(
        "{}",
        json!({"check": "steady", "model": format!("{shape:?}"), "first_ms": times[0] * 1e3,
            "second_ms": times[1] * 1e3, "settled_ms": settled * 1e3,
            "slow_steps": slow.iter().map(|(step, time)| (*step, **time * 1e3)).collect::<Vec<_>>(),
            "holds": holds})
    );
    Ok(holds)
}

/// Bytes that a decoding step cannot but read: every weight, and the keys and values of every rollout.
fn min_bytes(config: &DecoderConfig, rollouts: usize, context: usize) -> usize {
    let size = CacheSize { slots: rollouts, slot_capacity_tokens: context };
    let weights = DecoderMemory::of(config, PRECISION, size, 0).weights_bytes;
    weights + rollouts * context * config.layer_count * 2 * config.key_value_size() * 2
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}
