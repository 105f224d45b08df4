//! Folders in.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use serde_json::Value;

use super::{CONFIG_FILE, INDEX_FILE, SINGLE_FILE, WEIGHT_MAP};
use crate::{DecoderConfig, DecoderError, DecoderWeights, NamedParameter, ParameterLocation};

/// The largest header that is read, in bytes.
const LARGEST_HEADER_BYTES: u64 = 100 << 20;
/// A buffer that old Llama checkpoints carry; it follows from the configuration.
const IGNORED_SUFFIX: &str = "rotary_emb.inv_freq";
/// The head, which tied checkpoints may repeat, or hold alone.
const HEAD: &str = "lm_head.weight";
/// The embedding.
const EMBEDDING: &str = "model.embed_tokens.weight";

/// Reads a checkpoint, widened to f32.
///
/// # Errors
/// Names the field, tensor or file that is wrong.
pub fn load_folder(folder: &Path) -> Result<(DecoderConfig, DecoderWeights), DecoderError> {
    let (config, checkpoint) = open_folder(folder)?;
    checkpoint.check(&config)?;
    let weights = checkpoint.read(&config, DecoderWeights::zeros(&config))?;
    Ok((config, weights))
}

/// Reads the sizes of a checkpoint, and checks that its files hold every tensor of them; no number is read.
///
/// # Errors
/// Names the field, tensor or file that is wrong.
pub fn load_config(folder: &Path) -> Result<DecoderConfig, DecoderError> {
    let (config, checkpoint) = open_folder(folder)?;
    checkpoint.check(&config)?;
    Ok(config)
}

/// Reads a checkpoint, with matrices as bf16 when all of them are stored so, else as f32.
///
/// # Errors
/// Names the field, tensor or file that is wrong.
pub fn load_folder_as_stored(folder: &Path) -> Result<(DecoderConfig, DecoderWeights), DecoderError> {
    let (config, checkpoint) = open_folder(folder)?;
    checkpoint.check(&config)?;
    let mut matrices = config.named_parameters().into_iter().filter(|parameter| parameter.shape.len() == 2);
    let is_bf16 = |parameter: NamedParameter| {
        checkpoint.tensors.get(&parameter.name).is_some_and(|tensor| tensor.info.dtype == Dtype::BF16)
    };
    let empty = if matrices.all(is_bf16) {
        DecoderWeights::zeros_bf16(&config)
    } else {
        DecoderWeights::zeros(&config)
    };
    let weights = checkpoint.read(&config, empty)?;
    Ok((config, weights))
}

/// A checkpoint whose headers are read.
struct Checkpoint {
    folder: PathBuf,
    tensors: BTreeMap<String, StoredTensor>,
    files: Vec<OpenFile>,
}

struct OpenFile {
    path: PathBuf,
    /// Bytes before the numbers.
    data_start: u64,
}

struct StoredTensor {
    file: usize,
    info: TensorInfo,
}

impl Checkpoint {
    /// Makes sure, before memory is taken for them, that the tensors of `config` are there in its shapes.
    fn check(&self, config: &DecoderConfig) -> Result<(), DecoderError> {
        let missing =
            |name| DecoderError::MissingTensor { name, location: self.folder.display().to_string() };
        if config.layer_count > self.tensors.len() {
            // more blocks than tensors: not even their names are counted out
            return Err(missing(format!("model.layers.{}.input_layernorm.weight", config.layer_count - 1)));
        }
        for parameter in config.named_parameters() {
            let Some(tensor) = self.tensors.get(&parameter.name) else { return Err(missing(parameter.name)) };
            self.check_shape(&parameter, tensor)?;
        }
        Ok(())
    }

    fn check_shape(&self, parameter: &NamedParameter, tensor: &StoredTensor) -> Result<(), DecoderError> {
        if tensor.info.shape == parameter.shape {
            return Ok(());
        }
        Err(DecoderError::MisshapenTensor {
            name: parameter.name.clone(),
            location: self.files[tensor.file].path.display().to_string(),
            expected: parameter.shape.clone(),
            found: tensor.info.shape.clone(),
        })
    }

    /// Fills `weights` and makes sure that nothing is missing or left over.
    fn read(
        mut self,
        config: &DecoderConfig,
        mut weights: DecoderWeights,
    ) -> Result<DecoderWeights, DecoderError> {
        for parameter in config.named_parameters() {
            let missing = || DecoderError::MissingTensor {
                name: parameter.name.clone(),
                location: self.folder.display().to_string(),
            };
            let tensor = self.tensors.remove(&parameter.name).ok_or_else(missing)?;
            let values = self.numbers(&parameter, &tensor)?;
            weights.write(&parameter, &values);
        }
        let left_over: Vec<_> = std::mem::take(&mut self.tensors).into_iter().collect();
        for (name, tensor) in left_over {
            if name.ends_with(IGNORED_SUFFIX) {
                continue;
            }
            let repeats_embedding = name == HEAD && config.tied_embeddings && {
                let shape = vec![config.vocabulary_size, config.hidden_size];
                let embedding =
                    NamedParameter { name: name.clone(), shape, location: ParameterLocation::Embedding };
                let stored = tensor.info.shape == embedding.shape;
                stored && self.numbers(&embedding, &tensor)? == weights.read(&embedding)
            };
            if !repeats_embedding {
                let location = self.files[tensor.file].path.display().to_string();
                return Err(DecoderError::ExtraTensor { name, location });
            }
        }
        Ok(weights)
    }

    /// The numbers of a tensor, widened to f32.
    fn numbers(&self, parameter: &NamedParameter, tensor: &StoredTensor) -> Result<Vec<f32>, DecoderError> {
        let OpenFile { path, data_start } = &self.files[tensor.file];
        let location = || path.display().to_string();
        self.check_shape(parameter, tensor)?;
        let (start, end) = tensor.info.data_offsets;
        let mut bytes = vec![0; end - start];
        let mut file = File::open(path).map_err(io(path))?;
        file.seek(SeekFrom::Start(data_start + start as u64)).map_err(io(path))?;
        file.read_exact(&mut bytes).map_err(io(path))?;
        match tensor.info.dtype {
            Dtype::F32 => Ok(bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()),
            Dtype::BF16 => {
                Ok(bytes.as_chunks().0.iter().map(|bytes| bf16::from_le_bytes(*bytes).to_f32()).collect())
            }
            Dtype::F16 => {
                Ok(bytes.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect())
            }
            other => Err(DecoderError::NumberFormat {
                name: parameter.name.clone(),
                location: location(),
                found: format!("{other:?}"),
            }),
        }
    }
}

fn open_folder(folder: &Path) -> Result<(DecoderConfig, Checkpoint), DecoderError> {
    let config = DecoderConfig::from_hugging_face(&read_json(&folder.join(CONFIG_FILE))?)?;
    let single = folder.join(SINGLE_FILE);
    let (paths, index) = if single.is_file() { (vec![single], None) } else { shards(folder)? };
    let mut checkpoint =
        Checkpoint { folder: folder.to_owned(), tensors: BTreeMap::new(), files: Vec::new() };
    for path in paths {
        let (data_start, metadata) = read_header(&path)?;
        let file = checkpoint.files.len();
        for (name, info) in metadata.tensors() {
            let tensor = StoredTensor { file, info: info.clone() };
            if checkpoint.tensors.insert(name.clone(), tensor).is_some() {
                return Err(malformed(&path, format!("tensor `{name}` is in another shard too")));
            }
        }
        checkpoint.files.push(OpenFile { path, data_start });
    }
    for (name, file) in index.into_iter().flatten() {
        let stored = checkpoint.tensors.get(&name).map(|tensor| &checkpoint.files[tensor.file].path);
        let location = folder.join(file);
        if stored != Some(&location) {
            return Err(DecoderError::MissingTensor { name, location: location.display().to_string() });
        }
    }
    // of tensors that share their memory some programs write one, under whichever name comes first
    if config.tied_embeddings
        && !checkpoint.tensors.contains_key(EMBEDDING)
        && let Some(shared) = checkpoint.tensors.remove(HEAD)
    {
        checkpoint.tensors.insert(EMBEDDING.to_owned(), shared);
    }
    Ok((config, checkpoint))
}

/// The files that the index names, each once, and the index.
type Shards = (Vec<PathBuf>, Option<BTreeMap<String, String>>);

fn shards(folder: &Path) -> Result<Shards, DecoderError> {
    let path = folder.join(INDEX_FILE);
    if !path.is_file() {
        return Err(malformed(folder, format!("neither {SINGLE_FILE} nor {INDEX_FILE} is there")));
    }
    let json = read_json(&path)?;
    let map = json.get(WEIGHT_MAP).and_then(Value::as_object);
    let map = map.ok_or_else(|| malformed(&path, format!("`{WEIGHT_MAP}` is missing")))?;
    let mut index = BTreeMap::new();
    for (name, file) in map {
        // a file name and nothing else: an index must not reach out of its folder
        let file = file.as_str().filter(|file| Path::new(file).file_name().is_some_and(|name| name == *file));
        let file = file.ok_or_else(|| malformed(&path, format!("the file of `{name}` is no file name")))?;
        index.insert(name.clone(), file.to_owned());
    }
    let mut files: Vec<_> = index.values().map(|file| folder.join(file)).collect();
    files.sort();
    files.dedup();
    Ok((files, Some(index)))
}

/// The header of a safetensors file, and where its numbers begin.
fn read_header(path: &Path) -> Result<(u64, Metadata), DecoderError> {
    let mut file = File::open(path).map_err(io(path))?;
    let file_bytes = file.metadata().map_err(io(path))?.len();
    if file_bytes < 8 {
        let reason =
            format!("it has {file_bytes} bytes, too short for a header: an empty or broken download");
        return Err(malformed(path, reason));
    }
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(io(path))?;
    let length = u64::from_le_bytes(length);
    if length > LARGEST_HEADER_BYTES.min(file_bytes.saturating_sub(8)) {
        let reason = format!(
            "its header claims {length} bytes, and the file has {file_bytes}: it is cut off, or no safetensors"
        );
        return Err(malformed(path, reason));
    }
    let mut header = vec![0; length as usize];
    file.read_exact(&mut header).map_err(io(path))?;
    let metadata: Metadata =
        serde_json::from_slice(&header).map_err(|error| malformed(path, format!("its header: {error}")))?;
    let data_start = 8 + length;
    let expected = data_start + metadata.data_len() as u64;
    if file_bytes != expected {
        return Err(malformed(path, format!("it has {file_bytes} bytes, its header asks for {expected}")));
    }
    Ok((data_start, metadata))
}

fn read_json(path: &Path) -> Result<Value, DecoderError> {
    let bytes = std::fs::read(path).map_err(io(path))?;
    serde_json::from_slice(&bytes).map_err(|error| malformed(path, error.to_string()))
}

pub(super) fn io(path: &Path) -> impl Fn(std::io::Error) -> DecoderError + '_ {
    |source| DecoderError::Io { path: path.to_owned(), source }
}

fn malformed(path: &Path, reason: impl Into<String>) -> DecoderError {
    DecoderError::Malformed { path: path.to_owned(), reason: reason.into() }
}
