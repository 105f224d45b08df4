//! The policy as a burn module: a decoder whose layers are fused operators on the CPU.
//!
//! | module | noun |
//! |---|---|
//! | [`Decoder`] | parameters as burn tensors, and the log-probabilities that losses are made of |
//! | [`TokenBatch`] | sequences laid end to end, with the tokens whose log-probabilities are wanted |
//! | [`fused`] | operators with their own backward pass on host slices, inside burn's autodiff graph |
//! | [`DeviceName`] | where tensors live, by name |
//!
//! On the CPU a whole decoder layer is one operator of burn's graph (see `docs/adr/0002`); elsewhere the same
//! layer is composed of burn's own operators. Both are held to the same numbers by tests.

mod batch;
mod composed;
mod decoder;
mod device;
pub mod fused;

pub use batch::{BatchError, TokenBatch};
pub use decoder::{Decoder, DecoderLayer, ForwardSettings};
pub use device::{DeviceError, DeviceName};
