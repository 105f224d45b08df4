//! What is switched off, by operators and by the verifier's alarm; outlives restarts of the actors that obey.

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
    verifier_failing: AtomicBool,
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

    pub(crate) fn set_verifier_failing(&self, failing: bool) {
        self.verifier_failing.store(failing, Ordering::SeqCst);
    }

    /// The alarm is raised and the newest judgement failed.
    pub(crate) fn verifier_failing(&self) -> bool {
        self.verifier_failing.load(Ordering::SeqCst)
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
