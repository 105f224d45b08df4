//! The generator of this process made real: problems go in as text, judged-to-be trajectories come out.
//!
//! [`PolicyGenerator`] puts a tokenizer and a prompt style in front of the generation engine of
//! `still-rollout`, and measures what the engine brings: lengths and perplexities of thought and solution.
//! It is generic over the engine's model, so the CPU's decoder and a GPU's share it.

mod measure;
mod policy_generator;

pub use measure::{MeasuredResponse, measured};
pub use policy_generator::{GeneratorConfig, PolicyGenerator};
