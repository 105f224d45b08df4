//! Masters, moments and position in files.
//!
//! | file | what it holds |
//! |---|---|
//! | `config.json`, `model.safetensors`, tokenizer files | the policy as a Hugging Face folder |
//! | `learner.safetensors` | f32 masters and both moments, to the bit |
//! | `learner.json` | step, updates, seed and the fingerprint of the job |

use std::{
    borrow::Cow,
    fs::{self, File},
    io::Write,
    path::Path,
};

use safetensors::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};
use still_decoder::{DecoderConfig, DecoderWeights};
use still_roles::LearnerError;

use crate::{
    optimizer::Optimizer,
    parameters::{values, values_mut, zeros},
};

const STATE_FILE: &str = "learner.safetensors";
const POSITION_FILE: &str = "learner.json";

/// Where a job stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Optimizer steps taken, skipped ones included.
    pub(crate) step: u64,
    /// Updates made.
    pub(crate) updates: u64,
    /// Steps in a row that were skipped.
    pub(crate) skipped_in_a_row: u32,
    /// The learning rate is multiplied by this; halved when training went back.
    pub(crate) rate_factor: f64,
    /// What the job is: its set, seed, data and settings. Another job does not go on from here.
    pub(crate) fingerprint: String,
    /// The decoder's sizes.
    pub(crate) decoder: DecoderConfig,
}

/// Writes masters, moments and position, and syncs the files.
pub(crate) fn save(
    folder: &Path,
    masters: &DecoderWeights,
    optimizer: &Optimizer,
    position: &Position,
) -> Result<(), LearnerError> {
    let mut tensors = Vec::new();
    for (prefix, weights) in [("master", masters), ("first", &optimizer.first), ("second", &optimizer.second)]
    {
        tensors.extend(
            values(weights)
                .into_iter()
                .map(|(name, values)| (format!("{prefix}.{name}"), Floats { values, shape: [values.len()] })),
        );
    }
    let path = folder.join(STATE_FILE);
    safetensors::serialize_to_file(tensors, None, &path)
        .map_err(|error| LearnerError::Device(format!("`{}`: {error}", path.display())))?;
    sync(&path)?;
    let json =
        serde_json::to_vec_pretty(position).map_err(|error| LearnerError::Device(error.to_string()))?;
    let path = folder.join(POSITION_FILE);
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&path)?;
        file.write_all(&json)?;
        file.sync_all()
    };
    write().map_err(|error| LearnerError::Device(format!("`{}`: {error}", path.display())))
}

/// Reads what [`save`] wrote.
pub(crate) fn load(folder: &Path) -> Result<(DecoderWeights, Optimizer, Position), LearnerError> {
    let damaged = |reason: String| LearnerError::Checkpoint { path: folder.to_owned(), reason };
    let json =
        fs::read(folder.join(POSITION_FILE)).map_err(|error| damaged(format!("{POSITION_FILE}: {error}")))?;
    let position: Position =
        serde_json::from_slice(&json).map_err(|error| damaged(format!("{POSITION_FILE}: {error}")))?;
    let bytes =
        fs::read(folder.join(STATE_FILE)).map_err(|error| damaged(format!("{STATE_FILE}: {error}")))?;
    let tensors =
        SafeTensors::deserialize(&bytes).map_err(|error| damaged(format!("{STATE_FILE}: {error}")))?;
    let read = |prefix: &str| read_weights(&tensors, prefix, &position.decoder).map_err(&damaged);
    let optimizer = Optimizer { first: read("first")?, second: read("second")?, updates: position.updates };
    Ok((read("master")?, optimizer, position))
}

/// The exact f32 parameters of a checkpoint that a learner wrote.
///
/// # Errors
/// When the folder holds no such checkpoint, or a damaged one.
pub fn load_policy(folder: &Path) -> Result<(DecoderConfig, DecoderWeights), LearnerError> {
    let (masters, _, position) = load(folder)?;
    Ok((position.decoder, masters))
}

fn read_weights(
    tensors: &SafeTensors<'_>,
    prefix: &str,
    config: &DecoderConfig,
) -> Result<DecoderWeights, String> {
    let mut weights = zeros(config);
    let names: Vec<String> =
        values(&weights).into_iter().map(|(name, _)| format!("{prefix}.{name}")).collect();
    for (name, (_, target)) in names.iter().zip(values_mut(&mut weights)) {
        let tensor = tensors.tensor(name).map_err(|error| format!("{STATE_FILE}: `{name}`: {error}"))?;
        let (numbers, rest) = tensor.data().as_chunks::<4>();
        if tensor.dtype() != Dtype::F32 || !rest.is_empty() || numbers.len() != target.len() {
            return Err(format!("{STATE_FILE}: `{name}` has another shape or type than the decoder"));
        }
        for (target, bytes) in target.iter_mut().zip(numbers) {
            *target = f32::from_le_bytes(*bytes);
        }
    }
    Ok(weights)
}

/// Syncs every file of a folder that holds a policy.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), LearnerError> {
    let failed = |error: std::io::Error| LearnerError::Device(format!("`{}`: {error}", folder.display()));
    for entry in fs::read_dir(folder).map_err(failed)? {
        sync(&entry.map_err(failed)?.path())?;
    }
    Ok(())
}

fn sync(path: &Path) -> Result<(), LearnerError> {
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(|error| LearnerError::Device(format!("`{}`: {error}", path.display())))
}

/// A vector of f32 as safetensors wants it: flat, since the decoder's configuration tells the shapes.
struct Floats<'a> {
    values: &'a [f32],
    shape: [usize; 1],
}

impl View for Floats<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    fn data_len(&self) -> usize {
        size_of_val(self.values)
    }
}
