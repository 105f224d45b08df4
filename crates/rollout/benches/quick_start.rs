//! Rollouts of the quick start's model: problems of its shapes, random weights, full length.
//!
//! `cargo bench -p still-rollout --bench quick_start`
#![expect(clippy::print_stdout, reason = "a benchmark reports on standard output")]
#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::{sync::Arc, time::Instant};

use still_decoder::{Architecture, CpuDecoder, DecoderConfig, DecoderWeights, RopeConfig, SpecialTokens};
use still_rollout::{Engine, EngineConfig, PolicyVersion, Request, SamplingSettings};

/// The quick start's model: 152,640 parameters.
fn config() -> DecoderConfig {
    DecoderConfig {
        architecture: Architecture::Llama,
        vocabulary_size: 26,
        hidden_size: 64,
        intermediate_size: 176,
        layer_count: 3,
        attention_head_count: 4,
        key_value_head_count: 4,
        head_dim: 16,
        rms_norm_epsilon: 1e-5,
        rope: RopeConfig { theta: 10_000.0, scaling: None },
        tied_embeddings: true,
        attention_bias: false,
        query_key_norm: false,
        embedding_multiplier: 8.0,
        max_position_count: 1024,
        special_tokens: SpecialTokens::default(),
    }
}

fn main() {
    let weights = DecoderWeights::random(&config(), 1);
    for threads in [1, 2] {
        for slots in [16, 64, 128, 256, 512] {
            let decoder = CpuDecoder::new(config(), &weights, slots, 128, threads);
            let mut engine = Engine::new(decoder, PolicyVersion(0), EngineConfig::default());
            // four rollouts a problem; levels 2 to 6, weights 1 2 3 4 4: prompts of 6 to 10 tokens, responses
            // of about 10 tokens and 8 more for each digit
            for id in 0..1800_u32 {
                let problem = id / 4;
                let level = [2, 3, 3, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6][problem as usize % 14];
                let request = Request {
                    id,
                    prompt: (0..level + 4)
                        .map(|position| {
                            8 + (problem.wrapping_mul(2_654_435_761) >> (3 * position).min(27)) % 17
                        })
                        .collect(),
                    settings: SamplingSettings {
                        max_new_tokens: 10 + 9 * level,
                        ..SamplingSettings::default()
                    },
                    seed: u64::from(id),
                    stop_ids: Arc::new([]),
                    stop_strings: Arc::new([]),
                };
                engine.submit(request).unwrap();
            }
            let (start, mut tokens, mut prefill) = (Instant::now(), 0, 0);
            while !engine.is_idle() {
                let report = engine.step().unwrap();
                tokens += report.tokens;
                prefill += report.prefill_tokens;
            }
            let rate = tokens as f64 / start.elapsed().as_secs_f64();
            println!(
                "{threads} threads, {slots:>3} slots: {rate:>8.0} tokens/s ({tokens} drawn, {prefill} prompt tokens run)"
            );
        }
    }
}
