//! What decoders take on a device, estimated beforehand: on a machine without it, too.

mod decoder;
mod gradients;

pub use decoder::{CacheSize, DecoderMemory};
#[cfg(feature = "tensors")]
pub(crate) use decoder::{EXTENT_STEP, MAX_SCORES, cache_bytes, padded, weights_bytes};
pub use gradients::composed_pass_bytes;
#[cfg(feature = "tensors")]
pub(crate) use gradients::{CHUNK_LOGITS, QUERY_BLOCK};
