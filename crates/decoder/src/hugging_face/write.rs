//! Folders out.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::Write;
use std::path::Path;

use half::{bf16, f16};
use safetensors::{Dtype, View};
use serde_json::json;

use super::read::io;
use super::{CONFIG_FILE, INDEX_FILE, SINGLE_FILE, WEIGHT_MAP};
use crate::{DecoderConfig, DecoderError, DecoderWeights, NamedParameter, ParameterLocation};

/// Shards of at most this many bytes, as transformers writes them.
pub const DEFAULT_MAX_SHARD_BYTES: u64 = 5_000_000_000;

/// How numbers are stored in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// 4 bytes.
    F32,
    /// 2 bytes, the range of f32.
    Bf16,
    /// 2 bytes, up to 65,504.
    F16,
}

impl Precision {
    fn bytes(self) -> u64 {
        match self {
            Self::F32 => 4,
            Self::Bf16 | Self::F16 => 2,
        }
    }

    fn dtype(self) -> Dtype {
        match self {
            Self::F32 => Dtype::F32,
            Self::Bf16 => Dtype::BF16,
            Self::F16 => Dtype::F16,
        }
    }

    /// As `config.json` calls it.
    fn name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::Bf16 => "bfloat16",
            Self::F16 => "float16",
        }
    }
}

/// Writes `config.json` and the weights; one file, or shards with an index when they take more than `max_shard_bytes`.
///
/// An embedding multiplier is no Hugging Face field: such a decoder is written with the factor in its embedding and a head
/// of its own, which gives the same logits. Weight files of an earlier checkpoint in the folder that this one does not
/// replace are removed.
///
/// # Errors
/// When the file system refuses, or a number does not fit f16.
pub fn save_folder(
    folder: &Path,
    config: &DecoderConfig,
    weights: &DecoderWeights,
    precision: Precision,
    max_shard_bytes: u64,
) -> Result<(), DecoderError> {
    std::fs::create_dir_all(folder).map_err(io(folder))?;
    let multiplier = config.embedding_multiplier;
    let is_scaled = (multiplier - 1.0).abs() > 0.0;
    let config = DecoderConfig {
        tied_embeddings: config.tied_embeddings && !is_scaled,
        embedding_multiplier: 1.0,
        ..config.clone()
    };
    let shards = shards(&config, precision, max_shard_bytes);
    let count = shards.len();
    let name = |index: usize| match count {
        1 => SINGLE_FILE.to_owned(),
        _ => format!("model-{:05}-of-{count:05}.safetensors", index + 1),
    };
    let mut weight_map = serde_json::Map::new();
    let mut written = BTreeSet::new();
    for (index, parameters) in shards.iter().enumerate() {
        let tensors = parameters.iter().map(|parameter| {
            let factor = if parameter.location == ParameterLocation::Embedding { multiplier } else { 1.0 };
            (parameter.name.as_str(), LazyTensor { parameter, weights, factor, precision })
        });
        if precision == Precision::F16 {
            refuse_overflow(&name(index), parameters, weights, multiplier)?;
        }
        commit(folder, &name(index), |path| {
            let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
            safetensors::serialize_to_file(tensors, Some(metadata), path)
                .map_err(|error| DecoderError::Malformed { path: path.to_owned(), reason: error.to_string() })
        })?;
        weight_map.extend(parameters.iter().map(|parameter| (parameter.name.clone(), json!(name(index)))));
        written.insert(name(index));
    }
    if count > 1 {
        let parameters = shards.iter().flatten().map(NamedParameter::element_count).sum::<usize>();
        let index = json!({
            "metadata": {"total_size": parameters as u64 * precision.bytes(), "total_parameters": parameters},
            WEIGHT_MAP: weight_map,
        });
        commit(folder, INDEX_FILE, |path| write_json(path, &index))?;
        written.insert(INDEX_FILE.to_owned());
    }
    let mut json = config.to_hugging_face();
    json["torch_dtype"] = json!(precision.name());
    commit(folder, CONFIG_FILE, |path| write_json(path, &json))?;
    remove_stale(folder, &written)
}

/// Consecutive parameters that fit a shard; a larger one has a shard of its own.
fn shards(config: &DecoderConfig, precision: Precision, max_shard_bytes: u64) -> Vec<Vec<NamedParameter>> {
    let mut shards = vec![Vec::new()];
    let mut filled = 0;
    for parameter in config.named_parameters() {
        let bytes = parameter.element_count() as u64 * precision.bytes();
        if filled > 0 && filled + bytes > max_shard_bytes {
            shards.push(Vec::new());
            filled = 0;
        }
        filled += bytes;
        if let Some(shard) = shards.last_mut() {
            shard.push(parameter);
        }
    }
    shards
}

/// A tensor whose bytes are made when they are written.
struct LazyTensor<'a> {
    parameter: &'a NamedParameter,
    weights: &'a DecoderWeights,
    factor: f32,
    precision: Precision,
}

impl View for LazyTensor<'_> {
    fn dtype(&self) -> Dtype {
        self.precision.dtype()
    }

    fn shape(&self) -> &[usize] {
        &self.parameter.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let values = self.weights.read(self.parameter).into_iter().map(|value| value * self.factor);
        Cow::Owned(match self.precision {
            Precision::F32 => values.flat_map(f32::to_le_bytes).collect(),
            Precision::Bf16 => values.flat_map(|value| bf16::from_f32(value).to_le_bytes()).collect(),
            Precision::F16 => values.flat_map(|value| f16::from_f32(value).to_le_bytes()).collect(),
        })
    }

    fn data_len(&self) -> usize {
        self.parameter.element_count() * self.precision.bytes() as usize
    }
}

fn refuse_overflow(
    file: &str,
    parameters: &[NamedParameter],
    weights: &DecoderWeights,
    multiplier: f32,
) -> Result<(), DecoderError> {
    for parameter in parameters {
        let factor = if parameter.location == ParameterLocation::Embedding { multiplier } else { 1.0 };
        let overflows = |value: f32| value.is_finite() && f16::from_f32(value * factor).is_infinite();
        if weights.read(parameter).into_iter().any(overflows) {
            return Err(DecoderError::NumberFormat {
                name: parameter.name.clone(),
                location: file.to_owned(),
                found: "numbers beyond f16; write bf16 or f32".to_owned(),
            });
        }
    }
    Ok(())
}

/// Writes a file under a temporary name, brings it to disk and gives it its name.
fn commit(
    folder: &Path,
    name: &str,
    write: impl FnOnce(&Path) -> Result<(), DecoderError>,
) -> Result<(), DecoderError> {
    let (path, partial) = (folder.join(name), folder.join(format!("{name}.partial")));
    write(&partial)?;
    File::open(&partial).and_then(|file| file.sync_all()).map_err(io(&partial))?;
    std::fs::rename(&partial, &path).map_err(io(&path))?;
    // the rename itself is on disk once the folder is; not every file system can say so
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
    Ok(())
}

fn write_json(path: &Path, json: &serde_json::Value) -> Result<(), DecoderError> {
    let text = format!("{json:#}\n");
    File::create(path).and_then(|mut file| file.write_all(text.as_bytes())).map_err(io(path))
}

/// Removes weight files of an earlier checkpoint, which a reader might take for this one's.
fn remove_stale(folder: &Path, written: &BTreeSet<String>) -> Result<(), DecoderError> {
    for entry in std::fs::read_dir(folder).map_err(io(folder))? {
        let entry = entry.map_err(io(folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_shard = name.starts_with("model-") && name.ends_with(".safetensors");
        let is_weights = is_shard || name == SINGLE_FILE || name == INDEX_FILE;
        if is_weights && !written.contains(&name) {
            std::fs::remove_file(entry.path()).map_err(io(&entry.path()))?;
        }
    }
    Ok(())
}
