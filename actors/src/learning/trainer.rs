//! The trainer: oversees the learner's device thread and gathers what a job needs from the store.
//!
//! An order is taken up once: the same order again, from a conductor that was restarted, finds the job at
//! work, or its result, or its checkpoints. A trainer that was restarted goes on from the newest intact
//! checkpoint of the round and its sealed set.

use std::{collections::HashMap, sync::Arc};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use still_control::ActorState;
use still_domain::{
    Algorithm, AttemptId, CheckpointId, CheckpointManifest, PolicyVersion, ProblemId, RoundNumber,
    TrainingSet, TrainingSetId, seed,
};
use still_roles::{
    Initialisation, PolicySnapshot, PreferenceExample, Response, SftExample, TrainingExamples, TrainingJob,
};
use still_store::StoreError;

use crate::{
    context::Context,
    ground::device_thread::DeviceThread,
    ground::error::Refusal,
    ground::ledger::Ledger,
    ground::name::ActorName,
    ground::observe::Observer,
    ground::protocol::{Answer, ConductorMessage, RootMessage, TrainedPolicy, TrainerMessage, TrainingOrder},
    learning::training::{LearnerCommand, LearnerFact, Training},
    rounds::publisher::load_weights,
    system::Roles,
};

/// Commands that may wait for the learner's thread.
const MAX_COMMANDS: usize = 64;
/// Commands that wait already at which an operator's one is refused: the rest is for orders.
const MAX_WAITING: usize = 32;

/// The trainer.
pub(crate) struct Trainer;

/// What it knows.
pub(crate) struct TrainerState {
    context: Context,
    device: Option<DeviceThread<LearnerCommand>>,
    order: Option<TrainingOrder>,
    result: Option<JobResult>,
    draining: bool,
}

/// What came of the order taken up last.
#[derive(Clone)]
enum JobResult {
    Trained(TrainedPolicy),
    Refused { round: RoundNumber, reason: String },
}

impl Actor for Trainer {
    type Msg = TrainerMessage;
    type State = TrainerState;
    type Arguments = Context;

    async fn pre_start(
        &self,
        myself: ActorRef<TrainerMessage>,
        context: Context,
    ) -> Result<TrainerState, ActorProcessingErr> {
        let training = Training {
            ledger: context.ledger.clone(),
            observer: context.observer.clone(),
            config: context.config.checkpoints,
            switches: Arc::clone(&context.switches),
        };
        let (facts, failures) = (myself.clone(), myself);
        let device = DeviceThread::spawn(
            "learner".to_owned(),
            MAX_COMMANDS,
            &context.roles.learner,
            move |learner, commands| {
                training.work(learner, commands, |fact| {
                    let message = match fact {
                        LearnerFact::Trained(trained) => TrainerMessage::PolicyTrained(trained),
                        LearnerFact::Refused { round, reason } => {
                            TrainerMessage::JobRefused { round, reason }
                        }
                        LearnerFact::Halted => TrainerMessage::Halted,
                    };
                    // A trainer that is gone is replaced, and its work is in the checkpoint.
                    let _ = facts.cast(message);
                })
            },
            move |failure| {
                let _ = failures.cast(TrainerMessage::ThreadFailed(failure));
            },
        )?;
        let draining = context.switches.draining();
        let state = TrainerState { context, device: Some(device), order: None, result: None, draining };
        state.show();
        Ok(state)
    }

    async fn handle(
        &self,
        _myself: ActorRef<TrainerMessage>,
        message: TrainerMessage,
        state: &mut TrainerState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            TrainerMessage::Train(order) => state.train(order).await?,
            TrainerMessage::Checkpoint(answer) => state.checkpoint(answer)?,
            TrainerMessage::SwitchesChanged => state.wake()?,
            TrainerMessage::Drain => {
                state.draining = true;
                state.command(LearnerCommand::Halt)?;
            }
            TrainerMessage::PolicyTrained(trained) => state.ended(JobResult::Trained(trained)),
            TrainerMessage::JobRefused { round, reason } => state.ended(JobResult::Refused { round, reason }),
            TrainerMessage::Halted => {
                state.context.routes.root.send(RootMessage::Drained(ActorName::Trainer));
            }
            TrainerMessage::ThreadFailed(failure) => return Err(failure),
        }
        state.show();
        Ok(())
    }

    async fn post_stop(
        &self,
        _myself: ActorRef<TrainerMessage>,
        state: &mut TrainerState,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(device) = state.device.take() {
            device.shut_down().await;
        }
        Ok(())
    }
}

impl TrainerState {
    async fn train(&mut self, order: TrainingOrder) -> Result<(), ActorProcessingErr> {
        if self.draining {
            return Ok(());
        }
        if self.order.as_ref() == Some(&order) {
            let Some(result) = self.result.clone() else { return Ok(()) };
            let is_good = match &result {
                JobResult::Refused { .. } => true,
                JobResult::Trained(trained) => {
                    let checkpoint = trained.checkpoint.clone();
                    self.context.ledger.run(move |ledger| ledger.checkpoints.is_intact(&checkpoint)).await?
                }
            };
            if is_good {
                self.ended(result);
                return Ok(());
            }
            // asked again because its checkpoint is gone: what is on the disk decides
        }
        // parameters of an earlier job must not stay in memory while those of this one are read
        (self.order, self.result) = (None, None);
        let (roles, config) = (Arc::clone(&self.context.roles), Arc::clone(&self.context.config));
        let observer = self.context.observer.clone();
        let in_force = self.context.policy.borrow().clone();
        let wanted = order.clone();
        let prepared = self
            .context
            .ledger
            .run(move |ledger| prepare(ledger, &observer, &roles, &wanted, in_force.as_ref(), config.seed))
            .await?;
        self.order = Some(order);
        match prepared {
            Prepared::Done(trained) => self.ended(JobResult::Trained(trained)),
            Prepared::Job { job, checkpoints } => {
                let folders = checkpoints.iter().map(|one| self.context.ledger.checkpoints.folder(&one.id));
                self.command(LearnerCommand::Train(job, folders.collect()))?;
            }
        }
        Ok(())
    }

    fn ended(&mut self, result: JobResult) {
        self.result = Some(result.clone());
        self.context.routes.conductor.send(match result {
            JobResult::Trained(trained) => ConductorMessage::PolicyTrained(trained),
            JobResult::Refused { round, reason } => ConductorMessage::TrainingRefused { round, reason },
        });
    }

    /// The thread takes commands between two steps: an operator's one is refused when too many wait.
    fn checkpoint(&self, answer: Answer<CheckpointId>) -> Result<(), ActorProcessingErr> {
        if self.device.as_ref().is_some_and(|device| device.waiting() >= MAX_WAITING) {
            let refusal = "the learner is in a long step, and checkpoints are asked for already";
            let _nobody_waits = answer.send(Err(Refusal::NotNow(refusal.to_owned())));
            return Ok(());
        }
        self.command(LearnerCommand::Checkpoint(answer))
    }

    /// Has the thread look at the switches. With commands waiting it will, after the last of them.
    fn wake(&self) -> Result<(), ActorProcessingErr> {
        if self.device.as_ref().is_some_and(|device| device.waiting() > 0) {
            return Ok(());
        }
        self.command(LearnerCommand::LookAtSwitches)
    }

    fn command(&self, command: LearnerCommand) -> Result<(), ActorProcessingErr> {
        match &self.device {
            Some(device) => Ok(device.send(command)?),
            None => Ok(()),
        }
    }

    fn show(&self) {
        let observer = &self.context.observer;
        let is_paused = self.context.switches.training_paused() || self.draining;
        let state = if is_paused { ActorState::Paused } else { ActorState::Running };
        let is_at_work = self.order.is_some() && self.result.is_none();
        observer.state(ActorName::Trainer, state);
        observer.progressed(ActorName::Trainer, 0, usize::from(is_at_work));
    }
}

/// What an order leads to.
enum Prepared {
    /// Its final checkpoint is there.
    Done(TrainedPolicy),
    /// A job, and the round's intact checkpoints, newest first.
    Job { job: Box<TrainingJob>, checkpoints: Vec<CheckpointManifest> },
}

/// Gathers a job from the store, and tells of damaged checkpoints, which are passed over. Blocks.
fn prepare(
    ledger: &Ledger,
    observer: &Observer,
    roles: &Roles,
    order: &TrainingOrder,
    in_force: Option<&PolicySnapshot>,
    run_seed: u64,
) -> Result<Prepared, ActorProcessingErr> {
    let checkpoints = intact_checkpoints(ledger, observer, order.round, &order.training_set)?;
    if let Some(done) = checkpoints.first().filter(|newest| newest.is_final) {
        let weights = load_weights(ledger, roles, Some(&done.id))?;
        let checkpoint = done.id.clone();
        return Ok(Prepared::Done(TrainedPolicy { round: order.round, checkpoint, weights, loss: None }));
    }
    let set = ledger
        .store
        .training_set(&order.training_set)?
        .ok_or_else(|| format!("training set {} is not in the store", order.training_set))?;
    let examples = match order.algorithm {
        Algorithm::Sft => TrainingExamples::Sft(sft_examples(ledger, &set)?),
        Algorithm::Dpo => TrainingExamples::Dpo(preference_examples(ledger, &set)?),
    };
    let job = TrainingJob {
        round: order.round,
        training_set: order.training_set.clone(),
        legacy_training_set: None,
        examples,
        initialisation: initialisation(ledger, roles, order.start_from, in_force)?,
        seed: seed::derive(run_seed, &["training", &order.round.to_string()]),
        resume: None,
        rollbacks: 0,
    };
    Ok(Prepared::Job { job: Box::new(job), checkpoints })
}

/// A training's checkpoints, newest first, without damaged ones, which are told of. Blocks.
pub(crate) fn intact_checkpoints(
    ledger: &Ledger,
    observer: &Observer,
    round: RoundNumber,
    training_set: &TrainingSetId,
) -> Result<Vec<CheckpointManifest>, StoreError> {
    let (checkpoints, damages) = ledger.checkpoints.intact(round, training_set)?;
    for damage in damages {
        let (checkpoint, reason) = (damage.checkpoint, damage.reason);
        observer.warn(format!("checkpoint {checkpoint} is damaged and passed over: {reason}"));
    }
    Ok(checkpoints)
}

fn initialisation(
    ledger: &Ledger,
    roles: &Roles,
    start_from: Option<PolicyVersion>,
    in_force: Option<&PolicySnapshot>,
) -> Result<Initialisation, ActorProcessingErr> {
    let Some(version) = start_from else { return Ok(Initialisation::Base) };
    if let Some(policy) = in_force.filter(|policy| policy.version == version) {
        return Ok(Initialisation::Policy(Arc::clone(&policy.weights)));
    }
    let record =
        ledger.store.policy(version)?.ok_or_else(|| format!("policy {version} is not in the store"))?;
    match &record.checkpoint {
        Some(checkpoint) => Ok(Initialisation::Policy(load_weights(ledger, roles, Some(checkpoint))?)),
        None => Ok(Initialisation::Base),
    }
}

/// Demonstrations first, then trajectories, in the manifest's order.
fn sft_examples(ledger: &Ledger, set: &TrainingSet) -> Result<Vec<SftExample>, ActorProcessingErr> {
    let mut examples = Vec::with_capacity(set.example_count());
    for id in &set.content.demonstrations {
        let demonstration = ledger.store.demonstration(id)?;
        let demonstration = demonstration.ok_or_else(|| format!("demonstration {id} is not in the store"))?;
        examples.push(SftExample {
            problem: demonstration.problem,
            response: Response::Text(demonstration.response),
        });
    }
    let mut texts = Texts::default();
    for id in &set.content.trajectories {
        let (problem, response) = texts.example(ledger, id)?;
        examples.push(SftExample { problem, response });
    }
    Ok(examples)
}

fn preference_examples(
    ledger: &Ledger,
    set: &TrainingSet,
) -> Result<Vec<PreferenceExample>, ActorProcessingErr> {
    let mut texts = Texts::default();
    let example = |pair: &still_domain::PreferencePair| {
        let (problem, chosen) = texts.example(ledger, &pair.chosen)?;
        let (_, rejected) = texts.example(ledger, &pair.rejected)?;
        Ok(PreferenceExample { problem, chosen, rejected })
    };
    set.content.pairs.iter().map(example).collect()
}

/// Statements of problems, each read once.
#[derive(Default)]
struct Texts(HashMap<ProblemId, String>);

impl Texts {
    fn example(&mut self, ledger: &Ledger, id: &AttemptId) -> Result<(String, Response), ActorProcessingErr> {
        let judged = ledger.store.trajectory(id)?;
        let judged = judged.ok_or_else(|| format!("trajectory {id} is not in the store"))?;
        if let Some(text) = self.0.get(&id.problem) {
            return Ok((text.clone(), Response::Tokens(judged.trajectory.tokens)));
        }
        let problem = ledger.store.problem(&id.problem)?;
        let problem = problem.ok_or_else(|| format!("problem {} is not in the store", id.problem))?;
        let text = self.0.entry(id.problem.clone()).or_insert(problem.text).clone();
        Ok((text, Response::Tokens(judged.trajectory.tokens)))
    }
}
