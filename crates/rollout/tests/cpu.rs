//! The engine on the CPU decoder with random weights.
#![expect(clippy::unwrap_used, reason = "a failing test may panic")]

use std::{collections::BTreeMap, sync::Arc};

use still_decoder::{
    Architecture, CpuDecoder, DecoderConfig, DecoderWeights, RopeConfig, Segments, SpecialTokens, Threads,
    model_hidden_states, token_log_probabilities,
};
use still_rollout::{Engine, EngineConfig, Finished, PolicyVersion, Request, SamplingSettings, StepModel};

const CAPACITY_TOKENS: usize = 96;

/// Small, with every switch on: grouped heads, biases, head norms.
fn config() -> DecoderConfig {
    DecoderConfig {
        architecture: Architecture::Qwen3,
        vocabulary_size: 61,
        hidden_size: 48,
        intermediate_size: 80,
        layer_count: 2,
        attention_head_count: 4,
        key_value_head_count: 2,
        head_dim: 16,
        rms_norm_epsilon: 1e-6,
        rope: RopeConfig { theta: 10_000.0, scaling: None },
        tied_embeddings: true,
        attention_bias: true,
        query_key_norm: true,
        embedding_multiplier: 8.0,
        max_position_count: 256,
        special_tokens: SpecialTokens::default(),
    }
}

fn weights(seed: u64) -> Arc<DecoderWeights> {
    Arc::new(DecoderWeights::random(&config(), seed))
}

fn engine(slots: usize, threads: usize, engine_config: EngineConfig) -> Engine<CpuDecoder, u32> {
    let decoder = CpuDecoder::new(config(), &weights(1), slots, CAPACITY_TOKENS, threads);
    Engine::new(decoder, PolicyVersion(1), engine_config)
}

fn requests() -> Vec<Request<u32>> {
    (0..24)
        .map(|id| {
            let prompt = (0..4 + id / 4 * 9)
                .map(|position| if position < 12 { position } else { (id / 4 * 5 + position) % 61 });
            Request {
                id,
                prompt: prompt.collect(),
                settings: SamplingSettings {
                    temperature: [1.0, 0.7, 0.0][id as usize % 3],
                    top_p: [1.0, 0.9][id as usize % 2],
                    max_new_tokens: 5 + id % 30,
                    ..SamplingSettings::default()
                },
                seed: u64::from(id),
                stop_ids: Arc::new([60]),
                stop_strings: Arc::new([]),
            }
        })
        .collect()
}

fn run<M: StepModel>(engine: &mut Engine<M, u32>) -> BTreeMap<u32, Finished<u32>> {
    let mut finished = BTreeMap::new();
    while !engine.is_idle() {
        let report = engine.step().unwrap();
        assert!(report.abandoned.is_empty());
        finished.extend(report.finished.into_iter().map(|ended| (ended.id, ended)));
    }
    finished
}

fn run_all(mut engine: Engine<CpuDecoder, u32>, requests: &[Request<u32>]) -> BTreeMap<u32, Finished<u32>> {
    for request in requests {
        engine.submit(request.clone()).unwrap();
    }
    run(&mut engine)
}

/// Log-probabilities of a response by the training pass over prompt and response at once.
fn scored(weights: &DecoderWeights, prompt: &[u32], response: &[u32]) -> Vec<f32> {
    let config = config();
    let tokens = [prompt, &response[..response.len() - 1]].concat();
    let threads = Threads::single();
    let segments = Segments::from_lengths([tokens.len()]);
    let hidden = model_hidden_states(&config, weights, &segments, &tokens, &threads).unwrap();
    let wanted = &hidden[(prompt.len() - 1) * config.hidden_size..];
    let head = weights.head().as_f32().unwrap();
    token_log_probabilities(wanted, head, config.hidden_size, response, &threads).values
}

#[test]
fn every_bit_is_the_same_whatever_shares_the_batch() {
    let requests = requests();
    let alone: BTreeMap<_, _> = requests
        .iter()
        .flat_map(|request| run_all(engine(1, 1, EngineConfig::default()), std::slice::from_ref(request)))
        .collect();
    assert!(alone.values().any(|ended| ended.tokens.len() > 20));
    for (slots, threads, prefill_tokens_per_step) in [(3, 1, 512), (24, 1, 10), (24, 2, 512), (7, 2, 1)] {
        let config = EngineConfig { prefill_tokens_per_step, ..EngineConfig::default() };
        let together = run_all(engine(slots, threads, config), &requests);
        assert_eq!(
            together, alone,
            "{slots} slots, {threads} threads, {prefill_tokens_per_step} prompt tokens"
        );
    }
}

#[test]
fn log_probabilities_are_those_of_the_training_pass() {
    let requests = requests();
    let weights = weights(1);
    for (id, ended) in run_all(engine(8, 1, EngineConfig::default()), &requests) {
        let expected = scored(&weights, &requests[id as usize].prompt, &ended.tokens);
        for (given, expected) in ended.log_probabilities.iter().zip(&expected) {
            assert!((given - expected).abs() < 2e-4, "{given} {expected}");
        }
    }
}

#[test]
fn after_a_swap_with_recomputed_caches_the_new_weights_alone_decide() {
    let request = Request {
        settings: SamplingSettings { max_new_tokens: 20, ..SamplingSettings::default() },
        stop_ids: Arc::new([]),
        ..requests()[0].clone()
    };
    let mut engine = engine(2, 1, EngineConfig::default());
    engine.submit(request.clone()).unwrap();
    for _ in 0..8 {
        engine.step().unwrap();
    }
    engine.publish(PolicyVersion(2), weights(2)).unwrap();
    let ended = run(&mut engine).remove(&0).unwrap();
    let spans: Vec<_> =
        ended.versions.iter().map(|span| (span.policy.version().unwrap().0, span.start, span.end)).collect();
    assert_eq!(spans, [(1, 0, 8), (2, 8, 20)]);
    for (seed, range) in [(1, 0..8), (2, 8..20)] {
        let expected = scored(&weights(seed), &request.prompt, &ended.tokens);
        for (given, expected) in ended.log_probabilities[range.clone()].iter().zip(&expected[range]) {
            assert!((given - expected).abs() < 2e-4, "{given} {expected}");
        }
    }
}
