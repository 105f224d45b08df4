//! Adapters in the layout of PEFT: `adapter_config.json` and `adapter_model.safetensors`.
//!
//! What changes the arithmetic and is not understood here is refused by its name.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use half::f16;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::{Value, json};
use still_decoder::{DecoderConfig, Matrix};
use thiserror::Error;

use crate::adapters::{Adapter, Adapters, Projection, factor_name};

const CONFIG_FILE: &str = "adapter_config.json";
const WEIGHTS_FILE: &str = "adapter_model.safetensors";
/// Fields that change the arithmetic, with the value at which they do not, as they do not where they are empty.
const NEUTRAL: [(&str, &str); 13] = [
    ("use_rslora", "false"),
    ("use_dora", "false"),
    ("fan_in_fan_out", "false"),
    ("bias", "\"none\""),
    ("rank_pattern", "null"),
    ("alpha_pattern", "null"),
    ("modules_to_save", "null"),
    ("layers_to_transform", "null"),
    ("trainable_token_indices", "null"),
    ("lora_bias", "false"),
    ("layer_replication", "null"),
    ("target_parameters", "null"),
    ("alora_invocation_tokens", "null"),
];

/// Named ways to initialise adapters that leave the base as it is.
const LEAVE_BASE: [&str; 3] = ["gaussian", "eva", "orthogonal"];

/// Why adapters cannot be read or written.
#[derive(Debug, Error)]
pub enum PeftError {
    /// The file system refused.
    #[error("`{path}`: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("`{path}`: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Writes adapters, and syncs both files. `base_model` is the name that PEFT loads the base by.
///
/// # Errors
/// When the file system refuses.
pub fn save(
    folder: &Path,
    adapters: &Adapters,
    base_model: &str,
    revision: Option<&str>,
) -> Result<(), PeftError> {
    fs::create_dir_all(folder).map_err(|source| PeftError::File { path: folder.to_owned(), source })?;
    let first = adapters.layers.first().map(Vec::as_slice).unwrap_or_default();
    let rank = first.first().map_or(0, |adapter| adapter.down.rows());
    let targets: Vec<_> = first.iter().map(|adapter| adapter.projection.name()).collect();
    let config = json!({
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": base_model, "revision": revision,
        "r": rank, "lora_alpha": alpha_of(adapters.scale, rank), "lora_dropout": 0.0,
        "target_modules": targets, "bias": "none", "fan_in_fan_out": false, "inference_mode": true,
        "use_rslora": false, "use_dora": false, "modules_to_save": null,
    });
    write(&folder.join(CONFIG_FILE), format!("{config:#}\n").as_bytes())?;

    let path = folder.join(WEIGHTS_FILE);
    let malformed = |reason: String| PeftError::Malformed { path: path.clone(), reason };
    let factors: Vec<_> = adapters
        .enumerate()
        .flat_map(|(layer, adapter)| {
            [('A', &adapter.down), ('B', &adapter.up)].map(|(factor, matrix)| {
                let values = matrix.as_f32().unwrap_or_default().iter();
                let bytes: Vec<u8> = values.flat_map(|value| value.to_le_bytes()).collect();
                (factor_name(layer, adapter.projection, factor), vec![matrix.rows(), matrix.columns()], bytes)
            })
        })
        .collect();
    let views = factors.iter().map(|(name, shape, bytes)| {
        TensorView::new(Dtype::F32, shape.clone(), bytes).map(|view| (name.clone(), view))
    });
    let views = views.collect::<Result<Vec<_>, _>>().map_err(|error| malformed(error.to_string()))?;
    let bytes = safetensors::serialize(views, None).map_err(|error| malformed(error.to_string()))?;
    write(&path, &bytes)
}

/// The number of the fewest digits that gives the scale again: what was divided by the rank.
fn alpha_of(scale: f32, rank: usize) -> f64 {
    let exact = f64::from(scale) * rank as f64;
    let rounded = (0..17).filter_map(|digits| format!("{exact:.digits$e}").parse::<f64>().ok());
    let mut again = rounded.filter(|alpha| ((alpha / rank as f64) as f32).to_bits() == scale.to_bits());
    again.next().unwrap_or(exact)
}

/// Reads adapters for a decoder of these sizes.
///
/// # Errors
/// When a file cannot be read, names a field that is not understood, or lacks a factor or has one too many.
pub fn load(folder: &Path, config: &DecoderConfig) -> Result<Adapters, PeftError> {
    let settings = Settings::read(&folder.join(CONFIG_FILE))?;
    let path = folder.join(WEIGHTS_FILE);
    let malformed = |reason: String| PeftError::Malformed { path: path.clone(), reason };
    let bytes = read(&path)?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| malformed(error.to_string()))?;
    let matrix = |name: String, rows: usize, columns: usize| {
        let tensor = tensors.tensor(&name).map_err(|error| malformed(format!("`{name}`: {error}")))?;
        if tensor.shape() != [rows, columns] {
            return Err(malformed(format!("`{name}` is {:?}, not [{rows}, {columns}]", tensor.shape())));
        }
        let dtype = tensor.dtype();
        let values = numbers(dtype, tensor.data());
        let values =
            values.ok_or_else(|| malformed(format!("`{name}` is {dtype:?}: write f32, bf16 or f16")))?;
        Ok(Matrix::from_f32(rows, columns, values))
    };
    let has_factors = |projection: &Projection| {
        (0..config.layer_count).any(|layer| tensors.tensor(&factor_name(layer, *projection, 'A')).is_ok())
    };
    let targets =
        settings.targets.unwrap_or_else(|| Projection::ALL.into_iter().filter(has_factors).collect());
    let mut left_over: BTreeSet<&str> = tensors.names().into_iter().collect();
    let mut layers = Vec::with_capacity(config.layer_count);
    for layer in 0..config.layer_count {
        let mut factor = |projection, factor, rows, columns| {
            let name = factor_name(layer, projection, factor);
            left_over.remove(name.as_str());
            matrix(name, rows, columns)
        };
        let adapter = |&projection: &Projection| {
            let [output, input] = projection.shape(config);
            Ok(Adapter {
                projection,
                down: factor(projection, 'A', settings.rank, input)?,
                up: factor(projection, 'B', output, settings.rank)?,
            })
        };
        layers.push(targets.iter().map(adapter).collect::<Result<Vec<_>, PeftError>>()?);
    }
    if let Some(name) = left_over.first() {
        return Err(malformed(format!("`{name}` is no factor of a projection that `target_modules` names")));
    }
    if targets.is_empty() {
        return Err(malformed("it holds no factor of a projection".to_owned()));
    }
    Ok(Adapters { scale: (settings.alpha / settings.rank as f64) as f32, layers })
}

/// What `adapter_config.json` says.
struct Settings {
    rank: usize,
    alpha: f64,
    /// `None` where a pattern stands for them.
    targets: Option<BTreeSet<Projection>>,
}

impl Settings {
    fn read(path: &Path) -> Result<Self, PeftError> {
        let malformed = |reason: String| PeftError::Malformed { path: path.to_owned(), reason };
        let json: Value =
            serde_json::from_slice(&read(path)?).map_err(|error| malformed(error.to_string()))?;
        let kind = &json["peft_type"];
        if kind != "LORA" {
            return Err(malformed(format!("`peft_type` is {kind}, only \"LORA\" is understood")));
        }
        for (field, neutral) in NEUTRAL {
            let found = &json[field];
            let shown = found.to_string();
            if !is_empty(found) && shown != neutral {
                return Err(malformed(format!("`{field}` is {shown}, only {neutral} is understood")));
            }
        }
        // PiSSA, OLoRA, CorDA, LoftQ and LoRA-GA change the base itself when PEFT makes such an adapter
        if let Some(method) = json["init_lora_weights"].as_str()
            && !LEAVE_BASE.contains(&method.to_lowercase().as_str())
        {
            let remedy =
                "convert the adapter to plain LoRA in PEFT (`path_initial_model_for_weight_conversion`)";
            return Err(malformed(format!("`init_lora_weights` is \"{method}\", not understood: {remedy}")));
        }
        let number = |field: &str| {
            json[field].as_f64().ok_or_else(|| malformed(format!("`{field}` is no number: {}", json[field])))
        };
        let (rank, alpha) = (number("r")? as usize, number("lora_alpha")?);
        if rank == 0 {
            return Err(malformed("`r` is 0: an adapter has a rank of at least 1".to_owned()));
        }
        let targets = match &json["target_modules"] {
            Value::String(_) => None,
            Value::Array(names) if !names.is_empty() => {
                let projection = |name: &Value| {
                    // `q_proj`, `self_attn.q_proj`, or the name of a whole module
                    let module = name.as_str().and_then(|name| name.rsplit('.').next());
                    module.and_then(Projection::from_name).ok_or_else(|| {
                        malformed(format!("`target_modules` names {name}, which is no projection"))
                    })
                };
                Some(names.iter().map(projection).collect::<Result<BTreeSet<_>, _>>()?)
            }
            other => {
                let remedy = "name projections, such as [\"q_proj\", \"v_proj\"]";
                return Err(malformed(format!("`target_modules` is {other}: {remedy}")));
            }
        };
        Ok(Self { rank, alpha, targets })
    }
}

/// Whether a field holds nothing, in one of the ways in which PEFT writes that.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

fn numbers(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    match dtype {
        Dtype::F32 => Some(bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()),
        // bf16 is the upper half of f32
        Dtype::BF16 => {
            let halves = bytes.as_chunks::<2>().0.iter();
            Some(halves.map(|[low, high]| f32::from_le_bytes([0, 0, *low, *high])).collect())
        }
        Dtype::F16 => {
            Some(bytes.as_chunks::<2>().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect())
        }
        _ => None,
    }
}

fn read(path: &Path) -> Result<Vec<u8>, PeftError> {
    fs::read(path).map_err(|source| PeftError::File { path: path.to_owned(), source })
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), PeftError> {
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|source| PeftError::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpha_is_written_as_it_was_given() {
        for (alpha, rank) in [(16.0_f64, 3), (32.0, 32), (0.1, 7), (3.0, 2), (12.5, 48), (1e-3, 64)] {
            let scale = (alpha / rank as f64) as f32;
            assert_eq!(alpha_of(scale, rank).to_string(), alpha.to_string());
        }
    }
}
