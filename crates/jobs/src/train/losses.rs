//! The record of a training: a line of JSON for every step, and a picture at the end.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use still_control::{Exit, Failure, OrExit};
use still_domain::Algorithm;
use still_roles::{LearnerStep, PreferenceMetrics};

use super::plot::plot;

const NUMBERS_FILE: &str = "loss.jsonl";
const PICTURE_FILE: &str = "loss.svg";

/// The loss of every step, in a file as well.
pub(super) struct Losses {
    path: PathBuf,
    steps: Vec<StepLoss>,
    file: File,
}

/// A step's line. What was not finite is `null`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct StepLoss {
    step: u64,
    loss: Option<f64>,
    gradient_norm: Option<f64>,
    learning_rate: f64,
    tokens: u64,
    /// Of preference optimisation alone.
    #[serde(flatten)]
    pairs: Option<Pairs>,
}

/// Means over a step's pairs, before its update.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Pairs {
    margin: f64,
    accuracy: f64,
    /// None in a record that an earlier program began.
    #[serde(default)]
    chosen_drift: Option<f64>,
    kl: f64,
    chosen_log_probability: f64,
    rejected_log_probability: f64,
}

impl Losses {
    /// Takes over what an earlier run wrote up to the step that it is gone on from.
    pub(super) fn open(folder: &Path, resumed_step: u64) -> Result<Self, Failure> {
        let path = folder.join(NUMBERS_FILE);
        // a line cut off by a crash is past the checkpoint
        let earlier = fs::read_to_string(&path).unwrap_or_default();
        let steps: Vec<StepLoss> =
            earlier.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let file = create(&path)?;
        let mut losses = Self { path, steps, file };
        losses.go_back(resumed_step)?;
        Ok(losses)
    }

    /// Adds a step.
    pub(super) fn add(&mut self, taken: &LearnerStep) -> Result<(), Failure> {
        let finite = |value: f64| value.is_finite().then_some(value);
        let step = StepLoss {
            step: taken.step,
            loss: finite(taken.loss),
            gradient_norm: finite(taken.gradient_norm),
            learning_rate: taken.learning_rate,
            tokens: taken.tokens,
            pairs: taken.preferences.map(Pairs::from),
        };
        self.write(&step)?;
        self.steps.push(step);
        Ok(())
    }

    /// Drops what comes after `step`: training goes on from there.
    pub(super) fn go_back(&mut self, step: u64) -> Result<(), Failure> {
        self.steps.retain(|taken| taken.step <= step);
        self.file = create(&self.path)?;
        for taken in self.steps.clone() {
            self.write(&taken)?;
        }
        Ok(())
    }

    /// Draws the loss over the steps.
    pub(super) fn plot(&self, folder: &Path, algorithm: Algorithm) -> Result<(), Failure> {
        let path = folder.join(PICTURE_FILE);
        let label = match algorithm {
            Algorithm::Sft => "loss (nats a token)",
            Algorithm::Dpo => "loss (mean over pairs)",
        };
        let points: Vec<(f64, f64)> =
            self.steps.iter().filter_map(|step| Some((step.step as f64, step.loss?))).collect();
        let written = fs::write(&path, plot(&points, label));
        written.map_err(|error| format!("`{}`: {error}", path.display())).or_exit(Exit::Store)
    }

    fn write(&mut self, step: &StepLoss) -> Result<(), Failure> {
        let line = serde_json::to_string(step).or_exit(Exit::Internal)?;
        let written = writeln!(self.file, "{line}");
        written.map_err(|error| format!("`{}`: {error}", self.path.display())).or_exit(Exit::Store)
    }
}

impl From<PreferenceMetrics> for Pairs {
    fn from(metrics: PreferenceMetrics) -> Self {
        let PreferenceMetrics {
            margin,
            accuracy,
            chosen_log_probability,
            rejected_log_probability,
            chosen_drift,
            kl,
            is_alarming: _,
        } = metrics;
        let chosen_drift = Some(chosen_drift);
        Self { margin, accuracy, chosen_drift, kl, chosen_log_probability, rejected_log_probability }
    }
}

fn create(path: &Path) -> Result<File, Failure> {
    File::create(path).map_err(|error| format!("`{}`: {error}", path.display())).or_exit(Exit::Store)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(step: u64, preferences: Option<PreferenceMetrics>) -> LearnerStep {
        LearnerStep { step, loss: 1.0 / step as f64, preferences, ..LearnerStep::default() }
    }

    #[test]
    fn a_resumed_record_goes_on_where_the_checkpoint_is() {
        let folder = tempfile::tempdir().unwrap();
        let mut losses = Losses::open(folder.path(), 0).unwrap();
        for step in 1..=5 {
            losses.add(&taken(step, Some(PreferenceMetrics::default()))).unwrap();
        }
        let mut losses = Losses::open(folder.path(), 3).unwrap();
        losses.add(&LearnerStep { loss: f64::NAN, ..taken(4, None) }).unwrap();
        let text = fs::read_to_string(folder.path().join(NUMBERS_FILE)).unwrap();
        assert_eq!(text.lines().count(), 4);
        assert!(text.lines().next().unwrap().contains("\"accuracy\":0.0"), "{text}");
        assert!(text.lines().last().unwrap().contains("\"loss\":null"), "{text}");
        assert_eq!(
            losses.steps.first().and_then(|step| step.pairs),
            Some(PreferenceMetrics::default().into())
        );
    }
}
