//! The evaluator: scores candidates on the held-out problems, on a device thread of its own.
//!
//! Answers are judged by the same pool as rollouts, under credits of the evaluator's own. Nothing of an
//! evaluation is durable before it is complete; an evaluator that was restarted says so and is asked again.

use std::{collections::HashMap, sync::Arc};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde::{Deserialize, Serialize};
use still_curation::Scoring;
use still_domain::{AttemptId, FinishReason, Outcome, PolicyVersion, SamplingSettings, Split};
use still_roles::{FinishedRollout, PolicySnapshot, Rollout};

use crate::{
    context::Context,
    exploration::generation::{GeneratorCommand, GeneratorFact, generate},
    ground::board::{ActorState, EvaluationProgress, shown},
    ground::credit::{Credit, Credits},
    ground::device_thread::DeviceThread,
    ground::error::StartError,
    ground::event::Event,
    ground::name::ActorName,
    ground::protocol::{
        ConductorMessage, EvaluationOrder, EvaluatorMessage, Judged, Purpose, Unjudged, VerifierPoolMessage,
    },
    rounds::publisher::load_weights,
};

/// Publications that may wait for the thread besides rollouts.
const SPARE_COMMANDS: usize = 8;

/// How candidates are scored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluationConfig {
    /// Levels whose problems make up the hard accuracy; empty leaves it out. Default: none.
    pub hard_levels: Vec<u8>,
    /// Answers drawn for a problem; more than one needs a temperature above 0. Default: 1.
    pub samples_per_problem: u32,
    /// Answers between being asked for and being judged. Default: 256.
    pub in_flight_answers: usize,
    /// How tokens are drawn; the paper's way is greedy. Default: temperature 0.
    pub sampling: SamplingSettings,
}

impl Default for EvaluationConfig {
    fn default() -> Self {
        Self {
            hard_levels: Vec::new(),
            samples_per_problem: 1,
            in_flight_answers: 256,
            sampling: SamplingSettings { temperature: 0.0, ..SamplingSettings::default() },
        }
    }
}

impl EvaluationConfig {
    /// # Errors
    /// When no answer would be drawn.
    pub fn validate(&self) -> Result<(), StartError> {
        match self.samples_per_problem {
            0 => Err(StartError::Setting {
                section: "evaluation",
                key: "samples_per_problem",
                problem: "must be at least 1".to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

/// The evaluator.
pub(crate) struct Evaluator;

/// What it knows.
pub(crate) struct EvaluatorState {
    context: Context,
    device: Option<DeviceThread<GeneratorCommand>>,
    credits: Credits,
    held: HashMap<AttemptId, Credit>,
    scoring: Option<Scoring>,
}

impl Actor for Evaluator {
    type Msg = EvaluatorMessage;
    type State = EvaluatorState;
    type Arguments = Context;

    async fn pre_start(
        &self,
        myself: ActorRef<EvaluatorMessage>,
        context: Context,
    ) -> Result<EvaluatorState, ActorProcessingErr> {
        let credits = Credits::new(context.config.evaluation.in_flight_answers);
        let observer = context.observer.clone();
        let (facts, failures) = (myself.clone(), myself);
        let device = DeviceThread::spawn(
            "evaluator".to_owned(),
            credits.limit() + SPARE_COMMANDS,
            &context.roles.evaluation_generator,
            move |generator, commands| {
                generate(generator, commands, |fact| {
                    let message = match fact {
                        GeneratorFact::Ready { capacity: _ } => return,
                        GeneratorFact::TokensDrawn(tokens) => {
                            return observer.evaluation_tokens_drawn(tokens);
                        }
                        GeneratorFact::Finished(finished) => EvaluatorMessage::RolloutsFinished(finished),
                        GeneratorFact::Refused { id, reason } => {
                            EvaluatorMessage::RolloutRefused { id, reason }
                        }
                    };
                    // An evaluator that is gone is replaced, and asked again.
                    let _ = facts.cast(message);
                })
            },
            move |failure| {
                let _ = failures.cast(EvaluatorMessage::ThreadFailed(failure));
            },
        )?;
        context.observer.state(ActorName::Evaluator, ActorState::Running);
        Ok(EvaluatorState { context, device: Some(device), credits, held: HashMap::new(), scoring: None })
    }

    async fn post_start(
        &self,
        _myself: ActorRef<EvaluatorMessage>,
        state: &mut EvaluatorState,
    ) -> Result<(), ActorProcessingErr> {
        state.context.routes.conductor.send(ConductorMessage::EvaluatorReady);
        Ok(())
    }

    async fn handle(
        &self,
        _myself: ActorRef<EvaluatorMessage>,
        message: EvaluatorMessage,
        state: &mut EvaluatorState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            EvaluatorMessage::Evaluate(order) => state.begin(order).await?,
            EvaluatorMessage::RolloutsFinished(finished) => {
                for rollout in finished {
                    state.finished(rollout);
                }
            }
            EvaluatorMessage::RolloutRefused { id, reason } => {
                state.context.observer.warn(format!("held-out problem {} is refused: {reason}", id.problem));
                state.held.remove(&id);
                state.count(&id, Outcome::NoAnswer, FinishReason::Cancelled);
            }
            EvaluatorMessage::AnswerJudged(judged) => {
                let Judged { rollout, purpose, verdict, credit, problem: _ } = *judged;
                drop(credit);
                let round = state.scoring.as_ref().map(Scoring::round);
                if round.map(Purpose::Evaluation) == Some(purpose) {
                    state.count(&rollout.trajectory.id, verdict.outcome, rollout.trajectory.finish);
                }
            }
            EvaluatorMessage::ThreadFailed(failure) => return Err(failure),
        }
        state.ask()?;
        state.conclude();
        Ok(())
    }

    async fn post_stop(
        &self,
        _myself: ActorRef<EvaluatorMessage>,
        state: &mut EvaluatorState,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(device) = state.device.take() {
            device.shut_down().await;
        }
        Ok(())
    }
}

impl EvaluatorState {
    async fn begin(&mut self, order: EvaluationOrder) -> Result<(), ActorProcessingErr> {
        let round = order.round;
        if self.scoring.as_ref().is_some_and(|scoring| scoring.round() == round) {
            return Ok(());
        }
        let roles = Arc::clone(&self.context.roles);
        let work = move |ledger: &crate::ground::ledger::Ledger| {
            let problems = ledger.problems(Split::Evaluate)?;
            let weights = match order.weights {
                Some(weights) => weights,
                None => load_weights(ledger, &roles, Some(&order.checkpoint))?,
            };
            Ok::<_, ActorProcessingErr>((problems, weights))
        };
        let (problems, weights) = self.context.ledger.run(work).await?;
        if problems.is_empty() {
            self.context.observer.warn("there are no held-out problems: candidates cannot be compared");
        }
        // Candidates are not numbered yet; their rounds grow like versions do.
        let version = PolicyVersion(u64::from(round.0) + 1);
        if let Some(device) = &self.device {
            device.send(GeneratorCommand::Publish(PolicySnapshot { version, weights }))?;
        }
        let samples = self.context.config.evaluation.samples_per_problem;
        self.scoring = Some(Scoring::new(round, self.context.config.seed, problems, samples));
        Ok(())
    }

    /// Asks for answers as long as there are credits.
    fn ask(&mut self) -> Result<(), ActorProcessingErr> {
        let (Some(scoring), Some(device)) = (&mut self.scoring, &self.device) else { return Ok(()) };
        while scoring.waiting() > 0 {
            let Some(credit) = self.credits.take() else { break };
            let Some(question) = scoring.next() else { break };
            let rollout = Rollout {
                id: question.id.clone(),
                problem: question.problem.text.clone(),
                sampling: self.context.config.evaluation.sampling,
                seed: question.seed,
            };
            self.held.insert(question.id, credit);
            device.send(GeneratorCommand::Submit(rollout))?;
        }
        Ok(())
    }

    fn finished(&mut self, rollout: FinishedRollout) {
        let id = &rollout.trajectory.id;
        let Some(credit) = self.held.remove(id) else { return };
        let Some(scoring) = &self.scoring else { return };
        let Some(problem) = scoring.problem(id) else { return };
        let purpose = Purpose::Evaluation(scoring.round());
        let unjudged = Box::new(Unjudged { rollout, problem, purpose, credit });
        self.context.routes.verifier_pool.send(VerifierPoolMessage::Judge(unjudged));
    }

    fn count(&mut self, id: &AttemptId, outcome: Outcome, finish: FinishReason) {
        let Some(scoring) = &mut self.scoring else { return };
        scoring.judged(id, outcome, finish);
        let (judged, total) = scoring.progress();
        let observer = &self.context.observer;
        shown(&observer.board.evaluation, |shown| *shown = EvaluationProgress { judged, total });
        observer.event(Event::Evaluated { round: scoring.round(), judged, total });
    }

    /// Tells the score when it is complete.
    fn conclude(&mut self) {
        let hard_levels = &self.context.config.evaluation.hard_levels;
        let evaluation = self.scoring.as_ref().and_then(|scoring| scoring.evaluation(hard_levels));
        if let (Some(evaluation), Some(scoring)) = (evaluation, &self.scoring) {
            let fact = ConductorMessage::PolicyScored(scoring.round(), Box::new(evaluation));
            self.context.routes.conductor.send(fact);
            self.scoring = None;
        }
        let (waiting, in_flight) =
            self.scoring.as_ref().map_or((0, 0), |scoring| (scoring.waiting(), scoring.in_flight()));
        self.context.observer.progressed(ActorName::Evaluator, waiting, in_flight);
    }
}
