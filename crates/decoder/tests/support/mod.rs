//! Reads the reference checkpoints and what transformers computed with them.

#![allow(dead_code, reason = "every test file uses its own part")]
#![expect(clippy::unwrap_used, reason = "a fixture that cannot be read fails its test")]

use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use still_decoder::{DecoderConfig, DecoderWeights, NamedTensor, Segments};

/// The reference checkpoints.
pub(crate) const MODELS: [&str; 4] = ["llama", "llama_smollm", "qwen2", "qwen3"];

/// A checkpoint with its reference results.
pub(crate) struct Fixture {
    pub(crate) folder: PathBuf,
    pub(crate) config: DecoderConfig,
    pub(crate) weights: DecoderWeights,
    pub(crate) reference: Value,
    /// One row a sequence, without padding.
    pub(crate) sequences: Vec<Vec<u32>>,
    /// What follows each token, where the loss counts it.
    pub(crate) targets: Vec<Vec<Option<u32>>>,
    /// Logits of each sequence, `[length, vocabulary]`.
    pub(crate) logits: Vec<Vec<f32>>,
}

impl Fixture {
    pub(crate) fn load(name: &str) -> Self {
        let folder = Path::new("tests/fixtures").join(name);
        let config = DecoderConfig::from_hugging_face(&json(&folder.join("config.json"))).unwrap();
        let weights =
            DecoderWeights::from_named(&config, tensors(&folder.join("model.safetensors"))).unwrap();
        let reference = json(&folder.join("reference.json"));
        let lengths: Vec<usize> = serde_json::from_value(reference["lens"].clone()).unwrap();
        let ids: Vec<Vec<u32>> = serde_json::from_value(reference["input_ids"].clone()).unwrap();
        let labels: Vec<Vec<i64>> = serde_json::from_value(reference["labels"].clone()).unwrap();
        let padded = tensors(&folder.join("io.safetensors"))
            .into_iter()
            .find(|tensor| tensor.name == "logits")
            .unwrap();
        let row = padded.shape[1] * padded.shape[2];
        let sequences = ids.iter().zip(&lengths).map(|(ids, length)| ids[..*length].to_vec()).collect();
        let target = |label: Option<&i64>| label.and_then(|label| u32::try_from(*label).ok());
        let targets = labels
            .iter()
            .zip(&lengths)
            .map(|(labels, length)| (1..=*length).map(|next| target(labels.get(next))).collect())
            .collect();
        let logits = lengths
            .iter()
            .enumerate()
            .map(|(index, length)| padded.values[index * row..][..length * padded.shape[2]].to_vec())
            .collect();
        Self { folder, config, weights, reference, sequences, targets, logits }
    }

    /// All sequences one after another.
    pub(crate) fn packed(&self) -> (Segments, Vec<u32>, Vec<Option<u32>>) {
        let segments = Segments::from_lengths(self.sequences.iter().map(Vec::len));
        (segments, self.sequences.concat(), self.targets.concat())
    }

    pub(crate) fn gradients(&self) -> Vec<NamedTensor> {
        tensors(&self.folder.join("grads.safetensors"))
    }

    pub(crate) fn loss(&self) -> f32 {
        self.reference["loss"].as_f64().unwrap() as f32
    }
}

pub(crate) fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The f32 tensors of a file.
pub(crate) fn tensors(path: &Path) -> Vec<NamedTensor> {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut found = Vec::new();
    for (name, view) in file.tensors() {
        if view.dtype() == Dtype::F32 {
            let values = view
                .data()
                .chunks_exact(4)
                .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
                .collect();
            found.push(NamedTensor { name, shape: view.shape().to_vec(), values });
        }
    }
    found
}

/// `hidden head'`, the slow and certain way.
pub(crate) fn logits(hidden: &[f32], weights: &DecoderWeights) -> Vec<f32> {
    let head = weights.head().as_f32().unwrap();
    let width = weights.head().columns();
    let row = |hidden: &[f32]| -> Vec<f32> {
        head.chunks_exact(width)
            .map(|head| {
                head.iter().zip(hidden).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>() as f32
            })
            .collect()
    };
    hidden.chunks_exact(width).flat_map(row).collect()
}

pub(crate) fn largest_difference(left: &[f32], right: &[f32]) -> f32 {
    assert_eq!(left.len(), right.len());
    left.iter().zip(right).map(|(left, right)| (left - right).abs()).fold(0.0, f32::max)
}

pub(crate) fn norm(values: &[f32]) -> f64 {
    values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
}
