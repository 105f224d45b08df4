//! The decoder on burn's tensors against transformers, against the CPU's decoder and under the engine.
#![expect(clippy::unwrap_used, reason = "a failing test may panic")]

mod support;

use std::{collections::BTreeMap, sync::Arc};

use burn::tensor::Device;
use still_decoder::{CpuDecoder, DecoderConfig, DecoderWeights};
use still_rollout::{
    Engine, EngineConfig, Finished, PolicyVersion, Request, SamplingSettings, Span, StepError, StepModel,
};
use still_tensor_decoder::{CacheSize, DeviceDecoder, TensorPrecision};
use support::{Fixture, MODELS, largest_difference};

const CAPACITY: usize = 64;

fn on_device(config: &DecoderConfig, weights: &DecoderWeights, slots: usize) -> DeviceDecoder {
    let size = CacheSize { slots, slot_capacity_tokens: CAPACITY };
    DeviceDecoder::new(config.clone(), weights, &Device::flex(), TensorPrecision::F32, size).unwrap()
}

fn on_cpu(config: &DecoderConfig, weights: &DecoderWeights, slots: usize) -> CpuDecoder {
    CpuDecoder::new(config.clone(), weights, slots, CAPACITY, 1)
}

/// Logits after every chunk's last token of a sequence that is fed in chunks, alone.
fn alone(decoder: &mut DeviceDecoder, slot: usize, tokens: &[u32], chunk: usize) -> Vec<Vec<f32>> {
    let (mut found, mut logits) = (Vec::new(), Vec::new());
    for (index, tokens) in tokens.chunks(chunk).enumerate() {
        let span = Span { slot, start: index * chunk, tokens, wants_logits: true };
        decoder.step(&[span], &mut logits).unwrap();
        found.push(logits.clone());
    }
    found
}

#[test]
fn token_by_token_and_in_chunks_the_logits_match_transformers() {
    for name in MODELS {
        let fixture = Fixture::load(name);
        let width = fixture.config.vocabulary_size;
        for (tokens, expected) in fixture.sequences.iter().zip(&fixture.logits) {
            for (chunk, max_scores) in [(1, usize::MAX), (3, usize::MAX), (7, 1), (16, 100), (40, 2000)] {
                let decoder = on_device(&fixture.config, &fixture.weights, 2);
                let mut decoder = decoder.with_max_scores(max_scores);
                for (index, found) in alone(&mut decoder, 1, tokens, chunk).iter().enumerate() {
                    let last = ((index + 1) * chunk).min(tokens.len()) - 1;
                    let difference = largest_difference(found, &expected[last * width..][..width]);
                    assert!(difference < 1e-4, "{name}, chunks of {chunk}: {difference}");
                }
            }
        }
    }
}

#[test]
fn greedy_continuations_are_those_of_transformers_and_of_the_cpu() {
    for name in MODELS {
        let fixture = Fixture::load(name);
        let slots = fixture.prompts.len();
        let device = greedy(&mut on_device(&fixture.config, &fixture.weights, slots), &fixture.prompts);
        assert_eq!(device, fixture.greedy, "{name}");
        let cpu = greedy(&mut on_cpu(&fixture.config, &fixture.weights, slots), &fixture.prompts);
        assert_eq!(device, cpu, "{name}");
    }
}

/// Sixteen greedy tokens after each prompt, all prompts at once.
fn greedy(decoder: &mut impl StepModel, prompts: &[Vec<u32>]) -> Vec<Vec<u32>> {
    let (mut texts, mut logits) = (prompts.to_vec(), Vec::new());
    let mut starts = vec![0; prompts.len()];
    for _ in 0..16 {
        let spans: Vec<_> = texts
            .iter()
            .enumerate()
            .map(|(slot, text)| Span {
                slot,
                start: starts[slot],
                tokens: &text[starts[slot]..],
                wants_logits: true,
            })
            .collect();
        decoder.step(&spans, &mut logits).unwrap();
        for (slot, row) in logits.chunks_exact(decoder.vocabulary_size()).enumerate() {
            let best = (0..row.len()).max_by(|left, right| row[*left].total_cmp(&row[*right])).unwrap();
            starts[slot] = texts[slot].len();
            texts[slot].push(best as u32);
        }
    }
    texts.iter().zip(prompts).map(|(text, prompt)| text[prompt.len()..].to_vec()).collect()
}

#[test]
fn company_changes_nothing_that_matters_and_only_the_wanted_logits_come() {
    let fixture = Fixture::load("qwen3");
    let (tokens, width) = (&fixture.sequences[0], fixture.config.vocabulary_size);
    let expected = &fixture.logits[0];
    let mut decoder = on_device(&fixture.config, &fixture.weights, 5);
    let mut logits = Vec::new();
    for (start, token) in tokens.iter().enumerate() {
        let other = &fixture.sequences[start % 3];
        let company = |slot| Span { slot, start: 0, tokens: &other[..=start % 17], wants_logits: slot == 1 };
        let mine = Span { slot: 3, start, tokens: std::slice::from_ref(token), wants_logits: true };
        let spans = [company(0), company(1), mine, company(4)];
        let spans = if start % 2 == 0 { &spans[..] } else { &spans[2..3] };
        decoder.step(spans, &mut logits).unwrap();
        let wanted = spans.iter().filter(|span| span.wants_logits).count();
        assert_eq!(logits.len(), wanted * width);
        let difference =
            largest_difference(&logits[(wanted - 1) * width..], &expected[start * width..][..width]);
        assert!(difference < 1e-4, "token {start}: {difference}");
    }
    decoder.step(&[Span { slot: 0, start: 0, tokens, wants_logits: false }], &mut logits).unwrap();
    assert!(logits.is_empty());
}

#[test]
fn a_copied_prefix_is_as_good_as_a_computed_one() {
    let fixture = Fixture::load("qwen2");
    let tokens = &fixture.sequences[0];
    let mut decoder = on_device(&fixture.config, &fixture.weights, 3);
    let expected = alone(&mut decoder, 0, tokens, tokens.len()).concat();
    alone(&mut decoder, 2, &fixture.sequences[1], 5);
    decoder.copy_prefix(0, 1, 33).unwrap();
    let mut logits = Vec::new();
    decoder
        .step(&[Span { slot: 1, start: 33, tokens: &tokens[33..], wants_logits: true }], &mut logits)
        .unwrap();
    assert!(largest_difference(&logits, &expected) < 1e-5);
    // the slot beside is untouched
    let mut other = on_device(&fixture.config, &fixture.weights, 3);
    alone(&mut other, 2, &fixture.sequences[1], 5);
    let length = fixture.sequences[1].len();
    let more = Span { slot: 2, start: length, tokens: &[3, 4], wants_logits: true };
    let mut untouched = Vec::new();
    decoder.step(&[more], &mut logits).unwrap();
    other.step(&[more], &mut untouched).unwrap();
    assert_eq!(logits, untouched);
    let error = decoder.copy_prefix(0, 9, 3).unwrap_err();
    assert!(matches!(error, StepError::Device(_)), "{error}");
    assert!(decoder.copy_prefix(1, 0, 60).is_err(), "more than the slot holds");
}

#[test]
fn new_weights_are_in_force_from_the_next_step() {
    let fixture = Fixture::load("llama");
    let tokens = &fixture.sequences[2];
    let other = Arc::new(DecoderWeights::random(&fixture.config, 1));
    let mut swapped = on_device(&fixture.config, &fixture.weights, 1);
    swapped.set_weights(Arc::clone(&other)).unwrap();
    let fresh = alone(&mut on_device(&fixture.config, &other, 1), 0, tokens, 5);
    assert_eq!(alone(&mut swapped, 0, tokens, 5), fresh);
    swapped.set_weights(Arc::new(fixture.weights.clone())).unwrap();
    let first = alone(&mut on_device(&fixture.config, &fixture.weights, 1), 0, tokens, 5);
    assert_eq!(alone(&mut swapped, 0, tokens, 5), first);
}

#[test]
fn the_embedding_multiplier_counts_and_bf16_stays_near() {
    let fixture = Fixture::load("qwen2");
    let config = DecoderConfig { embedding_multiplier: 8.0, ..fixture.config };
    let weights = DecoderWeights::random(&config, 4);
    let tokens = &fixture.sequences[0];
    let mut expected = Vec::new();
    on_cpu(&config, &weights, 1)
        .step(&[Span { slot: 0, start: 0, tokens, wants_logits: true }], &mut expected);
    let found = alone(&mut on_device(&config, &weights, 1), 0, tokens, 64).concat();
    assert!(largest_difference(&found, &expected) < 1e-4);

    let size = CacheSize { slots: 1, slot_capacity_tokens: CAPACITY };
    let rounded = DeviceDecoder::new(config.clone(), &weights, &Device::flex(), TensorPrecision::Bf16, size);
    let mut rounded = rounded.unwrap();
    let near = alone(&mut rounded, 0, tokens, 8).concat();
    let near = &near[near.len() - config.vocabulary_size..];
    let scale = expected.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    let difference = largest_difference(near, &expected);
    assert!(difference > 0.0 && difference < 0.05 * scale, "{difference} at a scale of {scale}");
}

#[test]
fn a_span_that_does_not_fit_is_an_error_and_changes_nothing() {
    let fixture = Fixture::load("llama");
    let tokens = &fixture.sequences[0];
    let mut decoder = on_device(&fixture.config, &fixture.weights, 1);
    let mut logits = Vec::new();
    let expected = alone(&mut on_device(&fixture.config, &fixture.weights, 1), 0, &tokens[..9], 3);
    let gap = Span { slot: 0, start: 5, tokens: &tokens[..2], wants_logits: true };
    assert!(matches!(decoder.step(&[gap], &mut logits), Err(StepError::Device(_))));
    assert_eq!(alone(&mut decoder, 0, &tokens[..9], 3), expected);
}

/// Requests of mixed lengths, four to a prompt, more than there are slots.
fn requests(config: &DecoderConfig) -> Vec<Request<u32>> {
    let vocabulary = config.vocabulary_size as u32;
    let request = |id: u32| {
        let length = 4 + id / 4 * 7;
        let prompt = (0..length)
            .map(|position| if position < 9 { position } else { (id / 4 * 5 + position) % vocabulary });
        Request {
            id,
            prompt: prompt.collect(),
            settings: SamplingSettings {
                temperature: [0.0, 1.0, 0.0][id as usize % 3],
                max_new_tokens: 3 + id * 5 % 17,
                ..SamplingSettings::default()
            },
            seed: u64::from(id),
            stop_ids: Arc::new([vocabulary - 1]),
            stop_strings: Arc::new([]),
        }
    };
    (0..20).map(request).collect()
}

fn run<M: StepModel>(mut engine: Engine<M, u32>, requests: &[Request<u32>]) -> BTreeMap<u32, Finished<u32>> {
    for request in requests {
        engine.submit(request.clone()).unwrap();
    }
    let mut finished = BTreeMap::new();
    while !engine.is_idle() {
        let report = engine.step().unwrap();
        assert!(report.abandoned.is_empty());
        finished.extend(report.finished.into_iter().map(|ended| (ended.id, ended)));
    }
    finished
}

#[test]
fn the_engine_draws_the_tokens_that_it_draws_on_the_cpu() {
    let fixture = Fixture::load("qwen3");
    let (config, weights) = (&fixture.config, &fixture.weights);
    let requests = requests(config);
    let cpu = Engine::new(on_cpu(config, weights, 4), PolicyVersion(1), EngineConfig::default());
    let expected = run(cpu, &requests);
    assert!(expected.values().any(|ended| ended.tokens.len() > 12));
    for (slots, prefill_tokens_per_step) in [(4, 512), (16, 9), (1, 512)] {
        let engine_config = EngineConfig { prefill_tokens_per_step, ..EngineConfig::default() };
        let engine = Engine::new(on_device(config, weights, slots), PolicyVersion(1), engine_config);
        let found = run(engine, &requests);
        for (id, expected) in &expected {
            let found = &found[id];
            assert_eq!(found.tokens, expected.tokens, "request {id} with {slots} slots");
            assert_eq!(found.finish, expected.finish);
            let difference = largest_difference(&found.log_probabilities, &expected.log_probabilities);
            assert!(difference < 2e-4, "request {id} with {slots} slots: {difference}");
        }
    }
}

#[test]
fn weights_published_under_way_decide_from_the_next_token_on() {
    let fixture = Fixture::load("llama");
    let (config, weights) = (&fixture.config, &fixture.weights);
    let newer = Arc::new(DecoderWeights::random(config, 5));
    let mut greedy = requests(config);
    for request in &mut greedy {
        request.settings.temperature = 0.0;
    }
    let drawn = |published: &mut dyn FnMut(&Request<u32>) -> Vec<u32>| {
        greedy.iter().take(6).map(published).collect::<Vec<_>>()
    };
    let on_cpu = drawn(&mut |request| {
        let model = on_cpu(config, weights, 1);
        swapped(Engine::new(model, PolicyVersion(1), EngineConfig::default()), request, &newer)
    });
    let on_device = drawn(&mut |request| {
        let model = on_device(config, weights, 1);
        swapped(Engine::new(model, PolicyVersion(1), EngineConfig::default()), request, &newer)
    });
    assert_eq!(on_device, on_cpu);
}

/// A response that is begun under the engine's weights and ended under newer ones.
fn swapped<M: StepModel<Weights = Arc<DecoderWeights>>>(
    mut engine: Engine<M, u32>,
    request: &Request<u32>,
    newer: &Arc<DecoderWeights>,
) -> Vec<u32> {
    engine.submit(request.clone()).unwrap();
    let mut finished = Vec::new();
    for _ in 0..2 {
        finished.extend(engine.step().unwrap().finished);
    }
    engine.publish(PolicyVersion(2), Arc::clone(newer)).unwrap();
    while !engine.is_idle() {
        finished.extend(engine.step().unwrap().finished);
    }
    finished.remove(0).tokens
}
