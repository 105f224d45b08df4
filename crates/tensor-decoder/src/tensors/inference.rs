//! Decoding on any device that burn reaches, for the generation engine.
//!
//! | module | noun |
//! |---|---|
//! | [`DeviceDecoder`] | a decoder with its key-value cache as burn tensors: an engine's model |
//! | `layout` | the rows of a step: spans in groups of equal padded length |
//! | `attention` | a group's queries against cached and new keys |
//! | `cache` | keys and values of past tokens, a fixed capacity for each slot |
//! | `weights` | parameters on the device, replaced in place |
//! | `failure` | what a device's errors and panics mean to an engine |
//!
//! **A step that fails leaves no trace.** Attention reads what is cached beside what the step brings, and the
//! cache takes the new keys and values only once the step's logits have reached the host. So a step that ran
//! out of memory can be tried again, smaller.
//!
//! **Shapes come from a small set**: lanes in powers of two, spans padded to powers of two or multiples of
//! 64, cached positions to multiples of 256. After the first steps nothing is compiled or tuned again.

mod attention;
mod cache;
mod decoder;
mod failure;
mod layout;
mod weights;

pub use decoder::DeviceDecoder;
pub(crate) use failure::guarded;
#[cfg(feature = "cuda")]
pub(crate) use failure::panic_text;
