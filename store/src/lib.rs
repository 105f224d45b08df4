//! Durable truth: typed ordered keys, checksummed values, one atomic commit.
//!
//! [`Store`] keeps problems, demonstrations, judged trajectories, sealed training sets, rounds, checkpoint
//! manifests and published policies. Whatever belongs together is written in one batch that is flushed
//! before the call returns: after a crash at any instant a commit is there whole or not at all, and what was
//! acknowledged is there. Counters are never kept: they are recomputed from the records.
//!
//! | module | noun |
//! |---|---|
//! | `engine` | what keeps bytes: sled, memory for tests, and one that fails on purpose |
//! | `key` | the registry of kinds and the order of keys |
//! | `value` | version byte, checksum, `MessagePack` with field names |
//! | `records` | problems, demonstrations, trajectories |
//! | `rounds` | training sets, rounds, policies, checkpoint manifests |
//! | [`CheckpointFolders`] | the files of checkpoints: written aside, synced, renamed, then recorded |
//!
//! Every call blocks; asynchronous callers put it on a blocking thread.
//!
//! ```
//! use still_store::Store;
//! let store = Store::in_memory()?;
//! assert!(store.rounds()?.is_empty());
//! # Ok::<(), still_store::StoreError>(())
//! ```

mod checkpoint_folders;
mod directory;
mod engine;
mod error;
mod key;
mod records;
mod rounds;
mod store;
mod value;

pub use checkpoint_folders::{CheckpointFolders, Damage, PendingCheckpoint};
pub use engine::{Fault, FaultPlan};
pub use error::StoreError;
pub use records::{CommitReport, ImportReport};
pub use store::{RunIdentity, Store, StoreSize};
