//! The policy as a burn module: gradients and rollouts on GPUs.
//!
//! | module | noun |
//! |---|---|
//! | [`Decoder`] | parameters as burn tensors, and the gradients of losses |
//! | `composed` | the passes through it, of burn's own operators, with memory linear in length |
//! | [`Scorer`] | log-probabilities of given tokens |
//! | [`DeviceDecoder`] | the decoder that generates: weights, key-value cache, steps |
//!
//! Tests run all of it on burn's CPU backend, and hold it to the numbers of the processor's kernels.

mod composed;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;
mod decoder;
mod gradients;
mod inference;
mod matrix;
mod scorer;

pub use decoder::{Decoder, DecoderLayer};
pub use inference::DeviceDecoder;
pub use scorer::Scorer;
