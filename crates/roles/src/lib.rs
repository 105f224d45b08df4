//! The seams between actors and the work they oversee.
//!
//! An actor never touches a tensor: it owns a device thread, and the thread owns one of these roles.
//! The daemon puts real ones in; tests put scripted ones in, so that actors build and run in seconds.
//!
//! | role | who drives it | what it does |
//! |---|---|---|
//! | [`Generator`] | the sampler's and the evaluator's device thread | many rollouts at once, step by step |
//! | [`Learner`] | the trainer's device thread | one training job, optimizer step by optimizer step |
//! | [`Verifier`] | the verifier pool's workers | one judgement, in bounded time |
//!
//! Roles are synchronous and `Send`, never called from two threads at once (a [`Verifier`] excepted). What a
//! learner saves is written by a [`Background`] thread while it trains on.

mod background;
mod generator;
mod learner;
mod verifier;

use std::sync::Arc;

use still_domain::PolicyVersion;

pub use background::Background;
pub use generator::{FinishedRollout, Generator, GeneratorError, GeneratorStep, Rollout};
pub use learner::{
    Initialisation, Learner, LearnerError, LearnerSnapshot, LearnerStep, PreferenceExample,
    PreferenceMetrics, Response, SftExample, TrainingExamples, TrainingJob, TrainingPlan,
};
pub use verifier::{Verifier, panic_text, sheltered_judgement};

/// A policy's parameters on the host, shared and never changed.
pub type Weights = Arc<still_decoder::DecoderWeights>;

/// A policy as it is published: its version and its parameters.
#[derive(Debug, Clone)]
pub struct PolicySnapshot {
    /// The version under which it was published.
    pub version: PolicyVersion,
    /// Its parameters.
    pub weights: Weights,
}
