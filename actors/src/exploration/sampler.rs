//! The sampler: attempts in, finished rollouts out, always begun with the newest policy in force.
//!
//! It holds one generator a device or server and shares the attempts out among them; the attempts of one problem go to
//! one device, where they share their prompt's prefill. What no device can usefully hold waits here. Every attempt
//! carries its credit from the moment it is given out until it is durable, so no queue can grow beyond the credits.
//!
//! What becomes of rollouts under way when a policy is published is configured ([`OnPublish`]). By default each device
//! ends what it holds under the policy that began it, takes nothing meanwhile, and then takes the new policy up.
//!
//! A failure stays on its device: its attempts come back to the queue and go to the others, it is opened again after
//! a while, and one that has failed too often is left out. Only when none is left has the sampler failed.

use ractor::{Actor, ActorProcessingErr, ActorRef};
use still_control::ActorState;
use still_domain::{AttemptId, FinishReason, PolicyName, PolicyRef, SamplingSettings};
use still_roles::{FinishedRollout, Generator, GeneratorEvent, GeneratorFactory, Rollout};
use still_telemetry::event::LossReason;
use tokio::{sync::watch, task::AbortHandle};

use crate::{
    config::{OnPublish, SupervisionSection},
    exploration::assignments::Assignments,
    ground::{
        name::ActorName,
        observe::Observer,
        protocol::{
            Attempt, ProblemSupplyMessage, Purpose, SamplerMessage, Unanswered, Unjudged, VerifiersMessage,
        },
        pulse::remind,
        restart::RestartPolicy,
        routes::Route,
        supervised::{DeviceFailure, Supervised, end_all},
    },
};

/// The sampler.
pub(crate) struct Sampler;

/// What it is given.
pub(crate) struct SamplerArguments {
    pub(crate) generators: Vec<GeneratorFactory>,
    pub(crate) sampling: SamplingSettings,
    pub(crate) on_publish: OnPublish,
    pub(crate) supervision: SupervisionSection,
    pub(crate) policy: watch::Receiver<Option<PolicyRef>>,
    pub(crate) observer: Observer,
    pub(crate) ports: SamplerPorts,
}

/// Whom it may tell.
pub(crate) struct SamplerPorts {
    pub(crate) verifiers: Route<VerifiersMessage>,
    pub(crate) problem_supply: Route<ProblemSupplyMessage>,
}

/// What it knows.
pub(crate) struct SamplerState {
    sampling: SamplingSettings,
    on_publish: OnPublish,
    policy: Option<PolicyRef>,
    newest: watch::Receiver<Option<PolicyRef>>,
    devices: Vec<Supervised<dyn Generator, GeneratorEvent>>,
    /// The policy that each device has been told of last.
    adopted: Vec<Option<PolicyRef>>,
    /// Which attempt is where.
    assignments: Assignments<Attempt>,
    observer: Observer,
    ports: SamplerPorts,
    watcher: AbortHandle,
}

impl Actor for Sampler {
    type Msg = SamplerMessage;
    type State = SamplerState;
    type Arguments = SamplerArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<SamplerMessage>,
        arguments: SamplerArguments,
    ) -> Result<SamplerState, ActorProcessingErr> {
        let SamplerArguments { generators, sampling, on_publish, supervision, policy, observer, ports } =
            arguments;
        let restarts: RestartPolicy = supervision.policy(ActorName::Sampler);
        let patience = supervision.max_silence();
        let devices: Vec<_> =
            generators.into_iter().map(|factory| Supervised::new(factory, restarts, patience)).collect();
        remind(&myself, patience, || SamplerMessage::TakePulses);
        let mut watched = policy.clone();
        watched.mark_changed();
        let watching = myself.clone();
        let watcher = tokio::spawn(async move {
            while watched.changed().await.is_ok() && watching.cast(SamplerMessage::PolicyPublished).is_ok() {}
        });
        observer.state(ActorName::Sampler, ActorState::Running);
        let mut state = SamplerState {
            sampling,
            on_publish,
            policy: None,
            newest: policy,
            assignments: Assignments::new(devices.len()),
            adopted: vec![None; devices.len()],
            devices,
            observer,
            ports,
            watcher: watcher.abort_handle(),
        };
        for device in 0..state.devices.len() {
            state.open(device, &myself)?;
        }
        state.show();
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<SamplerMessage>,
        message: SamplerMessage,
        state: &mut SamplerState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SamplerMessage::Generate(attempt) => state.assignments.take_in(attempt),
            SamplerMessage::PolicyPublished => {}
            SamplerMessage::Told { device, incarnation, event } => {
                if state.devices.get(device).is_some_and(|one| one.is_present(incarnation)) {
                    state.handle_event(device, event, &myself)?;
                }
            }
            SamplerMessage::Reopen { device } => state.open(device, &myself)?,
            SamplerMessage::TakePulses => state.take_pulses(&myself)?,
        }
        state.adopt();
        state.share_out();
        state.show();
        Ok(())
    }

    async fn post_stop(
        &self,
        _myself: ActorRef<SamplerMessage>,
        state: &mut SamplerState,
    ) -> Result<(), ActorProcessingErr> {
        end_all(state.devices.iter_mut().filter_map(Supervised::take)).await;
        Ok(())
    }
}

impl SamplerState {
    /// Opens a device, with the policy that is known.
    fn open(&mut self, index: usize, myself: &ActorRef<SamplerMessage>) -> Result<(), ActorProcessingErr> {
        let Some(device) = self.devices.get_mut(index) else { return Ok(()) };
        let (events, observer) = (myself.clone(), self.observer.clone());
        let opened = device.open(move |incarnation, event| {
            if let GeneratorEvent::Drawn(tokens) = event {
                return observer.tokens_drawn(tokens);
            }
            // a sampler that is gone is replaced, and its work asked for again
            let _ = events.cast(SamplerMessage::Told { device: index, incarnation, event });
        });
        match opened {
            Ok(generator) => {
                if let Some(policy) = &self.policy {
                    generator.adopt(policy);
                }
                if let Some(adopted) = self.adopted.get_mut(index) {
                    adopted.clone_from(&self.policy);
                }
                self.assignments.set_closed(index, false);
                Ok(())
            }
            Err(reason) => self.failed(index, reason, myself),
        }
    }

    fn handle_event(
        &mut self,
        device: usize,
        event: GeneratorEvent,
        myself: &ActorRef<SamplerMessage>,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            GeneratorEvent::Capacity(capacity) => {
                self.assignments.set_capacity(device, capacity);
                if let Some(device) = self.devices.get_mut(device) {
                    device.is_up();
                }
            }
            GeneratorEvent::Finished(finished) => self.finished(finished),
            GeneratorEvent::Lost { id, reason } => self.lost(id, reason),
            GeneratorEvent::Refused { id, reason } => self.refused(&id, &reason),
            GeneratorEvent::Failed(reason) => self.failed(device, reason, myself)?,
            GeneratorEvent::NotAdopted { policy, reason } => {
                self.failed(device, format!("{policy} cannot be had: {reason}"), myself)?;
            }
            GeneratorEvent::Warning(text) => self.observer.warn(text),
            GeneratorEvent::Adopted(_) | GeneratorEvent::Drawn(_) => {}
        }
        Ok(())
    }

    /// A device failed: its attempts go to others, and it is opened again after a while.
    fn failed(
        &mut self,
        index: usize,
        reason: String,
        myself: &ActorRef<SamplerMessage>,
    ) -> Result<(), ActorProcessingErr> {
        let Some(device) = self.devices.get_mut(index) else { return Ok(()) };
        let failure = device.failed(reason);
        self.bereft(index, failure, myself)
    }

    fn bereft(
        &mut self,
        index: usize,
        failure: DeviceFailure,
        myself: &ActorRef<SamplerMessage>,
    ) -> Result<(), ActorProcessingErr> {
        let returned = self.assignments.give_back(index);
        Observer::attempts_lost(LossReason::DeviceFailed, returned);
        let after = failure.prospect.after();
        if let Some(device) = self.devices.get(index)
            && let Err(too_often) = device.report(failure, &self.observer)
            && self.devices.iter().all(Supervised::is_left_out)
        {
            return Err(too_often.into());
        }
        myself.send_after(after, move || SamplerMessage::Reopen { device: index });
        Ok(())
    }

    /// Gives up every device at work whose silence its pace does not explain.
    fn take_pulses(&mut self, myself: &ActorRef<SamplerMessage>) -> Result<(), ActorProcessingErr> {
        for index in 0..self.devices.len() {
            let Some(device) = self.devices.get_mut(index) else { continue };
            if let Some(failure) = device.give_up_if_silent() {
                self.bereft(index, failure, myself)?;
            }
        }
        Ok(())
    }

    /// Has every device draw by the policy in force, now or once it is empty. Whoever asks for an attempt after a
    /// publication may have heard of it before the watch woke this actor: so it is looked at before attempts are
    /// shared out.
    fn adopt(&mut self) {
        let newest = self.newest.borrow().clone();
        if newest.is_some() && newest != self.policy {
            self.policy = newest;
            self.assignments.forget_losses();
        }
        let Some(policy) = &self.policy else { return };
        for (index, (device, adopted)) in self.devices.iter_mut().zip(&mut self.adopted).enumerate() {
            if adopted.as_ref() == Some(policy) {
                continue;
            }
            // one that is being opened again holds nothing, and is told when it is open
            let Some(generator) = device.role() else { continue };
            let must_be_empty = self.on_publish == OnPublish::Finish && !generator.keeps_policies_apart();
            if must_be_empty && self.assignments.held(index) > 0 {
                self.assignments.set_closed(index, true);
                continue;
            }
            if self.on_publish == OnPublish::Cancel {
                self.assignments.held_by(index).for_each(|id| generator.cancel(id));
            }
            generator.adopt(policy);
            *adopted = Some(policy.clone());
            self.assignments.set_closed(index, false);
        }
    }

    /// Gives waiting attempts to devices with room.
    fn share_out(&mut self) {
        if self.policy.is_none() {
            return;
        }
        while let Some((index, attempt)) = self.assignments.next() {
            let rollout = Rollout {
                id: attempt.id.clone(),
                problem: (&*attempt.problem).into(),
                sampling: self.sampling,
                seed: attempt.seed,
            };
            let Some(device) = self.devices.get_mut(index) else { continue };
            device.works(true);
            if let Some(generator) = device.role() {
                generator.submit(rollout);
            }
        }
    }

    fn finished(&mut self, finished: Vec<FinishedRollout>) {
        self.observer.rollouts_finished(finished.len());
        for rollout in finished {
            if rollout.trajectory.finish == FinishReason::Cancelled {
                Observer::attempts_lost(LossReason::Cancelled, 1);
                self.assignments.put_back(&rollout.trajectory.id);
                continue;
            }
            let Some(attempt) = self.assignments.remove(&rollout.trajectory.id) else { continue };
            self.ports.verifiers.send(VerifiersMessage::Judge(Box::new(Unjudged {
                rollout,
                problem: attempt.problem,
                purpose: Purpose::Exploration,
                credit: attempt.credit,
            })));
        }
    }

    /// It is asked for again, by whoever decides what is attempted.
    fn lost(&mut self, id: AttemptId, reason: String) {
        let Some(attempt) = self.assignments.lose(&id) else { return };
        Observer::attempts_lost(LossReason::RolloutLost, 1);
        // the supply looks for credits when facts reach it, and at no other time
        drop(attempt.credit);
        self.ports.problem_supply.send(ProblemSupplyMessage::AttemptLost { id, reason });
    }

    /// What can never be served is recorded as an error, or it would be asked for again for ever, and no more of its kind
    /// is asked for.
    fn refused(&mut self, id: &AttemptId, reason: &str) {
        let Some(attempt) = self.assignments.remove(id) else { return };
        self.ports.problem_supply.send(ProblemSupplyMessage::AttemptRefused(id.clone()));
        self.observer.warn(format!("attempt {id} is refused: {reason}"));
        let policy = self.policy.as_ref().map(|policy| policy.name);
        let unanswered = Unanswered {
            id: attempt.id,
            problem: attempt.problem,
            sampling: self.sampling,
            seed: attempt.seed,
            policy: policy.unwrap_or(PolicyName::Published(still_domain::PolicyVersion(0))),
            reason: format!("refused: {reason}"),
            credit: attempt.credit,
        };
        self.ports.verifiers.send(VerifiersMessage::Unanswered(Box::new(unanswered)));
    }

    fn show(&self) {
        for (index, device) in self.devices.iter().enumerate() {
            let (held, capacity) = (self.assignments.held(index), self.assignments.capacity(index));
            device.works(held > 0);
            device.show(&self.observer.board, ActorName::Sampler, held, capacity);
        }
        self.observer.progressed(ActorName::Sampler, self.assignments.waiting(), self.assignments.all_held());
    }
}

impl Drop for SamplerState {
    fn drop(&mut self) {
        self.watcher.abort();
        let held = self.assignments.all_held() + self.assignments.waiting();
        Observer::attempts_lost(LossReason::ActorEnded, held);
    }
}
