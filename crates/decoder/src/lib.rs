//! The decoder on plain slices: configuration, weights, safetensors, forward and backward kernels.

mod config;
mod error;
mod matrix;
#[cfg(test)]
mod testing;
mod weights;

pub use config::{Architecture, DecoderConfig, Llama3Scaling, RopeConfig, SpecialTokens};
pub use error::DecoderError;
pub use matrix::{Matrix, Storage};
pub use weights::{
    DecoderWeights, LayerMatrix, LayerNorm, LayerView, LayerWeights, NamedParameter, NamedTensor,
    ParameterPlace,
};
