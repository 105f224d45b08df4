//! Why a configuration cannot be used, with the place and the remedy.

use std::{fmt, io, path::PathBuf};

use still_control::Exit;
use thiserror::Error;

use super::origin::Origin;

/// Why a configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("configuration `{path}` cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is no TOML.
    #[error("{path}:{line}:{column}: {reason}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What the reader of TOML says.
        reason: String,
    },
    /// A `--set` that assigns nothing.
    #[error("`--set {0}` assigns nothing: write `--set section.key=value`")]
    Assignment(String),
    /// Keys that are unknown or hold what they cannot.
    #[error("{}", lines(.0))]
    Keys(Vec<KeyProblem>),
}

impl ConfigError {
    /// How the program ends.
    pub const fn exit(&self) -> Exit {
        Exit::Configuration
    }
}

/// What is wrong with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyProblem {
    /// Dotted path of the key.
    pub key: String,
    /// Where it was set.
    pub origin: Origin,
    /// What is wrong, and the remedy.
    pub reason: String,
}

impl fmt::Display for KeyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::File { .. } => write!(f, "{}: `{}`: {}", self.origin, self.key, self.reason),
            origin => write!(f, "`{}` ({origin}): {}", self.key, self.reason),
        }
    }
}

fn lines(problems: &[KeyProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
