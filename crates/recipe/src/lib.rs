//! The settings of a training job, whoever trains: sections of the configuration without a tensor.
//!
//! | module | noun |
//! |---|---|
//! | [`TrainingSection`] | how a learner works, in imitation and in every later round |
//! | [`LearnerSettings`], [`OptimizerName`] | one job's length, batches, learning rate and optimizer |
//! | [`DpoSettings`] | what preference optimisation minimises, and how far it may go |
//! | [`LoraSettings`] | adapters instead of all parameters |
//! | [`TrainingEngine`], [`TrainingCommand`] | who takes the steps |
//! | [`Precision`], [`CpuArithmetic`] | number formats of weights, and of their products |

mod command;
mod dpo;
mod job;
mod lora;
mod precision;
mod training;

pub use command::{TrainingCommand, TrainingEngine};
pub use dpo::{BoundReached, DpoSettings, DpoSpan, PreferenceBound, PreferenceLoss};
pub use job::{LearnerSettings, OptimizerName, Schedule};
pub use lora::LoraSettings;
pub use precision::{CpuArithmetic, Precision};
pub use training::TrainingSection;
