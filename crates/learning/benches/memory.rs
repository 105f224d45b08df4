//! Peak memory of SFT steps on one long sequence, beside what [`Footprint`](still_learning::Footprint) predicts: a
//! straight line in the length. Each length runs in a process of its own, since a process only tells its own peak.
//!
//! ```text
//! cargo bench --workspace --bench memory
//! ```
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

#[path = "../tests/harness/allocations.rs"]
mod allocations;
#[path = "../tests/harness/mod.rs"]
mod harness;

use std::{fs, process::Command};

use harness::{estimated_bytes, is_on_processor, memory_modes, steps_of_one_sequence};
use still_decoder::DecoderConfig;
use still_learning::keep_freed_memory;

const LENGTHS: [usize; 4] = [1_024, 2_048, 4_096, 8_192];
const THREADS: usize = 2;
/// Marks the process of one length.
const CHILD: &str = "STILL_BENCH_MEMORY";

fn main() {
    // as `stilld train` does
    keep_freed_memory();
    let config = decoder_config();
    if let Ok(child) = std::env::var(CHILD) {
        let (mode, tokens) = child.split_once(' ').unwrap();
        steps_of_one_sequence(config, mode, THREADS, tokens.parse().unwrap());
        return println!("{} {}", peak_resident_bytes(), allocations::peak_bytes());
    }
    println!("{} parameters; MiB after 3 steps, {THREADS} threads", config.parameter_count());
    println!("activations    tokens   resident  allocated  estimated   resident / estimated");
    for mode in memory_modes() {
        // composed operators take minutes on the CPU
        let lengths = if is_on_processor(mode) { &LENGTHS[..] } else { &LENGTHS[..2] };
        for &tokens in lengths {
            let program = std::env::current_exe().unwrap();
            let output = Command::new(program).env(CHILD, format!("{mode} {tokens}")).output().unwrap();
            let output = String::from_utf8(output.stdout).unwrap();
            let (resident, allocated) = output.trim().split_once(' ').unwrap();
            let estimated = estimated_bytes(&config, mode, THREADS, tokens);
            let [resident, allocated, estimated] =
                [resident.parse().unwrap(), allocated.parse().unwrap(), estimated].map(mebibytes);
            let ratio = resident / estimated;
            println!(
                "{mode:<12} {tokens:>8} {resident:>10.0} {allocated:>10.0} {estimated:>10.0} {ratio:>7.2}"
            );
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

fn peak_resident_bytes() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

fn mebibytes(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
