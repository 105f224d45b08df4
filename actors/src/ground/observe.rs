//! What the actors tell the world: the board, the stream of events, and the log lines and metrics of
//! `still-telemetry`. Everything that this crate emits is emitted here.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use still_control::{ActorState, Event, RoundReport};
use still_curation::Candidate;
use still_domain::{
    CheckpointManifest, LogProbabilityGap, Outcome, PolicyOrigin, PolicyVersion, Round, RoundNumber,
    RoundPhase, Split, TrainingSetId,
};
use still_roles::{LearnerStep, PreferenceMetrics, TrainingPlan};
use still_store::StoreSize;
use still_telemetry::event::{
    ActorProgressed, ActorRestarted, AttemptsLost, CheckpointCommitted, DeviceFailed, GapMeasured,
    JudgementEnded, JudgementRetried, LossReason, PairsCompared, PolicyPublished, PoolCounted, Purpose,
    RatesMeasured, RolloutsFinished, RoundEnded, RoundEvaluated, RoundPhaseEntered, RoundSealed, StepTaken,
    StoreMeasured, TokensDrawn, TrajectoryCommitted,
};
use tokio::sync::broadcast;

use crate::{
    ground::clock::Clock,
    ground::name::ActorName,
    ground::status_board::{StatusBoard, update},
    ground::supervised::Prospect,
};

/// Events kept for a watcher that lags.
const EVENT_CAPACITY: usize = 4096;

/// Tells the world; shared by clones.
#[derive(Debug, Clone)]
pub(crate) struct Observer {
    pub(crate) board: Arc<StatusBoard>,
    events: broadcast::Sender<Event>,
    /// When something was told last.
    told_ms: Arc<AtomicU64>,
    pub(crate) clock: Clock,
}

impl Observer {
    pub(crate) fn new(clock: Clock) -> Self {
        let told_ms = Arc::new(AtomicU64::new(clock.now_ms()));
        Self { board: Arc::default(), events: broadcast::Sender::new(EVENT_CAPACITY), told_ms, clock }
    }

    /// What happens from now on.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Something happened. Nobody need be watching.
    pub(crate) fn event(&self, event: Event) {
        self.told_ms.store(self.now_ms(), Ordering::Relaxed);
        let _nobody_watches = self.events.send(event);
    }

    /// How long nothing has been told, in milliseconds.
    pub(crate) fn quiet_ms(&self) -> u64 {
        self.now_ms().saturating_sub(self.told_ms.load(Ordering::Relaxed))
    }

    pub(crate) fn warn(&self, message: impl Into<String>) {
        let message = message.into();
        tracing::warn!("{message}");
        self.event(Event::Warning { message });
    }

    /// Tells what there is to warn of.
    pub(crate) fn warn_of(&self, warning: Option<String>) {
        if let Some(warning) = warning {
            self.warn(warning);
        }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    pub(crate) fn state(&self, actor: ActorName, state: ActorState) {
        self.board.meter(actor).set_state(state);
    }

    pub(crate) fn restarted(&self, actor: ActorName, restarts: u64, reason: &str) {
        ActorRestarted { actor: actor.as_str(), restarts, reason }.emit();
        self.board.meter(actor).set_restarts(restarts);
        self.event(Event::Restarted { actor: actor.to_string(), restarts, reason: reason.to_owned() });
    }

    /// An actor got something done.
    pub(crate) fn progressed(&self, actor: ActorName, queued: usize, in_flight: usize) {
        let at_ms = self.now_ms();
        let meter = self.board.meter(actor);
        meter.set_load(queued, in_flight);
        meter.progressed(at_ms);
        let (queued, in_flight) = (queued as u64, in_flight as u64);
        ActorProgressed { actor: actor.as_str(), queued, in_flight, at_ms }.emit();
    }

    /// A generator took a step for the pool.
    pub(crate) fn tokens_drawn(&self, tokens: u64) {
        let now_ms = self.now_ms();
        self.board.rollout_tokens.add(tokens, now_ms);
        self.board.meter(ActorName::Sampler).progressed(now_ms);
        TokensDrawn { purpose: Purpose::Pool, tokens }.emit();
    }

    /// A generator took a step for a score.
    pub(crate) fn evaluation_tokens_drawn(&self, tokens: u64) {
        self.board.meter(ActorName::Evaluator).progressed(self.now_ms());
        TokensDrawn { purpose: Purpose::Evaluation, tokens }.emit();
    }

    /// A judgement failed and is tried once more.
    pub(crate) fn judgement_retried(&self) {
        self.board.meter(ActorName::Verifiers).progressed(self.now_ms());
        JudgementRetried.emit();
    }

    /// A judgement came to its end; `error_ratio` is the share of errors among the newest.
    pub(crate) fn judged(&self, is_error: bool, error_ratio: f64, is_alarm_raised: bool) {
        self.board.meter(ActorName::Verifiers).progressed(self.now_ms());
        JudgementEnded { is_error, error_ratio, is_alarm_raised }.emit();
    }

    /// A device failed, or hung and was given up.
    pub(crate) fn device_failed(&self, device: &str, restarts: u64, reason: &str, prospect: Prospect) {
        DeviceFailed { device, restarts, reason }.emit();
        let retry_ms = prospect.after().as_millis() as u64;
        let (device, reason) = (device.to_owned(), reason.to_owned());
        self.event(Event::DeviceFailed { device, restarts, reason, retry_ms });
    }

    pub(crate) fn rollouts_finished(&self, count: usize) {
        self.board.rollouts.fetch_add(count as u64, Ordering::Relaxed);
        RolloutsFinished { count: count as u64 }.emit();
    }

    /// Attempts came to nothing; they are given out again under the same names.
    pub(crate) fn attempts_lost(reason: LossReason, count: usize) {
        if count > 0 {
            AttemptsLost { reason, count: count as u64 }.emit();
        }
    }

    /// A trajectory is durable that was not there before.
    pub(crate) fn committed(fact: &Candidate, newest: Option<PolicyVersion>) {
        TrajectoryCommitted {
            id: &fact.id,
            outcome: fact.outcome,
            rejection: fact.rejection,
            response_tokens: u64::from(fact.response_tokens),
            policy_lag: newest.map(|newest| fact.version.lag_behind(newest)),
        }
        .emit();
    }

    /// The pool holds so many trajectories of every outcome.
    pub(crate) fn pool_counted(pool: &BTreeMap<Outcome, u64>) {
        for outcome in Outcome::ALL {
            let trajectories = pool.get(&outcome).copied().unwrap_or(0);
            PoolCounted { outcome, trajectories }.emit();
        }
    }

    /// The store was read: what the pool and the rounds of earlier runs hold.
    pub(crate) fn read(&self, pool: &BTreeMap<Outcome, u64>, rounds: &[Round]) {
        Self::pool_counted(pool);
        if let Some(scored) = rounds.iter().rfind(|round| round.evaluation.is_some()) {
            Self::evaluated(scored);
        }
        if let Some(gap) = rounds.iter().rev().find_map(|round| round.gap.as_ref()) {
            update(&self.board.round, |progress| progress.gap = Some(gap.clone()));
        }
        if let Some(round) = rounds.last() {
            self.phase_entered(round.round, round.phase);
        }
    }

    /// A round entered a phase.
    pub(crate) fn phase_entered(&self, round: RoundNumber, phase: RoundPhase) {
        RoundPhaseEntered { round, phase }.emit();
        self.event(Event::Phase { round, phase });
    }

    /// The engines of a round were compared with the learner, and may be as far from it as `most`.
    pub(crate) fn gap_measured(&self, round: RoundNumber, gap: &LogProbabilityGap, most: f64) {
        let is_alarming = gap.mean_nats > most;
        GapMeasured { round, gap, is_alarming }.emit();
        update(&self.board.round, |progress| progress.gap = Some(gap.clone()));
        if is_alarming {
            self.warn(format!(
                "round {round}: the engines' log-probabilities are {:.4} nats a token from the learner's, and                  `round.max_gap_nats` allows {most}: they serve other weights or calculate otherwise. Furthest is {},                  by {:.4}: `stillctl pool show {}` names its engine",
                gap.mean_nats, gap.furthest, gap.furthest_nats, gap.furthest
            ));
        }
    }

    /// A training set was sealed.
    pub(crate) fn sealed(
        &self,
        round: RoundNumber,
        training_set: TrainingSetId,
        examples: u64,
        selected: u64,
    ) {
        RoundSealed { round, training_set: &training_set, examples, selected }.emit();
        self.event(Event::Sealed { round, training_set, examples, selected });
    }

    /// A round's candidate was scored.
    pub(crate) fn evaluated(round: &Round) {
        for (split, evaluation) in [(Split::Dev, &round.evaluation), (Split::Test, &round.test)] {
            if let Some(evaluation) = evaluation {
                RoundEvaluated { round: round.round, split, evaluation }.emit();
            }
        }
    }

    /// A round was promoted or rejected.
    pub(crate) fn round_ended(&self, round: &Round, rollout_rate: f64, training_rate: f64) {
        RoundEnded { round }.emit();
        self.event(Event::RoundEnded(RoundReport {
            rollout_tokens_per_second: rollout_rate,
            training_tokens_per_second: training_rate,
            ..RoundReport::of(round)
        }));
    }

    /// A policy was put in force.
    pub(crate) fn published(&self, version: PolicyVersion, origin: PolicyOrigin) {
        PolicyPublished { version, origin }.emit();
        self.event(Event::Published { version });
    }

    /// A training began, or went back to an earlier state.
    pub(crate) fn training_begun(&self, round: RoundNumber, plan: &TrainingPlan) {
        update(&self.board.training, |training| {
            training.round = Some(round);
            training.step = plan.resumed_step;
            training.total_steps = plan.total_steps;
            training.step_share = None;
            training.loss = None;
        });
    }

    /// The step at work has come to a share of it.
    pub(crate) fn step_advanced(&self, share: f64) {
        self.board.meter(ActorName::Trainer).progressed(self.now_ms());
        update(&self.board.training, |training| training.step_share = Some(share));
    }

    /// An optimizer step was taken; `duration` since the one before.
    pub(crate) fn trained(&self, round: RoundNumber, step: &LearnerStep, duration: Option<Duration>) {
        let now_ms = self.now_ms();
        self.board.training_tokens.add(step.tokens, now_ms);
        self.board.meter(ActorName::Trainer).progressed(now_ms);
        let LearnerStep { step: number, total_steps, loss, gradient_norm, learning_rate, tokens, .. } = *step;
        update(&self.board.training, |training| {
            training.step = number;
            training.total_steps = total_steps;
            training.step_share = None;
            training.loss = Some(loss);
            training.skipped_steps += u64::from(step.skipped);
            training.rollbacks += u64::from(step.rolled_back);
            training.memory_shortages += u64::from(step.memory_shortages);
        });
        if step.rolled_back {
            let message = format!("training diverged: back to step {number}, with a lower learning rate");
            self.event(Event::Warning { message });
        }
        if let Some(alarm) = step.alarm {
            let message = format!("preference optimisation of round {round} is at {alarm}, at step {number}");
            self.event(Event::Warning { message });
        }
        if step.memory_shortages > 0 {
            let message = "the learner ran out of memory and takes its steps in smaller parts".to_owned();
            self.event(Event::Warning { message });
        }
        let tokens_per_second = self.board.training_tokens.per_second(now_ms);
        StepTaken {
            round,
            step: number,
            total_steps,
            loss,
            gradient_norm,
            learning_rate,
            tokens,
            duration,
            skipped: step.skipped,
            rolled_back: step.rolled_back,
            memory_shortages: step.memory_shortages,
            pairs: step.preferences.map(compared),
        }
        .emit();
        let step = number;
        self.event(Event::Trained { round, step, total_steps, loss, learning_rate, tokens_per_second });
    }

    /// A checkpoint is durable; writing it took `duration`, and training waited for `stall`.
    pub(crate) fn checkpointed(&self, manifest: &CheckpointManifest, duration: Duration, stall: Duration) {
        let at_ms = manifest.created_at_ms;
        update(&self.board.training, |training| {
            training.checkpoint_step = Some(manifest.step);
            training.checkpoint_ms = Some(at_ms);
        });
        let bytes = manifest.files.iter().map(|file| file.bytes).sum();
        CheckpointCommitted { id: &manifest.id, bytes, duration, stall, at_ms }.emit();
        self.event(Event::Checkpointed { round: manifest.round, step: manifest.step });
    }

    /// The page of metrics is about to be shown.
    pub(crate) fn rates_measured(&self) {
        let now_ms = self.now_ms();
        RatesMeasured {
            rollout_tokens_per_second: self.board.rollout_tokens.per_second(now_ms),
            training_tokens_per_second: self.board.training_tokens.per_second(now_ms),
        }
        .emit();
    }

    /// The store was measured.
    pub(crate) fn store_measured(size: StoreSize) {
        let StoreSize { commits, written_bytes, disk_bytes } = size;
        StoreMeasured { commits, written_bytes, disk_bytes }.emit();
    }
}

/// Preference optimisation in the words of the telemetry.
const fn compared(metrics: PreferenceMetrics) -> PairsCompared {
    let PreferenceMetrics {
        margin,
        accuracy,
        chosen_log_probability,
        rejected_log_probability,
        chosen_drift,
        kl,
        is_alarming,
    } = metrics;
    PairsCompared {
        margin,
        chosen_drift,
        is_alarming,
        accuracy,
        kl,
        chosen_log_probability,
        rejected_log_probability,
    }
}

#[cfg(test)]
mod tests {
    use still_telemetry::Exporter;

    use super::*;

    #[test]
    fn a_speed_is_that_of_the_moment_it_is_looked_at() {
        let now_ms = Arc::new(AtomicU64::new(1_000));
        let clock = Arc::clone(&now_ms);
        let observer = Observer::new(Clock::new(move || clock.load(Ordering::Relaxed)));
        let shown = |exporter: &Exporter| {
            observer.rates_measured();
            let page = exporter.render();
            let line = page.lines().find_map(|line| line.strip_prefix("still_rollout_tokens_per_second "));
            line.unwrap_or_default().to_owned()
        };
        let (at_work, paused) = Exporter::within(|exporter| {
            observer.tokens_drawn(500);
            now_ms.fetch_add(1_000, Ordering::Relaxed);
            observer.tokens_drawn(500);
            let at_work = shown(exporter);
            now_ms.fetch_add(60_000, Ordering::Relaxed);
            (at_work, shown(exporter))
        })
        .unwrap();
        assert_eq!((at_work.as_str(), paused.as_str()), ("1000", "0"));
    }
}
