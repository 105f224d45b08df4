//! Why a program ended, and with which exit code.

use std::fmt::Display;

use crate::Exit;

/// What went wrong, as reported to the operator, with the exit code that a script sees.
#[derive(Debug)]
pub struct Failure {
    /// How the program ends.
    pub exit: Exit,
    /// What to tell.
    pub message: String,
}

impl Failure {
    /// The failure for programs: `{"error": {"kind": ..., "message": ...}}`, as the control socket tells its own.
    pub fn as_json(&self) -> String {
        serde_json::json!({"error": {"kind": self.exit.name(), "message": self.message}}).to_string()
    }

    /// A failure with its exit code.
    pub fn new(exit: Exit, message: impl Display) -> Self {
        Self { exit, message: message.to_string() }
    }
}

/// Gives errors their exit code where they are passed on.
pub trait OrExit<T> {
    /// The value, or a failure that ends the program with `exit`.
    fn or_exit(self, exit: Exit) -> Result<T, Failure>;
}

impl<T, E: Display> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(exit, error))
    }
}
