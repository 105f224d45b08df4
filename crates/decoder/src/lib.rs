//! The decoder on plain slices: configuration, weights, safetensors, forward and backward kernels.
//!
//! One implementation serves Llama, Qwen2 and Qwen3 (see [`DecoderConfig`]). Everything here works on host memory, in f32
//! unless bf16 is asked for ([`WeightPrecision`], [`Arithmetic`]), without a tensor library, so that an operation costs its
//! arithmetic and nothing else:
//!
//! - [`DecoderConfig`], [`DecoderWeights`]: what a model is, with query, key and value projections fused, and gate and up;
//! - [`hugging_face`]: folders in and out;
//! - [`layer_forward`], [`layer_backward`], [`token_log_probabilities`] and their kin: training arithmetic on concatenated
//!   sequences, in memory linear in their length;
//! - [`CpuDecoder`]: steps over a cache of keys and values, whose results do not depend on what shares a step.
//!
//! Instruction sets are chosen at run time. Given the same number of threads, everything is deterministic to the bit.
//! `unsafe` is confined to `product` (the calls of `gemm`) and, in `inference`, to `kernel`, `shared` and one write of
//! `attention`.

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

pub use buffer::MAX_IDLE_NUMBERS;
pub use config::{Architecture, DecoderConfig, Llama3Scaling, RopeConfig, SpecialTokens};
pub use error::DecoderError;
pub use inference::{CpuDecoder, KeyValueCache, Span, WeightPrecision};
pub use matrix::{Matrix, Storage};
pub use product::Arithmetic;
pub use rope::RopeTable;
pub use threads::Threads;
pub use training::{
    ActivationMode, DecoderGradients, LayerActivations, LayerGradients, LayerPass, LogLikelihoodGradients,
    Loss, ModelPass, ModelView, Objective, Segments, TargetsView, TokenLogProbabilities, embedding_backward,
    embedding_forward, layer_backward, layer_forward, merge_change, merged_change_backward, model_gradients,
    model_hidden_states, model_log_probabilities, model_loss, most_logits, orthogonalize, rms_norm_backward,
    rms_norm_forward, token_log_probabilities, token_log_probabilities_backward, weighted_log_likelihood,
};
pub use weights::{
    DecoderWeights, LayerMatrix, LayerNorm, LayerView, LayerWeights, LowRankView, NamedParameter,
    NamedTensor, ParameterLocation, ProjectionView, Trained,
};
