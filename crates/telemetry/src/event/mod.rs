//! What happened: each event's `emit` writes its log line and its metrics together.
//!
//! | module | events |
//! |---|---|
//! | `actors` | progress, restarts |
//! | `exploration` | tokens, rollouts, lost attempts, committed trajectories, the pool |
//! | `judgement` | judgements tried again, failed, too many of them |
//! | `learning` | optimizer steps, checkpoints |
//! | `rates` | tokens a second |
//! | `rounds` | phases, sealed sets, scores, published policies |
//! | `servers` | load and health of the servers that draw |
//! | `store` | what was made durable |

mod actors;
mod exploration;
mod judgement;
mod learning;
mod rates;
mod rounds;
mod servers;
mod store;

pub use actors::{ActorProgressed, ActorRestarted, DeviceFailed};
pub use exploration::{
    AttemptsLost, LossReason, PoolCounted, Purpose, RolloutsFinished, TokensDrawn, TrajectoryCommitted,
};
pub use judgement::{JudgementEnded, JudgementRetried};
pub use learning::{CheckpointCommitted, PairsCompared, StepTaken};
pub use rates::RatesMeasured;
pub use rounds::{GapMeasured, PolicyPublished, RoundEnded, RoundEvaluated, RoundPhaseEntered, RoundSealed};
pub use servers::ServersMeasured;
pub use store::StoreMeasured;

pub(crate) use learning::age_checkpoint;

/// Shows counters at zero before anything happened: a rate needs a first value.
pub(crate) fn start_at_zero() {
    exploration::start_at_zero();
    judgement::start_at_zero();
    learning::start_at_zero();
    rounds::start_at_zero();
    store::start_at_zero();
}

/// Milliseconds since the Unix epoch as seconds.
fn seconds(epoch_ms: u64) -> f64 {
    epoch_ms as f64 / 1000.0
}
