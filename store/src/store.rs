//! The store itself: how it is opened, and how records are read and committed.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    directory::DataDirectory,
    engine::{Change, Engine, FaultPlan, Faulty, Memory, SledFiles},
    error::StoreError,
    key::Key,
    scan::Records,
    value::{decode, encode},
};

/// A store of one run. Clones share it.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    engine: Box<dyn Engine>,
    /// Serialises what reads before it writes.
    writer: Mutex<()>,
    commits: AtomicU64,
    written_bytes: AtomicU64,
    is_read_only: bool,
    /// Absent for a store in memory. Held until the last clone is gone.
    directory: Option<DataDirectory>,
}

/// How large the store is, and how much was written since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreSize {
    /// Commits since the store was opened.
    pub commits: u64,
    /// Bytes of keys and values committed since the store was opened.
    pub written_bytes: u64,
    /// Bytes on the disk.
    pub disk_bytes: u64,
}

impl Store {
    /// Opens the store of a data directory, making both where they are missing. A store of an older format
    /// is brought up to this program's.
    ///
    /// # Errors
    /// When another process holds the directory, the format is newer, or the disk fails.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        let directory = DataDirectory::create_and_lock(data_dir)?;
        Self::on(SledFiles::open(&directory.database())?, Some(directory), false)
    }

    /// As [`Store::open`], but the store must be there.
    ///
    /// # Errors
    /// As [`Store::open`], and when there is no store.
    pub fn open_existing(data_dir: &Path) -> Result<Self, StoreError> {
        let directory = DataDirectory::lock_existing(data_dir)?;
        Self::on(SledFiles::open(&directory.database())?, Some(directory), false)
    }

    /// Opens the store of a stopped daemon to look at it. No record can change; the engine may still tidy
    /// its own files after a crash, so the directory is held all the same.
    ///
    /// # Errors
    /// As [`Store::open_existing`], and when the format is older: bringing it up would write.
    pub fn open_read_only(data_dir: &Path) -> Result<Self, StoreError> {
        let directory = DataDirectory::lock_existing(data_dir)?;
        Self::on(SledFiles::open(&directory.database())?, Some(directory), true)
    }

    /// A store that lives as long as its clones.
    ///
    /// # Errors
    /// Never: memory does not fail.
    pub fn in_memory() -> Result<Self, StoreError> {
        Self::on(Memory::default(), None, false)
    }

    /// A store in memory whose commits fail as planned. Commit 0 is the format record.
    ///
    /// # Errors
    /// When the plan fails commit 0.
    pub fn failing(plan: FaultPlan) -> Result<Self, StoreError> {
        Self::on(Faulty::new(Memory::default(), plan), None, false)
    }

    fn on(
        engine: impl Engine + 'static,
        directory: Option<DataDirectory>,
        is_read_only: bool,
    ) -> Result<Self, StoreError> {
        let shared = Shared {
            engine: Box::new(engine),
            writer: Mutex::new(()),
            commits: AtomicU64::new(0),
            written_bytes: AtomicU64::new(0),
            is_read_only,
            directory,
        };
        let store = Self { shared: Arc::new(shared) };
        store.settle_format()?;
        Ok(store)
    }

    /// The data directory; `None` for a store in memory.
    pub fn data_dir(&self) -> Option<PathBuf> {
        self.shared.directory.as_ref().map(|directory| directory.path().to_owned())
    }

    /// How large the store is.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn size(&self) -> Result<StoreSize, StoreError> {
        Ok(StoreSize {
            commits: self.shared.commits.load(Ordering::Relaxed),
            written_bytes: self.shared.written_bytes.load(Ordering::Relaxed),
            disk_bytes: self.shared.engine.size_bytes()?,
        })
    }

    /// Holds off other writers that read before they write.
    pub(crate) fn writer(&self) -> MutexGuard<'_, ()> {
        // the lock guards no data of its own: a panic under it leaves nothing half done
        self.shared.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, StoreError> {
        let bytes = self.shared.engine.get(key.as_bytes())?;
        bytes.map(|bytes| decode(key.as_bytes(), &bytes)).transpose()
    }

    pub(crate) fn has(&self, key: &Key) -> Result<bool, StoreError> {
        Ok(self.shared.engine.get(key.as_bytes())?.is_some())
    }

    /// The records under a prefix, in key order.
    pub(crate) fn records<T>(&self, prefix: Key) -> Records<T> {
        Records::new(self.clone(), prefix, None)
    }

    /// Every record under a prefix, in key order.
    pub(crate) fn all<T: DeserializeOwned>(&self, prefix: Key) -> Result<Vec<T>, StoreError> {
        self.records(prefix).collect()
    }

    /// The last record under a prefix.
    pub(crate) fn last<T: DeserializeOwned>(&self, prefix: &Key) -> Result<Option<T>, StoreError> {
        match self.engine().last_key(prefix.as_bytes())? {
            Some(key) => self.engine().get(&key)?.map(|bytes| decode(&key, &bytes)).transpose(),
            None => Ok(None),
        }
    }

    pub(crate) fn engine(&self) -> &dyn Engine {
        &*self.shared.engine
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.shared.is_read_only
    }

    /// The change that puts a record.
    #[expect(clippy::unused_self, reason = "reads as a verb of the store where batches are put together")]
    pub(crate) fn put<T: Serialize>(&self, key: &Key, record: &T) -> Result<Change, StoreError> {
        Ok(Change { key: key.as_bytes().to_vec(), value: Some(encode(key.as_bytes(), record)?) })
    }

    /// Makes all changes durable, or none.
    pub(crate) fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        if self.shared.is_read_only {
            return Err(StoreError::ReadOnly);
        }
        let bytes = changes.iter().map(Change::bytes).sum();
        self.shared.engine.write(changes)?;
        self.shared.commits.fetch_add(1, Ordering::Relaxed);
        self.shared.written_bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("data_dir", &self.data_dir()).finish_non_exhaustive()
    }
}
