//! Why nothing was run.

use std::io;

use thiserror::Error;

use crate::limits::LimitTooLow;

/// Confinement is not possible here, so no program is run at all.
#[derive(Debug, Error)]
#[error("programs cannot be confined here: {feature} failed ({source}); {remedy}")]
pub struct Unavailable {
    /// The kernel feature that is missing or forbidden.
    pub feature: &'static str,
    /// What would help.
    pub remedy: &'static str,
    /// What the kernel said.
    pub source: io::Error,
}

/// Why a program was not run, or not to its end. Says nothing about the program.
#[derive(Debug, Error)]
pub enum SandboxError {
    /// The jail could not be built.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The command cannot be started inside.
    #[error(
        "`{command}` cannot be started: {source}; give an absolute path and list what it needs in `readable`"
    )]
    Command {
        /// The first word of the command.
        command: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// A path or word holds a zero byte, or a file name a folder.
    #[error("`{0}` cannot be used in a command: it is empty, holds a zero byte or names a folder")]
    Word(String),
    /// The scratch directory of the jail hides what the command needs.
    #[error("`{0}` cannot be made readable: the scratch directory /tmp hides it; keep it elsewhere")]
    Hidden(String),
    /// A call or assertions are to be tested on a candidate that is no Python.
    #[error("calls and assertions can be tested on Python candidates only; use output cases for others")]
    NotPython,
    /// The assertions of a test case cannot be read.
    #[error("the assertions of a test case cannot be read: {0}")]
    Assertions(String),
    /// A limit makes no sense.
    #[error(transparent)]
    Limits(#[from] LimitTooLow),
    /// Somebody outside killed the jail: an operator, or a kernel short of memory.
    #[error(
        "the sandbox was killed from outside: look for want of memory in the kernel's log, and judge again"
    )]
    Killed,
    /// The host ran out of something.
    #[error("the sandbox failed: {0}")]
    Host(#[from] io::Error),
}
