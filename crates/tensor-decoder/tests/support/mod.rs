//! The reference checkpoints of `still-decoder`, and what transformers computed with them.

#![expect(clippy::unwrap_used, reason = "a fixture that cannot be read fails its test")]

use std::{fs, path::Path};

use safetensors::SafeTensors;
use serde_json::Value;
use still_decoder::{DecoderConfig, DecoderWeights};

/// The reference checkpoints.
pub(crate) const MODELS: [&str; 4] = ["llama", "llama_smollm", "qwen2", "qwen3"];

/// A checkpoint with its reference results.
pub(crate) struct Fixture {
    pub(crate) config: DecoderConfig,
    pub(crate) weights: DecoderWeights,
    /// One row a sequence, without padding.
    pub(crate) sequences: Vec<Vec<u32>>,
    /// Logits of each sequence, `[length, vocabulary]`.
    pub(crate) logits: Vec<Vec<f32>>,
    /// The prompt at the beginning of each sequence.
    pub(crate) prompts: Vec<Vec<u32>>,
    /// Sixteen greedy tokens after each prompt.
    pub(crate) greedy: Vec<Vec<u32>>,
}

impl Fixture {
    pub(crate) fn load(name: &str) -> Self {
        let folder = Path::new("../decoder/tests/fixtures").join(name);
        let (config, weights) = still_decoder::hugging_face::load_folder(&folder).unwrap();
        let reference = fs::read(folder.join("reference.json")).unwrap();
        let reference: Value = serde_json::from_slice(&reference).unwrap();
        let numbers =
            |key: &str| -> Vec<Vec<u32>> { serde_json::from_value(reference[key].clone()).unwrap() };
        let counts = |key: &str| -> Vec<usize> { serde_json::from_value(reference[key].clone()).unwrap() };
        let first = |(tokens, length): (&Vec<u32>, usize)| tokens[..length].to_vec();
        let sequences: Vec<_> = numbers("input_ids").iter().zip(counts("lens")).map(first).collect();
        let prompts = sequences.iter().zip(counts("prompt_lens")).map(first).collect();

        let bytes = fs::read(folder.join("io.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let padded = file.tensor("logits").unwrap();
        let (values, row) = (floats(padded.data()), padded.shape()[1] * padded.shape()[2]);
        let logits = values.chunks_exact(row).zip(&sequences);
        let logits = logits.map(|(row, tokens)| row[..tokens.len() * padded.shape()[2]].to_vec()).collect();
        Self { config, weights, sequences, logits, prompts, greedy: numbers("greedy16") }
    }
}

pub(crate) fn largest_difference(left: &[f32], right: &[f32]) -> f32 {
    assert_eq!(left.len(), right.len());
    left.iter().zip(right).map(|(left, right)| (left - right).abs()).fold(0.0, f32::max)
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}
