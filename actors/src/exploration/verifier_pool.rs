//! The verifier pool: many judgements at once on the blocking pool, each in its own shelter.
//!
//! A verifier that panics or fails costs one judgement: it is tried once more, then recorded as an error,
//! which is never counted as wrong. Nothing here can bring the pool down; when the share of errors jumps, an
//! alarm is raised.

use std::{collections::VecDeque, sync::Arc, thread};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde::{Deserialize, Serialize};
use still_domain::{Outcome, Verdict};
use still_roles::sheltered_judgement;
use still_telemetry::event::LossReason;

use crate::{
    context::Context,
    exploration::error_alarm::{AlarmChange, ErrorAlarm, ErrorAlarmConfig},
    ground::board::ActorState,
    ground::name::ActorName,
    ground::observe::Observer,
    ground::protocol::{CuratorMessage, EvaluatorMessage, Judged, Purpose, Unjudged, VerifierPoolMessage},
};

/// How answers are judged.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VerifierPoolConfig {
    /// Judgements at once; 0 takes what the machine has. Default: 0.
    pub workers: usize,
    /// When an operator is told that judgements fail.
    pub alarm: ErrorAlarmConfig,
}

/// The verifier pool.
pub(crate) struct VerifierPool;

/// What it knows.
pub(crate) struct VerifierPoolState {
    context: Context,
    waiting: VecDeque<Box<Unjudged>>,
    running: usize,
    workers: usize,
    alarm: ErrorAlarm,
}

impl Actor for VerifierPool {
    type Msg = VerifierPoolMessage;
    type State = VerifierPoolState;
    type Arguments = Context;

    async fn pre_start(
        &self,
        _myself: ActorRef<VerifierPoolMessage>,
        context: Context,
    ) -> Result<VerifierPoolState, ActorProcessingErr> {
        let workers = match context.config.verifier_pool.workers {
            0 => thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        };
        context.observer.state(ActorName::VerifierPool, ActorState::Running);
        context.switches.set_verifier_failing(false);
        let alarm = ErrorAlarm::new(context.config.verifier_pool.alarm);
        Ok(VerifierPoolState { context, waiting: VecDeque::new(), running: 0, workers, alarm })
    }

    async fn handle(
        &self,
        myself: ActorRef<VerifierPoolMessage>,
        message: VerifierPoolMessage,
        state: &mut VerifierPoolState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            VerifierPoolMessage::Judge(unjudged) => state.waiting.push_back(unjudged),
            VerifierPoolMessage::Judged(judged) => {
                state.running -= 1;
                state.watch(&judged.verdict);
                match judged.purpose {
                    Purpose::Exploration => {
                        state.context.routes.curator.send(CuratorMessage::Commit(judged));
                    }
                    Purpose::Evaluation(_) => {
                        state.context.routes.evaluator.send(EvaluatorMessage::AnswerJudged(judged));
                    }
                }
            }
        }
        while state.running < state.workers
            && let Some(unjudged) = state.waiting.pop_front()
        {
            state.running += 1;
            let verifier = Arc::clone(&state.context.roles.verifier);
            let myself = myself.clone();
            let observer = state.context.observer.clone();
            tokio::task::spawn_blocking(move || {
                let Unjudged { rollout, problem, purpose, credit } = *unjudged;
                let response = &rollout.trajectory.text;
                let retried = || observer.judgement_retried();
                let verdict = sheltered_judgement(verifier.as_ref(), &problem, response, retried);
                let judged = Box::new(Judged { rollout, problem, purpose, verdict, credit });
                let is_exploration = matches!(judged.purpose, Purpose::Exploration);
                let is_pool_gone = myself.cast(VerifierPoolMessage::Judged(judged)).is_err();
                if is_pool_gone && is_exploration {
                    // the pool is replaced, and the attempt asked for again
                    Observer::attempts_lost(LossReason::ActorEnded, 1);
                }
            });
        }
        state.context.observer.progressed(ActorName::VerifierPool, state.waiting.len(), state.running);
        Ok(())
    }
}

impl Drop for VerifierPoolState {
    fn drop(&mut self) {
        // judgements under way tell of themselves when they find the pool gone
        let lost = self.waiting.iter().filter(|unjudged| matches!(unjudged.purpose, Purpose::Exploration));
        Observer::attempts_lost(LossReason::ActorEnded, lost.count());
    }
}

impl VerifierPoolState {
    /// Holds a verdict against the newest ones.
    fn watch(&mut self, verdict: &Verdict) {
        let is_error = verdict.outcome == Outcome::Error;
        let change = self.alarm.record(is_error);
        self.context.switches.set_verifier_failing(is_error && self.alarm.is_raised());
        let (errors, judged) = self.alarm.counted();
        let observer = &self.context.observer;
        observer.judged(is_error, errors as f64 / judged as f64, self.alarm.is_raised());
        match change {
            Some(AlarmChange::Raised) => {
                let reason = verdict.rule.as_deref().unwrap_or("the verifier gives no reason");
                observer
                    .warn(format!("{errors} of the last {judged} judgements failed; the last one: {reason}"));
            }
            Some(AlarmChange::Cleared) => {
                tracing::info!(errors, judged, "judgements succeed again");
            }
            None => {}
        }
    }
}
