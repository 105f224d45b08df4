//! The evaluator: scores policies on the held-out problems, with a generator of its own.
//!
//! Answers are judged by the same verifiers as rollouts, under credits of the evaluator's own, and kept. No score is durable
//! before it is complete; an evaluator that was restarted says so and is asked again.
//!
//! A generator that fails or hangs is replaced, and what it held is asked for again: the answers that are judged
//! already stay.

use std::collections::HashMap;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use still_control::{ActorState, Event};
use still_curation::Scoring;
use still_domain::{AttemptId, FinishReason, Outcome, ScoredAnswer, Split, Trajectory, Verdict};
use still_roles::{FinishedRollout, Generator, GeneratorEvent, GeneratorFactory, Rollout};

use crate::{
    config::{EvaluationSection, SupervisionSection},
    ground::{
        credit::{Credit, Credits},
        name::ActorName,
        observe::Observer,
        protocol::{
            ConductorMessage, EvaluationOrder, EvaluatorMessage, Judged, Purpose, Unjudged, VerifiersMessage,
        },
        pulse::remind,
        routes::Route,
        status_board::{EvaluationProgress, update},
        store_access::StoreAccess,
        supervised::{DeviceFailure, Supervised, end_all},
    },
};

/// Times that an answer may be lost before it counts as none.
const MAX_LOSSES: u32 = 3;

/// Answers that are made durable together, at least.
const GROUP: usize = 64;

/// The evaluator.
pub(crate) struct Evaluator;

/// What it is given.
pub(crate) struct EvaluatorArguments {
    pub(crate) generator: GeneratorFactory,
    pub(crate) config: EvaluationSection,
    pub(crate) supervision: SupervisionSection,
    pub(crate) run_seed: u64,
    pub(crate) access: StoreAccess,
    pub(crate) observer: Observer,
    pub(crate) ports: EvaluatorPorts,
}

/// Whom it may tell.
pub(crate) struct EvaluatorPorts {
    pub(crate) verifiers: Route<VerifiersMessage>,
    pub(crate) conductor: Route<ConductorMessage>,
}

/// What it knows.
pub(crate) struct EvaluatorState {
    config: EvaluationSection,
    run_seed: u64,
    access: StoreAccess,
    observer: Observer,
    ports: EvaluatorPorts,
    device: Supervised<dyn Generator, GeneratorEvent>,
    credits: Credits,
    held: HashMap<AttemptId, Asked>,
    /// Answers that are judged and not yet durable.
    judged: Vec<ScoredAnswer>,
    /// What is asked for, and its score so far.
    scoring: Option<(EvaluationOrder, Scoring)>,
}

/// An answer that is asked for.
struct Asked {
    rollout: Rollout,
    credit: Credit,
    losses: u32,
}

impl Actor for Evaluator {
    type Msg = EvaluatorMessage;
    type State = EvaluatorState;
    type Arguments = EvaluatorArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<EvaluatorMessage>,
        arguments: EvaluatorArguments,
    ) -> Result<EvaluatorState, ActorProcessingErr> {
        let EvaluatorArguments { generator, config, supervision, run_seed, access, observer, ports } =
            arguments;
        let patience = supervision.max_silence();
        remind(&myself, patience, || EvaluatorMessage::TakePulse);
        let mut state = EvaluatorState {
            credits: Credits::new(config.in_flight_answers),
            device: Supervised::new(generator, supervision.policy(ActorName::Evaluator), patience),
            config,
            run_seed,
            access,
            observer,
            ports,
            held: HashMap::new(),
            judged: Vec::new(),
            scoring: None,
        };
        state.open(&myself)?;
        state.observer.state(ActorName::Evaluator, ActorState::Running);
        Ok(state)
    }

    async fn post_start(
        &self,
        _myself: ActorRef<EvaluatorMessage>,
        state: &mut EvaluatorState,
    ) -> Result<(), ActorProcessingErr> {
        state.ports.conductor.send(ConductorMessage::EvaluatorReady);
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<EvaluatorMessage>,
        message: EvaluatorMessage,
        state: &mut EvaluatorState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            EvaluatorMessage::Evaluate(order) => state.begin(order).await?,
            EvaluatorMessage::Told { incarnation, event } => {
                if state.device.is_present(incarnation) {
                    state.handle_event(event, &myself)?;
                }
            }
            EvaluatorMessage::Reopen => {
                state.open(&myself)?;
                if state.scoring.is_none() {
                    state.ports.conductor.send(ConductorMessage::EvaluatorReady);
                }
            }
            EvaluatorMessage::TakePulse => {
                if let Some(failure) = state.device.give_up_if_silent() {
                    state.bereft(failure, &myself)?;
                }
            }
            EvaluatorMessage::AnswerJudged(judged) => {
                let Judged { rollout, purpose, verdict, credit, problem: _ } = *judged;
                drop(credit);
                let scored = state.scoring.as_ref().map(|(_, scoring)| scoring.policy());
                if scored.map(Purpose::Evaluation) == Some(purpose) {
                    state.count(rollout.trajectory, verdict);
                }
            }
        }
        state.ask();
        state.conclude().await?;
        Ok(())
    }

    async fn post_stop(
        &self,
        _myself: ActorRef<EvaluatorMessage>,
        state: &mut EvaluatorState,
    ) -> Result<(), ActorProcessingErr> {
        end_all(state.device.take()).await;
        Ok(())
    }
}

impl EvaluatorState {
    async fn begin(&mut self, order: EvaluationOrder) -> Result<(), ActorProcessingErr> {
        if self.scoring.as_ref().is_some_and(|(at_work, _)| at_work.policy.name == order.policy.name) {
            return Ok(());
        }
        let problems = self.access.run(StoreAccess::held_out_problems).await?;
        if problems.iter().all(|problem| problem.split != Split::Dev) {
            self.observer.warn("there are no held-out problems: candidates cannot be compared");
        }
        if let Some(generator) = self.device.role() {
            generator.adopt(&order.policy);
        }
        let samples = self.config.samples_per_problem;
        let scoring = Scoring::new(order.policy.name, self.run_seed, problems, samples);
        self.scoring = Some((order, scoring));
        Ok(())
    }

    /// Opens the generator, and asks it for what the one before held.
    fn open(&mut self, myself: &ActorRef<EvaluatorMessage>) -> Result<(), ActorProcessingErr> {
        let (events, observer) = (myself.clone(), self.observer.clone());
        let opened = self.device.open(move |incarnation, event| {
            if let GeneratorEvent::Drawn(tokens) = event {
                return observer.evaluation_tokens_drawn(tokens);
            }
            // an evaluator that is gone is replaced, and asked again
            let _ = events.cast(EvaluatorMessage::Told { incarnation, event });
        });
        match opened {
            Ok(generator) => {
                if let Some((order, _)) = &self.scoring {
                    generator.adopt(&order.policy);
                }
                for asked in self.held.values() {
                    generator.submit(asked.rollout.clone());
                }
                Ok(())
            }
            Err(reason) => self.failed(reason, myself),
        }
    }

    fn handle_event(
        &mut self,
        event: GeneratorEvent,
        myself: &ActorRef<EvaluatorMessage>,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            GeneratorEvent::Capacity(_) => self.device.is_up(),
            GeneratorEvent::Finished(finished) => {
                for rollout in finished {
                    self.finished(rollout);
                }
            }
            GeneratorEvent::Lost { id, reason } => self.lost(&id, &reason),
            GeneratorEvent::Refused { id, reason } => self.unanswered(&id, &reason),
            GeneratorEvent::Failed(reason) => {
                self.failed(reason, myself)?;
            }
            GeneratorEvent::NotAdopted { policy, reason } => {
                // whether there is a candidate at all is not for this actor to say: it asks to be asked again
                self.scoring = None;
                self.held.clear();
                self.failed(format!("{policy} cannot be had: {reason}"), myself)?;
            }
            GeneratorEvent::Warning(text) => self.observer.warn(text),
            GeneratorEvent::Adopted(_) | GeneratorEvent::Drawn(_) => {}
        }
        Ok(())
    }

    fn failed(
        &mut self,
        reason: String,
        myself: &ActorRef<EvaluatorMessage>,
    ) -> Result<(), ActorProcessingErr> {
        let failure = self.device.failed(reason);
        self.bereft(failure, myself)
    }

    /// The generator is gone: it is opened again after a while.
    fn bereft(
        &self,
        failure: DeviceFailure,
        myself: &ActorRef<EvaluatorMessage>,
    ) -> Result<(), ActorProcessingErr> {
        let after = self.device.report(failure, &self.observer)?;
        myself.send_after(after, || EvaluatorMessage::Reopen);
        Ok(())
    }

    /// Asks for answers as long as there are credits.
    fn ask(&mut self) {
        let Some((_, scoring)) = &mut self.scoring else { return };
        while scoring.waiting() > 0 {
            let Some(credit) = self.credits.take() else { break };
            let Some(question) = scoring.next() else { break };
            let rollout = Rollout {
                id: question.id.clone(),
                problem: (&*question.problem).into(),
                sampling: self.config.sampling.settings(),
                seed: question.seed,
            };
            self.device.works(true);
            // while the generator is being opened again, opening it asks for what is held
            if let Some(generator) = self.device.role() {
                generator.submit(rollout.clone());
            }
            self.held.insert(question.id, Asked { rollout, credit, losses: 0 });
        }
    }

    fn finished(&mut self, rollout: FinishedRollout) {
        let id = &rollout.trajectory.id;
        let Some(Asked { credit, .. }) = self.held.remove(id) else { return };
        let Some((_, scoring)) = &self.scoring else { return };
        let Some(problem) = scoring.problem(id) else { return };
        let purpose = Purpose::Evaluation(scoring.policy());
        let unjudged = Box::new(Unjudged { rollout, problem, purpose, credit });
        self.ports.verifiers.send(VerifiersMessage::Judge(unjudged));
    }

    /// A lost answer is asked for again, but not for ever.
    fn lost(&mut self, id: &AttemptId, reason: &str) {
        let Some(asked) = self.held.get_mut(id) else { return };
        asked.losses += 1;
        if asked.losses >= MAX_LOSSES {
            return self.unanswered(id, reason);
        }
        if let Some(generator) = self.device.role() {
            generator.submit(asked.rollout.clone());
        }
    }

    /// What cannot be answered says nothing about the policy: it is counted apart.
    fn unanswered(&mut self, id: &AttemptId, reason: &str) {
        if self.held.remove(id).is_some() {
            self.observer.warn(format!("held-out problem {} cannot be answered: {reason}", id.problem));
            let Some((_, scoring)) = &mut self.scoring else { return };
            if scoring.unserved(id) {
                let verdict = Verdict {
                    outcome: Outcome::Error,
                    extracted: None,
                    rule: Some(reason.to_owned()),
                    verifier: String::new(),
                };
                let (policy, finish) = (scoring.policy(), FinishReason::Cancelled);
                let text = String::new();
                self.judged.push(ScoredAnswer { policy, id: id.clone(), verdict, tokens: 0, finish, text });
            }
            self.tell_progress();
        }
    }

    fn count(&mut self, trajectory: Trajectory, verdict: Verdict) {
        let Trajectory { id, tokens, text, finish, .. } = trajectory;
        let Some((_, scoring)) = &mut self.scoring else { return };
        if !scoring.judged(&id, verdict.outcome, finish) {
            return;
        }
        let tokens = u32::try_from(tokens.len()).unwrap_or(u32::MAX);
        let text = if self.config.keep_texts { text } else { String::new() };
        self.judged.push(ScoredAnswer { policy: scoring.policy(), id, verdict, tokens, finish, text });
        self.tell_progress();
    }

    fn tell_progress(&self) {
        let Some((order, scoring)) = &self.scoring else { return };
        let (judged, total) = scoring.progress();
        update(&self.observer.board.evaluation, |progress| *progress = EvaluationProgress { judged, total });
        self.observer.event(Event::Evaluated { round: order.round, judged, total });
    }

    /// Makes the answers durable, and tells the score when it is complete.
    async fn conclude(&mut self) -> Result<(), ActorProcessingErr> {
        let is_complete = self.scoring.as_ref().is_some_and(|(_, scoring)| scoring.is_complete());
        if self.judged.len() >= GROUP || (is_complete && !self.judged.is_empty()) {
            let judged = std::mem::take(&mut self.judged);
            self.access.run(move |access| access.store.put_scored_answers(&judged)).await?;
        }
        let hard_levels: Vec<u8> = self.config.hard_levels.iter().copied().collect();
        let scored = self.scoring.as_ref().and_then(|(order, scoring)| {
            let scores = Box::new(scoring.scores(&hard_levels)?);
            Some(ConductorMessage::PolicyScored { round: order.round, policy: scoring.policy(), scores })
        });
        if let Some(scored) = scored {
            self.ports.conductor.send(scored);
            self.scoring = None;
        }
        let (waiting, in_flight) = match &self.scoring {
            Some((_, scoring)) => (scoring.waiting(), scoring.in_flight()),
            None => (0, 0),
        };
        self.device.works(!self.held.is_empty());
        self.device.show(&self.observer.board, ActorName::Evaluator, self.held.len(), self.credits.limit());
        self.observer.progressed(ActorName::Evaluator, waiting, in_flight);
        Ok(())
    }
}
