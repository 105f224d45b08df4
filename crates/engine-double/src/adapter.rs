//! An adapter as a double takes it: its factors, and the weights that a model has with them.

use std::{fs, path::Path};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::{Value, json};
use still_decoder::{DecoderConfig, DecoderWeights, hugging_face::load_folder};

/// Why an adapter is not taken.
#[derive(Debug)]
pub(crate) enum AdapterFault {
    /// There is no such folder.
    Missing,
    /// One of this name is there.
    Known,
    /// It does not fit.
    Unfit(String),
}

/// The factors of an adapter.
#[derive(Debug)]
pub(crate) struct Factors {
    scale: f32,
    rank: usize,
    /// A parameter's name, and `B A` has its shape.
    pairs: Vec<(String, Vec<f32>, Vec<f32>)>,
}

impl Factors {
    /// Reads the layout of PEFT.
    pub(crate) fn read(folder: &Path, max_rank: usize) -> Result<Self, AdapterFault> {
        let unfit = |reason: &dyn ToString| AdapterFault::Unfit(reason.to_string());
        let text = fs::read(folder.join("adapter_config.json")).map_err(|_| AdapterFault::Missing)?;
        let config: Value = serde_json::from_slice(&text).map_err(|error| unfit(&error))?;
        let rank = config["r"].as_u64().unwrap_or_default() as usize;
        if rank == 0 || rank > max_rank {
            return Err(unfit(&format!("LoRA rank {rank} is greater than max_lora_rank {max_rank}.")));
        }
        let scale = config["lora_alpha"].as_f64().unwrap_or_default() as f32 / rank as f32;
        let bytes = fs::read(folder.join("adapter_model.safetensors")).map_err(|error| unfit(&error))?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(|error| unfit(&error))?;
        let values = |name: &str| {
            let tensor = tensors.tensor(name).map_err(|error| unfit(&error))?;
            let floats = tensor.data().as_chunks::<4>().0.iter();
            Ok::<_, AdapterFault>(floats.map(|bytes| f32::from_le_bytes(*bytes)).collect::<Vec<f32>>())
        };
        let mut pairs = Vec::new();
        for name in tensors.names() {
            let Some(module) = name.strip_suffix(".lora_A.weight") else { continue };
            let of_model = module
                .strip_prefix("base_model.model.")
                .ok_or_else(|| unfit(&format!("{name} is no module of the model")))?;
            let up = values(&format!("{module}.lora_B.weight"))?;
            pairs.push((format!("{of_model}.weight"), values(name)?, up));
        }
        Ok(Self { scale, rank, pairs })
    }

    /// The weights that `base` has with it.
    pub(crate) fn beside(&self, config: &DecoderConfig, base: &DecoderWeights) -> DecoderWeights {
        let mut weights = base.clone();
        let parameters = config.named_parameters();
        for (name, down, up) in &self.pairs {
            let Some(parameter) = parameters.iter().find(|one| one.name == *name) else { continue };
            let mut values = weights.read(parameter);
            let columns = down.len() / self.rank;
            for (row, of_row) in values.chunks_exact_mut(columns).enumerate() {
                for (inner, factor) in up[row * self.rank..(row + 1) * self.rank].iter().enumerate() {
                    let of_inner = &down[inner * columns..(inner + 1) * columns];
                    for (value, other) in of_row.iter_mut().zip(of_inner) {
                        *value += self.scale * factor * other;
                    }
                }
            }
            weights.write(parameter, &values);
        }
        weights
    }
}

/// Writes an adapter of a model, in the layout of PEFT, that changes what it draws. Gives the model's weights with it.
pub fn write_adapter(model: &Path, folder: &Path, rank: usize) -> DecoderWeights {
    let (config, base) = load_folder(model).unwrap();
    let value = |place: usize, modulus: usize| (place * 31 % modulus) as f32 / modulus as f32 - 0.5;
    let mut tensors = Vec::new();
    for parameter in config.named_parameters() {
        let Some(module) = parameter.name.strip_suffix("_proj.weight") else { continue };
        if !module.ends_with('q') && !module.ends_with('v') {
            continue;
        }
        let &[rows, columns] = &parameter.shape[..] else { continue };
        for (factor, shape, modulus) in [("A", [rank, columns], 97), ("B", [rows, rank], 89)] {
            let values =
                (0..shape[0] * shape[1]).flat_map(|place| (value(place, modulus) * 0.3).to_le_bytes());
            let name = format!("base_model.model.{module}_proj.lora_{factor}.weight");
            tensors.push((name, shape.to_vec(), values.collect::<Vec<u8>>()));
        }
    }
    let views = tensors.iter().map(|(name, shape, bytes)| {
        (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
    });
    fs::create_dir_all(folder).unwrap();
    let bytes = safetensors::serialize(views, None).unwrap();
    fs::write(folder.join("adapter_model.safetensors"), bytes).unwrap();
    let settings = json!({
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": model, "r": rank,
        "lora_alpha": 2 * rank, "lora_dropout": 0.0, "target_modules": ["q_proj", "v_proj"], "bias": "none"
    });
    fs::write(folder.join("adapter_config.json"), settings.to_string()).unwrap();
    Factors::read(folder, rank).unwrap().beside(&config, &base)
}
