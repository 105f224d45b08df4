//! A generator of this process: steps on a thread, orders in between.

use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, TryRecvError};
use still_domain::{AttemptId, PolicyRef};
use still_roles::{EventSink, FinishedRollout, Generator, GeneratorEvent, GeneratorFactory, Role, Rollout};
use thiserror::Error;

use crate::{device::DeviceLock, role_thread::RoleThread};

/// How long the device is left alone when it has no room for anything: no event tells when it has.
const STALL: Duration = Duration::from_millis(500);

/// A rollout that comes to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unserved {
    /// The rollout.
    pub id: AttemptId,
    /// Why.
    pub reason: String,
}

/// What one step brought.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GeneratorStep {
    /// Rollouts that ended in this step.
    pub finished: Vec<FinishedRollout>,
    /// Rollouts that may come to something when they are asked for again.
    pub lost: Vec<Unserved>,
    /// Rollouts that can never be served.
    pub refused: Vec<Unserved>,
    /// Tokens drawn in this step.
    pub tokens: u64,
    /// Whether the device had no room for anything: step again after a pause.
    pub is_stalled: bool,
}

/// Why a generator could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GeneratorError {
    /// This rollout can never be served; the others go on.
    #[error("rollout {id} is refused: {reason}")]
    Refused {
        /// The attempt refused.
        id: AttemptId,
        /// Why, and what to change.
        reason: String,
    },
    /// No policy is in force yet.
    #[error("no policy has been given to the generator")]
    NoPolicy,
    /// The policy's weights cannot be had.
    #[error("{0}")]
    Policy(String),
    /// The device failed; a fresh generator may do better.
    #[error("the generator's device failed: {0}")]
    Device(String),
}

/// A policy that works on many rollouts at once, token by token.
pub trait StepGenerator: Send {
    /// Puts a policy in force from the next step on; running rollouts go on under it.
    ///
    /// # Errors
    /// When its weights cannot be had, or the device fails.
    fn adopt(&mut self, policy: &PolicyRef) -> Result<(), GeneratorError>;

    /// Takes a rollout in; it may wait for a cache slot.
    ///
    /// # Errors
    /// When it can never be served, or there is no policy yet.
    fn submit(&mut self, rollout: Rollout) -> Result<(), GeneratorError>;

    /// Withdraws a rollout: the next step brings it, with the tokens drawn so far.
    fn cancel(&mut self, id: &AttemptId);

    /// Draws the next token of every active rollout.
    ///
    /// # Errors
    /// When the device fails.
    fn step(&mut self) -> Result<GeneratorStep, GeneratorError>;

    /// How many rollouts it can usefully hold at once, active and waiting.
    fn capacity(&self) -> usize;

    /// Whether a step would bring nothing.
    fn is_idle(&self) -> bool;
}

/// A [`Generator`] that steps on a thread of its own.
#[derive(Debug)]
pub struct EmbeddedGenerator {
    thread: RoleThread<Order>,
}

/// The orders of the thread.
#[derive(Debug)]
enum Order {
    Adopt(PolicyRef),
    Submit(Rollout),
    Cancel(AttemptId),
}

impl EmbeddedGenerator {
    /// Generators that are called `name` and built by `build`, one at a time, on a device of their own.
    pub fn factory(
        name: impl Into<String>,
        build: impl Fn() -> Result<Box<dyn StepGenerator>, String> + Clone + Send + Sync + 'static,
    ) -> GeneratorFactory {
        let (name, lock) = (name.into(), DeviceLock::default());
        GeneratorFactory::new(name.clone(), move |events| {
            let opened: Box<dyn Generator> = Box::new(Self::open(&name, &lock, build.clone(), &events)?);
            Ok(opened)
        })
    }

    fn open(
        name: &str,
        lock: &DeviceLock,
        build: impl Fn() -> Result<Box<dyn StepGenerator>, String> + Send + 'static,
        events: &EventSink<GeneratorEvent>,
    ) -> Result<Self, String> {
        let (reported, failed) = (events.clone(), events.clone());
        let thread = name.to_owned();
        let work = move |generator: &mut (dyn StepGenerator + 'static), orders: &Receiver<Order>| {
            work(generator, orders, &reported).map_err(|error| format!("{thread}: {error}"))
        };
        let failed = move |failure| failed.tell(GeneratorEvent::Failed(failure));
        let thread = RoleThread::spawn(name, lock, build, work, failed)
            .map_err(|error| format!("{name}: no thread can be had: {error}"))?;
        Ok(Self { thread })
    }
}

impl Role for EmbeddedGenerator {
    fn end(self: Box<Self>) {
        self.thread.end();
    }

    fn abandon(self: Box<Self>) {
        self.thread.abandon();
    }
}

impl Generator for EmbeddedGenerator {
    fn adopt(&mut self, policy: &PolicyRef) {
        self.thread.send(Order::Adopt(policy.clone()));
    }

    fn submit(&mut self, rollout: Rollout) {
        self.thread.send(Order::Submit(rollout));
    }

    fn cancel(&mut self, id: &AttemptId) {
        self.thread.send(Order::Cancel(id.clone()));
    }
}

/// Works until the channel's other end is gone. Orders are looked at between two steps; with nothing to generate the
/// thread sleeps.
fn work(
    generator: &mut dyn StepGenerator,
    orders: &Receiver<Order>,
    events: &EventSink<GeneratorEvent>,
) -> Result<(), GeneratorError> {
    events.tell(GeneratorEvent::Capacity(generator.capacity().max(1)));
    let mut work = Work { generator, events, early: Some(Vec::new()) };
    loop {
        if work.generator.is_idle() {
            match orders.recv() {
                Ok(order) => work.obey(order)?,
                Err(_) => return Ok(()),
            }
        }
        loop {
            match orders.try_recv() {
                Ok(order) => work.obey(order)?,
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Ok(()),
            }
        }
        if !work.generator.is_idle() && work.step()? {
            match orders.recv_timeout(STALL) {
                Ok(order) => work.obey(order)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }
}

/// The generator at work.
struct Work<'a> {
    generator: &'a mut dyn StepGenerator,
    events: &'a EventSink<GeneratorEvent>,
    /// What was submitted before there was a policy, or after one that could not be had; `None` while there is one.
    early: Option<Vec<Rollout>>,
}

impl Work<'_> {
    fn obey(&mut self, order: Order) -> Result<(), GeneratorError> {
        match order {
            Order::Adopt(policy) => {
                if let Err(error) = self.generator.adopt(&policy) {
                    let GeneratorError::Policy(reason) = error else { return Err(error) };
                    // nothing that is meant for this policy may be drawn by the one before
                    self.early.get_or_insert_default();
                    self.events.tell(GeneratorEvent::NotAdopted { policy: policy.name, reason });
                    return Ok(());
                }
                self.events.tell(GeneratorEvent::Adopted(policy.name));
                self.early.take().unwrap_or_default().into_iter().try_for_each(|rollout| self.submit(rollout))
            }
            Order::Submit(rollout) => match &mut self.early {
                Some(early) => {
                    early.push(rollout);
                    Ok(())
                }
                None => self.submit(rollout),
            },
            Order::Cancel(id) => {
                if let Some(early) = &mut self.early
                    && let Some(index) = early.iter().position(|rollout| rollout.id == id)
                {
                    early.remove(index);
                    let reason = "it was withdrawn before there was a policy".to_owned();
                    self.events.tell(GeneratorEvent::Lost { id, reason });
                    return Ok(());
                }
                self.generator.cancel(&id);
                Ok(())
            }
        }
    }

    fn submit(&mut self, rollout: Rollout) -> Result<(), GeneratorError> {
        match self.generator.submit(rollout) {
            Err(GeneratorError::Refused { id, reason }) => {
                self.events.tell(GeneratorEvent::Refused { id, reason });
                Ok(())
            }
            taken => taken,
        }
    }

    /// Takes a step and tells of it; whether the device is to be left alone for a while.
    fn step(&mut self) -> Result<bool, GeneratorError> {
        let GeneratorStep { finished, lost, refused, tokens, is_stalled } = self.generator.step()?;
        self.events.tell(GeneratorEvent::Drawn(tokens));
        if !finished.is_empty() {
            self.events.tell(GeneratorEvent::Finished(finished));
        }
        for Unserved { id, reason } in lost {
            self.events.tell(GeneratorEvent::Lost { id, reason });
        }
        for Unserved { id, reason } in refused {
            self.events.tell(GeneratorEvent::Refused { id, reason });
        }
        Ok(is_stalled)
    }
}

#[cfg(test)]
mod tests;
