//! What the schedule orders, carried out.

use std::sync::Arc;

use still_roles::GeneratorEvent;
use tokio::task::AbortHandle;

use super::{Dispatcher, Outcome, lane::LaneState, work::Asking};
use crate::{
    endpoint::Endpoint,
    engine::Fault,
    protocol,
    schedule::{JobId, Lane, Order, ServerId},
};

impl Dispatcher {
    pub(super) fn obey(&mut self) {
        for order in self.schedule.orders() {
            match order {
                Order::Attach { server, epoch, is_doubted } => {
                    let task = self.ask(server, move |endpoint| async move {
                        let result = protocol::attach(&endpoint, is_doubted).await;
                        Outcome::Attached { server, epoch, result }
                    });
                    self.takes_over(server, task);
                }
                Order::Swap { server, epoch, policy } => {
                    let (known, probe) = (self.shelf.all(), Arc::clone(&self.probe));
                    let wanted = known.iter().find(|one| one.id == policy).cloned();
                    let task = self.ask(server, move |endpoint| async move {
                        let result = match wanted {
                            Some(policy) => protocol::swap(&endpoint, &policy, &known, &probe).await,
                            None => Err("its policy was given up meanwhile".to_owned()),
                        };
                        Outcome::Swapped { server, epoch, result }
                    });
                    self.takes_over(server, task);
                }
                Order::Poll { server, epoch } => {
                    let _task = self.ask(server, move |endpoint| async move {
                        let result = protocol::poll(&endpoint).await;
                        Outcome::Polled { server, epoch, result }
                    });
                }
                Order::Send { server, job, ticket } => self.send(server, job, ticket),
                Order::Withdraw(job) => {
                    if let Some(task) = self.held.get_mut(&job).and_then(|held| held.task.take()) {
                        task.abort();
                    }
                }
                Order::Lose { job, reason } => {
                    let Some(held) = self.held.remove(&job) else { continue };
                    let name = held.work.name();
                    let state = self.lane(held.lane);
                    state.jobs.remove(&name);
                    state.tell_lost(name, reason);
                }
                Order::Warn { server, text } => self.warn(server, &text),
            }
        }
    }

    /// What looks at a server or gives it weights: one at a time, or an earlier one undoes what a later one has done.
    fn takes_over(&mut self, server: ServerId, task: Option<AbortHandle>) {
        if let Some(earlier) = task.and_then(|task| self.at_work.insert(server, task)) {
            earlier.abort();
        }
    }

    fn ask<F>(&self, server: ServerId, ask: impl FnOnce(Arc<Endpoint>) -> F) -> Option<AbortHandle>
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let (endpoint, _) = self.servers.get(server.0)?;
        let (outcomes, asked) = (self.outcomes.clone(), ask(Arc::clone(endpoint)));
        let task = tokio::spawn(async move {
            // a dispatcher that has ended wants no answer
            let _ = outcomes.send(asked.await);
        });
        Some(task.abort_handle())
    }

    fn send(&mut self, server: ServerId, job: JobId, ticket: u64) {
        let (outcomes, texts, stop_ids) =
            (self.outcomes.clone(), Arc::clone(&self.seams.texts), Arc::clone(&self.stop_ids));
        let Some((endpoint, _)) = self.servers.get(server.0) else { return };
        let endpoint = Arc::clone(endpoint);
        let Some(held) = self.held.get_mut(&job) else { return };
        let wanted = self.lanes.get(&held.lane).and_then(|lane| lane.wanted.clone());
        let served = wanted.as_ref().and_then(|wanted| self.shelf.find(wanted));
        let work = Arc::clone(&held.work);
        let task = tokio::spawn(async move {
            let result = match (wanted, endpoint.serves().filter(|one| Some(one.policy) == served)) {
                (Some(policy), Some(serves)) => {
                    let name = format!("still-{}-{ticket}", job.0);
                    work.ask(&endpoint, Asking { name, policy, serves, texts, stop_ids }).await
                }
                _ => Err(Fault::OtherWeights("it has been given other weights meanwhile".to_owned())),
            };
            let _ = outcomes.send(Outcome::Ended { job, ticket, result });
        });
        held.task = Some(task.abort_handle());
    }

    fn warn(&mut self, server: ServerId, text: &str) {
        let Some((endpoint, _)) = self.servers.get(server.0) else { return };
        self.tell_operator(format!("server {}: {text}", endpoint.http.address()));
    }

    pub(super) fn tell_operator(&mut self, warning: String) {
        let open = [Lane::Exploration, Lane::Evaluation]
            .into_iter()
            .find(|lane| self.lanes.get(lane).is_some_and(LaneState::is_heard_by_operators));
        if let Some(lane) = open {
            self.lane(lane).tell(GeneratorEvent::Warning(warning));
        } else {
            tracing::warn!("{warning}");
        }
    }
}
