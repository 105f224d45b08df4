//! What keeps the bytes: sled, memory, and an engine that fails on purpose.

use std::{
    collections::BTreeMap,
    ops::Bound,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::error::StoreError;

/// Records read from the engine at a time while scanning: memory stays small however large the pool.
const PAGE: usize = 256;

/// A key's bytes with a value's.
pub(crate) type Entry = (Vec<u8>, Vec<u8>);

/// One change of a batch: a value to put, or `None` to remove.
pub(crate) type Change = (Vec<u8>, Option<Vec<u8>>);

/// An ordered map of bytes with atomic durable batches.
pub(crate) trait Engine: Send + Sync {
    /// The value under a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// At most `limit` entries whose keys start with `prefix`, in order, beginning after `after`.
    fn page(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, StoreError>;

    /// Makes all changes, or none, durably.
    fn write(&self, batch: Vec<Change>) -> Result<(), StoreError>;

    /// Bytes on the disk.
    fn size_bytes(&self) -> Result<u64, StoreError>;
}

/// Calls `visit` with every entry under `prefix`, in order, a page at a time.
pub(crate) fn scan(
    engine: &dyn Engine,
    prefix: &[u8],
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = engine.page(prefix, after.as_deref(), PAGE)?;
        for (key, value) in &page {
            visit(key, value)?;
        }
        match page.into_iter().next_back() {
            Some((key, _)) => after = Some(key),
            None => return Ok(()),
        }
    }
}

/// sled: one tree, one batch a commit, flushed before it is acknowledged.
pub(crate) struct Sled {
    database: sled::Db,
}

impl Sled {
    /// Opens or makes the database in a folder.
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        let database = sled::Config::new()
            .path(folder)
            .mode(sled::Mode::HighThroughput)
            // every commit flushes by itself
            .flush_every_ms(None)
            .open()
            .map_err(failed("open its files"))?;
        Ok(Self { database })
    }
}

impl Engine for Sled {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let value = self.database.get(key).map_err(failed("read"))?;
        Ok(value.map(|bytes| bytes.to_vec()))
    }

    fn page(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let start = after.map_or(Bound::Included(prefix), Bound::Excluded);
        let range: (Bound<&[u8]>, Bound<&[u8]>) = (start, Bound::Unbounded);
        let entries = self.database.range::<&[u8], _>(range).take_while(|entry| match entry {
            Ok((key, _)) => key.starts_with(prefix),
            Err(_) => true,
        });
        let entries =
            entries.take(limit).map(|entry| entry.map(|(key, value)| (key.to_vec(), value.to_vec())));
        entries.collect::<Result<_, _>>().map_err(failed("read"))
    }

    fn write(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        self.database.apply_batch(batch).map_err(failed("write"))?;
        self.database.flush().map_err(failed("flush"))?;
        Ok(())
    }

    fn size_bytes(&self) -> Result<u64, StoreError> {
        self.database.size_on_disk().map_err(failed("measure itself"))
    }
}

/// Memory, for tests and trials: nothing survives the process.
#[derive(Default)]
pub(crate) struct Memory {
    entries: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl Memory {
    fn entries(&self) -> std::sync::MutexGuard<'_, BTreeMap<Vec<u8>, Vec<u8>>> {
        // a batch is applied by infallible calls: no panic leaves it half done
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.entries().get(key).cloned())
    }

    fn page(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let start = after.map_or(Bound::Included(prefix), Bound::Excluded);
        let range: (Bound<&[u8]>, Bound<&[u8]>) = (start, Bound::Unbounded);
        let entries = self.entries();
        let page = entries.range::<[u8], _>(range).take_while(|(key, _)| key.starts_with(prefix)).take(limit);
        Ok(page.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn write(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let mut entries = self.entries();
        for (key, value) in changes {
            match value {
                Some(value) => entries.insert(key, value),
                None => entries.remove(&key),
            };
        }
        Ok(())
    }

    fn size_bytes(&self) -> Result<u64, StoreError> {
        Ok(self.entries().iter().map(|(key, value)| (key.len() + value.len()) as u64).sum())
    }
}

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

    fn page(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.engine.page(prefix, after, limit)
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

fn failed(action: &'static str) -> impl FnOnce(sled::Error) -> StoreError {
    move |error| StoreError::Engine { action, reason: error.to_string() }
}
