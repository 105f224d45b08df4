//! An engine whose commits fail as planned, for tests of what a failing disk does to the program.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Change, Engine, Entry};
use crate::error::StoreError;

/// What fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The commit fails before anything is written.
    Refused,
    /// The commit is durable, but the caller is told that it failed.
    Unacknowledged,
}

/// When commits fail, for tests of what a failing disk does to the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultPlan {
    /// The first commit that fails, from 0.
    pub first: u64,
    /// How many fail in a row.
    pub count: u64,
    /// How they fail.
    pub fault: Fault,
}

/// An engine whose commits fail as planned.
pub(crate) struct Faulty<E> {
    engine: E,
    plan: FaultPlan,
    commits: AtomicU64,
}

impl<E> Faulty<E> {
    pub(crate) const fn new(engine: E, plan: FaultPlan) -> Self {
        Self { engine, plan, commits: AtomicU64::new(0) }
    }
}

impl<E: Engine> Engine for Faulty<E> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.engine.get(key)
    }

    fn page(&self, prefix: &[u8], after: Option<&[u8]>) -> Result<Vec<Entry>, StoreError> {
        self.engine.page(prefix, after)
    }

    fn last_key(&self, prefix: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.engine.last_key(prefix)
    }

    fn write(&self, batch: Vec<Change>) -> Result<(), StoreError> {
        let commit = self.commits.fetch_add(1, Ordering::Relaxed);
        let fails = commit >= self.plan.first && commit - self.plan.first < self.plan.count;
        if !fails || self.plan.fault == Fault::Unacknowledged {
            self.engine.write(batch)?;
        }
        if fails {
            let reason = "no space left on device (planned)".to_owned();
            return Err(StoreError::Engine { action: "write", reason });
        }
        Ok(())
    }

    fn size_bytes(&self) -> Result<u64, StoreError> {
        self.engine.size_bytes()
    }
}
