//! The policy as a burn module: a decoder whose layers are fused operators on the CPU.
//!
//! | module | noun |
//! |---|---|
//! | [`Decoder`] | parameters as burn tensors; log-probabilities, and gradients of losses of them |
//! | [`TokenBatch`] | sequences laid end to end, with the tokens whose log-probabilities are wanted |
//! | [`ParameterList`], [`Parameters`] | what an optimizer walks over, on the host; gradients and moments |
//! | [`Adapters`] | low-rank changes of a decoder that stays as it is |
//! | [`peft`] | adapters in the layout of PEFT, in and out |
//! | [`fused`] | operators with their own backward pass on host slices, inside burn's autodiff graph |
//! | `composed` | the same decoder of burn's own operators, with memory linear in length |
//! | [`composed_pass_bytes`] | what that takes, estimated beforehand |
//! | [`Scorer`] | log-probabilities of given tokens on a device |
//! | [`DeviceDecoder`] | the decoder that generates on a device: weights, key-value cache, steps |
//! | [`DeviceName`] | where tensors live, by name |
//!
//! On the CPU a whole decoder layer is one operator of burn's graph (see `docs/adr/0002`); elsewhere the same
//! layer is composed of burn's own operators. Both are held to the same numbers by tests.

mod adapters;
mod batch;
mod composed;
#[cfg(feature = "cuda")]
mod cuda;
mod decoder;
mod device;
pub mod fused;
mod gradients;
mod inference;
mod matrix;
mod parameters;
pub mod peft;
mod scorer;

/// A device that tensors live on, opened by [`DeviceName::open`].
pub use burn::tensor::Device;

pub use adapters::{Adapter, AdapterError, Adapters, LoraConfig, Projection};
pub use batch::{BatchError, TokenBatch};
pub use composed::composed_pass_bytes;
pub use decoder::{Decoder, DecoderLayer, ForwardSettings, LayerObserver, TensorPrecision};
pub use device::{DeviceError, DeviceMemory, DeviceName};
pub use inference::{CacheSize, DecoderMemory, DeviceDecoder};
pub use parameters::{ParameterList, Parameters, Role};
pub use scorer::Scorer;
