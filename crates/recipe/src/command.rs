//! Who takes the steps: this process, or a command.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_settings::{Findings, find_program};

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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// Tokens that it is expected to train on in a second, for the estimate of `stilld run --dry-run`; without it the
    /// estimate says that training is not known.
    pub expected_tokens_per_second: Option<f64>,
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
            expected_tokens_per_second: None,
        }
    }
}

impl TrainingCommand {
    /// The wait before the start that follows so many failures in a row, from 1.
    pub fn backoff(&self, failures: u32) -> Duration {
        still_settings::backoff(self.backoff_seconds, failures)
    }

    /// The program's file.
    ///
    /// # Errors
    /// Why it cannot be started, with the remedy.
    pub fn executable(&self) -> Result<PathBuf, String> {
        if self.program.is_empty() {
            return Err("name the program that trains, for example \"/opt/trl/bin/python\"".to_owned());
        }
        find_program(&self.program)
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
        findings.require_variables("training.command.environment", self.environment.keys());
        let expected = self.expected_tokens_per_second;
        findings.require(
            expected.is_none_or(|pace| pace.is_finite() && pace > 0.0),
            "training.command.expected_tokens_per_second",
            || "must be above 0".to_owned(),
        );
    }
}
