//! A training step of adapters on one long sequence.

use std::{sync::Arc, time::Instant};

use serde_json::json;
use still_decoder::Threads;
use still_tensor_decoder::{
    Adapters, Decoder, Device, DeviceName, ForwardSettings, LayerObserver, LoraConfig, Projection,
    TensorPrecision, TokenBatch, TrainableDecoder, composed_pass_bytes,
};

use crate::{
    Outcome,
    models::{Shape, tiled_weights},
};

/// Steps of each length; the first compiles and tunes.
const STEPS: usize = 3;
const PRECISION: TensorPrecision = TensorPrecision::Bf16;

/// Times loss and gradients of rank-16 adapters of every projection, by length of the sequence. The memory taken is
/// that of all lengths so far: what the device's runtime has once, it keeps.
pub(crate) fn step(name: DeviceName, device: &Device, shape: Shape) -> Outcome {
    let free = || name.memory().map(|memory| memory.free_bytes);
    let at_first = free();
    let config = shape.config();
    let weights = tiled_weights(&config);
    let lora = LoraConfig { rank: 16, alpha: 32.0, targets: Projection::ALL.to_vec() };
    let adapters = Adapters::new(&lora, &config, 1)?;
    let device = device.clone().autodiff();
    let decoder = Decoder::with_adapters(&weights, &adapters, &config, &device, PRECISION);
    let settings = ForwardSettings {
        config: Arc::new(config.clone()),
        threads: Threads::single(),
        recompute: true,
        observer: LayerObserver::default(),
    };
    let parameters =
        config.parameter_count() * PRECISION.bytes() + lora.parameter_count(&config) * size_of::<f32>();
    for &length in shape.sequence_tokens() {
        let tokens: Vec<u32> = (0..length as u32).map(|position| position % 251).collect();
        let batch = TokenBatch::new([(&tokens[..], 8..length)], config.vocabulary_size)?;
        let mut times = Vec::new();
        let mut losses = Vec::new();
        for _ in 0..STEPS {
            let began = Instant::now();
            let mean = -1.0 / batch.targets.len() as f64;
            let (loss, _) = decoder.weighted_likelihood_and_gradients(&batch, &settings, mean);
            times.push(began.elapsed().as_secs_f64());
            losses.push(loss);
        }
        let last = times.last().copied().unwrap_or(f64::NAN);
        // three passes, forward, forward again and backward twice as dear, of two operations a parameter
        let operations = 8.0 * config.parameter_count() as f64 * length as f64;
        let taken = at_first.zip(free()).map(|(before, now)| before.saturating_sub(now));
        let estimated = parameters + composed_pass_bytes(&config, PRECISION, Some(&lora), length);
        let finite = losses.iter().all(|loss| loss.is_finite());
        println!(
            "{}",
            json!({"check": "train", "model": format!("{shape:?}"), "sequence_tokens": length,
                "first_s": times.first(), "last_s": last, "tokens_per_second": length as f64 / last,
                "teraflops": operations / last / 1e12, "taken_bytes": taken, "estimated_bytes": estimated,
                "loss": losses.last(), "holds": finite})
        );
        if !finite {
            return Ok(false);
        }
    }
    Ok(true)
}
