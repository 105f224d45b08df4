//! What happens while a policy is trained.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use metrics::{counter, gauge, histogram};
use still_domain::{CheckpointId, RoundNumber};

use super::seconds;
use crate::names::{
    CHECKPOINT_AGE, CHECKPOINT_CREATED, CHECKPOINT_DURATION, CHECKPOINT_SIZE, CHECKPOINTS,
    LEARNER_GRADIENT_NORM, LEARNER_JOB_STEPS, LEARNER_LEARNING_RATE, LEARNER_LOSS, LEARNER_SKIPPED_STEPS,
    LEARNER_STEP, LEARNER_STEP_DURATION, LEARNER_STEPS, LEARNER_TOKENS, LEARNER_TOKENS_PER_SECOND,
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
    /// Tokens a second over the last seconds.
    pub tokens_per_second: f64,
    /// Time since the step before; `None` for a job's first.
    pub duration: Option<Duration>,
    /// Whether the update was left out because loss or gradient was not finite.
    pub skipped: bool,
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
        counter!(LEARNER_STEPS).increment(1);
        counter!(LEARNER_TOKENS).increment(self.tokens);
        gauge!(LEARNER_TOKENS_PER_SECOND).set(self.tokens_per_second);
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
    /// How long writing, syncing and recording took.
    pub duration: Duration,
    /// When it was committed, milliseconds since the Unix epoch.
    pub at_ms: u64,
}

impl CheckpointCommitted<'_> {
    /// Logs and counts it.
    pub fn emit(self) {
        let Self { id, bytes, duration, at_ms } = self;
        tracing::info!(%id, bytes, seconds = duration.as_secs_f64(), "checkpoint committed");
        counter!(CHECKPOINTS).increment(1);
        gauge!(CHECKPOINT_SIZE).set(bytes as f64);
        gauge!(CHECKPOINT_CREATED).set(seconds(at_ms));
        histogram!(CHECKPOINT_DURATION).record(duration);
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
    for name in [LEARNER_STEPS, LEARNER_SKIPPED_STEPS, LEARNER_TOKENS, CHECKPOINTS] {
        counter!(name).increment(0);
    }
}
