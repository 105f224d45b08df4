//! The restart policy table, and how often one part has failed lately: without a clock and without actors.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::{config::SupervisionSection, ground::name::ActorName};

/// How one actor, device or server is restarted.
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
            | ActorName::Verifiers
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

    /// Longest silence of a device at work; `None` waits for ever.
    pub const fn max_silence(&self) -> Option<Duration> {
        match self.max_silence_ms {
            0 => None,
            milliseconds => Some(Duration::from_millis(milliseconds)),
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

/// Failures of one part that its policy still remembers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Failures(VecDeque<Instant>);

impl Failures {
    /// The part failed at `now`: how long to wait before it is started again, or after how many restarts within the
    /// window it has failed once too often. Instants must not run backwards.
    pub(crate) fn add(&mut self, policy: &RestartPolicy, now: Instant) -> Result<Duration, u32> {
        while self.0.front().is_some_and(|&then| now.saturating_duration_since(then) > policy.window) {
            self.0.pop_front();
        }
        let restarts = self.0.len() as u32;
        if restarts >= policy.max_restarts {
            return Err(restarts);
        }
        self.0.push_back(now);
        // the wait doubles with every restart within the window, up to its bound
        let factor = 1_u32.checked_shl(restarts.min(31)).unwrap_or(u32::MAX);
        Ok(policy.first_backoff.saturating_mul(factor).min(policy.max_backoff))
    }
}
