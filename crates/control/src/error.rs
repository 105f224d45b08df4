//! Why the daemon did not do what was asked.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::exit::Exit;

/// What kind of refusal it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The request cannot be understood.
    BadRequest,
    /// What is named does not exist.
    NotFound,
    /// It cannot be done in the daemon's present state.
    Conflict,
    /// The data sent is broken.
    BadInput,
    /// The store refused: full, damaged, not writable.
    Store,
    /// The daemon is going down.
    Draining,
    /// A fault in the daemon itself.
    Internal,
}

/// Why the daemon did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorReply {
    /// What kind of refusal it is.
    pub kind: ErrorKind,
    /// What happened, and the remedy.
    pub message: String,
}

impl ErrorKind {
    /// The HTTP status it travels under.
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::BadInput => 422,
            Self::Internal => 500,
            Self::Draining => 503,
            Self::Store => 507,
        }
    }

    /// How the client ends.
    pub const fn exit(self) -> Exit {
        match self {
            Self::BadRequest | Self::NotFound | Self::Conflict | Self::Draining => Exit::Refused,
            Self::BadInput => Exit::BadInput,
            Self::Store => Exit::Store,
            Self::Internal => Exit::MeltDown,
        }
    }
}

impl ErrorReply {
    /// A refusal with its message.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

impl fmt::Display for ErrorReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ErrorReply {}
