//! One training job: how long it is, what its batches are, and how its optimizer works.

use std::f64::consts::PI;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_settings::Findings;

/// One training job's length, batches and optimizer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LearnerSettings {
    /// Optimizer steps; 0 goes by `epochs`.
    pub steps: u64,
    /// Passes over the training set, where `steps` is 0.
    pub epochs: f64,
    /// Most sequences of an optimizer step, or pairs of them; 0 goes by `batch_tokens`. The steps of a pass differ by one
    /// at most.
    pub batch_sequences: u32,
    /// Tokens of an optimizer step, prompts included, where `batch_sequences` is 0: the mean of a pass is no more, and a
    /// step has at most the longest example above it.
    pub batch_tokens: u32,
    /// Longest sequence, in tokens; longer ones are left out and counted. 0 sets no limit.
    pub max_sequence_tokens: u32,
    /// Highest learning rate.
    pub peak_learning_rate: f64,
    /// Share of the steps over which the rate rises from 0 to its peak.
    pub warm_up_fraction: f64,
    /// What the rate falls to, as a share of the peak: a step after the last one would have it, so that the last still
    /// learns where it is 0.
    pub final_fraction: f64,
    /// How the rate falls after the warm-up.
    pub schedule: Schedule,
    /// What takes the steps.
    pub optimizer: OptimizerName,
    /// Decay of the two moments of `AdamW`; the first is Muon's momentum too.
    pub betas: [f64; 2],
    /// The term that keeps `AdamW`'s division finite.
    pub epsilon: f64,
    /// Decoupled weight decay of matrices.
    pub weight_decay: f64,
    /// Decay embeddings too.
    pub decay_embeddings: bool,
    /// Global norm that gradients are clipped to; 0 never clips.
    pub clip_norm: f64,
}

/// How the rate falls after the warm-up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Half a cosine down to the last rate.
    #[default]
    Cosine,
    /// A straight line down to the last rate.
    Linear,
    /// It stays at the peak.
    Constant,
}

/// What takes the steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerName {
    /// `AdamW` (Loshchilov and Hutter 2019, arXiv 1711.05101).
    #[default]
    AdamW,
    /// Muon for the matrices of the blocks, each projection by itself, scaled so that `AdamW`'s rates and decay fit (Liu et
    /// al. 2025, arXiv 2502.16982); `AdamW` for all else. A small model that begins from random numbers takes a third to a
    /// quarter of the steps. Its matrix products run on the processor, wherever gradients are made: for a model of billions
    /// they outlast a GPU's step.
    Muon,
}

impl Default for LearnerSettings {
    fn default() -> Self {
        Self {
            steps: 0,
            epochs: 3.0,
            batch_sequences: 96,
            batch_tokens: 0,
            max_sequence_tokens: 20_000,
            peak_learning_rate: 1e-5,
            warm_up_fraction: 0.1,
            final_fraction: 0.0,
            schedule: Schedule::Cosine,
            optimizer: OptimizerName::AdamW,
            betas: [0.9, 0.999],
            epsilon: 1e-8,
            weight_decay: 0.1,
            decay_embeddings: false,
            clip_norm: 1.0,
        }
    }
}

impl LearnerSettings {
    /// The defaults of preference optimisation.
    pub fn of_pairs() -> Self {
        Self {
            epochs: 1.0,
            batch_sequences: 32,
            peak_learning_rate: 5e-7,
            schedule: Schedule::Linear,
            weight_decay: 0.0,
            ..Self::default()
        }
    }

    /// The learning rate of step `step` (from 0) of `total` steps: a linear rise to the peak, which the last step of the
    /// warm-up has, then a fall that a step after the last one would be at the end of.
    pub fn learning_rate(&self, step: u64, total: u64) -> f64 {
        let warm_up = (self.warm_up_fraction * total as f64).ceil().max(1.0);
        let step = step as f64;
        if step + 1.0 < warm_up {
            return self.peak_learning_rate * (step + 1.0) / warm_up;
        }
        let progress = ((step + 1.0 - warm_up) / (total as f64 + 1.0 - warm_up).max(1.0)).min(1.0);
        let share = match self.schedule {
            Schedule::Cosine => 0.5 * (1.0 + (PI * progress).cos()),
            Schedule::Linear => 1.0 - progress,
            Schedule::Constant => 1.0,
        };
        let floor = if self.schedule == Schedule::Constant { 0.0 } else { self.final_fraction };
        self.peak_learning_rate * (floor + (1.0 - floor) * share)
    }

    /// Notes what cannot be trained; `section` names the section that holds these settings.
    pub fn validate(&self, section: &str, findings: &mut Findings) {
        let mut require = |holds: bool, key: &str, wanted: &str| {
            findings.require(holds, &format!("{section}.{key}"), || wanted.to_owned());
        };
        require(self.steps > 0 || self.epochs > 0.0, "steps", "give steps or epochs above 0");
        require(
            self.batch_sequences > 0 || self.batch_tokens > 0,
            "batch_sequences",
            "give batch_sequences or batch_tokens above 0",
        );
        let rate = self.peak_learning_rate;
        require(rate > 0.0 && rate < 1.0, "peak_learning_rate", "must be above 0 and below 1");
        require((0.0..=1.0).contains(&self.warm_up_fraction), "warm_up_fraction", "must be from 0 to 1");
        require((0.0..=1.0).contains(&self.final_fraction), "final_fraction", "must be from 0 to 1");
        require(
            self.betas.iter().all(|beta| (0.0..1.0).contains(beta)),
            "betas",
            "must be from 0 to below 1",
        );
        require(self.epsilon > 0.0, "epsilon", "must be above 0");
        require(self.weight_decay >= 0.0, "weight_decay", "must be 0 or above");
        require(self.clip_norm >= 0.0, "clip_norm", "must be 0 or above");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(schedule: Schedule) -> LearnerSettings {
        LearnerSettings {
            peak_learning_rate: 2.0,
            warm_up_fraction: 0.1,
            final_fraction: 0.1,
            schedule,
            ..LearnerSettings::default()
        }
    }

    #[test]
    fn the_rate_rises_to_its_peak_and_falls_to_its_last_share() {
        for schedule in [Schedule::Cosine, Schedule::Linear] {
            let rates: Vec<_> = (0..100).map(|step| settings(schedule).learning_rate(step, 100)).collect();
            assert!((rates[0] - 0.2).abs() < 1e-12);
            assert!((rates[9] - 2.0).abs() < 1e-12);
            assert!(rates[..10].windows(2).all(|pair| pair[0] < pair[1]));
            assert!(rates[10..].windows(2).all(|pair| pair[0] > pair[1]));
            let after = settings(schedule).learning_rate(100, 100);
            assert!((after - 0.2).abs() < 1e-12 && rates[99] > after, "the last step is not there yet");
        }
        // half of the fall of 91 steps
        let middle = settings(Schedule::Linear).learning_rate(54, 100)
            + settings(Schedule::Linear).learning_rate(55, 100);
        assert!((middle / 2.0 - (0.2 + 1.8 * 0.5)).abs() < 1e-12);
        assert!((settings(Schedule::Constant).learning_rate(99, 100) - 2.0).abs() < 1e-12);
    }
}
