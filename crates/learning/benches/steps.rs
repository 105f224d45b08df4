//! Optimizer steps as `benches/learner/compare.py` runs them beside PyTorch: same model, same tokens.
//!
//! ```text
//! cargo bench -p still-learning --bench steps -- quickstart steps=40
//! STILL_MODEL_FOLDER=/models/SmolLM2-135M cargo bench -p still-learning --bench steps -- folder steps=3 rank=16
//! ```
//!
//! The first argument is the model, the others are [`Shape`]'s. Printed as one JSON object: seconds of every timed step,
//! tokens of a step, losses of all steps, and the process's peak memory.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, missing_docs)]

#[path = "../tests/harness/mod.rs"]
mod harness;

use std::{fs, path::PathBuf, sync::Arc, time::Instant};

use harness::{Encoder, decoder_config, job, job_config, learner_config, library, lora};
use still_decoder::{DecoderConfig, DecoderWeights, hugging_face};
use still_embedded::Learner;
use still_learning::{BasePolicy, LearnerConfig, LearnerDevice, PolicyLearner, keep_freed_memory};
use still_recipe::{CpuArithmetic, LearnerSettings, Schedule};
use still_roles::{Example, Response, SftExample};
use still_text::Tokenizer;

const THREADS: usize = 2;
/// Encodes to four tokens of the quick start's vocabulary.
const PROMPT: &str = "1+1=";
const PROMPT_TOKENS: u32 = 4;

/// What is measured, each by `NAME=NUMBER`.
struct Shape {
    /// Timed steps.
    steps: u64,
    /// Steps that go before.
    warm_up: u64,
    /// Sequences of a step.
    sequences: u32,
    /// Tokens of each.
    tokens: u32,
    /// Tokens that go through the decoder at once.
    part_tokens: u32,
    /// Of adapters beside all projections; 0 trains every parameter.
    rank: u32,
    /// The learning rate of every step, in millionths; 0 keeps the quick start's schedule.
    rate_millionths: u32,
    arithmetic: CpuArithmetic,
}

impl Shape {
    fn parse(arguments: &[String], sequences: u32, tokens: u32) -> Self {
        let mut shape = Self {
            steps: 3,
            warm_up: 2,
            sequences,
            tokens,
            part_tokens: 32_768,
            rank: 0,
            rate_millionths: 0,
            arithmetic: CpuArithmetic::F32,
        };
        for argument in arguments {
            let (name, number) = argument.split_once('=').unwrap();
            let number: u32 = number.parse().unwrap();
            match name {
                "steps" => shape.steps = number.into(),
                "warm_up" => shape.warm_up = number.into(),
                "sequences" => shape.sequences = number,
                "tokens" => shape.tokens = number,
                "part_tokens" => shape.part_tokens = number,
                "rank" => shape.rank = number,
                "rate_millionths" => shape.rate_millionths = number,
                "bf16" => {
                    shape.arithmetic = if number > 0 { CpuArithmetic::Bf16 } else { CpuArithmetic::F32 }
                }
                other => panic!("`{other}` is no part of a shape"),
            }
        }
        shape
    }
}

fn main() {
    // as `stilld train` does
    keep_freed_memory();
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let (model, shape) =
        arguments.split_first().map_or(("quickstart", &[][..]), |(model, shape)| (model, shape));
    let (config, weights, shape) = match model {
        "quickstart" => {
            let config = decoder_config(64, 3);
            let weights = DecoderWeights::random(&config, 1);
            (config, weights, Shape::parse(shape, 16, 50))
        }
        "folder" => {
            let folder = PathBuf::from(std::env::var_os("STILL_MODEL_FOLDER").unwrap());
            let (config, weights) = hugging_face::load_folder(&folder).unwrap();
            (config, weights, Shape::parse(shape, 4, 256))
        }
        other => panic!("`{other}` is neither `quickstart` nor `folder`"),
    };
    println!("{}", measure(config, weights, &shape));
}

fn measure(config: DecoderConfig, weights: DecoderWeights, shape: &Shape) -> serde_json::Value {
    let vocabulary = config.vocabulary_size as u32;
    // what `tokens` of `torch_steps.py` makes
    let token = |sequence: u32, position: u32| (position * 7_919 + sequence * 104_729) % vocabulary;
    let example = |sequence: u32| {
        let response = Response::Tokens(
            (PROMPT_TOKENS..shape.tokens).map(|position| token(sequence, position)).collect(),
        );
        Example::Sft(SftExample { problem: PROMPT.into(), response })
    };
    let (steps, mut job_config) = (shape.steps + shape.warm_up, job_config(shape.steps + shape.warm_up));
    if shape.rate_millionths > 0 {
        let peak_learning_rate = f64::from(shape.rate_millionths) * 1e-6;
        let schedule = Schedule::Constant;
        job_config = LearnerSettings { peak_learning_rate, schedule, warm_up_fraction: 0.0, ..job_config };
    }
    let job_config =
        LearnerSettings { batch_sequences: shape.sequences, max_sequence_tokens: 0, ..job_config };
    let settings = learner_config(0, |training| {
        training.imitation = job_config.clone();
        training.improvement = job_config;
        training.micro_batch_tokens = shape.part_tokens;
        training.cpu_arithmetic = shape.arithmetic;
        training.lora = lora(shape.rank, f64::from(2 * shape.rank));
    });
    let settings = LearnerConfig { threads: THREADS, ..settings };
    let (base, library) = (BasePolicy { name: None, config }, library(weights));
    let encoder = Arc::new(Encoder(Tokenizer::quick_start().unwrap()));
    let mut learner = PolicyLearner::new(settings, base, library, encoder, vec![LearnerDevice::Processor]);
    learner.begin(&job((0..shape.sequences).map(example).collect())).unwrap();
    let (mut seconds, mut losses, mut tokens) = (Vec::new(), Vec::new(), 0);
    for step in 0..steps {
        let begun = Instant::now();
        let taken = learner.step().unwrap();
        if step >= shape.warm_up {
            seconds.push(begun.elapsed().as_secs_f64());
        }
        losses.push(taken.loss);
        tokens = taken.tokens;
    }
    serde_json::json!({ "seconds": seconds, "losses": losses, "tokens": tokens, "peak_kib": peak_kib() })
}

fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
