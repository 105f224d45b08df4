//! sled: one tree, one batch a commit, on the disk before it is acknowledged.
//!
//! Two things are done here that sled 0.34 leaves to its callers:
//!
//! - its `flush` hands the log to the disk with `sync_file_range`, which promises nothing after a loss of
//!   power, and does not sync the files of large values at all. [`SledFiles::sync`] does both;
//! - after a failed write its memory may show what the disk does not hold, and a failed sync must never be
//!   tried again. So the first failure is the last: every later call is refused, until the store is opened
//!   anew and shows what the disk holds.

use std::{
    collections::HashSet,
    ffi::OsString,
    fs::{self, File},
    io,
    ops::Bound,
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
    time::SystemTime,
};

use super::{Change, Engine, Entry, fill_page};
use crate::error::StoreError;

/// Bytes of pages that are kept in memory.
const CACHE_BYTES: u64 = 128 << 20;
/// How often sled makes room of what was overwritten.
const TIDY_MS: u64 = 500;

/// A database of sled's.
pub(crate) struct SledFiles {
    database: sled::Db,
    log: File,
    large_values: Mutex<LargeValues>,
    failure: OnceLock<String>,
}

/// The folder where sled keeps each large value in a file of its own.
struct LargeValues {
    folder: PathBuf,
    /// When the folder last changed before it was last synced.
    changed: Option<SystemTime>,
    /// Names of the files that are synced; a file never changes once it is written.
    synced: HashSet<OsString>,
}

impl SledFiles {
    /// Opens or makes the database in a folder.
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        let log_path = folder.join("db");
        await_release(&log_path).map_err(StoreError::file(&log_path))?;
        let config =
            sled::Config::new().path(folder).cache_capacity(CACHE_BYTES).flush_every_ms(Some(TIDY_MS));
        let database = config.open().map_err(|error| failed("open its files", &error))?;
        let log = File::open(&log_path).map_err(StoreError::file(&log_path))?;
        let large_values =
            LargeValues { folder: folder.join("blobs"), changed: None, synced: HashSet::new() };
        let large_values = Mutex::new(large_values);
        let engine = Self { database, log, large_values, failure: OnceLock::new() };
        // the files' own names, and what a killed process had written
        engine.sync().and_then(|()| sync_folder(folder)).map_err(StoreError::file(folder))?;
        Ok(engine)
    }

    /// Refuses everything after a failure.
    fn check(&self, action: &'static str) -> Result<(), StoreError> {
        match self.failure.get() {
            None => Ok(()),
            Some(first) => {
                let reason = format!("it failed before ({first}) and must be opened anew");
                Err(StoreError::Engine { action, reason })
            }
        }
    }

    fn write_durably(&self, batch: sled::Batch) -> Result<(), StoreError> {
        self.database.apply_batch(batch).map_err(|error| failed("write", &error))?;
        self.database.flush().map_err(|error| failed("flush", &error))?;
        self.sync().map_err(|error| StoreError::Engine { action: "sync", reason: error.to_string() })
    }

    /// Brings everything that sled has written onto the disk.
    fn sync(&self) -> io::Result<()> {
        self.large_values.lock().unwrap_or_else(PoisonError::into_inner).sync()?;
        self.log.sync_data()
    }
}

impl LargeValues {
    fn sync(&mut self) -> io::Result<()> {
        let changed = match fs::metadata(&self.folder) {
            Ok(folder) => folder.modified()?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        if self.changed == Some(changed) {
            return Ok(());
        }
        let mut present = HashSet::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if !self.synced.contains(&name) {
                match File::open(entry.path()).and_then(|file| file.sync_data()) {
                    // sled has removed it since: what replaced it is in the log
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    synced => synced?,
                }
            }
            present.insert(name);
        }
        sync_folder(&self.folder)?;
        // files may come within one tick of the clock: only what is older than this look is known
        self.changed = Some(changed).filter(|time| time.elapsed().is_ok_and(|age| age.as_millis() > 20));
        self.synced = present;
        Ok(())
    }
}

impl Engine for SledFiles {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.check("read")?;
        let value = self.database.get(key).map_err(|error| failed("read", &error))?;
        Ok(value.map(|bytes| bytes.to_vec()))
    }

    fn page(&self, prefix: &[u8], after: Option<&[u8]>) -> Result<Vec<Entry>, StoreError> {
        self.check("read")?;
        let start = after.map_or(Bound::Included(prefix), Bound::Excluded);
        let range: (Bound<&[u8]>, Bound<&[u8]>) = (start, Bound::Unbounded);
        let found = self
            .database
            .range::<&[u8], _>(range)
            .take_while(|entry| entry.as_ref().map_or(true, |(key, _)| key.starts_with(prefix)))
            .map(|entry| entry.map(|(key, value)| (key.to_vec(), value.to_vec())));
        fill_page(found).map_err(|error| failed("read", &error))
    }

    fn last_key(&self, prefix: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.check("read")?;
        let last = self.database.scan_prefix(prefix).keys().next_back().transpose();
        Ok(last.map_err(|error| failed("read", &error))?.map(|key| key.to_vec()))
    }

    fn write(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        self.check("write")?;
        let mut batch = sled::Batch::default();
        for Change { key, value } in changes {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        self.write_durably(batch).inspect_err(|error| {
            let _kept_from_the_first_time = self.failure.set(error.to_string());
        })
    }

    fn size_bytes(&self) -> Result<u64, StoreError> {
        self.database.size_on_disk().map_err(|error| failed("measure itself", &error))
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Waits until the last background work of a database closed just now has let go of the log, which sled opens only
/// when nobody else holds it. The directory is ours alone, so nobody but this program can.
fn await_release(log: &Path) -> io::Result<()> {
    match File::open(log) {
        Ok(log) => log.lock(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn failed(action: &'static str, error: &sled::Error) -> StoreError {
    let reason = match error {
        sled::Error::Corruption { .. } => {
            "its files are damaged: restore the data directory from a copy".to_owned()
        }
        other => other.to_string(),
    };
    StoreError::Engine { action, reason }
}
