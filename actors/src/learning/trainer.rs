//! The trainer: oversees the training run and gathers what a job needs from the store.
//!
//! An order is taken up once: the same order again, from a conductor that was restarted, finds the job at
//! work, or its result, or its checkpoints. A run that fails or hangs is replaced, alone: the fresh one goes on from
//! the newest intact checkpoint of the round and its sealed set, as a trainer that was restarted does.

use std::{collections::BTreeMap, sync::Arc};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use still_control::ActorState;
use still_domain::{CheckpointId, RoundNumber};
use still_roles::{TrainingEvent, TrainingFactory, TrainingFailure, TrainingJob, TrainingRun};
use still_store::{CheckpointsSection, StoreError};

use crate::{
    config::SupervisionSection,
    ground::{
        error::Refusal,
        name::ActorName,
        observe::Observer,
        protocol::{Answer, ConductorMessage, RootMessage, TrainedPolicy, TrainerMessage, TrainingOrder},
        pulse::remind,
        routes::Route,
        store_access::StoreAccess,
        supervised::{DeviceFailure, Supervised, end_all},
        switches::Switches,
    },
    learning::order::{Prepared, prepare},
};

/// Checkpoints that are asked for at which an operator's further one is refused.
const MAX_ASKED: usize = 32;

/// The trainer.
pub(crate) struct Trainer;

/// What it is given.
pub(crate) struct TrainerArguments {
    pub(crate) training: TrainingFactory,
    pub(crate) config: CheckpointsSection,
    pub(crate) supervision: SupervisionSection,
    pub(crate) run_seed: u64,
    pub(crate) access: StoreAccess,
    pub(crate) switches: Arc<Switches>,
    pub(crate) observer: Observer,
    pub(crate) ports: TrainerPorts,
}

/// Whom it may tell.
pub(crate) struct TrainerPorts {
    pub(crate) conductor: Route<ConductorMessage>,
    pub(crate) root: Route<RootMessage>,
}

/// What it knows.
pub(crate) struct TrainerState {
    config: CheckpointsSection,
    run_seed: u64,
    access: StoreAccess,
    switches: Arc<Switches>,
    observer: Observer,
    ports: TrainerPorts,
    device: Supervised<dyn TrainingRun, TrainingEvent>,
    order: Option<TrainingOrder>,
    /// The order's job, while it is not over.
    job: Option<TrainingJob>,
    result: Option<JobResult>,
    /// Checkpoints that are asked for, by their tickets.
    asked: BTreeMap<u64, Answer<CheckpointId>>,
    next_ticket: u64,
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
    type Arguments = TrainerArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<TrainerMessage>,
        arguments: TrainerArguments,
    ) -> Result<TrainerState, ActorProcessingErr> {
        let TrainerArguments { training, config, supervision, run_seed, access, switches, observer, ports } =
            arguments;
        let patience = supervision.max_silence();
        remind(&myself, patience, || TrainerMessage::TakePulse);
        let mut state = TrainerState {
            device: Supervised::new(training, supervision.policy(ActorName::Trainer), patience),
            draining: switches.draining(),
            config,
            run_seed,
            access,
            switches,
            observer,
            ports,
            order: None,
            job: None,
            result: None,
            asked: BTreeMap::new(),
            next_ticket: 0,
        };
        state.open(&myself)?;
        state.show();
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<TrainerMessage>,
        message: TrainerMessage,
        state: &mut TrainerState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            TrainerMessage::Train(order) => state.train(order).await?,
            TrainerMessage::Checkpoint(answer) => state.checkpoint(answer),
            TrainerMessage::SwitchesChanged => {
                let is_paused = state.switches.training_paused();
                if let Some(run) = state.device.role() {
                    run.pause(is_paused);
                }
            }
            TrainerMessage::Drain => {
                state.draining = true;
                match state.device.role() {
                    Some(run) => run.halt(),
                    // what it was at is in its checkpoints
                    None => state.halted(),
                }
            }
            TrainerMessage::Told { incarnation, event } => {
                if state.device.is_present(incarnation) {
                    state.handle_event(event, &myself)?;
                }
            }
            TrainerMessage::Reopen => state.open(&myself)?,
            TrainerMessage::TakePulse => {
                if let Some(failure) = state.device.give_up_if_silent() {
                    state.bereft(failure, &myself)?;
                }
            }
        }
        state.show();
        Ok(())
    }

    async fn post_stop(
        &self,
        _myself: ActorRef<TrainerMessage>,
        state: &mut TrainerState,
    ) -> Result<(), ActorProcessingErr> {
        end_all(state.device.take()).await;
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
                    self.access.run(move |access| access.checkpoints.is_intact(&checkpoint)).await?
                }
            };
            if is_good {
                self.ended(result);
                return Ok(());
            }
            // asked again because its checkpoint is gone: what is on the disk decides
        }
        (self.order, self.job, self.result) = (None, None, None);
        let (wanted, settings, observer) = (order.clone(), self.config, self.observer.clone());
        let run_seed = self.run_seed;
        let prepare = move |access: &StoreAccess| prepare(access, &observer, &wanted, settings, run_seed);
        let prepared = self.access.run(prepare).await?;
        self.order = Some(order);
        match prepared {
            Prepared::Done(trained) => self.ended(JobResult::Trained(trained)),
            Prepared::Job(job) => {
                self.device.works(true);
                if let Some(run) = self.device.role() {
                    run.start((*job).clone());
                }
                self.job = Some(*job);
            }
        }
        Ok(())
    }

    /// Opens the run, and has it go on with the job at work.
    fn open(&mut self, myself: &ActorRef<TrainerMessage>) -> Result<(), ActorProcessingErr> {
        let (events, observer) = (myself.clone(), self.observer.clone());
        let opened = self.device.open(move |incarnation, event| {
            // what is shown of a training keeps the order in which it was reported
            match &event {
                TrainingEvent::Begun { round, plan, resumed_from: _ } => {
                    observer.training_begun(*round, plan);
                }
                TrainingEvent::Progress { round, step, duration } => {
                    return observer.trained(*round, step, *duration);
                }
                TrainingEvent::Advanced { share } => return observer.step_advanced(*share),
                // that it was heard is all there is to it
                TrainingEvent::Alive => return,
                _ => {}
            }
            // a trainer that is gone is replaced, and its work is in the checkpoint
            let _ = events.cast(TrainerMessage::Told { incarnation, event });
        });
        match opened {
            Ok(run) => {
                run.pause(self.switches.training_paused());
                if self.draining {
                    run.halt();
                } else if let Some(job) = &self.job {
                    run.start(job.clone());
                }
                Ok(())
            }
            Err(reason) => self.failed(reason, myself),
        }
    }

    fn handle_event(
        &mut self,
        event: TrainingEvent,
        myself: &ActorRef<TrainerMessage>,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            TrainingEvent::Ready => self.device.is_up(),
            TrainingEvent::Begun { round, plan, resumed_from: _ } => {
                let left_out = plan.left_out;
                self.ports.conductor.send(ConductorMessage::TrainingBegun { round, left_out });
            }
            TrainingEvent::Alive | TrainingEvent::Advanced { .. } | TrainingEvent::Progress { .. } => {}
            TrainingEvent::Checkpointed { id, tickets } => {
                for ticket in tickets {
                    if let Some(answer) = self.asked.remove(&ticket) {
                        let _nobody_waits = answer.send(Ok(id.clone()));
                    }
                }
            }
            TrainingEvent::NothingToSave { tickets } => {
                for ticket in tickets {
                    self.refuse_checkpoint(ticket, "nothing is being trained");
                }
            }
            TrainingEvent::Done { round, checkpoint, loss, folder: _ } => {
                self.ended(JobResult::Trained(TrainedPolicy { round, checkpoint, loss }));
            }
            TrainingEvent::Refused { round, reason } => self.ended(JobResult::Refused { round, reason }),
            TrainingEvent::Warning(message) => self.observer.warn(message),
            TrainingEvent::Halted => self.halted(),
            TrainingEvent::Failed(TrainingFailure::Disk(reason)) => {
                return Err(StoreError::Engine { action: "write a checkpoint", reason }.into());
            }
            TrainingEvent::Failed(TrainingFailure::Device(reason)) => {
                self.failed(reason, myself)?;
            }
        }
        Ok(())
    }

    fn failed(
        &mut self,
        reason: String,
        myself: &ActorRef<TrainerMessage>,
    ) -> Result<(), ActorProcessingErr> {
        let failure = self.device.failed(reason);
        self.bereft(failure, myself)
    }

    /// The run is gone: it is opened again after a while.
    fn bereft(
        &mut self,
        failure: DeviceFailure,
        myself: &ActorRef<TrainerMessage>,
    ) -> Result<(), ActorProcessingErr> {
        for (_, answer) in std::mem::take(&mut self.asked) {
            let reason = format!("training failed before it was saved: {}", failure.reason);
            let _nobody_waits = answer.send(Err(Refusal::Failed(reason)));
        }
        let after = self.device.report(failure, &self.observer)?;
        if self.draining {
            // a drain does not wait for what cannot be saved any more: it is in the checkpoint before
            self.halted();
            return Ok(());
        }
        myself.send_after(after, || TrainerMessage::Reopen);
        Ok(())
    }

    fn halted(&mut self) {
        self.job = None;
        self.ports.root.send(RootMessage::Drained(ActorName::Trainer));
    }

    fn ended(&mut self, result: JobResult) {
        self.job = None;
        self.result = Some(result.clone());
        self.ports.conductor.send(match result {
            JobResult::Trained(trained) => ConductorMessage::PolicyTrained(trained),
            JobResult::Refused { round, reason } => ConductorMessage::TrainingRefused { round, reason },
        });
    }

    /// The run takes orders between two steps: an operator's one is refused when too many wait.
    fn checkpoint(&mut self, answer: Answer<CheckpointId>) {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.asked.insert(ticket, answer);
        if self.asked.len() > MAX_ASKED {
            return self.refuse_checkpoint(
                ticket,
                "the learner is in a long step, and checkpoints are asked for already",
            );
        }
        match self.device.role() {
            Some(run) => run.checkpoint(ticket),
            None => self.refuse_checkpoint(ticket, "training failed and is being started again"),
        }
    }

    fn refuse_checkpoint(&mut self, ticket: u64, reason: &str) {
        if let Some(answer) = self.asked.remove(&ticket) {
            let _nobody_waits = answer.send(Err(Refusal::NotNow(reason.to_owned())));
        }
    }

    fn show(&self) {
        let is_paused = self.switches.training_paused() || self.draining;
        let state = if is_paused { ActorState::Paused } else { ActorState::Running };
        let in_flight = usize::from(self.job.is_some());
        self.observer.state(ActorName::Trainer, state);
        self.device.works(self.job.is_some() && !self.switches.training_paused());
        self.device.show(&self.observer.board, ActorName::Trainer, in_flight, 1);
        self.observer.progressed(ActorName::Trainer, 0, in_flight);
    }
}
