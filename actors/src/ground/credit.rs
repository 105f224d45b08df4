//! Permits that travel inside messages: the one back-pressure primitive of the program.
//!
//! Mailboxes are unbounded, so a queue is bounded by what may be put into it: whoever asks for work takes a
//! credit first, the credit travels with the work from mailbox to mailbox, and it returns by being dropped,
//! wherever that happens. Work that is lost with its actor gives its credit back by the same way.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A purse of credits of one kind of work.
#[derive(Debug, Clone)]
pub struct Credits {
    semaphore: Arc<Semaphore>,
    limit: usize,
}

/// The right to have one piece of work under way; given back when dropped.
#[derive(Debug)]
pub struct Credit {
    _permit: OwnedSemaphorePermit,
}

impl Credits {
    /// A purse of `limit` credits, at least one.
    pub fn new(limit: usize) -> Self {
        let limit = limit.clamp(1, Semaphore::MAX_PERMITS);
        Self { semaphore: Arc::new(Semaphore::new(limit)), limit }
    }

    /// Takes a credit; `None` when all are on their way.
    pub fn take(&self) -> Option<Credit> {
        let permit = Arc::clone(&self.semaphore).try_acquire_owned().ok()?;
        Some(Credit { _permit: permit })
    }

    /// Credits on their way.
    pub fn in_use(&self) -> usize {
        self.limit - self.semaphore.available_permits()
    }

    /// All credits, on their way or not.
    pub const fn limit(&self) -> usize {
        self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_credits_than_the_limit_are_out_and_dropped_ones_come_back() {
        let credits = Credits::new(2);
        let first = credits.take().unwrap();
        let second = credits.take().unwrap();
        assert!(credits.take().is_none());
        assert_eq!(credits.in_use(), 2);
        drop(first);
        assert_eq!(credits.in_use(), 1);
        let third = credits.take();
        assert!(third.is_some());
        drop((second, third));
        assert_eq!(credits.in_use(), 0);
    }

    #[test]
    fn a_purse_without_credits_would_stall_for_ever_so_there_is_at_least_one() {
        assert_eq!(Credits::new(0).limit(), 1);
    }

    #[test]
    fn work_lost_with_its_queue_gives_its_credit_back() {
        let credits = Credits::new(1);
        let (sender, receiver) = std::sync::mpsc::channel();
        sender.send(credits.take().unwrap()).unwrap();
        assert!(credits.take().is_none());
        drop(receiver);
        drop(sender);
        assert!(credits.take().is_some());
    }
}
