//! What happens while a policy is trained.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use metrics::{counter, gauge, histogram};
use still_domain::{CheckpointId, RoundNumber};

use super::seconds;
use crate::names::{
    CHECKPOINT_AGE, CHECKPOINT_CREATED, CHECKPOINT_DURATION, CHECKPOINT_SIZE, CHECKPOINT_STALL, CHECKPOINTS,
    LEARNER_CHOSEN_DRIFT, LEARNER_CHOSEN_LOG_PROBABILITY, LEARNER_GRADIENT_NORM, LEARNER_JOB_STEPS,
    LEARNER_KL, LEARNER_LEARNING_RATE, LEARNER_LOSS, LEARNER_MEMORY_SHORTAGES, LEARNER_PREFERENCE_ACCURACY,
    LEARNER_PREFERENCE_ALARM, LEARNER_PREFERENCE_MARGIN, LEARNER_REJECTED_LOG_PROBABILITY, LEARNER_ROLLBACKS,
    LEARNER_SKIPPED_STEPS, LEARNER_STEP, LEARNER_STEP_DURATION, LEARNER_STEPS, LEARNER_TOKENS,
};

/// When the newest checkpoint was committed, milliseconds since the Unix epoch; 0 before the first.
static NEWEST_CHECKPOINT_MS: AtomicU64 = AtomicU64::new(0);

/// An optimizer step was taken.
#[derive(Debug, Clone, Copy)]
pub struct StepTaken {
    /// The round trained for.
    pub round: RoundNumber,
    /// Steps taken in the job, this one included.
    pub step: u64,
    /// Steps of the whole job.
    pub total_steps: u64,
    /// The step's loss.
    pub loss: f64,
    /// Global norm of the gradients before clipping.
    pub gradient_norm: f64,
    /// The learning rate used.
    pub learning_rate: f64,
    /// Tokens of the step's sequences.
    pub tokens: u64,
    /// Time since the step before; `None` for a job's first.
    pub duration: Option<Duration>,
    /// Whether the update was left out because loss or gradient was not finite.
    pub skipped: bool,
    /// Whether training went back to an earlier state after this step.
    pub rolled_back: bool,
    /// How often the step's parts were halved because the device ran out of memory.
    pub memory_shortages: u32,
    /// What became of the step's pairs; none in a step of imitation.
    pub pairs: Option<PairsCompared>,
}

/// What preference optimisation did to the pairs of a step. Means over pairs.
#[derive(Debug, Clone, Copy)]
pub struct PairsCompared {
    /// Reward margin: `beta` times the gain of the chosen over that of the rejected response.
    pub margin: f64,
    /// Log-probability of the chosen response less that under the reference policy, nats a token.
    pub chosen_drift: f64,
    /// Whether margin or drift is near its bound.
    pub is_alarming: bool,
    /// Share of the pairs whose margin is above 0.
    pub accuracy: f64,
    /// Estimated distance from the reference policy, nats a token.
    pub kl: f64,
    /// Log-probability of the chosen response's compared tokens, in nats.
    pub chosen_log_probability: f64,
    /// Log-probability of the rejected response's compared tokens, in nats.
    pub rejected_log_probability: f64,
}

impl PairsCompared {
    fn emit(self) {
        gauge!(LEARNER_PREFERENCE_MARGIN).set(self.margin);
        gauge!(LEARNER_CHOSEN_DRIFT).set(self.chosen_drift);
        gauge!(LEARNER_PREFERENCE_ALARM).set(if self.is_alarming { 1.0 } else { 0.0 });
        gauge!(LEARNER_PREFERENCE_ACCURACY).set(self.accuracy);
        gauge!(LEARNER_KL).set(self.kl);
        gauge!(LEARNER_CHOSEN_LOG_PROBABILITY).set(self.chosen_log_probability);
        gauge!(LEARNER_REJECTED_LOG_PROBABILITY).set(self.rejected_log_probability);
    }
}

impl StepTaken {
    /// Logs and counts it.
    pub fn emit(self) {
        let Self { round, step, total_steps, loss, gradient_norm, learning_rate, .. } = self;
        if self.skipped {
            tracing::warn!(%round, step, loss, gradient_norm, "optimizer step skipped: not finite");
            counter!(LEARNER_SKIPPED_STEPS).increment(1);
        } else {
            tracing::debug!(%round, step, total_steps, loss, gradient_norm, learning_rate, "optimizer step taken");
        }
        if self.rolled_back {
            tracing::warn!(%round, step, "training diverged and went back to this step, with a lower rate");
            counter!(LEARNER_ROLLBACKS).increment(1);
        }
        counter!(LEARNER_MEMORY_SHORTAGES).increment(self.memory_shortages.into());
        if let Some(pairs) = self.pairs {
            pairs.emit();
        }
        counter!(LEARNER_STEPS).increment(1);
        counter!(LEARNER_TOKENS).increment(self.tokens);
        gauge!(LEARNER_LOSS).set(loss);
        gauge!(LEARNER_GRADIENT_NORM).set(gradient_norm);
        gauge!(LEARNER_LEARNING_RATE).set(learning_rate);
        gauge!(LEARNER_STEP).set(step as f64);
        gauge!(LEARNER_JOB_STEPS).set(total_steps as f64);
        if let Some(duration) = self.duration {
            histogram!(LEARNER_STEP_DURATION).record(duration);
        }
    }
}

/// A checkpoint is durable.
#[derive(Debug, Clone, Copy)]
pub struct CheckpointCommitted<'a> {
    /// The checkpoint.
    pub id: &'a CheckpointId,
    /// Bytes of its files.
    pub bytes: u64,
    /// How long writing, syncing and recording took, beside training.
    pub duration: Duration,
    /// How long training waited for it.
    pub stall: Duration,
    /// When it was committed, milliseconds since the Unix epoch.
    pub at_ms: u64,
}

impl CheckpointCommitted<'_> {
    /// Logs and counts it.
    pub fn emit(self) {
        let Self { id, bytes, duration, stall, at_ms } = self;
        let (seconds_beside, seconds_stalled) = (duration.as_secs_f64(), stall.as_secs_f64());
        tracing::info!(%id, bytes, seconds_beside, seconds_stalled, "checkpoint committed");
        counter!(CHECKPOINTS).increment(1);
        gauge!(CHECKPOINT_SIZE).set(bytes as f64);
        gauge!(CHECKPOINT_CREATED).set(seconds(at_ms));
        histogram!(CHECKPOINT_DURATION).record(duration);
        histogram!(CHECKPOINT_STALL).record(stall);
        NEWEST_CHECKPOINT_MS.store(at_ms, Ordering::Relaxed);
    }
}

/// Brings the age of the newest checkpoint up to date; `now` counts from the Unix epoch.
pub(crate) fn age_checkpoint(now: Duration) {
    let created_ms = NEWEST_CHECKPOINT_MS.load(Ordering::Relaxed);
    if created_ms > 0 {
        gauge!(CHECKPOINT_AGE).set(now.saturating_sub(Duration::from_millis(created_ms)));
    }
}

pub(super) fn start_at_zero() {
    for name in [
        LEARNER_STEPS,
        LEARNER_SKIPPED_STEPS,
        LEARNER_ROLLBACKS,
        LEARNER_MEMORY_SHORTAGES,
        LEARNER_TOKENS,
        CHECKPOINTS,
    ] {
        counter!(name).increment(0);
    }
}
