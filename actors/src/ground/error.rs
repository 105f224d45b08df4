//! Why an operator's imperative is not followed, and why the program cannot start.

use thiserror::Error;

/// Why an operator's imperative is not followed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// It cannot be done as things stand.
    #[error("{0}")]
    NotNow(String),
    /// Nothing has that name.
    #[error("{0}")]
    Unknown(String),
    /// The actor that it concerns is being restarted.
    #[error("the {0} is being restarted: try again in a moment")]
    Restarting(crate::ground::name::ActorName),
    /// Killing actors is left out of this build.
    #[error("the {0} cannot be killed: this build has no fault injection")]
    NoFaultInjection(crate::ground::name::ActorName),
    /// It was tried and failed.
    #[error("{0}")]
    Failed(String),
}

/// Why the program cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The configuration makes no sense.
    #[error("`{key}` {problem}")]
    Setting {
        /// The operator's key, with its section.
        key: String,
        /// What is wrong, and what it must be.
        problem: String,
    },
    /// An actor did not come up.
    #[error("the {actor} cannot be started: {reason}")]
    Actor {
        /// The actor.
        actor: String,
        /// Why.
        reason: String,
    },
}

/// Every device or server of an actor has failed too often: going on would only try again and again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{reason}")]
pub(crate) struct AllDevicesFailed {
    /// Why the last of them failed.
    pub(crate) reason: String,
    /// Restarts of it within the window.
    pub(crate) restarts: u32,
}
