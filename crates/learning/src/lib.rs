//! SFT and DPO learners: one training job at a time, exact to the bit across interruptions.
//!
//! | module | noun |
//! |---|---|
//! | [`PolicyLearner`] | the learner role: begins, steps, saves, resumes |
//! | [`LearnerConfig`] | how it works: what `still-recipe` tells, and threads |
//! | [`Footprint`] | how much memory a job takes |
//! | `dashboard` | a training in burn-train's terminal renderer, with the feature of that name |
//! | [`keep_freed_memory`] | the C library's allocator, set to keep what is freed |
//! | `fingerprint` | what a job is known by from one start to the next |
//! | `job` | a job under way: its state, and the gradients of a step |
//! | `job_plan` | a job before its first step: examples, settings, order and name |
//! | `loss` | the losses, on burn's autodiff graph |
//! | `memory` | smaller parts where the device's memory does not suffice |
//! | `trained` | the masters of a job, with the policy that adapters stand beside |
//! | `replicas` | the devices that share a step's parts among them |
//! | `optimizer` | `AdamW` and Muon on host masters, global-norm clipping |
//! | `checkpoint` | masters, moments and position in files |
//! | `snapshot` | a job as it stood, written while training goes on |
//!
//! Parameters live twice: f32 masters with their moments on the host, where the optimizer works, and as burn
//! tensors on the device, where gradients are made. So a device may hold parameters in lower precision
//! without losing small updates, and a checkpoint is the host's state alone.

mod allocator;
#[cfg(test)]
#[cfg(feature = "dashboard")]
mod burn_train_tests;
mod checkpoint;
mod config;
#[cfg(feature = "dashboard")]
pub mod dashboard;
mod fingerprint;
mod footprint;
mod job;
mod job_plan;
mod learner;
mod loss;
mod memory;
mod optimizer;
#[cfg(test)]
mod parity_tests;
mod replicas;
mod snapshot;
mod trained;

pub use allocator::keep_freed_memory;
pub use checkpoint::{holds_policy, load_policy};
pub use config::{LearnerConfig, tensor_precision};
pub use footprint::{Footprint, Place, StepParts};
pub use learner::{BasePolicy, ModelName, PolicyLearner};
pub use replicas::LearnerDevice;
