//! Peak memory of SFT steps on one long sequence, beside what [`Footprint`] foretells: a straight line in the
//! length. Each length runs in a process of its own, since a process only tells its own peak.
//!
//! ```text
//! cargo bench --workspace --bench memory
//! ```
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

#[path = "../tests/harness/mod.rs"]
mod harness;

use std::{fs, process::Command, sync::Arc};

use burn::tensor::Device;
use harness::{Encoder, job, learner_config};
use still_decoder::{DecoderConfig, DecoderWeights};
use still_learning::{BasePolicy, Footprint, LearnerConfig, PolicyLearner};
use still_policy::{LoraConfig, Projection};
use still_roles::{Learner, Response, SftExample, TrainingExamples};
use still_text::Tokenizer;

const LENGTHS: [usize; 4] = [1_024, 2_048, 4_096, 8_192];
const MODES: [&str; 3] = ["kept", "recomputed", "adapters"];
/// Marks the process of one length.
const CHILD: &str = "STILL_BENCH_MEMORY";

fn main() {
    if let Ok(child) = std::env::var(CHILD) {
        let (mode, tokens) = child.split_once(' ').unwrap();
        return println!("{}", peak_of_steps(mode, tokens.parse().unwrap()));
    }
    let config = decoder_config();
    println!("{} parameters; MiB after 3 steps, 2 threads", config.parameter_count());
    println!("{:<12} {:>8} {:>10} {:>10} {:>7}", "activations", "tokens", "measured", "foretold", "ratio");
    for mode in MODES {
        for tokens in LENGTHS {
            let program = std::env::current_exe().unwrap();
            let output = Command::new(program).env(CHILD, format!("{mode} {tokens}")).output().unwrap();
            let measured: f64 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
            // beside the learner: the base policy
            let base = config.parameter_count() * 4;
            let foretold = base + Footprint::new(&config, &settings(mode), tokens, true).total();
            let foretold = foretold as f64 / f64::from(1 << 20);
            let ratio = measured / foretold;
            println!("{mode:<12} {tokens:>8} {measured:>10.0} {foretold:>10.0} {ratio:>7.2}");
        }
    }
}

/// Some 25 million parameters in the proportions of larger models.
fn decoder_config() -> DecoderConfig {
    let json = serde_json::json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 384,
        "intermediate_size": 1024, "num_hidden_layers": 12, "num_attention_heads": 6,
        "num_key_value_heads": 2, "vocab_size": 8192, "rms_norm_eps": 1e-5,
        "max_position_embeddings": 16384, "hidden_act": "silu", "rope_theta": 10000.0,
        "tie_word_embeddings": true
    });
    DecoderConfig::from_hugging_face(&json).unwrap()
}

fn settings(mode: &str) -> LearnerConfig {
    let lora = LoraConfig { rank: 16, alpha: 32.0, targets: Projection::ALL.to_vec() };
    LearnerConfig {
        threads: 2,
        recompute_activations: mode == "recomputed",
        lora: (mode == "adapters").then_some(lora),
        ..learner_config(3)
    }
}

/// The peak of a process that takes three steps on a sequence of `tokens`, in MiB.
fn peak_of_steps(mode: &str, tokens: usize) -> f64 {
    let config = decoder_config();
    let weights = Arc::new(DecoderWeights::random(&config, 1));
    let base = BasePolicy { name: None, config, weights };
    let encoder = Box::new(Encoder(Tokenizer::quick_start().unwrap()));
    let mut learner =
        PolicyLearner::new(settings(mode), base, encoder, vec![Device::flex().autodiff()], true);
    let example = SftExample {
        problem: "1+1=".to_owned(),
        response: Response::Tokens((0..tokens as u32 - 3).map(|place| place * 7_919 % 8_192).collect()),
    };
    let job = job(TrainingExamples::Sft(vec![example]));
    learner.begin(job).unwrap();
    learner.step().unwrap();
    // as after a checkpoint: the state to go back to is no longer the one that the job began with
    let _written_elsewhere = learner.snapshot().unwrap();
    learner.step().unwrap();
    learner.step().unwrap();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1_024.0
}
