//! That nobody waits for some work any more, told to whoever does it.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Called when the work is withdrawn.
type Hook = Box<dyn FnOnce() + Send>;

/// Says that nobody waits any more for the work that it was given with. Clones are the same.
#[derive(Clone, Default)]
pub struct Withdrawal(Arc<Mutex<State>>);

/// Whether it was said.
enum State {
    /// Not yet; then these are called.
    Awaited(Vec<Hook>),
    Withdrawn,
}

impl Withdrawal {
    /// Nobody waits any more. Said twice it is said once.
    pub fn withdraw(&self) {
        let before = std::mem::replace(&mut *self.state(), State::Withdrawn);
        // a hook may ask this very object
        if let State::Awaited(hooks) = before {
            for hook in hooks {
                hook();
            }
        }
    }

    /// Whether nobody waits any more.
    pub fn is_withdrawn(&self) -> bool {
        matches!(*self.state(), State::Withdrawn)
    }

    /// Calls back when nobody waits any more, at once where that is so already: for whoever is asleep until something
    /// happens. What is called must not block.
    pub fn when_withdrawn(&self, hook: impl FnOnce() + Send + 'static) {
        let mut state = self.state();
        match &mut *state {
            State::Awaited(hooks) => hooks.push(Box::new(hook)),
            State::Withdrawn => {
                drop(state);
                hook();
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for State {
    fn default() -> Self {
        Self::Awaited(Vec::new())
    }
}

impl fmt::Debug for Withdrawal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Withdrawal").field("is_withdrawn", &self.is_withdrawn()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn whoever_sleeps_is_told_once_and_who_comes_late_at_once() {
        let (sender, told) = channel();
        let withdrawal = Withdrawal::default();
        let tell = |word: &'static str| {
            let (sender, again) = (sender.clone(), withdrawal.clone());
            move || sender.send((word, again.is_withdrawn())).unwrap()
        };
        withdrawal.when_withdrawn(tell("early"));
        assert!(!withdrawal.is_withdrawn() && told.try_recv().is_err());
        let clone = withdrawal.clone();
        std::thread::spawn(move || clone.withdraw());
        assert_eq!(told.recv(), Ok(("early", true)));
        withdrawal.withdraw();
        withdrawal.when_withdrawn(tell("late"));
        assert_eq!(told.try_recv(), Ok(("late", true)));
        assert!(told.try_recv().is_err());
    }
}
