//! What drawing tokens costs, and what the engine adds to its model.
//!
//! `cargo bench -p still-rollout --bench sampling`
#![expect(clippy::print_stdout, reason = "a benchmark reports on standard output")]
#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::{hint::black_box, sync::Arc, time::Instant};

use still_rollout::{
    Engine, EngineConfig, PolicyVersion, Request, Sampler, SamplingSettings, SeenTokens, Span, StepError,
    StepModel,
};

/// A model that costs nothing but the writing of its logits.
struct FreeModel {
    slots: usize,
    logits: Vec<f32>,
}

impl StepModel for FreeModel {
    type Weights = ();

    fn vocabulary_size(&self) -> usize {
        self.logits.len()
    }

    fn slot_count(&self) -> usize {
        self.slots
    }

    fn slot_capacity_tokens(&self) -> usize {
        1024
    }

    fn step(&mut self, spans: &[Span<'_>], logits: &mut Vec<f32>) -> Result<(), StepError> {
        logits.clear();
        for _ in spans.iter().filter(|span| span.wants_logits) {
            logits.extend_from_slice(&self.logits);
        }
        Ok(())
    }

    fn copy_prefix(&mut self, _: usize, _: usize, _: usize) -> Result<(), StepError> {
        Ok(())
    }

    fn set_weights(&mut self, (): ()) -> Result<(), StepError> {
        Ok(())
    }
}

fn logits(length: usize) -> Vec<f32> {
    (0..length)
        .map(|i| {
            let noise = ((i * 7919) % 10_007) as f32 / 10_007.0;
            if noise > 0.999 { 12.0 + noise } else { 8.0 * noise - 4.0 }
        })
        .collect()
}

fn main() {
    let plain = SamplingSettings::default();
    let cases = [
        ("plain", plain),
        ("temperature 0.6", SamplingSettings { temperature: 0.6, ..plain }),
        ("0.6, top-p 0.95", SamplingSettings { temperature: 0.6, top_p: 0.95, ..plain }),
        ("0.6, top-k 20, top-p 0.95", SamplingSettings { temperature: 0.6, top_k: 20, top_p: 0.95, ..plain }),
        ("min-p 0.05", SamplingSettings { min_p: 0.05, ..plain }),
        ("penalty 1.1", SamplingSettings { repetition_penalty: 1.1, ..plain }),
        ("greedy", SamplingSettings { temperature: 0.0, ..plain }),
    ];
    for vocabulary_size in [26, 49_152, 151_936] {
        let row = logits(vocabulary_size);
        let seen = SeenTokens::new(vocabulary_size, &(0..20).collect::<Vec<_>>());
        let count = (20_000_000 / vocabulary_size).clamp(100, 200_000);
        for (name, settings) in cases {
            let (mut sampler, mut work) = (Sampler::new(), row.clone());
            let start = Instant::now();
            for index in 0..count {
                work.copy_from_slice(&row);
                black_box(sampler.draw(&mut work, &settings, Some(&seen), 1, index as u64).unwrap());
            }
            let microseconds = start.elapsed().as_secs_f64() * 1e6 / count as f64;
            println!("{vocabulary_size:>7} entries, {name:<26} {microseconds:9.3} us a token");
        }
    }
    for slots in [64, 512] {
        let model = FreeModel { slots, logits: logits(26) };
        let mut engine = Engine::new(model, PolicyVersion(0), EngineConfig::default());
        for id in 0..4096_u32 {
            let request = Request {
                id,
                prompt: (0..9).map(|position| (id / 4 + position) % 26).collect(),
                settings: SamplingSettings { max_new_tokens: 20 + id % 80, ..plain },
                seed: u64::from(id),
                stop_ids: Arc::new([26]),
                stop_strings: Arc::new([]),
            };
            engine.submit(request).unwrap();
        }
        let (start, mut tokens) = (Instant::now(), 0);
        while !engine.is_idle() {
            tokens += engine.step().unwrap().tokens;
        }
        let microseconds = start.elapsed().as_secs_f64() * 1e6 / tokens as f64;
        println!("engine on a free model, {slots:>3} slots, 26 entries: {microseconds:.3} us a token");
    }
}
