//! `[supervision]`: how failed actors are restarted.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_settings::Findings;

/// How failed actors are restarted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SupervisionSection {
    /// Wait before the first restart, in milliseconds; it doubles with every further one.
    pub first_backoff_ms: u64,
    /// Longest wait before a restart, in milliseconds.
    pub max_backoff_ms: u64,
    /// Restarts of one actor within the window; one failure more and the daemon gives up (exit code 8).
    pub max_restarts: u32,
    /// The window, in seconds.
    pub window_seconds: u64,
    /// Longest wait for an actor to stop before it is killed, in seconds.
    pub stop_deadline_seconds: u64,
    /// Longest wait for rollouts in flight when the daemon drains, in seconds; training is waited for until it has saved
    /// what it has come to, which takes the part of a step that it is at.
    pub drain_deadline_seconds: u64,
    /// Longest silence of a device or server at work before it is given up and replaced, in milliseconds; one that is
    /// slow by nature gets ten times its slowest step where that is longer; 0 waits for ever.
    pub max_silence_ms: u64,
}

impl Default for SupervisionSection {
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

impl SupervisionSection {
    /// Notes what makes no policy.
    pub fn validate(&self, findings: &mut Findings) {
        findings.require(self.max_backoff_ms >= self.first_backoff_ms, "supervision.max_backoff_ms", || {
            format!("must be at least first_backoff_ms = {}", self.first_backoff_ms)
        });
        findings.require(self.window_seconds > 0, "supervision.window_seconds", || {
            "must be at least 1".to_owned()
        });
    }
}
