//! One task that carries out what the schedule orders: requests and looks at servers are tasks of their own, and tell it
//! what came of them.

mod lane;
mod obedience;
mod policies;
mod work;

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, mpsc::Sender},
    time::Duration,
};

use still_control::{ServerState, ServerStatus};
use still_domain::{AttemptId, PolicyRef};
use still_roles::GeneratorEvent;
use tokio::{
    sync::{
        mpsc::{self, UnboundedReceiver, UnboundedSender},
        oneshot, watch,
    },
    task::AbortHandle,
    time::{Instant, MissedTickBehavior},
};

use self::{
    lane::LaneState,
    policies::Shelf,
    work::{Answer, WorkName, cancelled},
};
pub(crate) use self::{
    lane::{Holder, ScorerEvent},
    work::Work,
};
use crate::{
    endpoint::{Endpoint, Prepared},
    engine::{Fault, Load},
    fleet::FleetSeams,
    http::Address,
    schedule::{JobId, Lane, Limits, PolicyId, Schedule, ServerId, Shares, Verdict},
    status::status_of,
};

/// Whoever holds a lane hears that it is alive as often; a server's silence is the schedule's business.
const BEAT: Duration = Duration::from_secs(1);

/// What a lane's holder orders. Orders of an earlier opening are not listened to.
pub(crate) enum Command {
    Open {
        lane: Lane,
        incarnation: u64,
        holder: Holder,
    },
    Adopt {
        lane: Lane,
        incarnation: u64,
        policy: PolicyRef,
    },
    Submit {
        lane: Lane,
        incarnation: u64,
        work: Work,
    },
    Cancel {
        lane: Lane,
        incarnation: u64,
        id: AttemptId,
    },
    Close {
        lane: Lane,
        incarnation: u64,
        done: Option<Sender<()>>,
    },
    /// Takes a server in, unless it is one already.
    Add {
        endpoint: Arc<Endpoint>,
        limits: Limits,
        answer: oneshot::Sender<Result<(), Known>>,
    },
    /// Takes a server out: it ends what it holds, or gives it back at once.
    Remove {
        address: Address,
        is_at_once: bool,
        answer: oneshot::Sender<Result<usize, NotThere>>,
    },
    /// Tells whoever has a lane something that an operator should know.
    Warn(String),
}

/// A server that was to be taken in is there.
#[derive(Debug)]
pub(crate) struct Known;

/// A server that was to be taken out is not there.
#[derive(Debug)]
pub(crate) struct NotThere;

/// What a task came to.
pub(super) enum Outcome {
    Prepared { policy: PolicyRef, result: Result<Prepared, String> },
    Attached { server: ServerId, epoch: u64, result: Result<Option<PolicyId>, String> },
    Swapped { server: ServerId, epoch: u64, result: Result<(), String> },
    Polled { server: ServerId, epoch: u64, result: Result<Load, String> },
    Ended { job: JobId, ticket: u64, result: Result<Answer, Fault> },
}

/// Work that was submitted and has not ended.
struct Held {
    lane: Lane,
    work: Arc<Work>,
    task: Option<AbortHandle>,
}

/// The task.
pub(crate) struct Dispatcher {
    seams: FleetSeams,
    servers: Vec<(Arc<Endpoint>, Limits)>,
    schedule: Schedule,
    lanes: HashMap<Lane, LaneState>,
    shelf: Shelf,
    held: HashMap<JobId, Held>,
    /// What looks at a server, or gives it weights.
    at_work: HashMap<ServerId, AbortHandle>,
    next_job: u64,
    probe: Arc<[u32]>,
    stop_ids: Arc<[u32]>,
    started: Instant,
    outcomes: UnboundedSender<Outcome>,
    told: UnboundedReceiver<Outcome>,
    shown: watch::Sender<Vec<ServerStatus>>,
}

impl Dispatcher {
    pub(crate) fn new(
        seams: FleetSeams,
        servers: Vec<(Arc<Endpoint>, Limits)>,
        shown: watch::Sender<Vec<ServerStatus>>,
    ) -> Self {
        let (outcomes, told) = mpsc::unbounded_channel();
        Self {
            probe: seams.texts.probe().into(),
            stop_ids: seams.texts.stop_ids().into(),
            schedule: Schedule::new(Shares::default()),
            lanes: Lane::ALL.into_iter().map(|lane| (lane, LaneState::default())).collect(),
            shelf: Shelf::new(seams.publications.clone()),
            held: HashMap::new(),
            at_work: HashMap::new(),
            next_job: 0,
            started: Instant::now(),
            seams,
            servers,
            outcomes,
            told,
            shown,
        }
    }

    /// Works until nobody can order anything any more.
    pub(crate) async fn run(mut self, mut orders: UnboundedReceiver<Command>) {
        self.started = Instant::now();
        for (_, limits) in &self.servers {
            self.schedule.add_server(Duration::ZERO, *limits);
        }
        self.obey();
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let wake = self.schedule.next_wake();
            let is_due = wake.is_some();
            let at = self.started + wake.unwrap_or(Duration::from_hours(1));
            let mut due = pin!(tokio::time::sleep_until(at));
            tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.take(order),
                    None => break,
                },
                Some(outcome) = self.told.recv() => self.hear(outcome),
                () = &mut due, if is_due => {
                    let now = self.now();
                    self.schedule.tick(now);
                }
                _ = beat.tick() => self.beat(),
            }
            self.obey();
        }
        let requests = self.held.into_values().filter_map(|held| held.task);
        for task in requests.chain(self.at_work.into_values()) {
            task.abort();
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn lane(&mut self, lane: Lane) -> &mut LaneState {
        self.lanes.entry(lane).or_default()
    }

    // --- orders of who holds a lane --------------------------------------------------------------------------------

    fn take(&mut self, command: Command) {
        match command {
            Command::Open { lane, incarnation, holder } => {
                self.close(lane);
                let capacity = self.schedule.capacity(lane);
                self.lane(lane).open(incarnation, holder, capacity);
            }
            Command::Adopt { lane, incarnation, policy } if self.lane(lane).is(incarnation) => {
                self.adopt(lane, policy);
            }
            Command::Submit { lane, incarnation, work } if self.lane(lane).is(incarnation) => {
                self.submit(lane, work);
            }
            Command::Cancel { lane, incarnation, id } if self.lane(lane).is(incarnation) => {
                self.cancel(lane, &id);
            }
            Command::Close { lane, incarnation, done } => {
                if self.lane(lane).is(incarnation) {
                    self.close(lane);
                }
                if let Some(done) = done {
                    // whoever asked may have stopped waiting
                    let _ = done.send(());
                }
            }
            Command::Adopt { .. } | Command::Submit { .. } | Command::Cancel { .. } => {}
            Command::Add { endpoint, limits, answer } => {
                let result = self.add(endpoint, limits);
                // who asked may have stopped waiting
                let _ = answer.send(result);
                self.show();
            }
            Command::Remove { address, is_at_once, answer } => {
                let result = self.remove(&address, is_at_once);
                let _ = answer.send(result);
                self.show();
            }
            Command::Warn(text) => self.tell_operator(text),
        }
    }

    /// The server of an address that has not been taken out.
    fn server_at(&self, address: &Address) -> Option<ServerId> {
        let is_there = |id: &ServerId| {
            let standing = self.schedule.standing(*id);
            standing.is_some_and(|one| !matches!(one.state, ServerState::Leaving | ServerState::Gone))
        };
        let addresses = self.servers.iter().map(|(endpoint, _)| endpoint.http.address());
        addresses
            .enumerate()
            .filter(|(_, one)| *one == address)
            .map(|(index, _)| ServerId(index))
            .find(is_there)
    }

    fn add(&mut self, endpoint: Arc<Endpoint>, limits: Limits) -> Result<(), Known> {
        if self.server_at(endpoint.http.address()).is_some() {
            return Err(Known);
        }
        let id = self.schedule.add_server(self.now(), limits);
        match self.servers.get_mut(id.0) {
            Some(gone) => *gone = (endpoint, limits),
            None => self.servers.push((endpoint, limits)),
        }
        Ok(())
    }

    /// How many requests the server holds still.
    fn remove(&mut self, address: &Address, is_at_once: bool) -> Result<usize, NotThere> {
        let now = self.now();
        let server = self.server_at(address).ok_or(NotThere)?;
        self.schedule.remove_server(now, server, is_at_once);
        if is_at_once && let Some(task) = self.at_work.remove(&server) {
            task.abort();
        }
        self.obey();
        Ok(self.schedule.held(server))
    }

    /// Shows how every server stands, and lets go of those that are gone.
    fn show(&self) {
        let status = |(index, (endpoint, _)): (usize, &(Arc<Endpoint>, Limits))| {
            let standing = self.schedule.standing(ServerId(index))?;
            if standing.state == ServerState::Gone {
                endpoint.let_go();
            }
            let policy = standing.serves.and_then(|policy| self.shelf.name(policy));
            Some(status_of(endpoint, standing, policy))
        };
        self.shown.send_replace(self.servers.iter().enumerate().filter_map(status).collect());
    }

    fn adopt(&mut self, lane: Lane, policy: PolicyRef) {
        let now = self.now();
        let known = self.shelf.find(&policy);
        let state = self.lane(lane);
        state.wanted = Some(policy.clone());
        if known.is_some() {
            state.tell(GeneratorEvent::Adopted(policy.name));
        }
        // nothing that is meant for a policy may be drawn by the one before while it is made ready
        self.schedule.adopt(now, lane, known);
        if known.is_none() {
            self.shelf.prepare(policy, &self.seams, &self.probe, &self.outcomes);
        }
    }

    fn submit(&mut self, lane: Lane, work: Work) {
        let (now, job) = (self.now(), JobId(self.next_job));
        self.next_job += 1;
        let (group, max_tokens) = (work.group(), work.max_tokens());
        self.lane(lane).jobs.insert(work.name(), job);
        self.held.insert(job, Held { lane, work: Arc::new(work), task: None });
        self.schedule.submit(now, lane, job, group, max_tokens);
    }

    fn cancel(&mut self, lane: Lane, id: &AttemptId) {
        let now = self.now();
        let Some(job) = self.lane(lane).jobs.remove(&WorkName::Rollout(id.clone())) else { return };
        self.schedule.cancel(now, job);
        self.obey();
        let Some(held) = self.held.remove(&job) else { return };
        if let Work::Rollout(rollout) = &*held.work {
            self.lane(lane).tell(GeneratorEvent::Finished(vec![cancelled(rollout)]));
        }
    }

    /// Forgets all that a lane holds.
    fn close(&mut self, lane: Lane) {
        let now = self.now();
        let jobs: Vec<JobId> = self.lane(lane).jobs.drain().map(|(_, job)| job).collect();
        for job in &jobs {
            self.schedule.cancel(now, *job);
        }
        self.obey();
        for job in jobs {
            self.held.remove(&job);
        }
        self.schedule.adopt(now, lane, None);
        self.lanes.insert(lane, LaneState::default());
    }

    // --- what tasks came to ----------------------------------------------------------------------------------------

    fn hear(&mut self, outcome: Outcome) {
        let now = self.now();
        match outcome {
            Outcome::Prepared { policy, result } => self.prepared(&policy, result),
            Outcome::Attached { server, epoch, result } => {
                self.tell_beside(server);
                self.schedule.attached(now, server, epoch, result);
                self.tell_capacities();
            }
            Outcome::Swapped { server, epoch, result } => {
                self.tell_beside(server);
                self.schedule.swapped(now, server, epoch, result);
                self.tell_capacities();
            }
            Outcome::Polled { server, epoch, result } => self.schedule.polled(now, server, epoch, result),
            Outcome::Ended { job, ticket, result } => self.ended(job, ticket, result),
        }
    }

    fn prepared(&mut self, policy: &PolicyRef, result: Result<Prepared, String>) {
        let now = self.now();
        let result = self.shelf.put(policy, result);
        for index in 0..self.servers.len() {
            self.tell_beside(ServerId(index));
        }
        for lane in Lane::ALL {
            let state = self.lane(lane);
            let Some(wanted) = state.wanted.clone().filter(|wanted| wanted.checkpoint == policy.checkpoint)
            else {
                continue;
            };
            match &result {
                Ok(id) => {
                    state.tell(GeneratorEvent::Adopted(wanted.name));
                    self.schedule.adopt(now, lane, Some(*id));
                }
                Err(reason) => {
                    state.wanted = None;
                    state.tell_not_adopted(wanted.name, reason);
                }
            }
        }
        let wanted = Lane::ALL.into_iter().filter_map(|lane| self.lanes.get(&lane)?.wanted.as_ref());
        self.shelf.forget_all_but_a_few(wanted);
    }

    fn ended(&mut self, job: JobId, ticket: u64, result: Result<Answer, Fault>) {
        let now = self.now();
        let Some(held) = self.held.get(&job) else { return };
        let end = result.as_ref().map(|answer| held.work.tokens_of(answer));
        if self.schedule.ended(now, job, ticket, end) != Verdict::Settled {
            return;
        }
        let Some(held) = self.held.remove(&job) else { return };
        let name = held.work.name();
        let state = self.lane(held.lane);
        state.jobs.remove(&name);
        match result {
            Ok(answer) => state.tell_done(name, answer),
            Err(Fault::Refused(reason)) => state.tell_refused(name, reason),
            Err(fault) => state.tell_lost(name, format!("{fault:?}")),
        }
    }

    /// Tells the schedule which policies a server takes while it draws with another.
    fn tell_beside(&mut self, server: ServerId) {
        let Some((endpoint, _)) = self.servers.get(server.0) else { return };
        let known = self.shelf.all();
        let beside = known.iter().filter(|policy| endpoint.takes_beside(policy)).map(|policy| policy.id);
        self.schedule.takes_beside(server, beside.collect());
    }

    fn beat(&mut self) {
        for lane in Lane::ALL {
            self.lane(lane).tell(GeneratorEvent::Drawn(0));
        }
        self.tell_capacities();
        self.show();
    }

    fn tell_capacities(&mut self) {
        for lane in Lane::ALL {
            let capacity = self.schedule.capacity(lane);
            self.lane(lane).tell_capacity(capacity);
        }
    }
}
