//! The store itself: how it is opened, and how records are read and committed.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    directory::DataDirectory,
    engine::{Change, Engine, FaultPlan, Faulty, Memory, Sled, scan},
    error::StoreError,
    key::{Key, Kind},
    value::{decode, encode},
};

/// The newest format that this program writes and reads.
const FORMAT: u32 = 1;

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
    /// Absent for a store in memory. Held until the last clone is gone.
    directory: Option<DataDirectory>,
}

/// What makes a run this run and no other: a store is never continued under another identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunIdentity {
    /// The run's seed.
    pub seed: u64,
    /// What else must not change between restarts, by name: the model, the task.
    pub facts: std::collections::BTreeMap<String, String>,
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
    /// Opens the store of a data directory, making both where they are missing.
    ///
    /// # Errors
    /// When another process holds the directory, the format is newer, or the disk fails.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        let directory = DataDirectory::create_and_lock(data_dir)?;
        Self::on(Sled::open(&directory.database())?, Some(directory))
    }

    /// Opens a store that must be there, of a daemon that is stopped.
    ///
    /// # Errors
    /// As [`Store::open`], and when there is no store.
    pub fn open_existing(data_dir: &Path) -> Result<Self, StoreError> {
        let directory = DataDirectory::lock_existing(data_dir)?;
        Self::on(Sled::open(&directory.database())?, Some(directory))
    }

    /// A store that lives as long as its clones.
    ///
    /// # Errors
    /// Never, in truth: memory does not fail.
    pub fn in_memory() -> Result<Self, StoreError> {
        Self::on(Memory::default(), None)
    }

    /// A store in memory whose commits fail as planned. Commit 0 is the format record.
    ///
    /// # Errors
    /// When the plan fails commit 0.
    pub fn failing(plan: FaultPlan) -> Result<Self, StoreError> {
        Self::on(Faulty::new(Memory::default(), plan), None)
    }

    fn on(engine: impl Engine + 'static, directory: Option<DataDirectory>) -> Result<Self, StoreError> {
        let store = Self {
            shared: Arc::new(Shared {
                engine: Box::new(engine),
                writer: Mutex::new(()),
                commits: AtomicU64::new(0),
                written_bytes: AtomicU64::new(0),
                directory,
            }),
        };
        let key = Key::of(Kind::Meta).text("format");
        match store.get::<u32>(&key)? {
            None => store.commit(vec![store.put(&key, &FORMAT)?])?,
            Some(found) if found > FORMAT => return Err(StoreError::Newer { found, supported: FORMAT }),
            Some(_) => {}
        }
        Ok(store)
    }

    /// The data directory; `None` for a store in memory.
    pub fn data_dir(&self) -> Option<PathBuf> {
        self.shared.directory.as_ref().map(|directory| directory.path().to_owned())
    }

    /// Records who this run is, once.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the store belongs to a run of another identity, naming what differs.
    pub fn identify(&self, identity: &RunIdentity) -> Result<(), StoreError> {
        let _writer = self.writer();
        let key = Key::of(Kind::Meta).text("identity");
        let Some(known) = self.get::<RunIdentity>(&key)? else {
            return self.commit(vec![self.put(&key, identity)?]);
        };
        if known == *identity {
            return Ok(());
        }
        let mut differences = Vec::new();
        if known.seed != identity.seed {
            differences.push(format!("seed {} is now {}", known.seed, identity.seed));
        }
        for (name, value) in &identity.facts {
            let before = known.facts.get(name).map_or("unset", String::as_str);
            if before != value {
                differences.push(format!("{name} `{before}` is now `{value}`"));
            }
        }
        Err(StoreError::Conflict(format!(
            "this data directory belongs to another run: {}; choose another --data-dir or restore the settings",
            differences.join(", ")
        )))
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

    /// Every record under a prefix, in key order.
    pub(crate) fn all<T: DeserializeOwned>(&self, prefix: &Key) -> Result<Vec<T>, StoreError> {
        let mut records = Vec::new();
        self.each(prefix, |record| {
            records.push(record);
            Ok(())
        })?;
        Ok(records)
    }

    /// Calls `visit` with every record under a prefix, in key order, a page of records in memory at a time.
    pub(crate) fn each<T: DeserializeOwned>(
        &self,
        prefix: &Key,
        mut visit: impl FnMut(T) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        scan(&*self.shared.engine, prefix.as_bytes(), |key, value| visit(decode(key, value)?))
    }

    /// The change that puts a record.
    #[expect(clippy::unused_self, reason = "reads as a verb of the store where batches are put together")]
    pub(crate) fn put<T: Serialize>(&self, key: &Key, record: &T) -> Result<Change, StoreError> {
        Ok((key.as_bytes().to_vec(), Some(encode(key.as_bytes(), record)?)))
    }

    /// Makes all changes durable, or none.
    pub(crate) fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        let bytes: usize =
            changes.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len)).sum();
        self.shared.engine.write(changes)?;
        self.shared.commits.fetch_add(1, Ordering::Relaxed);
        self.shared.written_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(())
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("data_dir", &self.data_dir()).finish_non_exhaustive()
    }
}
