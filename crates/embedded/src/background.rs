//! Work that goes on beside its owner.

use std::{
    fmt, io,
    panic::resume_unwind,
    thread::{self, JoinHandle},
};

/// One piece of work at a time on a thread of its own, each begun after the one before has ended: so results
/// come in the order in which work was given. Dropping it waits for what is at work.
pub struct Background<T> {
    name: &'static str,
    at_work: Option<JoinHandle<T>>,
}

impl<T: Send + 'static> Background<T> {
    /// Nothing at work yet; threads are called `name`.
    pub const fn new(name: &'static str) -> Self {
        Self { name, at_work: None }
    }

    /// Waits for what is at work, begins `work`, and gives the result of the former.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn begin(&mut self, work: impl FnOnce() -> T + Send + 'static) -> io::Result<Option<T>> {
        let before = self.wait();
        self.at_work = Some(thread::Builder::new().name(self.name.to_owned()).spawn(work)?);
        Ok(before)
    }

    /// The result of what was at work, once it has ended.
    pub fn take_finished(&mut self) -> Option<T> {
        let has_ended = self.at_work.as_ref().is_some_and(JoinHandle::is_finished);
        if has_ended { self.wait() } else { None }
    }

    /// Waits for what is at work; none when nothing is. A panic of the work goes on here.
    pub fn wait(&mut self) -> Option<T> {
        let joined = self.at_work.take()?.join();
        Some(joined.unwrap_or_else(|panic| resume_unwind(panic)))
    }
}

impl<T> Drop for Background<T> {
    fn drop(&mut self) {
        if let Some(at_work) = self.at_work.take() {
            // nobody is left to tell of a result or a panic
            let _unread = at_work.join();
        }
    }
}

impl<T> fmt::Debug for Background<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Background").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn work_goes_on_beside_its_owner_and_results_come_in_order() {
        let (release, released) = mpsc::channel();
        let mut background = Background::new("background");
        assert!(background.take_finished().is_none());
        let first = move || released.recv().unwrap();
        assert!(background.begin(first).unwrap().is_none());
        assert!(background.take_finished().is_none(), "it waits to be released");
        release.send(1).unwrap();
        assert_eq!(background.begin(|| 2).unwrap(), Some(1));
        assert_eq!(background.wait(), Some(2));
        assert!(background.wait().is_none());
    }

    #[test]
    fn dropping_waits_for_what_is_at_work() {
        let (ended, seen) = mpsc::channel();
        let mut background = Background::new("background");
        background.begin(move || ended.send(3).unwrap()).unwrap();
        drop(background);
        assert_eq!(seen.try_recv(), Ok(3));
    }
}
