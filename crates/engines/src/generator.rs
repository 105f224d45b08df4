//! The generator role of a fleet: orders go to its dispatcher, and its events come from there.

use std::{
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use still_domain::{AttemptId, PolicyRef};
use still_roles::{Generator, GeneratorFactory, Role, Rollout};
use tokio::sync::mpsc::UnboundedSender;

use crate::{
    dispatcher::{Command, Holder, Work},
    fleet::Fleet,
    schedule::Lane,
};

/// Longest wait for the dispatcher to drop a lane's connections.
pub(crate) const END: Duration = Duration::from_secs(30);

/// A lane of a fleet, held by an actor.
#[derive(Debug)]
struct FleetGenerator {
    orders: UnboundedSender<Command>,
    lane: Lane,
    incarnation: u64,
}

/// Opens generators on one lane of a fleet; the newest one has it.
pub(crate) fn factory(fleet: &Fleet, name: &str, lane: Lane) -> GeneratorFactory {
    let (fleet, openings) = (fleet.clone(), AtomicU64::new(0));
    GeneratorFactory::new(name, move |events| {
        let incarnation = openings.fetch_add(1, Ordering::Relaxed) + 1;
        let orders = fleet.orders();
        let opened = Command::Open { lane, incarnation, holder: Holder::Generator(events) };
        orders.send(opened).map_err(|_| "the fleet of servers has ended".to_owned())?;
        let generator: Box<dyn Generator> = Box::new(FleetGenerator { orders, lane, incarnation });
        Ok(generator)
    })
}

impl FleetGenerator {
    fn order(&self, order: impl FnOnce(Lane, u64) -> Command) {
        // a fleet that has ended takes no order, and its lane tells nothing any more
        let _ = self.orders.send(order(self.lane, self.incarnation));
    }
}

impl Role for FleetGenerator {
    fn end(self: Box<Self>) {
        let (done, ended) = mpsc::channel();
        self.order(|lane, incarnation| Command::Close { lane, incarnation, done: Some(done) });
        // connections that are not dropped by then are dropped with the process
        let _ = ended.recv_timeout(END);
    }

    fn abandon(self: Box<Self>) {}
}

impl Drop for FleetGenerator {
    fn drop(&mut self) {
        self.order(|lane, incarnation| Command::Close { lane, incarnation, done: None });
    }
}

impl Generator for FleetGenerator {
    fn adopt(&mut self, policy: &PolicyRef) {
        self.order(|lane, incarnation| Command::Adopt { lane, incarnation, policy: policy.clone() });
    }

    fn submit(&mut self, rollout: Rollout) {
        self.order(|lane, incarnation| Command::Submit { lane, incarnation, work: Work::Rollout(rollout) });
    }

    fn cancel(&mut self, id: &AttemptId) {
        self.order(|lane, incarnation| Command::Cancel { lane, incarnation, id: id.clone() });
    }

    fn keeps_policies_apart(&self) -> bool {
        true
    }
}
