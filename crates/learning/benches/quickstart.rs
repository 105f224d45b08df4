//! Training throughput: steps of the quick start's imitation by `AdamW` on one thread and on two, and by Muon, with the
//! accuracy that they lead to; and, where `STILL_MODEL_FOLDER` names a Hugging Face folder, steps on that model.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

#[path = "../tests/harness/mod.rs"]
mod harness;

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Instant};

use harness::{Encoder, decoder_config, job, learner_config, learner_with, library, lora, sft_examples};
use still_decoder::{CpuDecoder, DecoderWeights, Span, hugging_face};
use still_embedded::Learner;
use still_learning::{BasePolicy, LearnerConfig, LearnerDevice, PolicyLearner};
use still_quickstart::QuickStartTask;
use still_recipe::OptimizerName;
use still_roles::{Example, Response, SftExample};
use still_text::Tokenizer;

/// Longest response, in tokens.
const RESPONSE_TOKENS: usize = 160;

fn main() {
    for (name, peak_learning_rate, threads, steps) in [
        (OptimizerName::AdamW, 3e-3, 1, 300),
        (OptimizerName::AdamW, 3e-3, 2, 300),
        (OptimizerName::AdamW, 3e-3, 2, 1_000),
        (OptimizerName::Muon, 2e-2, 2, 300),
        (OptimizerName::Muon, 2e-2, 2, 1_000),
    ] {
        let settings = learner_config(steps, |training| {
            training.imitation.optimizer = name;
            training.imitation.peak_learning_rate = peak_learning_rate;
        });
        let mut learner = learner_with(64, 3, LearnerConfig { threads, ..settings });
        learner.begin(&job(sft_examples())).unwrap();
        let (seconds, tokens, loss) = train(&mut learner, steps);
        let rate = tokens as f64 / seconds;
        println!(
            "quick start, {name:?}, {threads} thread(s): {steps} steps in {seconds:.2} s, {rate:.0} tokens/s, loss {loss:.3}"
        );
        println!("greedy accuracy by level: {}", accuracy(&learner.weights().unwrap()));
    }
    if let Some(folder) = std::env::var_os("STILL_MODEL_FOLDER") {
        large_model(Path::new(&folder));
    }
}

fn train(learner: &mut PolicyLearner, steps: u64) -> (f64, u64, f64) {
    let (begun, mut tokens, mut loss) = (Instant::now(), 0, 0.0);
    for _ in 0..steps {
        let step = learner.step().unwrap();
        tokens += step.tokens;
        loss = step.loss;
    }
    (begun.elapsed().as_secs_f64(), tokens, loss)
}

/// Share of held-out problems whose greedy response ends in the right box.
fn accuracy(weights: &DecoderWeights) -> String {
    let encoder = Encoder(Tokenizer::quick_start().unwrap());
    let end = encoder.0.end_id().unwrap();
    let problems = QuickStartTask::default().generate(0).unwrap().held_out;
    let config = decoder_config(64, 3);
    let mut decoder = CpuDecoder::new(config.clone(), weights, problems.len(), 256, 2);
    let mut sequences: Vec<Vec<u32>> =
        problems.iter().map(|problem| encoder.0.encode(&problem.text, false).unwrap()).collect();
    let prompts: Vec<usize> = sequences.iter().map(Vec::len).collect();
    let mut seen = vec![0; sequences.len()];
    let mut logits = Vec::new();
    for _ in 0..RESPONSE_TOKENS {
        let open: Vec<usize> = (0..sequences.len())
            .filter(|slot| seen[*slot] == 0 || sequences[*slot].last() != Some(&end))
            .collect();
        let spans: Vec<Span<'_>> = open
            .iter()
            .map(|slot| Span {
                slot: *slot,
                start: seen[*slot],
                tokens: &sequences[*slot][seen[*slot]..],
                wants_logits: true,
            })
            .collect();
        if spans.is_empty() {
            break;
        }
        decoder.step(&spans, &mut logits);
        for (slot, logits) in open.into_iter().zip(logits.chunks_exact(config.vocabulary_size)) {
            seen[slot] = sequences[slot].len();
            let best = (0..logits.len()).max_by(|one, two| logits[*one].total_cmp(&logits[*two])).unwrap();
            sequences[slot].push(best as u32);
        }
    }
    let mut right: BTreeMap<u8, (usize, usize)> = BTreeMap::new();
    for ((problem, sequence), prompt) in problems.iter().zip(&sequences).zip(prompts) {
        let text = encoder.0.decode(&sequence[prompt..]).unwrap();
        let answer = text.rsplit_once("boxed{").and_then(|(_, rest)| rest.split_once('}'));
        let counts = right.entry(problem.level.unwrap()).or_default();
        counts.0 += usize::from(answer.is_some_and(|(answer, _)| answer.trim() == problem.gold));
        counts.1 += 1;
    }
    let shares = right
        .iter()
        .map(|(level, (right, all))| format!("{level}: {:.1} %", 100.0 * *right as f64 / *all as f64));
    shares.collect::<Vec<_>>().join(", ")
}

/// Steps of 4 sequences of 256 tokens.
fn large_model(folder: &Path) {
    let (config, weights) = hugging_face::load_folder(folder).unwrap();
    let weights = Arc::new(weights);
    let vocabulary = config.vocabulary_size as u32;
    let example = |example: u32| {
        let token = |position: u32| (position * 7_919 + example * 104_729) % vocabulary;
        let response = Response::Tokens((0..252).map(token).collect());
        Example::Sft(SftExample { problem: "1+1=".into(), response })
    };
    let examples: Vec<_> = (0..4).map(example).collect();
    for (name, recompute_activations, adapters) in [
        ("all parameters", false, false),
        ("all parameters, recomputed", true, false),
        ("adapters", false, true),
    ] {
        let settings = learner_config(3, |training| {
            training.recompute_activations = recompute_activations;
            training.lora = lora(if adapters { 16 } else { 0 }, 32.0);
        });
        let settings = LearnerConfig { threads: 2, ..settings };
        let config = config.clone();
        let (base, library) = (BasePolicy { name: None, config }, library(Arc::clone(&weights)));
        let encoder = Arc::new(Encoder(Tokenizer::quick_start().unwrap()));
        let devices = vec![LearnerDevice::Processor];
        let mut learner = PolicyLearner::new(settings, base, library, encoder, devices);
        learner.begin(&job(examples.clone())).unwrap();
        train(&mut learner, 1);
        let (seconds, tokens, _) = train(&mut learner, 2);
        println!("{name}: {:.1} tokens/s, peak {}", tokens as f64 / seconds, peak_memory());
    }
}

/// The process's largest resident set so far.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.unwrap_or("unknown").trim().to_owned()
}
