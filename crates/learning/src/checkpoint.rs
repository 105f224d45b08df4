//! Masters, moments and position in files.
//!
//! | file | what it holds |
//! |---|---|
//! | `config.json`, `model.safetensors`, tokenizer files | the policy as a Hugging Face folder |
//! | `adapter/` | trained adapters in the layout of PEFT, where there are any |
//! | `learner.safetensors` | f32 masters, both moments (Muon's second ones of matrices are empty) and DPO's reference, to the bit |
//! | `learner.json` | step, updates, the fingerprint of the job, and the hash of `learner.safetensors` |

use std::{
    borrow::Cow,
    fs::{self, File},
    io::{self, BufReader, Write},
    path::Path,
    sync::Arc,
};

use safetensors::{Dtype, SafeTensors, View, tensor::TensorView};
use serde::{Deserialize, Serialize};
use still_decoder::{DecoderConfig, DecoderWeights};
use still_embedded::LearnerError;
use still_recipe::OptimizerName;
use still_tensor_decoder::ParameterList;

use crate::{loss::PairSums, optimizer::Optimizer, trained::Trained};

const STATE_FILE: &str = "learner.safetensors";
const POSITION_FILE: &str = "learner.json";
/// Precede names in [`STATE_FILE`].
const MASTER: &str = "master";
const FIRST_MOMENT: &str = "first";
const SECOND_MOMENT: &str = "second";
const POLICY: &str = "policy";
/// The reference's sums, chosen and rejected by turns.
const REFERENCE: &str = "reference";
/// Bytes read at a time while hashing.
const CHUNK_BYTES: usize = 1 << 20;

/// Where a job stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Optimizer steps taken, skipped ones included.
    pub(crate) step: u64,
    /// Updates made.
    pub(crate) updates: u64,
    /// Steps in a row that were skipped.
    pub(crate) skipped_in_a_row: u32,
    /// How often training went back to an earlier state, and then on with a lower rate.
    pub(crate) rollbacks: u32,
    /// Tokens that go through the device at once: fewer than configured where memory did not suffice. 0 in
    /// files that say nothing of it.
    #[serde(default)]
    pub(crate) micro_batch_tokens: usize,
    /// Threads of the learner: another number adds up in another order. 0 in files that say nothing of it.
    #[serde(default)]
    pub(crate) threads: usize,
    /// What the job is: its set, seed, data and settings, and the weights that adapters are trained beside. Another
    /// job does not go on from here.
    pub(crate) fingerprint: String,
    /// The decoder's sizes.
    pub(crate) decoder: DecoderConfig,
}

/// What [`POSITION_FILE`] holds.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    #[serde(flatten)]
    position: Position,
    /// blake3 of [`STATE_FILE`], in hexadecimal; none in files that say nothing of it.
    #[serde(default)]
    state_hash: Option<String>,
}

/// What training has made of a job so far.
#[derive(Debug, Clone)]
pub(crate) struct TrainingState {
    /// The f32 masters.
    pub(crate) trained: Trained,
    pub(crate) optimizer: Optimizer,
    pub(crate) position: Position,
}

/// Writes masters, moments, reference and position. `policy` is the whole decoder where the masters are not.
pub(crate) fn save(
    folder: &Path,
    state: &TrainingState,
    reference: &[PairSums],
    policy: Option<&DecoderWeights>,
) -> Result<(), LearnerError> {
    let reference: Vec<f32> = reference.iter().flat_map(|(chosen, rejected)| [*chosen, *rejected]).collect();
    let lists = [
        (MASTER, state.trained.values()),
        (FIRST_MOMENT, state.optimizer.first.values()),
        (SECOND_MOMENT, state.optimizer.second.values()),
        (POLICY, policy.map(DecoderWeights::values).unwrap_or_default()),
    ];
    let mut tensors = vec![(REFERENCE.to_owned(), Floats { values: &reference, shape: [reference.len()] })];
    for (prefix, values) in lists {
        tensors.extend(
            values
                .into_iter()
                .map(|(name, values)| (format!("{prefix}.{name}"), Floats { values, shape: [values.len()] })),
        );
    }
    let path = folder.join(STATE_FILE);
    safetensors::serialize_to_file(tensors, None, &path)
        .map_err(|error| LearnerError::Disk(format!("`{}`: {error}", path.display())))?;
    let state_hash =
        hash(&path).map_err(|error| LearnerError::Disk(format!("`{}`: {error}", path.display())))?;
    let manifest = Manifest { position: state.position.clone(), state_hash: Some(state_hash) };
    let json = serde_json::to_vec_pretty(&manifest).map_err(|error| LearnerError::Disk(error.to_string()))?;
    let path = folder.join(POSITION_FILE);
    let written = File::create(&path).and_then(|mut file| file.write_all(&json));
    written.map_err(|error| LearnerError::Disk(format!("`{}`: {error}", path.display())))
}

/// Reads what [`save`] wrote, into what was to be trained afresh; with it the reference.
pub(crate) fn load(
    folder: &Path,
    mut trained: Trained,
) -> Result<(TrainingState, Arc<[PairSums]>), LearnerError> {
    let damaged = |reason: String| LearnerError::Checkpoint { path: folder.to_owned(), reason };
    let (position, bytes) = read(folder)?;
    let tensors =
        SafeTensors::deserialize(&bytes).map_err(|error| damaged(format!("{STATE_FILE}: {error}")))?;
    let optimizer = Optimizer::new(stored_optimizer(&tensors), &trained);
    let mut optimizer = Optimizer { updates: position.updates, ..optimizer };
    let mut read = || {
        read_into(&mut optimizer.first, &tensors, FIRST_MOMENT)?;
        read_into(&mut optimizer.second, &tensors, SECOND_MOMENT)?;
        read_into(&mut trained, &tensors, MASTER)
    };
    read().map_err(&damaged)?;
    let reference = tensors.tensor(REFERENCE).map_err(|error| damaged(format!("{STATE_FILE}: {error}")))?;
    let reference: Vec<f32> = floats(reference.data()).collect();
    let reference =
        reference.as_chunks::<2>().0.iter().map(|[chosen, rejected]| (*chosen, *rejected)).collect();
    Ok((TrainingState { trained, optimizer, position }, reference))
}

/// Whose moments a checkpoint holds: no parameter is empty otherwise.
fn stored_optimizer(tensors: &SafeTensors<'_>) -> OptimizerName {
    let is_empty =
        |(name, tensor): (&str, TensorView<'_>)| name.starts_with(SECOND_MOMENT) && tensor.data().is_empty();
    if tensors.iter().any(is_empty) { OptimizerName::Muon } else { OptimizerName::AdamW }
}

/// Whether a folder is a checkpoint that a learner wrote. Others (of a trainer elsewhere, say) are Hugging Face folders.
pub fn holds_policy(folder: &Path) -> bool {
    folder.join(POSITION_FILE).is_file()
}

/// The exact f32 parameters of the policy in a checkpoint that a learner wrote.
///
/// # Errors
/// When the folder holds no such checkpoint, or a damaged one.
pub fn load_policy(folder: &Path) -> Result<(DecoderConfig, DecoderWeights), LearnerError> {
    let damaged = |reason: String| LearnerError::Checkpoint { path: folder.to_owned(), reason };
    let (Position { decoder: config, .. }, bytes) = read(folder)?;
    let tensors =
        SafeTensors::deserialize(&bytes).map_err(|error| damaged(format!("{STATE_FILE}: {error}")))?;
    let mut policy = DecoderWeights::zeros(&config);
    // adapters are no policy: the decoder with their changes is stored beside them
    let is_adapted = tensors.names().iter().any(|name| name.starts_with(POLICY));
    let prefix = if is_adapted { POLICY } else { MASTER };
    read_into(&mut policy, &tensors, prefix).map_err(damaged)?;
    Ok((config, policy))
}

/// Position and state, the latter as it was written.
fn read(folder: &Path) -> Result<(Position, Vec<u8>), LearnerError> {
    let damaged = |file: &str, reason: String| LearnerError::Checkpoint {
        path: folder.to_owned(),
        reason: format!("{file}: {reason}"),
    };
    let file = |name: &str| fs::read(folder.join(name)).map_err(|error| damaged(name, error.to_string()));
    let Manifest { position, state_hash } = serde_json::from_slice(&file(POSITION_FILE)?)
        .map_err(|error| damaged(POSITION_FILE, error.to_string()))?;
    let bytes = file(STATE_FILE)?;
    if state_hash.is_some_and(|written| blake3::hash(&bytes).to_hex().as_str() != written) {
        return Err(damaged(STATE_FILE, "it is not what was written".to_owned()));
    }
    Ok((position, bytes))
}

/// blake3 of a file, in hexadecimal.
fn hash(path: &Path) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    io::copy(&mut BufReader::with_capacity(CHUNK_BYTES, File::open(path)?), &mut hasher)?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// Reads the numbers of a list that stand under a prefix.
fn read_into(target: &mut impl ParameterList, tensors: &SafeTensors<'_>, prefix: &str) -> Result<(), String> {
    let names: Vec<_> = target.values().into_iter().map(|(name, _)| format!("{prefix}.{name}")).collect();
    for (name, (_, target)) in names.into_iter().zip(target.values_mut()) {
        let tensor = tensors.tensor(&name).map_err(|error| format!("{STATE_FILE}: `{name}`: {error}"))?;
        if tensor.dtype() != Dtype::F32 || tensor.data().len() != size_of_val(target) {
            return Err(format!("{STATE_FILE}: `{name}` has another shape or type than the job's"));
        }
        target.iter_mut().zip(floats(tensor.data())).for_each(|(target, value)| *target = value);
    }
    Ok(())
}

fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes))
}

/// Syncs every file of a folder and of its subfolders, and the folder itself.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), LearnerError> {
    let failed = |error: std::io::Error| LearnerError::Disk(format!("`{}`: {error}", folder.display()));
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            sync_folder(&path)?;
        } else {
            File::open(&path).and_then(|file| file.sync_all()).map_err(failed)?;
        }
    }
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
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
        // safetensors is little-endian
        if cfg!(target_endian = "little") {
            return Cow::Borrowed(bytemuck::cast_slice(self.values));
        }
        Cow::Owned(self.values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    fn data_len(&self) -> usize {
        size_of_val(self.values)
    }
}

#[cfg(test)]
mod tests {
    use still_tensor_decoder::{Adapters, LoraConfig, Projection};

    use super::*;

    /// What a checkpoint of the version before held, read and written again; the fixtures' README tells how they were made.
    fn written_again(kind: &str, fresh: impl Fn(&Path, &DecoderConfig) -> Trained) -> [Vec<u8>; 2] {
        let before =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/before-seams").join(kind);
        let before = before.join("checkpoints/step-60");
        let (config, policy) = load_policy(&before).unwrap();
        let (state, reference) = load(&before, fresh(&before, &config)).unwrap();
        assert_eq!((state.position.step, state.optimizer.updates), (60, 60));
        let folder = tempfile::tempdir().unwrap();
        let policy = state.trained.base().map(|_| policy);
        save(folder.path(), &state, &reference, policy.as_ref()).unwrap();
        [before.as_path(), folder.path()].map(|folder| fs::read(folder.join(STATE_FILE)).unwrap())
    }

    #[test]
    fn masters_moments_and_reference_of_the_version_before_are_gone_on_from_to_the_bit() {
        let every = |_: &Path, config: &DecoderConfig| Trained::Full(DecoderWeights::zeros(config));
        let adapted = |before: &Path, config: &DecoderConfig| {
            let lora = LoraConfig { rank: 2, alpha: 4.0, targets: vec![Projection::Query, Projection::Down] };
            let adapters = Adapters::new(&lora, config, 0).unwrap();
            Trained::Adapters { adapters, base: Arc::new(load_policy(before).unwrap().1) }
        };
        let [sft, dpo] = ["sft", "dpo"].map(|kind| written_again(kind, every));
        for (kind, [before, again]) in [("sft", sft), ("dpo", dpo), ("lora", written_again("lora", adapted))]
        {
            assert!(before == again, "{kind}");
        }
    }
}
