//! What a decoder takes, counted by the allocator, against what it says beforehand.
#![expect(unsafe_code, reason = "an allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use still_decoder::{
    Architecture, CpuDecoder, DecoderConfig, DecoderWeights, RopeConfig, Span, SpecialTokens, Threads,
    WeightPrecision,
};

/// Bytes allocated and not yet freed.
static LIVE_BYTES: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static COUNTING: Counting = Counting;

struct Counting;

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE_BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        LIVE_BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(place, layout) }
    }
}

const SLOTS: usize = 8;
const CAPACITY: usize = 500;

fn config() -> DecoderConfig {
    DecoderConfig {
        architecture: Architecture::Llama,
        vocabulary_size: 5000,
        hidden_size: 128,
        intermediate_size: 384,
        layer_count: 6,
        attention_head_count: 4,
        key_value_head_count: 2,
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

#[test]
fn a_decoder_takes_what_it_says_within_a_tenth() {
    let config = config();
    let weights = DecoderWeights::random(&config, 1);
    let threads = Threads::new(2);
    for (precision, in_bf16) in [(WeightPrecision::AsGiven, false), (WeightPrecision::Bf16, true)] {
        let before = LIVE_BYTES.load(Ordering::Relaxed);
        let mut logits = Vec::new();
        let mut decoder = CpuDecoder::with_precision(
            config.clone(),
            &weights,
            precision,
            SLOTS,
            CAPACITY,
            threads.clone(),
        );
        let prompt: Vec<u32> = (0..50).collect();
        for start in [0, 50] {
            let spans: Vec<_> = (0..SLOTS)
                .map(|slot| Span { slot, start, tokens: &prompt, wants_logits: true })
                .collect();
            decoder.step(&spans, &mut logits);
        }
        let taken = LIVE_BYTES.load(Ordering::Relaxed) - before;
        let said =
            CpuDecoder::memory_bytes(&config, in_bf16, SLOTS, CAPACITY, SLOTS * prompt.len(), SLOTS);
        let ratio = said as f64 / taken as f64;
        assert!((0.9..=1.1).contains(&ratio), "{precision:?}: said {said}, took {taken}");
    }
}
