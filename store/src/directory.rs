//! The data directory: one process at a time.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use crate::error::StoreError;

/// Held while a process works on the directory; holds its process id.
const LOCK_FILE: &str = "stilld.lock";
/// The folder of the database.
const DATABASE_FOLDER: &str = "store";
/// Who may look into a data directory that is made here: its owner alone.
const PRIVATE: u32 = 0o700;

/// An exclusive hold on a data directory. The system lets go when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct DataDirectory {
    path: PathBuf,
    _lock: File,
}

impl DataDirectory {
    /// Makes the directory where it is missing, and holds it.
    pub(crate) fn create_and_lock(path: &Path) -> Result<Self, StoreError> {
        // prompts, gold answers and weights are nobody's but the owner's
        let mut folders = DirBuilder::new();
        folders.recursive(true).mode(PRIVATE);
        folders.create(path.join(DATABASE_FOLDER)).map_err(StoreError::file(path))?;
        Self::lock(path)
    }

    /// Holds a directory that has a store.
    pub(crate) fn lock_existing(path: &Path) -> Result<Self, StoreError> {
        if path.join(DATABASE_FOLDER).is_dir() {
            Self::lock(path)
        } else {
            Err(StoreError::Absent(path.to_owned()))
        }
    }

    fn lock(path: &Path) -> Result<Self, StoreError> {
        let file_path = path.join(LOCK_FILE);
        let file = || StoreError::file(file_path.clone());
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&file_path)
            .map_err(file())?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                lock.read_to_string(&mut holder).map_err(file())?;
                let holder = holder.trim();
                let holder = if holder.is_empty() {
                    "another process".to_owned()
                } else {
                    format!("process {holder}")
                };
                return Err(StoreError::InUse { path: path.to_owned(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(file()(source)),
        }
        lock.set_len(0).map_err(file())?;
        lock.rewind().map_err(file())?;
        write!(lock, "{}", std::process::id()).map_err(file())?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of the database.
    pub(crate) fn database(&self) -> PathBuf {
        self.path.join(DATABASE_FOLDER)
    }
}
