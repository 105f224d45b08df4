//! Who may use a device: one role at a time, unless the one before hangs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A device's lock. A role's thread holds it for as long as its role lives, so that two roles of one device never
/// share it, not even for a moment. Where a role hangs, the lock is made anew and its successor does not wait.
/// Clones are of the same lock.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeviceLock(Arc<Mutex<Held>>);

/// What is held while a role lives.
pub(crate) type Held = Arc<Mutex<()>>;

impl DeviceLock {
    /// The lock as it is now.
    pub(crate) fn current(&self) -> Held {
        Arc::clone(&locked(&self.0))
    }

    /// Makes the lock anew: whoever holds the old one is waited for no more.
    pub(crate) fn renew(&self) {
        *locked(&self.0) = Held::default();
    }
}

/// The lock of a mutex. A panic of a role says nothing of its device.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
