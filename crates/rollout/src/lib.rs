//! The generation engine: many rollouts at once on one model, driven from outside, step by step.
//!
//! | module | noun |
//! |---|---|
//! | [`Engine`] | requests in, finished rollouts out; continuous batching, chunked prefill, weight swaps |
//! | [`StepModel`] | what an engine runs on: a decoder with a slotted key-value cache, such as the CPU's |
//! | [`Sampler`] | one token from one row of logits, with its log-probabilities |
//! | [`Request`], [`Finished`] | one rollout asked for, one rollout ended |
//!
//! **A request's tokens are its own.** The draw of token `i` depends on the logits, the settings and a hash
//! of (seed, `i`) only, and a model's logits for a slot do not depend on its batch mates. So the same request
//! under the same weights gives the same tokens whatever shares its batch, however its prompt was cut into
//! chunks or shared, and whether it was put back for want of memory. On the CPU that holds to the bit. A GPU's kernels
//! round by the shape of a step, so there a draw that falls within that rounding may differ.

mod budget;
mod cpu;
mod engine;
mod exponential;
mod penalty;
mod random;
mod request;
mod sampling;
mod sequence;
mod slots;
mod step_model;
mod stop;

pub use engine::{Engine, EngineConfig, EngineError, StepReport};
pub use penalty::SeenTokens;
pub use request::{Abandoned, Finished, Progress, Request, SubmitError};
pub use sampling::{Draw, Sampler, SamplingError, SettingsError, validate};
pub use step_model::{Span, StepError, StepModel};
pub use stop::TokenText;

pub use still_domain::{FinishReason, PolicyName, PolicyVersion, SamplingSettings, VersionSpan};
