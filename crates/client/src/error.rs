//! Why a command came to nothing, and the exit code that tells it.

use std::{io, path::PathBuf};

use still_control::{ErrorReply, Exit};
use thiserror::Error;

/// Why a command came to nothing.
#[derive(Debug, Error)]
pub(crate) enum ClientError {
    /// Nobody answers on the socket.
    #[error("no daemon answers on `{path}`: {source}; {}", remedy(.source))]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The daemon went away in the middle of its answer.
    #[error("the daemon ended its answer early: {0}")]
    Interrupted(io::Error),
    /// The answer cannot be understood.
    #[error("the daemon's answer cannot be read: {0}; client and daemon may be of different versions")]
    Answer(String),
    /// The daemon refused.
    #[error("{0}")]
    Refused(ErrorReply),
    /// A file cannot be read.
    #[error("`{path}` cannot be read: {source}")]
    Input {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The answer cannot be written.
    #[error("the answer cannot be written: {0}")]
    Output(io::Error),
}

impl ClientError {
    /// The error for programs: `{"error": {"kind": ..., "message": ...}}`, as the daemon's own.
    pub(crate) fn as_json(&self) -> String {
        let kind = match self {
            Self::Refused(reply) => serde_json::json!(reply.kind),
            other => serde_json::json!(other.exit().name()),
        };
        serde_json::json!({"error": {"kind": kind, "message": self.to_string()}}).to_string()
    }

    /// How the program ends.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Unreachable { .. } | Self::Interrupted(_) => Exit::Unreachable,
            Self::Answer(_) | Self::Output(_) => Exit::Internal,
            Self::Refused(reply) => reply.kind.exit(),
            Self::Input { .. } => Exit::BadInput,
        }
    }
}

/// What helps against a socket that cannot be reached.
fn remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => "it is another user's: ask as the user that runs `stilld`",
        _ => "start `stilld`, or name its folder with --data-dir",
    }
}
