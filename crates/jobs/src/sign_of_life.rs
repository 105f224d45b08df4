//! What takes minutes says that it is alive: once a minute, where nothing else was told.

use std::time::{Duration, Instant};

/// The longest silence.
const QUIET: Duration = Duration::from_mins(1);

/// When something was told last.
#[derive(Debug)]
pub(crate) struct SignOfLife(Instant);

impl SignOfLife {
    /// Something was told now.
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }

    /// Something was told.
    pub(crate) fn told(&mut self) {
        *self = Self::new();
    }

    /// Whether a sign is due, which is then given.
    pub(crate) fn is_due(&mut self) -> bool {
        let is_due = self.0.elapsed() >= QUIET;
        if is_due {
            self.told();
        }
        is_due
    }
}
