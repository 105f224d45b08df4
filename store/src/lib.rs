//! Durable truth: typed ordered keys, checksummed values, one atomic commit.
//!
//! [`Store`] keeps problems, demonstrations, judged trajectories, sealed training sets, rounds, checkpoint
//! manifests and published policies. Whatever belongs together is written in one batch that is on the disk
//! before the call returns: after a crash at any instant a commit is there whole or not at all, and what was
//! acknowledged is there. Counters are never kept: they are recomputed from the records.
//!
//! | module | noun |
//! |---|---|
//! | `store` | opening, reading and committing; everything else is a verb on it |
//! | `identity`, `format` | whose run it is, and in which format it is written |
//! | `problems` | problems and demonstrations, in their order of import |
//! | `trajectories`, `facts` | the pool, and its index without tokens: [`still_domain::AttemptFact`] |
//! | `provenances` | how trajectories were drawn, each manner once |
//! | `scored_answers` | what policies were scored by |
//! | `scores` | perplexities under policies that did not draw the text |
//! | `revisions` | trajectories judged or inspected anew, and how far that has come |
//! | `training_sets`, `rounds`, `policies`, `checkpoints` | one file a noun |
//! | [`CheckpointFiles`] | the files of checkpoints: written aside, synced, hashed, renamed into place |
//! | [`CheckpointFolders`], [`CheckpointsSection`] | the same, then recorded in the store; which of them stay |
//! | `directory` | the data directory: one process at a time |
//! | `engine` | what keeps bytes: sled, memory for tests, and one that fails on purpose |
//! | `key`, `value`, `scan` | the order of keys, the layout of values, reading without holding all |
//!
//! Every call blocks; asynchronous callers put it on a blocking thread.
//!
//! ```
//! use still_store::Store;
//! let store = Store::in_memory()?;
//! assert!(store.rounds()?.is_empty());
//! for judged in store.trajectories() {
//!     println!("{}", judged?.id());
//! }
//! # Ok::<(), still_store::StoreError>(())
//! ```

mod checkpoint_files;
mod checkpoint_folders;
mod checkpoints;
mod directory;
mod engine;
mod error;
mod facts;
mod format;
mod identity;
mod key;
mod policies;
mod problems;
mod provenances;
mod retention;
mod revisions;
mod rounds;
mod scan;
mod scored_answers;
mod scores;
mod store;
mod training_sets;
mod trajectories;
mod value;
mod verify;

pub use checkpoint_files::{CheckpointFiles, Damage};
pub use checkpoint_folders::{CheckpointFolders, WrittenCheckpoint};
pub use engine::{Fault, FaultPlan};
pub use error::StoreError;
pub use identity::RunIdentity;
pub use problems::ImportReport;
pub use retention::CheckpointsSection;
pub use revisions::RevisionProgress;
pub use scan::Records;
pub use store::{Store, StoreSize};
pub use trajectories::CommitReport;
pub use verify::Verified;
