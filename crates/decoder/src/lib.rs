//! The decoder on plain slices: configuration, weights, safetensors, forward and backward kernels.

mod buffer;
mod config;
mod error;
pub mod hugging_face;
mod inference;
mod lanes;
mod matrix;
mod product;
mod rope;
#[cfg(test)]
mod testing;
mod threads;
mod training;
mod weights;

pub use config::{Architecture, DecoderConfig, Llama3Scaling, RopeConfig, SpecialTokens};
pub use error::DecoderError;
pub use inference::{CpuDecoder, KeyValueCache, Span};
pub use matrix::{Matrix, Storage};
pub use rope::RopeTable;
pub use threads::Threads;
pub use training::{
    ActivationMode, DecoderGradients, LayerActivations, LayerGradients, LayerPass, LogLikelihoodGradients,
    Segments, TokenLogProbabilities, embedding_backward, embedding_forward, layer_backward, layer_forward,
    model_gradients, model_hidden_states, model_loss, rms_norm_backward, rms_norm_forward,
    token_log_probabilities, token_log_probabilities_backward, weighted_log_likelihood,
};
pub use weights::{
    DecoderWeights, LayerMatrix, LayerNorm, LayerView, LayerWeights, NamedParameter, NamedTensor,
    ParameterPlace,
};
