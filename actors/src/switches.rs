//! What operators have switched off; outlives restarts of the actors that obey it.

use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

/// What can be paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// Attempts are given out.
    Explore,
    /// Optimizer steps are taken.
    Train,
    /// Both.
    All,
}

/// The switches.
#[derive(Debug, Default)]
pub(crate) struct Switches {
    exploration_paused: AtomicBool,
    training_paused: AtomicBool,
    draining: AtomicBool,
}

impl Switches {
    pub(crate) fn set_paused(&self, activity: Activity, paused: bool) {
        if matches!(activity, Activity::Explore | Activity::All) {
            self.exploration_paused.store(paused, Ordering::SeqCst);
        }
        if matches!(activity, Activity::Train | Activity::All) {
            self.training_paused.store(paused, Ordering::SeqCst);
        }
    }

    pub(crate) fn set_draining(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    pub(crate) fn exploration_paused(&self) -> bool {
        self.exploration_paused.load(Ordering::SeqCst)
    }

    pub(crate) fn training_paused(&self) -> bool {
        self.training_paused.load(Ordering::SeqCst)
    }

    pub(crate) fn draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }
}
