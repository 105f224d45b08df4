//! The files of checkpoints on the disk: written aside, synced, hashed, renamed into place.
//!
//! A folder with a checkpoint's name is whole: what a crash interrupts still has its name for the time being. Who
//! records that a checkpoint exists is not known here: the daemon does it in the store
//! ([`crate::CheckpointFolders`]), a one-shot training by a manifest among the files.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use still_domain::{CheckpointFile, CheckpointId, CheckpointManifest};

use crate::error::StoreError;

/// What a folder's name starts with while its files are written.
const PENDING_PREFIX: &str = "pending-";
/// Bytes read at a time while hashing.
const CHUNK_BYTES: usize = 1 << 20;

/// The folder that holds a folder for every checkpoint.
#[derive(Debug, Clone)]
pub struct CheckpointFiles {
    root: PathBuf,
}

/// A checkpoint that is not what its manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The checkpoint.
    pub checkpoint: CheckpointId,
    /// What does not fit.
    pub reason: String,
}

impl CheckpointFiles {
    /// Opens the folders below `root`, which is made where it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(root).map_err(StoreError::file(root))?;
        if let Some(parent) = root.parent().filter(|parent| parent.is_dir()) {
            sync(parent)?;
        }
        Ok(Self { root: root.to_owned() })
    }

    /// The folders below `root` as they are, to look at them.
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The names of the folders that are in place, in no order.
    ///
    /// # Errors
    /// When the folders cannot be read.
    pub fn names(&self) -> Result<Vec<String>, StoreError> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.root).map_err(StoreError::file(&self.root))? {
            let path = entry.map_err(StoreError::file(&self.root))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).filter(|_| path.is_dir());
            names.extend(name.filter(|name| !name.starts_with(PENDING_PREFIX)).map(str::to_owned));
        }
        Ok(names)
    }

    /// Removes the folders of checkpoints that a crash left: `is_left` tells it by the checkpoint's name, and
    /// whether its files were still being written.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sweep(&self, is_left: impl Fn(&str, bool) -> bool) -> Result<(), StoreError> {
        for entry in fs::read_dir(&self.root).map_err(StoreError::file(&self.root))? {
            let path = entry.map_err(StoreError::file(&self.root))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let (checkpoint, is_pending) =
                name.strip_prefix(PENDING_PREFIX).map_or((name, false), |checkpoint| (checkpoint, true));
            if path.is_dir() && is_left(checkpoint, is_pending) {
                remove_folder(&path)?;
            }
        }
        Ok(())
    }

    /// Where the files of a checkpoint are.
    pub fn folder(&self, id: &CheckpointId) -> PathBuf {
        self.root.join(id.as_str())
    }

    /// Makes an empty folder for a checkpoint's files.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn begin(&self, id: &CheckpointId) -> Result<PathBuf, StoreError> {
        let folder = self.pending(id);
        remove_folder(&folder)?;
        fs::create_dir_all(&folder).map_err(StoreError::file(&folder))?;
        Ok(folder)
    }

    /// Syncs every file of a checkpoint that is being written and of its subfolders, and the folders, and
    /// describes the files in name order; a file of a subfolder is named with it.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn describe(&self, id: &CheckpointId) -> Result<Vec<CheckpointFile>, StoreError> {
        let mut files = Vec::new();
        describe_into(&mut files, &self.pending(id), "")?;
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(files)
    }

    /// Renames a checkpoint that was described into place. One of the same name is replaced.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn install(&self, id: &CheckpointId) -> Result<(), StoreError> {
        let (pending, folder) = (self.pending(id), self.folder(id));
        remove_folder(&folder)?;
        fs::rename(&pending, &folder).map_err(StoreError::file(&folder))?;
        sync(&self.root)
    }

    /// Whether every file is as its manifest says; if not, what does not fit.
    pub fn check(&self, manifest: &CheckpointManifest) -> Result<(), Damage> {
        let folder = self.folder(&manifest.id);
        for file in &manifest.files {
            let path = folder.join(&file.name);
            let damage = |reason: String| Damage { checkpoint: manifest.id.clone(), reason };
            let (bytes, hash) =
                hash_file(&path).map_err(|error| damage(format!("`{}`: {error}", file.name)))?;
            if bytes != file.bytes || hash != file.hash {
                return Err(damage(format!("`{}` is not what was written", file.name)));
            }
        }
        Ok(())
    }

    /// Removes the files of a checkpoint; one that is not there is no error.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn remove(&self, id: &CheckpointId) -> Result<(), StoreError> {
        remove_folder(&self.folder(id))
    }

    /// Where the files of a checkpoint are while they are written.
    pub fn pending(&self, id: &CheckpointId) -> PathBuf {
        self.root.join(format!("{PENDING_PREFIX}{id}"))
    }
}

fn describe_into(files: &mut Vec<CheckpointFile>, folder: &Path, prefix: &str) -> Result<(), StoreError> {
    for entry in fs::read_dir(folder).map_err(StoreError::file(folder))? {
        let path = entry.map_err(StoreError::file(folder))?.path();
        let name = format!("{prefix}{}", path.file_name().unwrap_or_default().to_string_lossy());
        if path.is_dir() {
            describe_into(files, &path, &format!("{name}/"))?;
            continue;
        }
        sync(&path)?;
        let (bytes, hash) = hash_file(&path).map_err(StoreError::file(&path))?;
        files.push(CheckpointFile { name, bytes, hash });
    }
    sync(folder)
}

fn hash_file(path: &Path) -> io::Result<(u64, String)> {
    let mut file = File::open(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = file.read(&mut chunk)?;
        let Some(part) = chunk.get(..read).filter(|part| !part.is_empty()) else { break };
        hasher.update(part);
    }
    Ok((hasher.count(), hasher.finalize().to_hex().to_string()))
}

fn sync(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(StoreError::file(path))
}

fn remove_folder(folder: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::file(folder)(error)),
        _ => Ok(()),
    }
}
