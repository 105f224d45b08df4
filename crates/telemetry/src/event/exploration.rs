//! What happens to rollouts, from their tokens to the pool.

use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{counter, gauge, histogram};
use still_domain::{AttemptId, Outcome, Rejection};

use crate::names::{
    KEEP_RATIO, LOST_ATTEMPTS, POLICY_LAG, POOL_TRAJECTORIES, REJECTIONS, ROLLOUT_LENGTH, ROLLOUT_TOKENS,
    ROLLOUTS, VERDICTS, VERIFIER_ERROR_RATIO,
};

/// Since the start of the process: committed, kept, and judged with an error. Ratios are made of them.
static TALLY: Tally =
    Tally { committed: AtomicU64::new(0), kept: AtomicU64::new(0), errors: AtomicU64::new(0) };

struct Tally {
    committed: AtomicU64,
    kept: AtomicU64,
    errors: AtomicU64,
}

/// What tokens are drawn for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// For the pool.
    Pool,
    /// To score a policy.
    Evaluation,
}

impl Purpose {
    const fn name(self) -> &'static str {
        match self {
            Self::Pool => "pool",
            Self::Evaluation => "evaluation",
        }
    }
}

/// A generator took a step.
#[derive(Debug, Clone, Copy)]
pub struct TokensDrawn {
    /// What for.
    pub purpose: Purpose,
    /// Tokens drawn in the step.
    pub tokens: u64,
}

impl TokensDrawn {
    /// Logs and counts it.
    pub fn emit(self) {
        let Self { purpose, tokens } = self;
        tracing::trace!(purpose = purpose.name(), tokens, "tokens drawn");
        counter!(ROLLOUT_TOKENS, "purpose" => purpose.name()).increment(tokens);
    }
}

/// Rollouts ended, and go to the verifier.
#[derive(Debug, Clone, Copy)]
pub struct RolloutsFinished {
    /// How many.
    pub count: u64,
}

impl RolloutsFinished {
    /// Logs and counts it.
    pub fn emit(self) {
        tracing::debug!(count = self.count, "rollouts finished");
        counter!(ROLLOUTS).increment(self.count);
    }
}

/// Why an attempt came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossReason {
    /// The generator was told to stop before the response ended.
    Cancelled,
    /// The actor that held it ended.
    ActorEnded,
    /// The generator lost it alone.
    RolloutLost,
    /// The device that held it failed or hung.
    DeviceFailed,
}

impl LossReason {
    const fn name(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::ActorEnded => "actor_ended",
            Self::RolloutLost => "rollout_lost",
            Self::DeviceFailed => "device_failed",
        }
    }
}

/// Attempts came to nothing; they are given out again under the same names.
#[derive(Debug, Clone, Copy)]
pub struct AttemptsLost {
    /// Why.
    pub reason: LossReason,
    /// How many.
    pub count: u64,
}

impl AttemptsLost {
    /// Logs and counts it.
    pub fn emit(self) {
        let Self { reason, count } = self;
        tracing::debug!(reason = reason.name(), count, "attempts lost");
        counter!(LOST_ATTEMPTS, "reason" => reason.name()).increment(count);
    }
}

/// A judged rollout is durable.
#[derive(Debug, Clone, Copy)]
pub struct TrajectoryCommitted<'a> {
    /// The attempt.
    pub id: &'a AttemptId,
    /// The verifier's finding.
    pub outcome: Outcome,
    /// What hygiene has against it.
    pub rejection: Option<Rejection>,
    /// Length of the response in tokens.
    pub response_tokens: u64,
    /// Versions between its oldest token and the newest policy; `None` before the first policy.
    pub policy_lag: Option<u64>,
}

impl TrajectoryCommitted<'_> {
    /// Logs and counts it.
    pub fn emit(self) {
        let Self { id, outcome, rejection, response_tokens, policy_lag } = self;
        let reason = rejection.map(Rejection::name);
        tracing::debug!(%id, %outcome, rejection = reason, response_tokens, policy_lag, "trajectory committed");
        counter!(VERDICTS, "outcome" => outcome.name()).increment(1);
        histogram!(ROLLOUT_LENGTH).record(response_tokens as f64);
        if let Some(reason) = reason {
            counter!(REJECTIONS, "reason" => reason).increment(1);
        }
        if let Some(lag) = policy_lag {
            histogram!(POLICY_LAG).record(lag as f64);
        }
        let committed = TALLY.committed.fetch_add(1, Ordering::Relaxed) + 1;
        let kept = add_if(&TALLY.kept, outcome == Outcome::Correct && rejection.is_none());
        let errors = add_if(&TALLY.errors, outcome == Outcome::Error);
        gauge!(KEEP_RATIO).set(kept as f64 / committed as f64);
        gauge!(VERIFIER_ERROR_RATIO).set(errors as f64 / committed as f64);
    }
}

/// The pool was counted: at a start from the store, then as trajectories are committed.
#[derive(Debug, Clone, Copy)]
pub struct PoolCounted {
    /// The outcome counted.
    pub outcome: Outcome,
    /// Trajectories with it.
    pub trajectories: u64,
}

impl PoolCounted {
    /// Logs and counts it.
    pub fn emit(self) {
        let Self { outcome, trajectories } = self;
        tracing::trace!(%outcome, trajectories, "pool counted");
        gauge!(POOL_TRAJECTORIES, "outcome" => outcome.name()).set(trajectories as f64);
    }
}

pub(super) fn start_at_zero() {
    counter!(ROLLOUTS).increment(0);
    for purpose in [Purpose::Pool, Purpose::Evaluation] {
        counter!(ROLLOUT_TOKENS, "purpose" => purpose.name()).increment(0);
    }
    for outcome in Outcome::ALL {
        counter!(VERDICTS, "outcome" => outcome.name()).increment(0);
        gauge!(POOL_TRAJECTORIES, "outcome" => outcome.name()).set(0.0);
    }
}

/// Adds one when told to; gives the count.
fn add_if(count: &AtomicU64, is_one_more: bool) -> u64 {
    let more = u64::from(is_one_more);
    count.fetch_add(more, Ordering::Relaxed) + more
}
