//! What can be wrong with a configuration, a checkpoint or the shapes that meet.

use std::path::PathBuf;

use thiserror::Error;

/// Why a decoder could not be configured, read or written.
#[derive(Debug, Error)]
pub enum DecoderError {
    /// A field of the configuration is missing, impossible, or changes the arithmetic in a way not served.
    #[error("config field `{field}` is refused: {reason}")]
    Configuration {
        /// The field, as the file spells it.
        field: String,
        /// Why, and what is served instead.
        reason: String,
    },
    /// A tensor that the configuration asks for is nowhere.
    #[error("tensor `{name}` is missing from {location}")]
    MissingTensor {
        /// The tensor's Hugging Face name.
        name: String,
        /// The file or folder that should hold it.
        location: String,
    },
    /// A tensor that the configuration has no use for.
    #[error("tensor `{name}` in {location} is not part of this model; remove it or correct the config")]
    ExtraTensor {
        /// The tensor's name.
        name: String,
        /// The file that holds it.
        location: String,
    },
    /// A tensor with the wrong shape.
    #[error("tensor `{name}` in {location} has shape {found:?}, the config asks for {expected:?}")]
    MisshapenTensor {
        /// The tensor's name.
        name: String,
        /// The file that holds it.
        location: String,
        /// The shape asked for.
        expected: Vec<usize>,
        /// The shape found.
        found: Vec<usize>,
    },
    /// A tensor in a number format that is not read.
    #[error("tensor `{name}` in {location} is stored as {found}; f32, bf16 and f16 are read")]
    NumberFormat {
        /// The tensor's name.
        name: String,
        /// The file that holds it.
        location: String,
        /// The format found.
        found: String,
    },
    /// Training arithmetic was asked of weights that are stored in bf16.
    #[error("`{name}` is stored as bf16; widen the weights with `to_f32` before training on them")]
    NotSinglePrecision {
        /// The matrix.
        name: String,
    },
    /// A file that is not the safetensors or JSON it should be.
    #[error("{path} cannot be understood: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
}

impl DecoderError {
    /// A refused configuration field.
    pub(crate) fn configuration(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Configuration { field: field.into(), reason: reason.into() }
    }
}
