//! Doubles of inference servers for tests.
//!
//! [`VllmDouble`] speaks as vLLM 0.32 does where a fleet asks it anything, draws with a real model (the CPU's decoder,
//! continuously batched), keeps its prefix cache wrong until it is emptied after new weights, is without a model after a
//! load that failed, and fails when and how a test says ([`Fault`]). Its answers are held to a live server by the
//! conformance suite of `still-engines`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fault;
mod model;
mod protocol;
mod server;

pub use fault::Fault;
pub use server::{Options, VllmDouble};
