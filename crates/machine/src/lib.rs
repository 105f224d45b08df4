//! What a run needs of the machine: a model in memory, devices for its generators and learner, and a verifier
//! that can confine programs.
//!
//! | module | what it answers |
//! |---|---|
//! | [`model`] | which parameters, tokenizer and prompts a configuration or a command line names |
//! | [`placement`] | which generator runs where, with how many rollouts at once |
//! | [`mod@fleet`] | the servers that draw rollouts, where the configuration names some |
//! | [`plan`] | what all of it takes of every device, before it takes it |
//! | [`preflight`] | whether it fits, before anything is taken |
//! | [`host_memory`] | how much memory the host has |
//! | [`scorer`], [`trajectory_scorer`] | how likely a text, or a trajectory after its prompt, is under a policy |
//! | [`mod@verifier`] | who judges, and whether it can judge a problem here |
//! | [`mod@training`] | who takes the steps of a training job |
//! | [`settings`] | what the learner and the decoders read of the configuration |
//!
//! Nothing here knows actors or the store. What fails says with which code the program is to end
//! ([`still_control::Failure`]).

pub mod fleet;
pub mod host_memory;
pub mod model;
pub mod pace;
pub mod placement;
pub mod plan;
pub mod preflight;
mod prompter;
pub mod scorer;
pub mod settings;
pub mod training;
pub mod trajectory_scorer;
pub mod verifier;

pub use fleet::{fleet, fleet_scorers};
pub use model::{Encoder, GeneratorShape, Model};
pub use placement::{GeneratorPlacement, Placement, device_name, open_learners, weight_precision};
pub use prompter::{prompt_book, prompt_tokens, prompter};
pub use scorer::PolicyScorer;
pub use still_generator::{measured, prompt_name, question_of};
pub use training::training;
pub use trajectory_scorer::PromptedScorer;
pub use verifier::{refuse_unjudgeable, refuse_unjudgeable_store, response_judge, same_answer, verifier};
