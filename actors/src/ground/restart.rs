//! The restart policy table, and how often one part has failed lately: without a clock and without actors.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use crate::{ground::error::StartError, ground::name::ActorName};

/// How failed actors are restarted, and how long the program waits for its parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SupervisionConfig {
    /// Wait before an actor's first restart, in milliseconds; it doubles with every further one within
    /// the window. Default: 100.
    pub first_backoff_ms: u64,
    /// Longest wait before a restart, in milliseconds. Default: 10 000.
    pub max_backoff_ms: u64,
    /// Restarts of one actor within the window; one failure more ends the program. Default: 8.
    pub max_restarts: u32,
    /// The window, in seconds. Default: 300.
    pub window_seconds: u64,
    /// Longest wait for an actor to stop before it is killed, in seconds. Default: 10.
    pub stop_deadline_seconds: u64,
    /// Longest wait for work in flight when the program drains, in seconds. Default: 120.
    pub drain_deadline_seconds: u64,
    /// Longest silence of a device or server at work before it is given up and replaced, in milliseconds; one that is
    /// slow by nature gets ten times its slowest step where that is longer. 0 waits for ever. Default: 900 000.
    pub max_silence_ms: u64,
}

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

impl Default for SupervisionConfig {
    fn default() -> Self {
        Self {
            first_backoff_ms: 100,
            max_backoff_ms: 10_000,
            max_restarts: 8,
            window_seconds: 300,
            stop_deadline_seconds: 10,
            drain_deadline_seconds: 120,
            max_silence_ms: 900_000,
        }
    }
}

impl SupervisionConfig {
    /// # Errors
    /// When the waits or the window make no sense.
    pub fn validate(&self) -> Result<(), StartError> {
        let error = |key, problem: &str| {
            Err(StartError::Setting { section: "supervision", key, problem: problem.to_owned() })
        };
        if self.max_backoff_ms < self.first_backoff_ms {
            return error("max_backoff_ms", "must not be smaller than `first_backoff_ms`");
        }
        if self.window_seconds == 0 {
            return error("window_seconds", "must be at least 1");
        }
        Ok(())
    }

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
