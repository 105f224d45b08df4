//! Who may use a device: one role at a time, unless the one before hangs.

#[cfg(all(test, loom))]
mod orders;

use std::sync::PoisonError;
#[cfg(not(loom))]
use std::sync::{Arc, Mutex, MutexGuard};

#[cfg(loom)]
use loom::sync::{Arc, Mutex, MutexGuard};

/// A device's lock. A role's thread holds it for as long as its role lives, so that two roles of one device never
/// share it, not even for a moment. Where a role hangs, the lock is made anew and its successor does not wait.
/// Clones are of the same lock.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeviceLock(Arc<Mutex<Turn>>);

/// What is locked while a role lives.
pub(crate) type Turn = Arc<Mutex<()>>;

impl DeviceLock {
    /// The lock as it is now.
    pub(crate) fn current(&self) -> Turn {
        Arc::clone(&locked(&self.0))
    }

    /// Makes the lock anew: whoever holds the old one is waited for no more.
    pub(crate) fn renew(&self) {
        *locked(&self.0) = Turn::default();
    }
}

/// The guard of a mutex. A panic of a role says nothing of its device.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
