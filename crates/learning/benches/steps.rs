//! Optimizer steps as `benches/learner/compare.py` runs them beside PyTorch: same model, same tokens.
//!
//! ```text
//! cargo bench --workspace --bench steps -- quickstart 40
//! STILL_MODEL_FOLDER=/models/SmolLM2-135M cargo bench --workspace --bench steps -- folder 3
//! ```
//!
//! The first argument is the model, the second how many steps are timed; two more go before. Printed as one
//! JSON object: seconds of every step, tokens of a step, losses, and the process's peak memory.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, missing_docs)]

#[path = "../tests/harness/mod.rs"]
mod harness;

use std::{fs, path::PathBuf, sync::Arc, time::Instant};

use harness::{Encoder, decoder_config, job, job_config, learner_config, library};
use still_decoder::{DecoderConfig, DecoderWeights, hugging_face};
use still_embedded::Learner;
use still_learning::{BasePolicy, LearnerConfig, LearnerDevice, PolicyLearner, keep_freed_memory};
use still_recipe::LearnerSettings;
use still_roles::{Example, Response, SftExample};
use still_text::Tokenizer;

const WARM_UP_STEPS: u64 = 2;
const THREADS: usize = 2;
/// Encodes to four tokens of the quick start's vocabulary.
const PROMPT: &str = "1+1=";
const PROMPT_TOKENS: u32 = 4;

fn main() {
    // as `stilld train` does
    keep_freed_memory();
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let model = arguments.first().map_or("quickstart", String::as_str);
    let steps: u64 = arguments.get(1).map_or(3, |steps| steps.parse().unwrap());
    let (config, weights, sequences, length) = match model {
        "quickstart" => {
            let config = decoder_config(64, 3);
            let weights = DecoderWeights::random(&config, 1);
            (config, weights, 16, 50)
        }
        "folder" => {
            let folder = PathBuf::from(std::env::var_os("STILL_MODEL_FOLDER").unwrap());
            let (config, weights) = hugging_face::load_folder(&folder).unwrap();
            (config, weights, 4, 256)
        }
        other => panic!("`{other}` is neither `quickstart` nor `folder`"),
    };
    let report = measure(config, weights, sequences, length, steps);
    println!("{report}");
}

fn measure(
    config: DecoderConfig,
    weights: DecoderWeights,
    sequences: u32,
    length: u32,
    steps: u64,
) -> serde_json::Value {
    let vocabulary = config.vocabulary_size as u32;
    // what `tokens` of the script makes
    let token = |sequence: u32, position: u32| (position * 7_919 + sequence * 104_729) % vocabulary;
    let example = |sequence: u32| {
        let response =
            Response::Tokens((PROMPT_TOKENS..length).map(|position| token(sequence, position)).collect());
        Example::Sft(SftExample { problem: PROMPT.into(), response })
    };
    let job_config = LearnerSettings {
        batch_sequences: sequences,
        max_sequence_tokens: 0,
        ..job_config(steps + WARM_UP_STEPS)
    };
    let settings = learner_config(0, |training| {
        training.imitation = job_config.clone();
        training.improvement = job_config;
    });
    let settings = LearnerConfig { threads: THREADS, ..settings };
    let (base, library) = (BasePolicy { name: None, config }, library(weights));
    let encoder = Arc::new(Encoder(Tokenizer::quick_start().unwrap()));
    let mut learner = PolicyLearner::new(settings, base, library, encoder, vec![LearnerDevice::Processor]);
    learner.begin(&job((0..sequences).map(example).collect())).unwrap();
    let (mut seconds, mut losses, mut tokens) = (Vec::new(), Vec::new(), 0);
    for step in 0..steps + WARM_UP_STEPS {
        let begun = Instant::now();
        let taken = learner.step().unwrap();
        if step >= WARM_UP_STEPS {
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
