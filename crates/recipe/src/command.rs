//! Who takes the steps: this process, or a command.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsStr,
    fs,
    os::unix::fs::PermissionsExt,
    path::{self, Path, PathBuf},
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_settings::Findings;

/// Who takes the steps of a training job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrainingEngine {
    /// This process, on the devices of `device.learners`.
    #[default]
    Embedded,
    /// A program of its own, `training.command`, which is handed a folder.
    Command,
}

/// The program that trains where `training.engine = "command"`; what it is handed and has to say is in
/// docs/external-training.md.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainingCommand {
    /// The program: a path, or a name that is looked up in PATH.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Variables of its environment, beside those of the daemon's own.
    pub environment: BTreeMap<String, String>,
    /// Longest silence before it counts as hung, is ended and started again from its newest checkpoint, in seconds;
    /// loading the model has to fit in.
    pub max_silence_seconds: u64,
    /// Time that it is given to end by itself once it is asked to, in seconds; then it is killed.
    pub stop_seconds: u64,
    /// Longest wait for a last checkpoint when the daemon drains, in seconds.
    pub checkpoint_seconds: u64,
    /// Failures in a row, without a further checkpoint between them, after which the round is rejected: one more than
    /// this.
    pub retries: u32,
    /// Wait before it is started again, in seconds; it doubles with every failure in a row, up to ten minutes.
    pub backoff_seconds: u64,
}

impl Default for TrainingCommand {
    fn default() -> Self {
        Self {
            program: String::new(),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            max_silence_seconds: 1800,
            stop_seconds: 30,
            checkpoint_seconds: 90,
            retries: 3,
            backoff_seconds: 10,
        }
    }
}

impl TrainingCommand {
    /// Longest wait between two starts.
    const MAX_BACKOFF: Duration = Duration::from_mins(10);

    /// The wait before the start that follows so many failures in a row, from 1.
    pub fn backoff(&self, failures: u32) -> Duration {
        let doubled = 1_u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX);
        Duration::from_secs(self.backoff_seconds.saturating_mul(doubled)).min(Self::MAX_BACKOFF)
    }

    /// The program's file.
    ///
    /// # Errors
    /// Why it cannot be started, with the remedy.
    pub fn executable(&self) -> Result<PathBuf, String> {
        find(&self.program, env::var_os("PATH").as_deref())
    }

    /// Notes what cannot be run.
    pub fn validate(&self, findings: &mut Findings) {
        if let Err(reason) = self.executable() {
            findings.note("training.command.program", reason);
        }
        for (key, seconds) in [
            ("training.command.max_silence_seconds", self.max_silence_seconds),
            ("training.command.stop_seconds", self.stop_seconds),
            ("training.command.checkpoint_seconds", self.checkpoint_seconds),
        ] {
            findings.require(seconds > 0, key, || "must be at least 1".to_owned());
        }
        let name = self.environment.keys().find(|name| name.is_empty() || name.contains(['=', '\0']));
        findings.require(name.is_none(), "training.command.environment", || {
            format!("`{}` can be no variable's name", name.map_or("", String::as_str))
        });
    }
}

/// Looks a program up as a shell does; a path stays as it is, symbolic links included.
fn find(program: &str, search_path: Option<&OsStr>) -> Result<PathBuf, String> {
    if program.is_empty() {
        return Err("name the program that trains, for example \"/opt/trl/bin/python\"".to_owned());
    }
    if program.contains('/') {
        let path = path::absolute(program).map_err(|error| format!("`{program}`: {error}"))?;
        return match fs::metadata(&path) {
            Err(error) => Err(format!("`{}`: {error}; install it there, or mend the path", path.display())),
            Ok(_) if !is_executable(&path) => {
                Err(format!("`{}` is no program that may be run: chmod +x it", path.display()))
            }
            Ok(_) => Ok(path),
        };
    }
    let folders = search_path.map(env::split_paths).into_iter().flatten();
    let found = folders.map(|folder| folder.join(program)).find(|path| is_executable(path));
    found.ok_or_else(|| format!("there is no `{program}` in PATH: install it, or write its path"))
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_as_a_shell_finds_them() {
        let path = Some(OsStr::new("/nowhere:/bin"));
        assert_eq!(find("sh", path), Ok(PathBuf::from("/bin/sh")));
        assert_eq!(find("/bin/sh", None), Ok(PathBuf::from("/bin/sh")));
        for (program, part) in [
            ("", "name the program"),
            ("no-such-trainer", "in PATH"),
            ("/nowhere/trainer", "mend the path"),
            ("/etc/passwd", "chmod +x"),
            ("/etc", "chmod +x"),
        ] {
            let reason = find(program, path).unwrap_err();
            assert!(reason.contains(part), "{program}: {reason}");
        }
    }

    #[test]
    fn the_wait_doubles_up_to_ten_minutes() {
        let command = TrainingCommand { backoff_seconds: 10, ..TrainingCommand::default() };
        let waits = [1, 2, 3, 6, 7, 200].map(|failures| command.backoff(failures).as_secs());
        assert_eq!(waits, [10, 20, 40, 320, 600, 600]);
        let at_once = TrainingCommand { backoff_seconds: 0, ..command };
        assert_eq!(at_once.backoff(70), Duration::ZERO);
    }
}
