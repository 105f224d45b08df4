//! What a confined program may use up.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What one run of a program may use up; every test case is a run of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Time by the clock on the wall, in milliseconds. Default: 10000.
    pub wall_milliseconds: u64,
    /// Processor time of all processes together, in whole seconds. Default: 8.
    pub cpu_seconds: u64,
    /// Memory of all processes together, and address space of each, in bytes. Default: 512 MiB.
    pub memory_bytes: u64,
    /// Processes and threads alive at a time; not run by root, one fewer in the first moment. Default: 32.
    pub processes: u64,
    /// Size of one file, in bytes. Default: 16 MiB.
    pub file_bytes: u64,
    /// Size of the private scratch directory, in bytes; it is memory too. Default: 64 MiB.
    pub scratch_bytes: u64,
    /// Standard output and standard error together, in bytes. Default: 1 MiB.
    pub output_bytes: u64,
    /// Files open in one process. Default: 128.
    pub open_files: u64,
}

/// A limit under which nothing could run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("`{key}` must be at least {least}: no program runs on less")]
pub struct LimitTooLow {
    /// The key inside its section.
    pub key: &'static str,
    /// The least value that makes sense.
    pub least: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall_milliseconds: 10_000,
            cpu_seconds: 8,
            memory_bytes: 512 << 20,
            processes: 32,
            file_bytes: 16 << 20,
            scratch_bytes: 64 << 20,
            output_bytes: 1 << 20,
            open_files: 128,
        }
    }
}

impl Limits {
    /// # Errors
    /// When a limit is so low that no program could run.
    pub fn validate(&self) -> Result<(), LimitTooLow> {
        let least = [
            ("wall_milliseconds", self.wall_milliseconds, 1),
            ("cpu_seconds", self.cpu_seconds, 1),
            ("memory_bytes", self.memory_bytes, 1 << 20),
            ("processes", self.processes, 1),
            ("scratch_bytes", self.scratch_bytes, 1 << 16),
            ("open_files", self.open_files, 8),
        ];
        match least.into_iter().find(|(_, value, least)| value < least) {
            Some((key, _, least)) => Err(LimitTooLow { key, least }),
            None => Ok(()),
        }
    }

    /// Time by the clock on the wall.
    pub const fn wall(&self) -> Duration {
        Duration::from_millis(self.wall_milliseconds)
    }

    /// Processor time.
    pub const fn cpu(&self) -> Duration {
        Duration::from_secs(self.cpu_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_hold_and_a_limit_of_nothing_is_refused_by_name() {
        assert!(Limits::default().validate().is_ok());
        let error = Limits { open_files: 2, ..Limits::default() }.validate().unwrap_err();
        assert_eq!(error.to_string(), "`open_files` must be at least 8: no program runs on less");
        assert!(serde_json::from_str::<Limits>(r#"{"memory": 1}"#).is_err());
    }
}
