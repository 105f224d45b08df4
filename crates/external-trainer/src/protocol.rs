//! What a trainer says on its standard output: lines that are JSON objects with an `event`. All else goes to its log.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;
use still_roles::{LearnerStep, PreferenceMetrics};

/// A line that the daemon understands. Fields that it does not know are passed over.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum TrainerLine {
    /// It is alive, and between two steps.
    Heartbeat,
    /// A step was taken.
    Progress(Progress),
    /// A checkpoint is complete.
    Checkpoint {
        /// Its folder, from the job's folder on.
        folder: PathBuf,
        /// Optimizer steps taken.
        step: u64,
    },
    /// The job is done and its output complete.
    Done,
    /// It cannot go on; a fresh start may do better.
    Failed { reason: String },
    /// The checkpoint that it was to go on from cannot be gone on from.
    Unfit { reason: String },
    /// The job can never be run as given.
    Refused { reason: String },
}

/// What one optimizer step did. What is not finite is `null`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
pub(crate) struct Progress {
    /// Steps taken, this one included.
    pub(crate) step: u64,
    /// Steps of the whole job; those of the job's folder where it does not say.
    #[serde(default)]
    pub(crate) of: Option<u64>,
    #[serde(default)]
    pub(crate) loss: Option<f64>,
    #[serde(default)]
    pub(crate) learning_rate: f64,
    #[serde(default)]
    pub(crate) gradient_norm: Option<f64>,
    /// Tokens of the step's sequences, prompts included.
    #[serde(default)]
    pub(crate) tokens: u64,
    #[serde(default)]
    pub(crate) preferences: Option<Preferences>,
}

/// What became of a step's pairs; means over them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Preferences {
    margin: f64,
    accuracy: f64,
    chosen_log_probability: f64,
    rejected_log_probability: f64,
    /// Nats a token.
    chosen_drift: f64,
    kl: f64,
}

impl TrainerLine {
    /// Reads a line. `None` is a line of the log; the error is of one that means to be read and cannot be.
    pub(crate) fn read(line: &str) -> Option<Result<Self, String>> {
        let line = line.trim();
        if !line.starts_with('{') {
            return None;
        }
        let value: Value = serde_json::from_str(line).ok()?;
        value.get("event")?;
        Some(serde_json::from_value(value).map_err(|error| format!("{error}, in its line `{line}`")))
    }
}

impl Progress {
    /// The step as the trainer's actor is told of it.
    pub(crate) fn as_step(&self, total_steps: u64) -> LearnerStep {
        LearnerStep {
            step: self.step,
            total_steps: self.of.unwrap_or(total_steps),
            loss: self.loss.unwrap_or(f64::NAN),
            gradient_norm: self.gradient_norm.unwrap_or(f64::NAN),
            learning_rate: self.learning_rate,
            tokens: self.tokens,
            skipped: false,
            rolled_back: false,
            memory_shortages: 0,
            preferences: self.preferences.map(|found| PreferenceMetrics {
                margin: found.margin,
                accuracy: found.accuracy,
                chosen_log_probability: found.chosen_log_probability,
                rejected_log_probability: found.rejected_log_probability,
                chosen_drift: found.chosen_drift,
                kl: found.kl,
                is_alarming: false,
            }),
            alarm: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_an_event_are_read_and_all_else_is_the_logs() {
        let read = |line| TrainerLine::read(line);
        for line in ["", "Loading weights: 100%", "{'loss': 2.5}", "{\"loss\": 2.5}", "{\"event\"", "[1]"] {
            assert_eq!(read(line), None, "{line}");
        }
        assert_eq!(read(" {\"event\": \"heartbeat\"}\r"), Some(Ok(TrainerLine::Heartbeat)));
        assert_eq!(read(r#"{"event":"done","more":[1]}"#), Some(Ok(TrainerLine::Done)));
        let line = r#"{"event":"progress","step":3,"of":9,"loss":null,"learning_rate":1e-5,"tokens":70}"#;
        let Some(Ok(TrainerLine::Progress(progress))) = read(line) else { panic!("{line}") };
        let step = progress.as_step(4);
        assert_eq!((step.step, step.total_steps, step.tokens, step.preferences), (3, 9, 70, None));
        assert!(step.loss.is_nan() && step.gradient_norm.is_nan());
        for (line, part) in [
            (r#"{"event":"dnoe"}"#, "dnoe"),
            (r#"{"event":"checkpoint","step":-1}"#, "checkpoint"),
            (r#"{"event":"progress"}"#, "step"),
            (r#"{"event":"failed","reason":7}"#, "reason"),
        ] {
            let reason = read(line).unwrap().unwrap_err();
            assert!(reason.contains(part), "{line}: {reason}");
        }
    }
}
