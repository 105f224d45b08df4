//! Checkpoints as Hugging Face folders: `config.json` with `model.safetensors`, or shards and their index.
//!
//! Reading takes one tensor at a time from disk and is strict: a missing, extra or misshapen tensor is an error that names
//! the tensor and the file. Writing goes to temporary names that are renamed once their bytes are on disk, the index and
//! `config.json` last, so that a folder that was cut off is not taken for a checkpoint.

mod read;
mod write;

pub use read::{load_config, load_folder, load_folder_as_stored};
pub use write::{DEFAULT_MAX_SHARD_BYTES, Precision, save_folder};

/// The file of an unsharded checkpoint.
const SINGLE_FILE: &str = "model.safetensors";
/// The file that says which shard holds which tensor.
const INDEX_FILE: &str = "model.safetensors.index.json";
/// The configuration.
const CONFIG_FILE: &str = "config.json";
/// The map in the index from tensors to files.
const WEIGHT_MAP: &str = "weight_map";
