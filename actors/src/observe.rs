//! What the actors tell the world: the board, the stream of events, and the metrics.
//!
//! Every metric of this crate is emitted here and nowhere else.

use std::sync::{Arc, atomic::Ordering};

use still_domain::{CheckpointManifest, PolicyVersion, Rejection, Round, RoundNumber};
use still_roles::LearnerStep;
use tokio::sync::broadcast;

use crate::{
    board::{ActorState, Board, shown},
    clock::Clock,
    event::Event,
    name::ActorName,
    protocol::JudgedFact,
};

/// Events kept for a watcher that lags.
const EVENT_CAPACITY: usize = 4096;

/// Tells the world; shared by clones.
#[derive(Debug, Clone)]
pub(crate) struct Observer {
    pub(crate) board: Arc<Board>,
    events: broadcast::Sender<Event>,
    pub(crate) clock: Clock,
}

impl Observer {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { board: Arc::default(), events: broadcast::Sender::new(EVENT_CAPACITY), clock }
    }

    /// What happens from now on.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Something happened. Nobody need be watching.
    pub(crate) fn event(&self, event: Event) {
        if let Event::Warning { message } = &event {
            tracing::warn!("{message}");
        }
        let _nobody_watches = self.events.send(event);
    }

    pub(crate) fn warn(&self, message: impl Into<String>) {
        self.event(Event::Warning { message: message.into() });
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    pub(crate) fn state(&self, actor: ActorName, state: ActorState) {
        self.board.meter(actor).set_state(state);
    }

    pub(crate) fn restarted(&self, actor: ActorName, restarts: u64, reason: &str) {
        tracing::warn!(%actor, restarts, reason, "an actor failed and is started again");
        self.board.meter(actor).set_restarts(restarts);
        self.event(Event::Restarted { actor, restarts, reason: reason.to_owned() });
    }

    /// An actor got something done.
    pub(crate) fn progressed(&self, actor: ActorName, queued: usize, in_flight: usize) {
        let meter = self.board.meter(actor);
        meter.set_load(queued, in_flight);
        meter.progressed(self.now_ms());
    }

    /// A generator took a step for the pool.
    pub(crate) fn tokens_drawn(&self, tokens: u64) {
        self.board.rollout_tokens.add(tokens, self.now_ms());
        self.board.meter(ActorName::Sampler).progressed(self.now_ms());
    }

    /// A generator took a step for a score.
    pub(crate) fn evaluation_tokens_drawn(&self, tokens: u64) {
        let _ = tokens;
        self.board.meter(ActorName::Evaluator).progressed(self.now_ms());
    }

    /// A round was promoted or rejected.
    pub(crate) fn round_ended(&self, round: &Round) {
        let _ = round;
    }

    pub(crate) fn rollouts_finished(&self, count: usize) {
        self.board.rollouts.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// A group of trajectories is durable.
    pub(crate) fn committed(&self, facts: &[JudgedFact], newest: Option<PolicyVersion>) {
        for fact in facts {
            let _ = (fact.candidate.outcome.name(), fact.candidate.rejection.map(Rejection::name));
            let _ = newest.map(|newest| fact.version.lag_behind(newest));
        }
    }

    /// An optimizer step was taken.
    pub(crate) fn trained(&self, round: RoundNumber, step: &LearnerStep) {
        let now_ms = self.now_ms();
        self.board.training_tokens.add(step.tokens, now_ms);
        self.board.meter(ActorName::Trainer).progressed(now_ms);
        shown(&self.board.training, |training| {
            training.step = step.step;
            training.total_steps = step.total_steps;
            training.loss = Some(step.loss);
        });
        self.event(Event::Trained {
            round,
            step: step.step,
            total_steps: step.total_steps,
            loss: step.loss,
            learning_rate: step.learning_rate,
            tokens_per_second: self.board.training_tokens.per_second(now_ms),
        });
    }

    /// A checkpoint is durable.
    pub(crate) fn checkpointed(&self, manifest: &CheckpointManifest) {
        shown(&self.board.training, |training| {
            training.checkpoint_step = Some(manifest.step);
            training.checkpoint_ms = Some(manifest.created_at_ms);
        });
        self.event(Event::Checkpointed { round: manifest.round, step: manifest.step });
    }
}
