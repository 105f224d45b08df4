//! Rates of the quick-start model and of a decoder shaped like SmolLM2-135M (random weights: only shapes matter).
//!
//! `cargo bench -p still-decoder --bench decoder -- [quick-start|large] [training|decoding] [threads]`
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::time::{Duration, Instant};

use still_decoder::{
    ActivationMode, Architecture, CpuDecoder, DecoderConfig, DecoderWeights, ModelPass, ModelView, Objective,
    RopeConfig, Segments, Span, SpecialTokens, TargetsView, Threads, model_gradients,
};

struct Shape {
    name: &'static str,
    config: DecoderConfig,
    /// Sequences and tokens of each in a training step.
    training: (usize, usize),
    /// Rows that decode together.
    batches: &'static [usize],
    prefill_tokens: usize,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let wants = |word: &str, others: [&str; 2]| {
        words.iter().any(|given| given == word) || !words.iter().any(|given| others.contains(&given.as_str()))
    };
    let only: Option<usize> = words.iter().find_map(|word| word.parse().ok());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let counts = only.map_or_else(|| if cores > 1 { vec![1, cores] } else { vec![1] }, |count| vec![count]);
    for shape in [quick_start(), large()] {
        if !wants(shape.name, ["quick-start", "large"]) {
            continue;
        }
        let weights = DecoderWeights::random(&shape.config, 1);
        for threads in &counts {
            let threads = Threads::new(*threads);
            if wants("training", ["training", "decoding"]) {
                training(&shape, &weights, &threads);
            }
            if wants("decoding", ["training", "decoding"]) {
                decoding(&shape, &weights, "f32", &threads);
                decoding(&shape, &weights.to_bf16(), "bf16", &threads);
            }
        }
    }
}

fn training(shape: &Shape, weights: &DecoderWeights, threads: &Threads) {
    let (sequences, length) = shape.training;
    let segments = Segments::from_lengths(vec![length; sequences]);
    let vocabulary = shape.config.vocabulary_size;
    let tokens: Vec<u32> = (0..sequences * length).map(|index| (index * 7 % vocabulary) as u32).collect();
    let targets: Vec<u32> = tokens.iter().map(|token| (token + 1) % vocabulary as u32).collect();
    let rows: Vec<usize> = (0..tokens.len()).collect();
    let batch = TargetsView { segments: &segments, tokens: &tokens, rows: &rows, targets: &targets };
    let (Ok(model), mean) = (ModelView::whole(weights), -1.0 / targets.len() as f64) else {
        unreachable!("random weights are f32")
    };
    let pass = ModelPass { config: &shape.config, threads, mode: ActivationMode::Keep, passed: &|| {} };
    let time = quartile(Duration::from_secs(2), || {
        let (loss, _) = model_gradients(pass, &model, batch, Objective::Likelihood(mean));
        assert!(loss.is_finite());
    });
    let rate = tokens.len() as f64 / time.as_secs_f64();
    println!(
        "{} training {sequences} x {length}, {} threads: {:.1} ms, {rate:.0} tokens/s, {:.1} GFLOP/s by 6ND",
        shape.name,
        threads.count(),
        time.as_secs_f64() * 1e3,
        rate * 6.0 * shape.config.parameter_count() as f64 / 1e9
    );
}

fn decoding(shape: &Shape, weights: &DecoderWeights, precision: &str, threads: &Threads) {
    let slots = shape.batches.iter().copied().max().unwrap_or(1);
    let capacity = shape.prefill_tokens + 160;
    let mut decoder = CpuDecoder::new(shape.config.clone(), weights, slots, capacity, threads.count());
    let mut logits = Vec::new();
    let prompt: Vec<u32> =
        (0..shape.prefill_tokens).map(|index| (index % shape.config.vocabulary_size) as u32).collect();
    let time = quartile(Duration::from_millis(500), || {
        decoder.step(&[Span { slot: 0, start: 0, tokens: &prompt, wants_logits: true }], &mut logits);
    });
    println!(
        "{} {precision} prefill of {} tokens, {} threads: {:.1} ms, {:.0} tokens/s",
        shape.name,
        prompt.len(),
        threads.count(),
        time.as_secs_f64() * 1e3,
        prompt.len() as f64 / time.as_secs_f64()
    );
    for batch in shape.batches {
        for slot in 0..*batch {
            decoder.step(&[Span { slot, start: 0, tokens: &prompt[..1], wants_logits: false }], &mut logits);
        }
        let mut position = 0;
        let time = quartile(Duration::from_secs(1), || {
            position = position % 128 + 1;
            let spans: Vec<_> = (0..*batch)
                .map(|slot| Span { slot, start: position, tokens: &prompt[1..2], wants_logits: true })
                .collect();
            decoder.step(&spans, &mut logits);
        });
        println!(
            "{} {precision} decode at batch {batch}, {} threads: {:.3} ms a step, {:.0} tokens/s",
            shape.name,
            threads.count(),
            time.as_secs_f64() * 1e3,
            *batch as f64 / time.as_secs_f64()
        );
    }
}

/// The lower quartile of the times of `work`, repeated for about `budget`: machines are shared.
fn quartile(budget: Duration, mut work: impl FnMut()) -> Duration {
    work();
    let start = Instant::now();
    let mut times = Vec::new();
    while times.len() < 3 || start.elapsed() < budget {
        let before = Instant::now();
        work();
        times.push(before.elapsed());
    }
    times.sort_unstable();
    times[times.len() / 4]
}

fn quick_start() -> Shape {
    let config = DecoderConfig {
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
    };
    Shape { name: "quick-start", config, training: (16, 50), batches: &[1, 64, 256], prefill_tokens: 20 }
}

fn large() -> Shape {
    let config = DecoderConfig {
        vocabulary_size: 49_152,
        hidden_size: 576,
        intermediate_size: 1536,
        layer_count: 30,
        attention_head_count: 9,
        key_value_head_count: 3,
        head_dim: 64,
        rope: RopeConfig { theta: 1e5, scaling: None },
        embedding_multiplier: 1.0,
        max_position_count: 8192,
        ..quick_start().config
    };
    Shape { name: "large", config, training: (4, 256), batches: &[1, 8, 32], prefill_tokens: 256 }
}
