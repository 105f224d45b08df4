//! Every policy of a run by name: its folder, and its weights for whoever computes in this process.
//!
//! Messages carry a [`PolicyRef`]. An engine at the other end of a network asks for its [`folder`]; a generator, a
//! learner or a scorer of this process asks for its [`host_weights`], which are read once and shared by all who hold
//! them. A run whose engines hold the weights themselves asks for none, and then none is ever read.
//!
//! [`folder`]: PolicyLibrary::folder
//! [`host_weights`]: PolicyLibrary::host_weights

use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use still_decoder::DecoderWeights;
use still_domain::{CheckpointId, PolicyRef};
use thiserror::Error;

/// A policy's parameters on the host, shared and never changed.
pub type Weights = Arc<DecoderWeights>;

/// Where the files of a checkpoint are.
type FolderOf = dyn Fn(&CheckpointId) -> PathBuf + Send + Sync;
/// Reads the weights of the configured base model.
type ReadBase = dyn Fn() -> Result<Weights, String> + Send + Sync;
/// Reads the weights of the policy that a folder holds.
type Read = dyn Fn(&Path) -> Result<DecoderWeights, String> + Send + Sync;

/// A policy cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LibraryError {
    /// The base model cannot be read.
    #[error("the base model cannot be loaded: {0}")]
    Base(String),
    /// A checkpoint cannot be read.
    #[error("checkpoint `{folder}` cannot be loaded: {reason}")]
    Checkpoint {
        /// The checkpoint's folder.
        folder: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The base model is made when it is asked for, and lies in no folder.
    #[error("the base model lies in no folder: name one in `model.source`")]
    NoFolder,
}

/// The configured base model.
pub struct BaseModel {
    /// Its folder; `None` where it is made of a seed.
    pub folder: Option<PathBuf>,
    /// Reads its weights.
    pub read: Box<ReadBase>,
}

/// Every policy of a run by name. Shared between threads; a policy that two ask for at once is read once.
pub struct PolicyLibrary {
    base: BaseModel,
    folder_of: Box<FolderOf>,
    read: Box<Read>,
    shelf: Mutex<Shelf>,
}

/// What is in memory.
#[derive(Default)]
struct Shelf {
    /// Whoever computes holds the weights; those that nobody holds any more are read again.
    held: HashMap<Option<CheckpointId>, Weak<DecoderWeights>>,
    /// What was asked for or trained last: handed from the learner to whoever scores and samples.
    newest: Option<Weights>,
}

impl BaseModel {
    /// A base model that is in memory.
    pub fn in_memory(folder: Option<PathBuf>, weights: Weights) -> Self {
        Self { folder, read: Box::new(move || Ok(Arc::clone(&weights))) }
    }
}

impl PolicyLibrary {
    /// A library of the base model and of checkpoints, whose files `folder_of` finds and `read` reads.
    pub fn new(
        base: BaseModel,
        folder_of: impl Fn(&CheckpointId) -> PathBuf + Send + Sync + 'static,
        read: impl Fn(&Path) -> Result<DecoderWeights, String> + Send + Sync + 'static,
    ) -> Self {
        Self { base, folder_of: Box::new(folder_of), read: Box::new(read), shelf: Mutex::default() }
    }

    /// The folder that holds a policy.
    ///
    /// # Errors
    /// When it is the base model and that lies in none.
    pub fn folder(&self, policy: &PolicyRef) -> Result<PathBuf, LibraryError> {
        match &policy.checkpoint {
            Some(checkpoint) => Ok((self.folder_of)(checkpoint)),
            None => self.base_folder(),
        }
    }

    /// The folder that holds the configured base model.
    ///
    /// # Errors
    /// When it lies in none.
    pub fn base_folder(&self) -> Result<PathBuf, LibraryError> {
        self.base.folder.clone().ok_or(LibraryError::NoFolder)
    }

    /// A policy's weights. Blocks while they are read.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn host_weights(&self, policy: &PolicyRef) -> Result<Weights, LibraryError> {
        self.weights(policy.checkpoint.as_ref())
    }

    /// The weights of the configured base model. Blocks while they are read.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn base_weights(&self) -> Result<Weights, LibraryError> {
        self.weights(None)
    }

    /// Takes over the weights that a folder has just been written from: whoever asks for them is spared the reading.
    /// A folder of no checkpoint that was asked for by name is kept by its last part, which is the checkpoint's name.
    pub fn remember(&self, folder: &Path, weights: &Weights) {
        let Some(name) = folder.file_name().and_then(|name| name.to_str()) else { return };
        let checkpoint = CheckpointId::new(name);
        if (self.folder_of)(&checkpoint) == folder {
            self.shelf().keep(Some(checkpoint), weights);
        }
    }

    fn weights(&self, checkpoint: Option<&CheckpointId>) -> Result<Weights, LibraryError> {
        // held while they are read: a second one who asks finds them
        let mut shelf = self.shelf();
        let key = checkpoint.cloned();
        if let Some(weights) = shelf.held.get(&key).and_then(Weak::upgrade) {
            return Ok(weights);
        }
        // what nobody asks for must not stay in memory while the next is read
        shelf.newest = None;
        let weights = match checkpoint {
            None => (self.base.read)().map_err(LibraryError::Base)?,
            Some(checkpoint) => {
                let folder = (self.folder_of)(checkpoint);
                match (self.read)(&folder) {
                    Ok(weights) => Arc::new(weights),
                    Err(reason) => return Err(LibraryError::Checkpoint { folder, reason }),
                }
            }
        };
        shelf.keep(key, &weights);
        Ok(weights)
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn keep(&mut self, key: Option<CheckpointId>, weights: &Weights) {
        self.held.retain(|_, held| held.strong_count() > 0);
        self.held.insert(key, Arc::downgrade(weights));
        self.newest = Some(Arc::clone(weights));
    }
}

impl fmt::Debug for PolicyLibrary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicyLibrary").field("base", &self.base.folder).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use still_decoder::Matrix;
    use still_domain::{PolicyName, PolicyVersion, RoundNumber};

    use super::*;

    fn weights(value: f32) -> DecoderWeights {
        DecoderWeights {
            embedding: Matrix::from_f32(1, 1, vec![value]),
            layers: Vec::new(),
            final_norm: Vec::new(),
            head: None,
        }
    }

    fn library() -> (PolicyLibrary, Arc<AtomicUsize>) {
        let reads = Arc::new(AtomicUsize::new(0));
        let (of_base, of_others) = (Arc::clone(&reads), Arc::clone(&reads));
        let read = move || {
            of_base.fetch_add(1, Ordering::SeqCst);
            Ok(Arc::new(weights(0.0)))
        };
        let base = BaseModel { folder: Some(PathBuf::from("base")), read: Box::new(read) };
        let folder_of = |checkpoint: &CheckpointId| Path::new("checkpoints").join(checkpoint.as_str());
        let library = PolicyLibrary::new(base, folder_of, move |folder| {
            of_others.fetch_add(1, Ordering::SeqCst);
            if folder.ends_with("damaged") { Err("no such file".to_owned()) } else { Ok(weights(1.0)) }
        });
        (library, reads)
    }

    fn candidate(checkpoint: &str) -> PolicyRef {
        PolicyRef::candidate(RoundNumber(1), CheckpointId::new(checkpoint))
    }

    #[test]
    fn a_folder_is_told_without_reading_anything() {
        let (library, reads) = library();
        let base = PolicyRef { name: PolicyName::from(PolicyVersion(0)), checkpoint: None };
        assert_eq!(library.folder(&base), Ok(PathBuf::from("base")));
        assert_eq!(library.folder(&candidate("a")), Ok(PathBuf::from("checkpoints/a")));
        assert_eq!(reads.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn weights_are_read_once_under_whatever_name_and_dropped_with_their_last_holder() {
        let (library, reads) = library();
        let first = library.host_weights(&candidate("a")).unwrap();
        let published = PolicyRef { name: PolicyName::from(PolicyVersion(4)), ..candidate("a") };
        assert!(Arc::ptr_eq(&first, &library.host_weights(&published).unwrap()));
        assert_eq!(reads.load(Ordering::SeqCst), 1);
        library.base_weights().unwrap();
        drop(first);
        library.host_weights(&candidate("a")).unwrap();
        assert_eq!(reads.load(Ordering::SeqCst), 3, "nobody held it");
        let error = library.host_weights(&candidate("damaged")).unwrap_err().to_string();
        assert!(error.contains("checkpoints/damaged") && error.contains("no such file"), "{error}");
    }

    #[test]
    fn what_was_just_written_is_handed_over() {
        let (library, reads) = library();
        let trained = Arc::new(weights(2.0));
        library.remember(Path::new("elsewhere/b"), &trained);
        library.remember(Path::new("checkpoints/b"), &trained);
        let held = Arc::downgrade(&trained);
        drop(trained);
        assert_eq!(*library.host_weights(&candidate("b")).unwrap(), weights(2.0));
        assert_eq!(reads.load(Ordering::SeqCst), 0);
        library.base_weights().unwrap();
        assert!(held.upgrade().is_none(), "it does not stay in memory beside the next");
    }
}
