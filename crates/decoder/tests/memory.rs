//! What a decoder takes, by the system's count of this process, against what it says beforehand.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a system that does not tell fails the test")]

use still_decoder::{
    Architecture, CpuDecoder, DecoderConfig, DecoderWeights, RopeConfig, Span, SpecialTokens, WeightPrecision,
};

const SLOTS: usize = 16;
const CAPACITY: usize = 500;
const CHUNK: usize = 50;

fn config() -> DecoderConfig {
    DecoderConfig {
        architecture: Architecture::Llama,
        vocabulary_size: 20_000,
        hidden_size: 256,
        intermediate_size: 768,
        layer_count: 8,
        attention_head_count: 8,
        key_value_head_count: 4,
        head_dim: 32,
        rms_norm_epsilon: 1e-5,
        rope: RopeConfig { theta: 10_000.0, scaling: None },
        tied_embeddings: true,
        attention_bias: false,
        query_key_norm: false,
        embedding_multiplier: 1.0,
        max_position_count: 1024,
        special_tokens: SpecialTokens::default(),
    }
}

/// Bytes of memory that this process holds.
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

#[test]
fn a_full_decoder_takes_what_it_says_within_a_tenth() {
    let config = config();
    let weights = DecoderWeights::random(&config, 1);
    let prompt: Vec<u32> = (0..CHUNK as u32).collect();
    for (precision, in_bf16) in [(WeightPrecision::AsGiven, false), (WeightPrecision::Bf16, true)] {
        let before = resident_bytes();
        let mut logits = Vec::new();
        let mut decoder = CpuDecoder::with_precision(config.clone(), &weights, precision, SLOTS, CAPACITY, 2);
        for start in (0..CAPACITY).step_by(CHUNK) {
            let spans: Vec<_> =
                (0..SLOTS).map(|slot| Span { slot, start, tokens: &prompt, wants_logits: true }).collect();
            decoder.step(&spans, &mut logits);
        }
        let taken = resident_bytes() - before;
        let said = CpuDecoder::memory_bytes(&config, in_bf16, SLOTS, CAPACITY, SLOTS * CHUNK, SLOTS);
        let ratio = said as f64 / taken as f64;
        assert!((0.9..=1.1).contains(&ratio), "{precision:?}: said {said}, took {taken}");
    }
}
