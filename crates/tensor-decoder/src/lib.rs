//! The policy as it is trained, and as GPUs draw with it.
//!
//! | module | noun |
//! |---|---|
//! | [`TrainableDecoder`] | what a learner asks of a decoder: log-probabilities, and gradients of losses of them |
//! | [`HostDecoder`] | one on the processor, by the kernels of `still-decoder` |
//! | [`MergedDecoder`] | one whose adapters are merged before a pass, for jobs that were begun so |
//! | [`TokenBatch`] | sequences laid end to end, with the tokens whose log-probabilities are wanted |
//! | [`ParameterList`], [`Parameters`] | what an optimizer walks over, on the host; gradients and moments |
//! | [`Adapters`] | low-rank changes of a decoder that stays as it is |
//! | [`peft`] | adapters in the layout of PEFT, in and out |
//! | [`DeviceName`] | where a decoder lies, by name |
//! | [`DecoderMemory`], [`composed_pass_bytes`] | what decoders take on a device, estimated beforehand |
//! | [`Decoder`], [`DeviceDecoder`], [`Scorer`] | the same as burn modules, for GPUs, in builds with the feature `tensors` |
//!
//! On the processor nothing goes through a tensor library (see `docs/adr/0002`). Both ways are held to the same numbers by
//! tests.

#[cfg(not(feature = "tensors"))]
mod absent;
mod adapters;
mod batch;
mod device;
mod host;
mod memory;
mod merged;
mod parameters;
pub mod peft;
mod precision;
#[cfg(feature = "tensors")]
mod tensors;
mod trainable;

/// A device that tensors live on, opened by [`DeviceName::open`].
#[cfg(feature = "tensors")]
pub use burn::tensor::Device;

#[cfg(not(feature = "tensors"))]
pub use absent::{Decoder, Device, DeviceDecoder, Scorer};
pub use adapters::{Adapter, AdapterError, Adapters, LoraConfig, Projection};
pub use batch::{BatchError, TokenBatch};
pub use device::{DeviceError, DeviceMemory, DeviceName};
pub use host::HostDecoder;
pub use memory::{CacheSize, DecoderMemory, composed_pass_bytes};
pub use merged::MergedDecoder;
pub use parameters::{ParameterList, Parameters, Role};
pub use precision::TensorPrecision;
#[cfg(feature = "tensors")]
pub use tensors::{Decoder, DecoderLayer, DeviceDecoder, Scorer};
pub use trainable::{ForwardSettings, LayerObserver, TrainableDecoder};
