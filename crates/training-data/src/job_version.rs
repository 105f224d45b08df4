//! Versions of a training job: what its steps are made of. A job goes on by the version that it was begun under, so that
//! it ends in the bits that its own program would have come to.

use std::f64::consts::PI;

use still_domain::{Algorithm, Recipe};
use still_recipe::{LearnerSettings, Schedule, TrainingSection};
use still_roles::TrainingJob;

/// What the steps of a job are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobVersion {
    /// Batches of like length, the same in every pass of a small set; the last step of a schedule that falls to 0 has a
    /// rate of 0. Pairs obey the settings of other examples, and have no bounds; a response without a thought is compared
    /// as a whole with the thought of the other. Adapters are merged before each step, and losses of pairs are in single
    /// precision.
    Two,
    /// Short and long examples meet in every step, and the last step learns. Pairs have settings and bounds of their own,
    /// and compare like with like.
    Three,
}

impl JobVersion {
    /// Every version, the one that jobs begin under first.
    pub const ALL: [Self; 2] = [Self::Three, Self::Two];

    /// What the learner obeys in a job.
    pub const fn settings<'a>(self, job: &TrainingJob, training: &'a TrainingSection) -> &'a LearnerSettings {
        match (self, job.objective, job.recipe) {
            (Self::Three, Algorithm::Dpo, _) => &training.preference,
            (_, _, Recipe::Imitation) => &training.imitation,
            (_, _, Recipe::Improvement) => &training.improvement,
        }
    }

    /// Whether a pair is compared as a whole where one of its responses has no thought.
    pub fn compares_like_with_like(self) -> bool {
        self == Self::Three
    }

    /// Whether preference optimisation ends where it goes beyond its bounds.
    pub fn is_bounded(self) -> bool {
        self == Self::Three
    }

    /// Whether adapters are merged into what they change before each step; else they are computed beside it.
    pub fn merges_adapters(self) -> bool {
        self == Self::Two
    }

    /// Whether losses of pairs are computed in single precision.
    pub fn rounds_preference_losses(self) -> bool {
        self == Self::Two
    }

    /// The learning rate of step `step` (from 0) of `total` steps.
    pub fn learning_rate(self, settings: &LearnerSettings, step: u64, total: u64) -> f64 {
        match self {
            Self::Two => rate_to_the_last_step(settings, step, total),
            Self::Three => settings.learning_rate(step, total),
        }
    }
}

/// The rate that reaches the end of its fall at the last step.
fn rate_to_the_last_step(settings: &LearnerSettings, step: u64, total: u64) -> f64 {
    let warm_up = (settings.warm_up_fraction * total as f64).ceil();
    let step = step as f64;
    if step + 1.0 < warm_up {
        return settings.peak_learning_rate * (step + 1.0) / warm_up;
    }
    let progress = ((step + 1.0 - warm_up) / (total as f64 - warm_up).max(1.0)).min(1.0);
    let share = match settings.schedule {
        Schedule::Cosine => 0.5 * (1.0 + (PI * progress).cos()),
        Schedule::Linear => 1.0 - progress,
        Schedule::Constant => 1.0,
    };
    let floor = if settings.schedule == Schedule::Constant { 0.0 } else { settings.final_fraction };
    settings.peak_learning_rate * (floor + (1.0 - floor) * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_step_of_a_job_that_begins_now_learns() {
        let settings = LearnerSettings { peak_learning_rate: 1.0, ..LearnerSettings::default() };
        let rates = |version: JobVersion, total: u64| -> Vec<f64> {
            (0..total).map(|step| version.learning_rate(&settings, step, total)).collect()
        };
        // of two steps the second changed nothing
        assert_eq!(rates(JobVersion::Two, 2), [1.0, 0.0]);
        for total in [1, 2, 3, 4, 10, 100] {
            let rates = rates(JobVersion::Three, total);
            assert!(rates.iter().all(|rate| *rate > 0.0), "{rates:?}");
            assert!(rates.contains(&1.0), "{rates:?}");
        }
        assert!((rates(JobVersion::Three, 2)[1] - 0.5).abs() < 1e-12);
    }
}
