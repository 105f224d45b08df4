//! The root supervisor: starts the actors, starts them again, and ends the program.

use std::{collections::BTreeSet, time::Instant};

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, ActorStatus, SupervisionEvent};
use still_control::{ActorState, Event};
use still_store::StoreError;
use tokio::{sync::watch, task::AbortHandle};

use super::{Reaction, Restarts, tree, wiring::Wiring};
use crate::ground::{
    error::AllDevicesFailed,
    finish::FinishReason,
    name::ActorName,
    protocol::{ProblemSupplyMessage, RootMessage, TrainerMessage},
};

/// The actors whose work in flight a drain waits for.
const DRAINED: [ActorName; 2] = [ActorName::ProblemSupply, ActorName::Trainer];

/// The root supervisor.
pub(crate) struct Root;

/// What it is given.
pub(crate) struct RootArguments {
    pub(crate) wiring: Wiring,
    pub(crate) finish: watch::Sender<Option<FinishReason>>,
}

/// What it knows.
pub(crate) struct RootState {
    wiring: Wiring,
    finish: watch::Sender<Option<FinishReason>>,
    children: [Option<ActorCell>; ActorName::ALL.len()],
    restarts: Restarts,
    restart: u64,
    timers: Vec<AbortHandle>,
    drained: Option<BTreeSet<ActorName>>,
    /// What a drain has left behind.
    left_behind: Option<String>,
}

impl Actor for Root {
    type Msg = RootMessage;
    type State = RootState;
    type Arguments = RootArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<RootMessage>,
        arguments: RootArguments,
    ) -> Result<RootState, ActorProcessingErr> {
        let RootArguments { wiring, finish } = arguments;
        wiring.routes.root.open(myself.clone());
        let restarts = Restarts::new(wiring.config.supervision.clone());
        let mut state = RootState {
            wiring,
            finish,
            children: Default::default(),
            restarts,
            restart: 0,
            timers: Vec::new(),
            drained: None,
            left_behind: None,
        };
        for name in ActorName::ALL {
            state.start(name, &myself).await.map_err(|error| format!("the {name} did not start: {error}"))?;
        }
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<RootMessage>,
        message: RootMessage,
        state: &mut RootState,
    ) -> Result<(), ActorProcessingErr> {
        if state.is_finished() {
            return Ok(());
        }
        match message {
            RootMessage::StartAgain { restart } => {
                if restart == state.restart {
                    state.start_again(&myself).await;
                }
            }
            RootMessage::Finish(reason) => state.finish(reason, &myself).await,
            RootMessage::Drain => state.drain(&myself).await,
            RootMessage::Drained(actor) => {
                let is_complete = state.drained.as_mut().is_some_and(|drained| {
                    drained.insert(actor);
                    DRAINED.iter().all(|name| drained.contains(name))
                });
                if is_complete {
                    let left_behind = state.left_behind.take();
                    let reason = left_behind
                        .map_or(FinishReason::Drained, |cause| FinishReason::DrainedInPart { cause });
                    state.finish(reason, &myself).await;
                }
            }
            RootMessage::DrainTimedOut => state.drain_timed_out(&myself).await,
            #[cfg(feature = "fault-injection")]
            RootMessage::Kill(name) => {
                if let Some(child) = &state.children[name.ordinal()] {
                    child.kill();
                }
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<RootMessage>,
        event: SupervisionEvent,
        state: &mut RootState,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(child, error) => state.failed(&child, error, &myself).await,
            SupervisionEvent::ActorTerminated(child, _, reason) => {
                let reason = reason.unwrap_or_else(|| "it stopped by itself".to_owned());
                state.failed(&child, reason.into(), &myself).await;
            }
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {}
        }
        Ok(())
    }
}

impl RootState {
    async fn start(
        &mut self,
        name: ActorName,
        myself: &ActorRef<RootMessage>,
    ) -> Result<(), ActorProcessingErr> {
        self.wiring.observer.state(name, ActorState::Starting);
        let child = tree::start(name, &self.wiring, &myself.get_cell()).await?;
        self.children[name.ordinal()] = Some(child);
        Ok(())
    }

    /// A child ended that was not told to.
    async fn failed(&mut self, child: &ActorCell, error: ActorProcessingErr, myself: &ActorRef<RootMessage>) {
        let is_it =
            |known: &Option<ActorCell>| known.as_ref().is_some_and(|one| one.get_id() == child.get_id());
        let Some(ordinal) = self.children.iter().position(is_it) else { return };
        self.children[ordinal] = None;
        if !self.is_finished() {
            self.react(ActorName::ALL[ordinal], &error, myself).await;
        }
    }

    async fn react(&mut self, name: ActorName, error: &ActorProcessingErr, myself: &ActorRef<RootMessage>) {
        tree::close(name, &self.wiring);
        if is_store_failure(error) {
            return self.finish(FinishReason::StoreFailed { error: error.to_string() }, myself).await;
        }
        if let Some(AllDevicesFailed { reason, restarts }) = error.downcast_ref() {
            let (actor, error, restarts) = (name.to_string(), reason.clone(), *restarts);
            return self.finish(FinishReason::MeltDown { actor, error, restarts }, myself).await;
        }
        if self.drained.is_some() {
            // Nothing new would be given out: what the failed actor held is asked for at the next start.
            let cause = format!("the {name} failed while work in flight was finished: {error}");
            return self.finish_in_part(cause, myself).await;
        }
        match self.restarts.failed(name, Instant::now()) {
            Reaction::Covered => {}
            Reaction::Restart { from, after } => {
                let text = error.to_string();
                self.wiring.observer.restarted(name, self.restarts.total(name), &text);
                self.stop_from(from, ActorState::Restarting).await;
                self.restart += 1;
                let restart = self.restart;
                let timer = myself.send_after(after, move || RootMessage::StartAgain { restart });
                self.timers.push(timer.abort_handle());
            }
            Reaction::MeltDown { restarts } => {
                let (actor, error) = (name.to_string(), error.to_string());
                self.finish(FinishReason::MeltDown { actor, error, restarts }, myself).await;
            }
        }
    }

    /// Starts what was stopped, in order; a child that does not come up is a failure like any other.
    async fn start_again(&mut self, myself: &ActorRef<RootMessage>) {
        let Some(from) = self.restarts.under_way() else { return };
        self.restarts.started();
        for name in ActorName::ALL.into_iter().skip(from.ordinal()) {
            if let Err(error) = self.start(name, myself).await {
                return Box::pin(self.react(name, &error, myself)).await;
            }
        }
    }

    /// Stops the children from `from` on, last first; those that do not stop in time are killed.
    async fn stop_from(&mut self, from: ActorName, state: ActorState) {
        let deadline = self.wiring.config.supervision.stop_deadline();
        for name in ActorName::ALL.into_iter().skip(from.ordinal()).rev() {
            tree::close(name, &self.wiring);
            if let Some(child) = self.children[name.ordinal()].take()
                && child.stop_and_wait(None, Some(deadline)).await.is_err()
                && child.get_status() != ActorStatus::Stopped
            {
                self.wiring.observer.warn(format!("the {name} did not stop in time and is killed"));
                child.kill();
            }
            self.wiring.observer.state(name, state);
        }
    }

    async fn drain(&mut self, myself: &ActorRef<RootMessage>) {
        if self.drained.is_some() {
            return;
        }
        self.wiring.switches.set_draining();
        self.wiring.observer.event(Event::Draining);
        if let Some(name) = self.restarts.under_way() {
            // What was in flight is lost with the failed actor already.
            let cause = format!("the {name} had failed and was being started again");
            return self.finish_in_part(cause, myself).await;
        }
        self.drained = Some(BTreeSet::new());
        self.wiring.routes.problem_supply.send(ProblemSupplyMessage::Drain);
        self.wiring.routes.trainer.send(TrainerMessage::Drain);
        let deadline = self.wiring.config.supervision.drain_deadline();
        let timer = myself.send_after(deadline, || RootMessage::DrainTimedOut);
        self.timers.push(timer.abort_handle());
    }

    /// Attempts under way are left behind, to be asked for again at the next start; training is waited for until it has
    /// saved what it has come to, which the trainer answers for: a device that hangs is given up.
    async fn drain_timed_out(&mut self, myself: &ActorRef<RootMessage>) {
        let Some(drained) = &mut self.drained else { return };
        let waited_for: Vec<_> = DRAINED.into_iter().filter(|name| !drained.contains(name)).collect();
        let named = waited_for.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" and the ");
        let cause = format!("work of the {named} did not end in time");
        let is_overseen = self.wiring.config.supervision.max_silence().is_some();
        if !is_overseen || !waited_for.contains(&ActorName::Trainer) {
            return self.finish_in_part(cause, myself).await;
        }
        if waited_for.len() > 1 {
            drained.insert(ActorName::ProblemSupply);
            let cause = format!("work of the {} did not end in time", ActorName::ProblemSupply);
            self.wiring.observer.warn(&*cause);
            self.left_behind = Some(cause);
            // what draws and judges leaves the processor to the step that is waited for
            self.stop_from(ActorName::Sampler, ActorState::Stopped).await;
        }
        self.wiring.observer.warn(
            "the drain waits for the part of a step that the trainer is at, to save what is trained; once more ends at \
             once, and training goes on from the checkpoint before",
        );
    }

    async fn finish_in_part(&mut self, cause: String, myself: &ActorRef<RootMessage>) {
        self.wiring.observer.warn(&*cause);
        self.finish(FinishReason::DrainedInPart { cause }, myself).await;
    }

    async fn finish(&mut self, reason: FinishReason, myself: &ActorRef<RootMessage>) {
        self.timers.drain(..).for_each(|timer| timer.abort());
        self.stop_from(ActorName::Publisher, ActorState::Stopped).await;
        self.wiring.routes.root.close();
        self.wiring.observer.event(Event::Finished { reason: reason.to_string() });
        self.finish.send_replace(Some(reason));
        myself.stop(None);
    }

    fn is_finished(&self) -> bool {
        self.finish.borrow().is_some()
    }
}

/// Whether going on could lose what would be acknowledged. A contradiction is none: the actor reads what
/// stands in the store and comes up with it.
fn is_store_failure(error: &ActorProcessingErr) -> bool {
    error.downcast_ref::<StoreError>().is_some_and(|error| !matches!(error, StoreError::Conflict(_)))
}

impl Drop for RootState {
    fn drop(&mut self) {
        self.timers.drain(..).for_each(|timer| timer.abort());
        self.wiring.routes.root.close();
    }
}
