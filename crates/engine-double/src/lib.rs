//! Doubles of inference servers for tests.
//!
//! [`EngineDouble`] speaks as vLLM 0.32 does where a fleet asks it anything, or as `SGLang` 0.5.23 does ([`Dialect`]),
//! draws with a real model (the CPU's decoder, continuously batched), keeps its prefix cache wrong until it is emptied after
//! new weights, is without a model after a load that failed, and fails when and how a test says ([`Fault`]). One suite of
//! `still-engines` holds both dialects to what that crate takes for granted, and a live vLLM too. As `OpenAI`'s servers do
//! it speaks with such a model too, or with answers that a test makes up ([`Teacher`]).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod adapter;
mod completions;
mod fault;
mod model;
mod openai;
mod protocol;
mod server;
mod sglang;
mod vllm;

pub use adapter::write_adapter;
pub use fault::Fault;
pub use openai::{Lesson, Teacher};
pub use server::{Dialect, EngineDouble, Options};

/// The certificate that a double shows which speaks TLS: its own authority, of the names `localhost` and `127.0.0.1`.
pub const CERTIFICATE: &str = include_str!("../tls/certificate.pem");
