//! What a footprint predicts, against what training allocates: each case in a process of its own, since buffers of the
//! case before would stay.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "harness/allocations.rs"]
mod allocations;
mod harness;

use std::process::Command;

use harness::{estimated_bytes, is_on_processor, memory_modes, steps_of_one_sequence};
use still_decoder::DecoderConfig;

/// Marks the process of one case.
const CHILD: &str = "STILL_TEST_FOOTPRINT";
/// What follows is the peak.
const PEAK: &str = "peak bytes ";

fn decoder_config() -> DecoderConfig {
    let json = serde_json::json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 128,
        "intermediate_size": 352, "num_hidden_layers": 4, "num_attention_heads": 4,
        "num_key_value_heads": 2, "vocab_size": 1024, "rms_norm_eps": 1e-5,
        "max_position_embeddings": 4096, "hidden_act": "silu", "tie_word_embeddings": true
    });
    DecoderConfig::from_hugging_face(&json).unwrap()
}

#[test]
#[allow(clippy::print_stdout)]
fn training_allocates_what_was_foretold_within_a_tenth() {
    if let Ok(child) = std::env::var(CHILD) {
        let [mode, threads, tokens] = child.split(' ').collect::<Vec<_>>()[..] else { unreachable!() };
        let (threads, tokens) = (threads.parse().unwrap(), tokens.parse().unwrap());
        steps_of_one_sequence(decoder_config(), mode, threads, tokens);
        return println!("{PEAK}{}", allocations::peak_bytes());
    }
    for mode in memory_modes() {
        // composed operators know no threads, and take their time here
        let cases = if is_on_processor(mode) {
            &[(1, 1_500), (2, 1_500), (2, 3_000)][..]
        } else {
            &[(1, 1_000), (1, 1_500)][..]
        };
        for &(threads, tokens) in cases {
            let output = Command::new(std::env::current_exe().unwrap())
                .args(["--nocapture", "--test-threads", "1"])
                .env(CHILD, format!("{mode} {threads} {tokens}"))
                .output()
                .unwrap();
            let output = String::from_utf8(output.stdout).unwrap();
            let peak = output.lines().find_map(|line| line.split_once(PEAK)).unwrap().1;
            let peak: usize = peak.trim().parse().unwrap();
            let estimated = estimated_bytes(&decoder_config(), mode, threads, tokens);
            let ratio = peak as f64 / estimated as f64;
            let case = format!("{mode}, {threads} threads, {tokens} tokens");
            assert!((0.9..=1.1).contains(&ratio), "{case}: {peak} allocated, {estimated} estimated");
        }
    }
}
