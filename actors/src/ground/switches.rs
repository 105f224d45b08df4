//! What is switched off, by operators and by the verifier's alarm; outlives restarts of the actors that obey.

use std::sync::atomic::{AtomicBool, Ordering};

use still_control::Activity;

/// The switches.
#[derive(Debug, Default)]
pub(crate) struct Switches {
    exploration_paused: AtomicBool,
    training_paused: AtomicBool,
    draining: AtomicBool,
    verifier_failing: AtomicBool,
}

impl Switches {
    /// Pauses or resumes an activity; `None` means both.
    pub(crate) fn set_paused(&self, activity: Option<Activity>, paused: bool) {
        if activity != Some(Activity::Train) {
            self.exploration_paused.store(paused, Ordering::SeqCst);
        }
        if activity != Some(Activity::Explore) {
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
