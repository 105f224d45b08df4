//! Decoding on the CPU with a cache of keys and values.
//!
//! One micro-kernel does all products: weights, keys and values alike lie in panels of 32 columns (`[columns / 32][inner]
//! [32]`), and an output is the chain of fused multiply-adds over the inner index, first to last. The order of a sum thus
//! depends on the inner size alone, not on how many rows share a step, how a prompt was cut into chunks, or how many
//! threads there are: a request's logits are the same bits whatever shares its batch. Where a decoder rounds to bf16
//! ([`WeightPrecision::Bf16`]) and the processor multiplies that itself, the chain is one of pairs of inner indices, which is
//! the same bits on every such processor, and others than elsewhere.

mod attention;
mod cache;
mod decoder;
mod kernel;
mod packed;
mod pages;
mod panels;
mod shared;
mod team;

pub use cache::KeyValueCache;
pub use decoder::{CpuDecoder, Span};
pub(crate) use kernel::{Product, Rows, are_multiplied_here, lay_out_rows, pair};
pub use panels::WeightPrecision;
pub(crate) use panels::{PANEL, PanelSlice};
pub(crate) use shared::SharedSlice;
