//! Every mailbox of the program.
//!
//! Eight actors under one supervisor run the loop of STILL-2: imitate, explore, improve, round after round.
//! None of them touches a tensor: tensor work lives on device threads that own the roles of `still-roles`.
//! None of them owns a truth: what an actor knows it reads from the store when it comes up, so any of them,
//! or the whole process, may die at any instant and be started again.
//!
//! Start reading at [`protocol`]: it says who tells what to whom.
//!
//! | module | what it is |
//! |---|---|
//! | [`protocol`] | one message enum an actor |
//! | [`system`] | the running program, as the daemon steers and shows it |
//! | [`supervision`] | who is restarted when and after how long |
//! | [`publisher`] | the policy in force |
//! | [`trainer`], `training` | the learner's thread and its jobs |
//! | [`sampler`], `generation` | the generators' threads and the attempts given to them |
//! | [`verifier_pool`], `error_alarm` | judgements, and how many of them fail |
//! | [`curator`] | group commits |
//! | [`problem_supply`], `hand_out` | which attempt is next, and whether one may be given out |
//! | [`conductor`], `round_machine`, `judged_pool`, `sealing` | the rounds |
//! | [`evaluator`], `scoring` | scores of candidates on held-out problems |
//! | [`credit`] | permits that travel inside messages |
//! | [`device_thread`] | a thread of the operating system for each device role |
//!
//! An actor is a shell: what it decides is decided by a plain struct without a mailbox, tested without a
//! runtime.

mod board;
mod clock;
pub mod conductor;
mod config;
mod context;
pub mod credit;
pub mod curator;
pub mod device_thread;
mod error;
mod error_alarm;
pub mod evaluator;
mod event;
mod generation;
mod hand_out;
mod judged_pool;
mod ledger;
mod name;
mod observe;
pub mod problem_supply;
pub mod protocol;
pub mod publisher;
mod round_config;
mod round_machine;
mod routes;
pub mod sampler;
mod scoring;
mod sealing;
pub mod supervision;
mod switches;
pub mod system;
pub mod trainer;
mod training;
pub mod verifier_pool;

pub use board::{ActorState, ActorStatus, EvaluationProgress, RoundProgress, TrainingProgress};
pub use clock::Clock;
pub use conductor::{RoundConfig, TrainingStart};
pub use config::SystemConfig;
pub use device_thread::RoleFactory;
pub use error::{Refusal, StartError};
pub use error_alarm::ErrorAlarmConfig;
pub use evaluator::EvaluationConfig;
pub use event::Event;
pub use name::{ActorName, UnknownActor};
pub use problem_supply::ExplorationConfig;
pub use supervision::{FinishReason, SupervisionConfig};
pub use switches::Activity;
pub use system::{BaseLoader, CheckpointLoader, Roles, System, SystemStatus};
pub use trainer::TrainerConfig;
pub use verifier_pool::VerifierPoolConfig;
