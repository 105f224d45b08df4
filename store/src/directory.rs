//! The data directory: one process at a time.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use still_domain::CHECKPOINTS_NAME;

use crate::{checkpoint_files::CheckpointFiles, checkpoint_folders::ID_PREFIX, error::StoreError};

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
        let held = Held::new(path)?;
        held.sweep()?;
        held.sign()
    }

    /// Holds a directory that has a store.
    pub(crate) fn lock_existing(path: &Path) -> Result<Self, StoreError> {
        if path.join(DATABASE_FOLDER).is_dir() {
            Held::new(path)?.sign()
        } else {
            Err(StoreError::Absent(path.to_owned()))
        }
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

/// A directory that is held, and does not say by whom yet.
struct Held {
    path: PathBuf,
    lock: File,
}

impl Held {
    fn new(path: &Path) -> Result<Self, StoreError> {
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
        Ok(Self { path: path.to_owned(), lock })
    }

    /// Removes checkpoints that were half written when a process ended. Before anything is written: they may be what fills
    /// the disk.
    fn sweep(&self) -> Result<(), StoreError> {
        let checkpoints = self.path.join(CHECKPOINTS_NAME);
        if !checkpoints.is_dir() {
            return Ok(());
        }
        CheckpointFiles::at(&checkpoints)
            .sweep(|checkpoint, is_pending| is_pending && checkpoint.starts_with(ID_PREFIX))
    }

    /// Writes down which process holds it.
    fn sign(mut self) -> Result<DataDirectory, StoreError> {
        let mut written = || -> io::Result<()> {
            self.lock.set_len(0)?;
            self.lock.rewind()?;
            write!(self.lock, "{}", std::process::id())
        };
        written().map_err(StoreError::file(self.path.join(LOCK_FILE)))?;
        Ok(DataDirectory { path: self.path, _lock: self.lock })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_was_half_written_is_gone_before_anything_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = folder.path().join(CHECKPOINTS_NAME);
        for name in ["pending-round-1-step-2", "round-1-step-1", "pending-mine"] {
            fs::create_dir_all(checkpoints.join(name)).unwrap();
        }
        Held::new(folder.path()).unwrap().sweep().unwrap();
        let left: Vec<_> = ["pending-round-1-step-2", "round-1-step-1", "pending-mine"]
            .into_iter()
            .filter(|name| checkpoints.join(name).exists())
            .collect();
        assert_eq!(left, ["round-1-step-1", "pending-mine"]);
    }
}
