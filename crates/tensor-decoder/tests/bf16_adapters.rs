//! Adapters beside weights in bf16: as near to the numbers of exact arithmetic as PEFT's own.
//!
//! `benches/learner/peft_bf16.py` made the adapters and what PEFT computes with them. With `--nocapture` the test prints
//! the table of docs/learner.md.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, missing_docs)]

use std::{collections::HashMap, fs, path::Path, sync::Arc};

use half::bf16;
use safetensors::SafeTensors;
use still_decoder::{DecoderConfig, DecoderWeights, Threads};
use still_tensor_decoder::{
    Adapters, Decoder, Device, ForwardSettings, LayerObserver, ParameterList, Parameters, TensorPrecision,
    TokenBatch, TrainableDecoder, peft,
};

const MODELS: [&str; 3] = ["llama", "qwen2", "qwen3"];
const SIZES: [&str; 4] = ["1e-02", "1e-03", "1e-04", "1e-05"];

/// Log-probabilities of a batch's targets, and the gradients of their mean in every factor.
struct Numbers {
    log_probabilities: Vec<f32>,
    gradients: Vec<f32>,
}

/// A reference file: the sequences, and numbers by who computed them.
struct Reference {
    sequences: Vec<Vec<u32>>,
    tensors: HashMap<String, Vec<f32>>,
}

impl Reference {
    fn load(folder: &Path) -> Self {
        let bytes = fs::read(folder.join("reference.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let words = |data: &[u8]| -> Vec<[u8; 4]> { data.as_chunks().0.to_vec() };
        let tokens = file.tensor("tokens").unwrap();
        let ids: Vec<u32> = words(tokens.data()).into_iter().map(u32::from_le_bytes).collect();
        let floats = |data| words(data).into_iter().map(f32::from_le_bytes).collect();
        let tensors = file.tensors().into_iter().filter(|(name, _)| name != "tokens");
        Self {
            sequences: ids.chunks_exact(tokens.shape()[1]).map(<[u32]>::to_vec).collect(),
            tensors: tensors.map(|(name, tensor)| (name, floats(tensor.data()))).collect(),
        }
    }

    /// The numbers of `exact` arithmetic or of `peft`, gradients in the order of `adapters`.
    fn numbers(&self, of: &str, adapters: &Adapters) -> Numbers {
        let gradients = in_order(adapters, |name| self.tensors[&format!("{of}.{name}")].clone());
        Numbers { log_probabilities: self.tensors[&format!("{of}.log_probabilities")].clone(), gradients }
    }
}

/// What belongs to each factor of `adapters`, by PEFT's name, one after the other.
fn in_order(adapters: &Adapters, found: impl Fn(&str) -> Vec<f32>) -> Vec<f32> {
    let mut all = Vec::new();
    for (layer, factors) in adapters.layers.iter().enumerate() {
        for factors in factors {
            for side in ["lora_A", "lora_B"] {
                all.extend(found(&format!(
                    "model.layers.{layer}.{}.{side}.weight",
                    factors.projection.module()
                )));
            }
        }
    }
    all
}

/// A model of the fixtures, every number of it rounded to bf16.
fn rounded_model(name: &str) -> (DecoderConfig, DecoderWeights) {
    let folder = Path::new("../decoder/tests/fixtures").join(name);
    let (config, weights) = still_decoder::hugging_face::load_folder(&folder).unwrap();
    let mut weights = weights.to_f32();
    for (_, values) in weights.values_mut() {
        for value in values {
            *value = bf16::from_f32(*value).to_f32();
        }
    }
    (config, weights)
}

fn computed(
    (config, weights): &(DecoderConfig, DecoderWeights),
    adapters: &Adapters,
    sequences: &[Vec<u32>],
    precision: TensorPrecision,
) -> Numbers {
    let device = Device::flex().autodiff();
    let settings = ForwardSettings {
        config: Arc::new(config.clone()),
        threads: Threads::new(2),
        recompute: false,
        observer: LayerObserver::default(),
    };
    let batch =
        TokenBatch::new(sequences.iter().map(|row| (row.as_slice(), 1..row.len())), config.vocabulary_size)
            .unwrap();
    let decoder = Decoder::with_adapters(weights, adapters, config, &device, precision);
    let log_probabilities = decoder.target_log_probabilities(&batch, &settings);
    let mean = 1.0 / batch.targets.len() as f64;
    let (_, gradients) = decoder.weighted_likelihood_and_gradients(&batch, &settings, mean);
    let Parameters::Adapters(gradients) = gradients else { panic!("adapters are trained") };
    let gradients = gradients.values().into_iter().flat_map(|(_, values)| values.to_vec()).collect();
    Numbers { log_probabilities, gradients }
}

/// Root of the mean square of what differs.
fn distance(one: &[f32], two: &[f32]) -> f64 {
    assert_eq!(one.len(), two.len());
    let squares = one.iter().zip(two).map(|(one, two)| f64::from(one - two).powi(2));
    (squares.sum::<f64>() / one.len() as f64).sqrt()
}

/// The same, as a share of the size of `two`.
fn relative_distance(one: &[f32], two: &[f32]) -> f64 {
    distance(one, two) / distance(two, &vec![0.0; two.len()])
}

#[test]
fn adapters_beside_bf16_are_as_near_to_exact_numbers_as_peft() {
    println!(
        "| model | largest change of a weight | log-probabilities, nats: PEFT | ours | gradients: PEFT | ours |\n\
         |---|---|---|---|---|---|"
    );
    for name in MODELS {
        let model = rounded_model(name);
        for size in SIZES {
            let folder = Path::new("tests/fixtures/bf16_adapters").join(format!("{name}_{size}"));
            let adapters = peft::load(&folder, &model.0).unwrap();
            let reference = Reference::load(&folder);
            let [exact, theirs] = ["exact", "peft"].map(|of| reference.numbers(of, &adapters));

            let in_f32 = computed(&model, &adapters, &reference.sequences, TensorPrecision::F32);
            assert!(distance(&in_f32.log_probabilities, &exact.log_probabilities) < 1e-5, "{name} {size}");
            assert!(relative_distance(&in_f32.gradients, &exact.gradients) < 1e-4, "{name} {size}");

            let ours = computed(&model, &adapters, &reference.sequences, TensorPrecision::Bf16);
            let of = |found: &Numbers| {
                (
                    distance(&found.log_probabilities, &exact.log_probabilities),
                    relative_distance(&found.gradients, &exact.gradients),
                )
            };
            let (theirs, ours) = (of(&theirs), of(&ours));
            println!(
                "| {name} | {size} | {:.1e} | {:.1e} | {:.2} % | {:.2} % |",
                theirs.0,
                ours.0,
                100.0 * theirs.1,
                100.0 * ours.1
            );
            assert!(ours.0 < 1.25 * theirs.0, "{name} {size}: {ours:?} beside {theirs:?}");
            assert!(ours.1 < 1.25 * theirs.1, "{name} {size}: {ours:?} beside {theirs:?}");
        }
    }
}
