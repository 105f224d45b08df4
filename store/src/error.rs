//! What can go wrong with the store.

use std::{io, path::PathBuf};

use thiserror::Error;

/// Why the store could not do what was asked. Nothing is half done.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Another process works on the data directory.
    #[error("data directory `{path}` is in use by {holder}: stop it, or choose another --data-dir")]
    InUse {
        /// The data directory.
        path: PathBuf,
        /// Who holds it: a process id where it is known.
        holder: String,
    },
    /// The directory holds no store.
    #[error("`{0}` holds no store: name the --data-dir of a run")]
    Absent(PathBuf),
    /// The store was written by a newer program.
    #[error("the store has format {found}, this program reads up to {supported}: use a newer `stilld`")]
    Newer {
        /// The format found.
        found: u32,
        /// The newest format that this program reads.
        supported: u32,
    },
    /// The store was written by an older program, and nothing may be written to bring it up.
    #[error(
        "the store has format {found}, this program reads {current}: start `stilld` on it once, which brings it up"
    )]
    Older {
        /// The format found.
        found: u32,
        /// The format that it would be brought up to.
        current: u32,
    },
    /// The store was opened for reading.
    #[error("the store was opened for reading: nothing can be written")]
    ReadOnly,
    /// A record is not what was written.
    #[error("record {key} is damaged: {reason}; restore the data directory from a copy")]
    Damaged {
        /// The record.
        key: String,
        /// What does not fit.
        reason: String,
    },
    /// A record cannot be encoded.
    #[error("record {key} cannot be encoded: {reason}")]
    Encode {
        /// The record.
        key: String,
        /// Why.
        reason: String,
    },
    /// What is asked for contradicts what is there.
    #[error("{0}")]
    Conflict(String),
    /// The engine failed: the disk is full, or it failed.
    #[error("the store could not {action}: {reason}{}", remedy(.action, .reason))]
    Engine {
        /// What was tried.
        action: &'static str,
        /// What the engine said.
        reason: String,
    },
    /// A file or folder could not be read or written.
    #[error("`{path}`: {source}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl StoreError {
    /// Wraps what the system said of `path`.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}

/// What helps where the cause leaves no doubt, and the first guess where something could not be written.
fn remedy(action: &str, reason: &str) -> &'static str {
    if reason.contains("Too many open files") {
        "; raise the number of files that may be open (`ulimit -n`)"
    } else if reason.contains("damaged") || action == "read" || action == "measure itself" {
        ""
    } else {
        " (is the disk full?)"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_guessed_where_nothing_else_is_known() {
        let told =
            |action, reason: &str| StoreError::Engine { action, reason: reason.to_owned() }.to_string();
        assert!(told("write", "no space left").ends_with("(is the disk full?)"));
        assert!(told("write a checkpoint", "`x`: Too many open files (os error 24)").contains("ulimit -n"));
        assert!(!told("open its files", "its files are damaged: restore them").contains("disk full"));
        assert!(!told("read", "it failed before").contains("disk full"));
    }
}
