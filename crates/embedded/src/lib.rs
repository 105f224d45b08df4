//! Roles whose work is done in this process, step by step, each on a thread of its own.
//!
//! Tensor work blocks for milliseconds to seconds and some of it is bound to its thread, so it never runs on the
//! runtime's workers. Here its steps are driven: by a loop on a named thread that takes orders in between two of
//! them and tells what came of each. Whoever holds the role sees orders that return at once, and events.
//!
//! | what does the work | what drives it | the role |
//! |---|---|---|
//! | [`StepGenerator`]: the next token of every rollout | [`EmbeddedGenerator`] | [`still_roles::Generator`] |
//! | [`Learner`]: one optimizer step | [`EmbeddedTraining`] | [`still_roles::TrainingRun`] |
//!
//! The training loop of [`EmbeddedTraining`] is the only one: the daemon's rounds and `stilld train` both run it. Whoever
//! has steps taken elsewhere drives that from a [`TrainingThread`] as well.

mod background;
mod device;
mod generator;
mod learner;
mod role_thread;
mod training;
mod training_thread;

pub use background::Background;
pub use generator::{EmbeddedGenerator, GeneratorError, GeneratorStep, StepGenerator, Unserved};
pub use learner::{Halting, Learner, LearnerError, LearnerJob, LearnerSnapshot, StepOversight};
pub use training::EmbeddedTraining;
pub use training_thread::{TrainingOrder, TrainingThread};
