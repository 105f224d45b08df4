//! The verifiers: many judgements at once on blocking threads, each in its own shelter.
//!
//! A verifier that panics or fails costs one judgement: it is tried once more, then recorded as an error,
//! which is never counted as wrong. Nothing here can bring the actor down; when the share of errors jumps, an
//! alarm is raised.

use std::{collections::VecDeque, sync::Arc, thread};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use still_control::ActorState;
use still_domain::{Outcome, Verdict};
use still_roles::{FinishedRollout, Verifier, sheltered_judgement};
use still_telemetry::event::LossReason;

use crate::{
    config::VerifiersConfig,
    exploration::error_alarm::{AlarmChange, ErrorAlarm},
    ground::{
        name::ActorName,
        observe::Observer,
        protocol::{
            CuratorMessage, EvaluatorMessage, Judged, Purpose, Unanswered, Unjudged, VerifiersMessage,
        },
        routes::Route,
        switches::Switches,
    },
};

/// The verifiers.
pub(crate) struct Verifiers;

/// What it is given.
pub(crate) struct VerifiersArguments {
    pub(crate) verifier: Arc<dyn Verifier>,
    pub(crate) config: VerifiersConfig,
    pub(crate) switches: Arc<Switches>,
    pub(crate) observer: Observer,
    pub(crate) ports: VerifiersPorts,
}

/// Whom it may tell.
pub(crate) struct VerifiersPorts {
    pub(crate) curator: Route<CuratorMessage>,
    pub(crate) evaluator: Route<EvaluatorMessage>,
}

/// What it knows.
pub(crate) struct VerifiersState {
    verifier: Arc<dyn Verifier>,
    switches: Arc<Switches>,
    observer: Observer,
    ports: VerifiersPorts,
    waiting: VecDeque<Box<Unjudged>>,
    running: usize,
    workers: usize,
    alarm: ErrorAlarm,
}

impl Actor for Verifiers {
    type Msg = VerifiersMessage;
    type State = VerifiersState;
    type Arguments = VerifiersArguments;

    async fn pre_start(
        &self,
        _myself: ActorRef<VerifiersMessage>,
        arguments: VerifiersArguments,
    ) -> Result<VerifiersState, ActorProcessingErr> {
        let VerifiersArguments { verifier, config, switches, observer, ports } = arguments;
        let workers = match config.workers {
            0 => thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        };
        observer.state(ActorName::Verifiers, ActorState::Running);
        switches.set_verifier_failing(false);
        let alarm = ErrorAlarm::new(config.alarm_window, config.alarm_error_share);
        let waiting = VecDeque::new();
        Ok(VerifiersState { verifier, switches, observer, ports, waiting, running: 0, workers, alarm })
    }

    async fn handle(
        &self,
        myself: ActorRef<VerifiersMessage>,
        message: VerifiersMessage,
        state: &mut VerifiersState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            VerifiersMessage::Judge(unjudged) => state.waiting.push_back(unjudged),
            VerifiersMessage::Unanswered(unanswered) => state.unanswered(*unanswered),
            VerifiersMessage::Judged(judged) => {
                state.running -= 1;
                state.watch(&judged.verdict);
                match judged.purpose {
                    Purpose::Exploration => {
                        state.ports.curator.send(CuratorMessage::Commit(judged));
                    }
                    Purpose::Evaluation(_) => {
                        state.ports.evaluator.send(EvaluatorMessage::AnswerJudged(judged));
                    }
                }
            }
        }
        while state.running < state.workers
            && let Some(unjudged) = state.waiting.pop_front()
        {
            state.running += 1;
            let verifier = Arc::clone(&state.verifier);
            let myself = myself.clone();
            let observer = state.observer.clone();
            tokio::task::spawn_blocking(move || {
                let Unjudged { rollout, problem, purpose, credit } = *unjudged;
                let response = &rollout.trajectory.text;
                let retried = || observer.judgement_retried();
                let verdict = sheltered_judgement(verifier.as_ref(), &problem, response, retried);
                let judged = Box::new(Judged { rollout, problem, purpose, verdict, credit });
                let is_exploration = matches!(judged.purpose, Purpose::Exploration);
                let is_actor_gone = myself.cast(VerifiersMessage::Judged(judged)).is_err();
                if is_actor_gone && is_exploration {
                    // the actor is replaced, and the attempt asked for again
                    Observer::attempts_lost(LossReason::ActorEnded, 1);
                }
            });
        }
        state.observer.progressed(ActorName::Verifiers, state.waiting.len(), state.running);
        Ok(())
    }
}

impl Drop for VerifiersState {
    fn drop(&mut self) {
        // judgements under way tell of themselves when they find the actor gone
        let lost = self.waiting.iter().filter(|unjudged| matches!(unjudged.purpose, Purpose::Exploration));
        Observer::attempts_lost(LossReason::ActorEnded, lost.count());
    }
}

impl VerifiersState {
    /// An attempt that nobody can answer: an error, which says nothing of an answer. It is none of the verifier's own,
    /// so the alarm does not hear of it.
    fn unanswered(&self, unanswered: Unanswered) {
        let Unanswered { id, problem, sampling, seed, policy, reason, credit } = unanswered;
        let verdict = Verdict {
            outcome: Outcome::Error,
            extracted: None,
            rule: Some(reason),
            verifier: self.verifier.version().to_owned(),
        };
        let rollout = FinishedRollout::undrawn(id, seed, sampling, Some(policy));
        let purpose = Purpose::Exploration;
        let judged = Box::new(Judged { rollout, problem, purpose, verdict, credit });
        self.ports.curator.send(CuratorMessage::Commit(judged));
    }

    /// Holds a verdict against the newest ones.
    fn watch(&mut self, verdict: &Verdict) {
        let is_error = verdict.outcome == Outcome::Error;
        let change = self.alarm.record(is_error);
        self.switches.set_verifier_failing(is_error && self.alarm.is_raised());
        let (errors, judged) = self.alarm.counted();
        let observer = &self.observer;
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
