//! The serving decoder against transformers and against itself: how a prompt is cut, what shares a step, how many threads
//! there are and where a prefix came from must not change one bit.

mod support;

use std::sync::Arc;

use still_decoder::{CpuDecoder, DecoderConfig, DecoderWeights, KeyValueCache, Span, WeightPrecision};
use support::{Fixture, MODELS, largest_difference};

const CAPACITY: usize = 64;

fn decoder(fixture: &Fixture, slots: usize, threads: usize) -> CpuDecoder {
    let weights = Arc::new(fixture.weights.clone());
    CpuDecoder::new(fixture.config.clone(), &weights, slots, CAPACITY, threads)
}

/// Logits after every token of a sequence that is fed in chunks of `chunk`, alone; only a chunk's last is asked for.
fn alone(decoder: &mut CpuDecoder, slot: usize, tokens: &[u32], chunk: usize) -> Vec<Vec<f32>> {
    let mut found = Vec::new();
    let mut logits = Vec::new();
    for (index, chunk_tokens) in tokens.chunks(chunk).enumerate() {
        let span = Span { slot, start: index * chunk, tokens: chunk_tokens, wants_logits: true };
        decoder.step(&[span], &mut logits);
        found.push(logits.clone());
    }
    found
}

fn bits(logits: &[f32]) -> Vec<u32> {
    logits.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn token_by_token_the_logits_match_transformers() {
    for name in MODELS {
        let fixture = Fixture::load(name);
        let mut decoder = decoder(&fixture, 3, 1);
        for (slot, (tokens, expected)) in fixture.sequences.iter().zip(&fixture.logits).enumerate() {
            let found = alone(&mut decoder, slot, tokens, 1).concat();
            let difference = largest_difference(&found, expected);
            assert!(difference < 1e-4, "{name}: {difference}");
        }
    }
}

#[test]
fn greedy_continuations_are_those_of_transformers() {
    for name in MODELS {
        let fixture = Fixture::load(name);
        let mut decoder = decoder(&fixture, 3, 2);
        let prompts: Vec<usize> = serde_json::from_value(fixture.reference["prompt_lens"].clone()).unwrap();
        let greedy: Vec<Vec<u32>> = serde_json::from_value(fixture.reference["greedy16"].clone()).unwrap();
        let mut texts: Vec<Vec<u32>> = fixture
            .sequences
            .iter()
            .zip(&prompts)
            .map(|(tokens, length)| tokens[..*length].to_vec())
            .collect();
        let mut logits = Vec::new();
        for _ in 0..16 {
            let spans: Vec<_> = texts
                .iter()
                .enumerate()
                .map(|(slot, text)| {
                    let start = decoder.cache().length(slot);
                    Span { slot, start, tokens: &text[start..], wants_logits: true }
                })
                .collect();
            decoder.step(&spans, &mut logits);
            for (text, row) in texts.iter_mut().zip(logits.chunks_exact(fixture.config.vocabulary_size)) {
                let best = (0..row.len()).max_by(|left, right| row[*left].total_cmp(&row[*right])).unwrap();
                text.push(best as u32);
            }
        }
        for ((text, length), expected) in texts.iter().zip(&prompts).zip(&greedy) {
            assert_eq!(&text[*length..], expected, "{name}");
        }
    }
}

#[test]
fn chunks_company_and_threads_change_no_bit() {
    for name in MODELS {
        let fixture = Fixture::load(name);
        let tokens = &fixture.sequences[0];
        let expected = alone(&mut decoder(&fixture, 1, 1), 0, tokens, 1);
        for chunk in [2, 3, 7, 13, 40] {
            let found = alone(&mut decoder(&fixture, 1, 2), 0, tokens, chunk);
            for (index, found) in found.iter().enumerate() {
                let last = ((index + 1) * chunk).min(tokens.len()) - 1;
                assert_eq!(bits(found), bits(&expected[last]), "{name}: chunks of {chunk}");
            }
        }
        // slot 3 decodes token by token while others prefill prompts of other lengths
        let mut decoder = decoder(&fixture, 5, 2);
        let mut logits = Vec::new();
        for (start, token) in tokens.iter().enumerate() {
            let other = &fixture.sequences[start % 3];
            let company =
                |slot| Span { slot, start: 0, tokens: &other[..=start % 17], wants_logits: slot == 1 };
            let mine = Span { slot: 3, start, tokens: std::slice::from_ref(token), wants_logits: true };
            let spans = [company(0), company(1), mine, company(4)];
            let spans = if start % 2 == 0 { &spans[..] } else { &spans[2..3] };
            decoder.step(spans, &mut logits);
            let found = &logits[logits.len() - fixture.config.vocabulary_size..];
            assert_eq!(bits(found), bits(&expected[start]), "{name}: token {start} in company");
        }
    }
}

#[test]
fn a_copied_prefix_is_as_good_as_a_computed_one() {
    let fixture = Fixture::load("qwen3");
    let tokens = &fixture.sequences[0];
    let mut decoder = decoder(&fixture, 2, 1);
    let expected = alone(&mut decoder, 0, tokens, tokens.len()).concat();
    decoder.copy_prefix(0, 1, 33);
    assert_eq!(decoder.cache().length(1), 33);
    let mut logits = Vec::new();
    decoder.step(&[Span { slot: 1, start: 33, tokens: &tokens[33..], wants_logits: true }], &mut logits);
    assert_eq!(bits(&logits), bits(&expected));
    // what a longer, older request left behind is not seen
    decoder.truncate(0, 5);
    decoder.step(&[Span { slot: 0, start: 5, tokens: &tokens[5..9], wants_logits: true }], &mut logits);
    let fresh = alone(&mut self::decoder(&fixture, 1, 1), 0, &tokens[..9], 9).concat();
    assert_eq!(bits(&logits), bits(&fresh));
}

#[test]
fn new_weights_are_in_force_from_the_next_step() {
    let fixture = Fixture::load("llama");
    let tokens = &fixture.sequences[2];
    let other = Arc::new(DecoderWeights::random(&fixture.config, 1));
    let mut swapped = decoder(&fixture, 1, 2);
    swapped.set_weights(&other);
    let mut fresh = CpuDecoder::new(fixture.config.clone(), &other, 1, CAPACITY, 1);
    assert_eq!(alone(&mut swapped, 0, tokens, 5), alone(&mut fresh, 0, tokens, 5));
    swapped.set_weights(&Arc::new(fixture.weights.clone()));
    assert_eq!(alone(&mut swapped, 0, tokens, 5), alone(&mut decoder(&fixture, 1, 1), 0, tokens, 5));
}

#[test]
fn bf16_storage_gives_the_bits_of_the_widened_weights() {
    for name in MODELS {
        let fixture = Fixture::load(name);
        let rounded = fixture.weights.to_bf16();
        let wide = Arc::new(rounded.to_f32());
        let tokens = &fixture.sequences[1];
        let run = |weights: &Arc<DecoderWeights>| {
            let mut decoder = CpuDecoder::new(fixture.config.clone(), weights, 1, CAPACITY, 1);
            alone(&mut decoder, 0, tokens, 4)
        };
        assert_eq!(run(&Arc::new(rounded)), run(&wide), "{name}");
    }
}

#[test]
fn a_decoder_in_bf16_rounds_the_weights_that_it_is_given_first_and_later_and_at_most_what_they_multiply() {
    for name in MODELS {
        let fixture = Fixture::load(name);
        let tokens = &fixture.sequences[1];
        let other = DecoderWeights::random(&fixture.config, 1);
        let new = |weights: &DecoderWeights, precision| {
            let config = fixture.config.clone();
            CpuDecoder::with_precision(config, weights, precision, 1, CAPACITY, 2)
        };
        let mut rounding = new(&other, WeightPrecision::Bf16);
        for weights in [&other, &fixture.weights] {
            rounding.set_weights(weights);
            let found = alone(&mut rounding, 0, tokens, 4);
            let mut rounded = new(&weights.to_bf16(), WeightPrecision::AsGiven);
            let rounded = alone(&mut rounded, 0, tokens, 4).concat();
            let largest = rounded.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
            let apart = found.iter().flatten().zip(&rounded).map(|(one, two)| (one - two).abs());
            let apart = apart.fold(0.0, f32::max);
            // to the bit where the processor does not multiply bf16 itself
            assert!(apart <= largest * 0.03, "{name}: {apart} of {largest}");
            let mut exact = new(weights, WeightPrecision::AsGiven);
            assert_ne!(found, alone(&mut exact, 0, tokens, 4), "{name}");
        }
    }
}

#[test]
fn an_embedding_multiplier_scales_the_embedding_only() {
    let fixture = Fixture::load("llama_smollm");
    let config = DecoderConfig { embedding_multiplier: 3.0, ..fixture.config.clone() };
    let mut named = fixture.weights.to_named(&config);
    let head = named[0].clone();
    named[0].values.iter_mut().for_each(|value| *value *= 3.0);
    named.push(still_decoder::NamedTensor { name: "lm_head.weight".to_owned(), ..head });
    let untied = DecoderConfig { tied_embeddings: false, ..fixture.config.clone() };
    let untied_weights = Arc::new(DecoderWeights::from_named(&untied, named).unwrap());
    let weights = Arc::new(fixture.weights.clone());
    let tokens = &fixture.sequences[2];
    let mut one = CpuDecoder::new(config, &weights, 1, CAPACITY, 1);
    let mut other = CpuDecoder::new(untied, &untied_weights, 1, CAPACITY, 1);
    assert_eq!(alone(&mut one, 0, tokens, 6), alone(&mut other, 0, tokens, 6));
}

#[test]
#[should_panic(expected = "a gap in slot 0")]
fn a_span_that_leaves_a_gap_is_refused() {
    let fixture = Fixture::load("llama");
    let span = Span { slot: 0, start: 3, tokens: &[5], wants_logits: true };
    decoder(&fixture, 1, 1).step(&[span], &mut Vec::new());
}

#[test]
fn the_cache_takes_what_it_says() {
    let config = Fixture::load("qwen2").config;
    // 3 layers, 2 slots, 2 heads, 64 positions, 16 key and 32 padded value columns
    assert_eq!(KeyValueCache::memory_bytes(&config, 2, 40), 3 * 2 * 2 * 64 * (16 + 32) * 4);
}
