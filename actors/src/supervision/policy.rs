//! The restart policy table.

use std::time::Duration;

use crate::{config::SupervisionSection, ground::name::ActorName};

/// How one actor is restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartPolicy {
    /// Wait before the first restart; it doubles with every further one within the window.
    pub first_backoff: Duration,
    /// Longest wait.
    pub max_backoff: Duration,
    /// Restarts within the window; one failure more is a melt-down.
    pub max_restarts: u32,
    /// The window.
    pub window: Duration,
}

impl SupervisionSection {
    /// The policy of an actor.
    ///
    /// Those that own a device wait longer before the first restart: a device that has just failed seldom
    /// comes back at once.
    pub fn policy(&self, actor: ActorName) -> RestartPolicy {
        let patience = match actor {
            ActorName::Trainer | ActorName::Sampler | ActorName::Evaluator => 2,
            ActorName::Publisher
            | ActorName::VerifierPool
            | ActorName::Curator
            | ActorName::ProblemSupply
            | ActorName::Conductor => 1,
        };
        let max_backoff = Duration::from_millis(self.max_backoff_ms);
        RestartPolicy {
            first_backoff: Duration::from_millis(self.first_backoff_ms.saturating_mul(patience))
                .min(max_backoff),
            max_backoff,
            max_restarts: self.max_restarts,
            window: Duration::from_secs(self.window_seconds),
        }
    }

    /// Longest wait for an actor to stop.
    pub const fn stop_deadline(&self) -> Duration {
        Duration::from_secs(self.stop_deadline_seconds)
    }

    /// Longest wait for work in flight when the program drains.
    pub const fn drain_deadline(&self) -> Duration {
        Duration::from_secs(self.drain_deadline_seconds)
    }
}
