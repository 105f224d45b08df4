//! Every mailbox of the program.
//!
//! Eight actors under one supervisor run the loop of STILL-2: imitate, explore, improve, round after round.
//! None of them touches a tensor: tensor work lives behind the roles of `still-roles`.
//! None of them owns a truth: what an actor knows it reads from the store when it comes up, so any of them,
//! or the whole process, may die at any instant and be started again.
//!
//! Start reading at [`ground::protocol`]: it says who tells what to whom.
//!
//! | wing | what it is |
//! |---|---|
//! | [`ground`] | what all wings stand on: messages, routes, credits, the store, what is shown |
//! | [`exploration`] | from a problem to a durable, judged trajectory |
//! | [`learning`] | from a sealed set to a candidate policy |
//! | [`rounds`] | sealing, scoring, promotion: what happens next |
//! | [`supervision`] | who is restarted when and after how long |
//! | [`system`] | the running program, as the daemon steers and shows it |
//!
//! An actor is a shell: what it decides is decided by a plain struct without a mailbox, tested without a
//! runtime.

mod config;
pub mod exploration;
pub mod ground;
pub mod learning;
pub mod rounds;
pub mod supervision;
pub mod system;

pub use config::{
    EvaluationSection, ExplorationSection, OnPublish, PreferenceStart, RoundSection, Sampling,
    SupervisionSection, SystemConfig, TrainingStart, VerifiersConfig,
};
pub use ground::{
    clock::Clock,
    error::{Refusal, StartError},
    finish::FinishReason,
    name::{ActorName, UnknownActor},
    restart::RestartPolicy,
    status_board::{EvaluationProgress, Measuring, RoundProgress, TrainingProgress},
};
pub use still_control::{Activity, ActorState, ActorStatus, DeviceState, DeviceStatus, Event, Wait};
pub use supervision::Roles;
pub use system::{System, SystemStatus};
