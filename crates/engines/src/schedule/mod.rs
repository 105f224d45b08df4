//! Which request goes to which server, and when a server is looked at, given a policy, left alone or taken back.
//!
//! A machine without input or output: it is told what happened and at what time, and says what is to be done
//! ([`Order`]). Whoever carries that out tells it what came of it. So a fleet of thousands can be tried in a test.
//!
//! Invariants:
//! - a request is at most on one server, and its answer is taken once: another answer carries another ticket;
//! - a server is sent only requests for the policy that it serves, and is given another one only when it holds none, or when
//!   it can serve that beside those before;
//! - what is a state of a server (paused, full, loading) counts against no request and nobody's health.
//!
//! A request costs a logarithm of the number of servers: those with room are kept in order of load.

mod lane;
mod requests;
mod server;
mod servers;
mod sharing;
#[cfg(test)]
mod tests;
mod window;

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    time::Duration,
};

use self::server::{Phase, Server};
pub use self::{
    lane::{Lane, Shares},
    server::Standing,
};
use crate::engine::{Fault, Load};

/// Polls in a row that may fail.
const MAX_MISSED_POLLS: u32 = 3;
/// A server that is full or loading is left alone for as long.
const REST: Duration = Duration::from_secs(1);
/// A deadline is so many times what the server's pace explains.
const DEADLINE_FACTOR: f64 = 4.0;

/// A server by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub usize);

/// A request by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

/// Weights by number: policies of the same checkpoint are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyId(pub u64);

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Look at a server: is it there, and which policy does it serve?
    Attach {
        /// The server.
        server: ServerId,
        /// To be given back with the answer.
        epoch: u64,
        /// What was known of its weights is not to be believed.
        is_doubted: bool,
    },
    /// Give a server, which holds nothing, a policy.
    Swap {
        /// The server.
        server: ServerId,
        /// To be given back with the answer.
        epoch: u64,
        /// The policy.
        policy: PolicyId,
    },
    /// Ask a server for its load.
    Poll {
        /// The server.
        server: ServerId,
        /// To be given back with the answer.
        epoch: u64,
    },
    /// Send a request.
    Send {
        /// The server.
        server: ServerId,
        /// The request.
        job: JobId,
        /// To be given back with the answer.
        ticket: u64,
    },
    /// Drop the connection of a request: its answer is not wanted.
    Withdraw(JobId),
    /// A request has come to nothing too often; it is forgotten here.
    Lose {
        /// The request.
        job: JobId,
        /// What stood in the way last.
        reason: String,
    },
    /// An operator should know.
    Warn {
        /// The server.
        server: ServerId,
        /// What happened, and what becomes of it.
        text: String,
    },
}

/// What became of a request, as far as its owner is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Its answer counts; it is forgotten here.
    Settled,
    /// It goes on, here or elsewhere, or was given up: there is nothing to tell.
    NotYet,
}

/// How a fleet is run.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests that a server holds at once, at most.
    pub max_in_flight: usize,
    /// Between two looks at a server's load.
    pub poll_every: Duration,
    /// A server that holds requests and draws nothing for longer has failed.
    pub max_silence: Duration,
}

#[derive(Debug)]
struct Job {
    lane: Lane,
    /// Requests of one group share a prefix.
    group: Option<u64>,
    /// Those that it draws at most, or has.
    max_tokens: u32,
    tries: u32,
    sent: Option<Sent>,
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    server: ServerId,
    ticket: u64,
    at: Duration,
    deadline: Option<Duration>,
}

#[derive(Debug, Default)]
struct Queue {
    policy: Option<PolicyId>,
    waiting: VecDeque<JobId>,
    /// Requests that are waiting or sent.
    jobs: usize,
    /// Requests that are sent.
    sent: usize,
    /// It had work not long ago.
    claim_until: Duration,
}

/// The machine.
#[derive(Debug)]
pub struct Schedule {
    limits: Vec<Limits>,
    servers: Vec<Server>,
    queues: [Queue; 3],
    jobs: HashMap<JobId, Job>,
    /// Servers with room, by policy, the least loaded first.
    room: HashMap<PolicyId, BTreeSet<(u32, ServerId)>>,
    /// Where a prefix was sent last.
    prefixes: HashMap<u64, ServerId>,
    deadlines: BTreeSet<(Duration, JobId)>,
    wakes: BTreeSet<(Duration, ServerId)>,
    next_ticket: u64,
    orders: Vec<Order>,
    /// What the targets were made of has changed.
    is_unsettled: bool,
    shares: Shares,
}

impl Schedule {
    /// A fleet of no server. Lanes that want policies of their own take their shares in servers, those that want the same one
    /// in requests.
    pub fn new(shares: Shares) -> Self {
        Self {
            limits: Vec::new(),
            servers: Vec::new(),
            queues: [Queue::default(), Queue::default(), Queue::default()],
            jobs: HashMap::new(),
            room: HashMap::new(),
            prefixes: HashMap::new(),
            deadlines: BTreeSet::new(),
            wakes: BTreeSet::new(),
            next_ticket: 0,
            orders: Vec::new(),
            is_unsettled: false,
            shares,
        }
    }

    /// Takes a server in, and has it looked at: under the number of one that is gone, if there is any, so that a fleet whose
    /// servers come and go does not grow.
    pub fn add_server(&mut self, now: Duration, limits: Limits) -> ServerId {
        let mut fresh = Server::new(limits.max_in_flight);
        let gone = self.servers.iter().position(|server| server.phase == Phase::Gone);
        let id = ServerId(gone.unwrap_or(self.servers.len()));
        if let (Some(server), Some(known)) = (self.servers.get_mut(id.0), self.limits.get_mut(id.0)) {
            // what was asked of the one that is gone is not listened to
            fresh.epoch = server.epoch;
            (*server, *known) = (fresh, limits);
        } else {
            self.servers.push(fresh);
            self.limits.push(limits);
        }
        self.attach(id, now, false);
        id
    }

    /// Takes a server out: it is sent nothing more, and ends what it holds, or gives it back at once.
    pub fn remove_server(&mut self, now: Duration, id: ServerId, is_at_once: bool) {
        let Some(server) = self.servers.get_mut(id.0) else { return };
        server.is_leaving = true;
        if is_at_once {
            self.take_all_back(id, &Fault::Aborted("its server was taken out".to_owned()));
        }
        self.is_unsettled = true;
        self.settle(id, now);
        self.go_on(now);
    }

    /// Names the policies that a server can be given while it draws with others.
    pub fn takes_beside(&mut self, id: ServerId, policies: HashSet<PolicyId>) {
        if let Some(server) = self.servers.get_mut(id.0) {
            server.beside = policies;
        }
    }

    /// How a server stands.
    pub fn standing(&self, id: ServerId) -> Option<Standing> {
        self.servers.get(id.0).map(Server::standing)
    }

    /// What is to be done, in order.
    pub fn orders(&mut self) -> Vec<Order> {
        std::mem::take(&mut self.orders)
    }

    /// When [`Schedule::tick`] is due.
    pub fn next_wake(&self) -> Option<Duration> {
        let server = self.wakes.first().map(|(at, _)| *at);
        let deadline = self.deadlines.first().map(|(at, _)| *at);
        let jobs = |queue: &Queue| queue.jobs == 0 && queue.claim_until > Duration::ZERO;
        let claim = self.queues.iter().filter(|queue| jobs(queue)).map(|queue| queue.claim_until).min();
        [server, deadline, claim].into_iter().flatten().min()
    }

    /// Has a lane's requests answered by a policy from now on; `None` keeps what is not yet sent waiting.
    pub fn adopt(&mut self, now: Duration, lane: Lane, policy: Option<PolicyId>) {
        self.queues[lane.index()].policy = policy;
        self.is_unsettled = true;
        self.go_on(now);
    }

    /// Takes a request in, of so many tokens at most. Those of one group share a prefix, and go where that lies.
    pub fn submit(&mut self, now: Duration, lane: Lane, job: JobId, group: Option<u64>, max_tokens: u32) {
        self.is_unsettled |= !self.wants(lane);
        self.jobs.insert(job, Job { lane, group, max_tokens, tries: 0, sent: None });
        let queue = &mut self.queues[lane.index()];
        queue.waiting.push_back(job);
        queue.jobs += 1;
        self.go_on(now);
    }

    /// Forgets a request. Whether it was there.
    pub fn cancel(&mut self, now: Duration, job: JobId) -> bool {
        let was_there = self.forget(now, job).is_some();
        self.go_on(now);
        was_there
    }

    /// Takes in what became of a request.
    pub fn ended(&mut self, now: Duration, job: JobId, ticket: u64, end: Result<u32, &Fault>) -> Verdict {
        let Some(sent) = self.jobs.get(&job).and_then(|job| job.sent).filter(|sent| sent.ticket == ticket)
        else {
            return Verdict::NotYet;
        };
        let id = sent.server;
        let held = self.servers[id.0].held.len();
        let verdict = match end {
            Ok(tokens) => {
                let lane = self.forget_quietly(now, job).map(|job| job.lane);
                let server = &mut self.servers[id.0];
                if let Some(lane) = lane {
                    server.learn_pace(lane, tokens, now.saturating_sub(sent.at));
                }
                (server.failures, server.strikes, server.last_progress) = (0, 0, now);
                server.window.grow(held);
                Verdict::Settled
            }
            Err(Fault::Refused(_)) => {
                self.forget_quietly(now, job);
                Verdict::Settled
            }
            Err(fault) => {
                self.take_back(job, matches!(fault, Fault::Failed(_) | Fault::Broken(_)), fault);
                self.blame(id, now, fault);
                Verdict::NotYet
            }
        };
        self.settle(id, now);
        self.go_on(now);
        verdict
    }

    /// Takes in what a look at a server came to: the policy that it serves, if that is a known one.
    pub fn attached(
        &mut self,
        now: Duration,
        id: ServerId,
        epoch: u64,
        found: Result<Option<PolicyId>, String>,
    ) {
        let Some(server) = self.servers.get_mut(id.0).filter(|server| server.epoch == epoch) else { return };
        match found {
            Ok(serves) => {
                server.phase = serves.map_or(Phase::Unknown, Phase::Serving);
                (server.missed_polls, server.is_polled, server.last_progress) = (0, false, now);
                server.next_poll = now;
                self.is_unsettled = true;
            }
            Err(reason) => self.fail(id, now, &reason),
        }
        self.settle(id, now);
        self.go_on(now);
    }

    /// Takes in what giving a server a policy came to.
    pub fn swapped(&mut self, now: Duration, id: ServerId, epoch: u64, result: Result<(), String>) {
        let Some(server) = self.servers.get_mut(id.0).filter(|server| server.epoch == epoch) else { return };
        let Phase::Swapping(policy) = server.phase else { return };
        match result {
            Ok(()) => {
                server.phase = Phase::Serving(policy);
                (server.missed_polls, server.is_polled, server.last_progress) = (0, false, now);
                server.next_poll = now;
            }
            Err(reason) => self.fail(id, now, &reason),
        }
        self.settle(id, now);
        self.go_on(now);
    }

    /// Takes in what a server says of its load.
    pub fn polled(&mut self, now: Duration, id: ServerId, epoch: u64, load: Result<Load, String>) {
        let every = self.limits.get(id.0).map_or(REST, |limits| limits.poll_every);
        let Some(server) = self.servers.get_mut(id.0).filter(|server| server.epoch == epoch) else { return };
        server.is_polled = false;
        server.next_poll = now + every;
        match load {
            Ok(load) => self.hear(id, now, &load),
            Err(reason) => {
                server.missed_polls += 1;
                if server.missed_polls >= MAX_MISSED_POLLS {
                    self.fail(id, now, &format!("it does not tell its load: {reason}"));
                }
            }
        }
        self.settle(id, now);
        self.go_on(now);
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Duration) {
        while let Some((_, id)) = self.wakes.first().copied().filter(|(at, _)| *at <= now) {
            self.wakes.pop_first();
            self.servers[id.0].wake = None;
            self.wake(id, now);
            self.settle(id, now);
        }
        while let Some((at, job)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            self.deadlines.remove(&(at, job));
            self.too_late(job, now);
        }
        for queue in &mut self.queues {
            if queue.jobs == 0 && queue.claim_until > Duration::ZERO && queue.claim_until <= now {
                queue.claim_until = Duration::ZERO;
                self.is_unsettled = true;
            }
        }
        self.go_on(now);
    }

    /// Requests that a lane may usefully have here at once, waiting ones included. 0 is a state.
    pub fn capacity(&self, lane: Lane) -> usize {
        let usable = self.servers.iter().filter(|server| server.is_usable());
        let (mut windows, mut count) = (0, 0);
        for server in usable.filter(|server| !matches!(server.phase, Phase::Resting { is_paused: true, .. }))
        {
            windows += server.window.limit();
            count += 1;
        }
        if count == 0 {
            return 0;
        }
        let left = self.servers_of(lane, count);
        if left == 0 {
            return 0;
        }
        let here = (windows * left).div_ceil(count);
        // some that wait keep every server busy, and show whether a window can grow
        here + here / 4 + count
    }

    /// How many servers serve a policy and take requests.
    pub fn serving(&self, policy: PolicyId) -> usize {
        self.servers.iter().filter(|server| server.phase == Phase::Serving(policy)).count()
    }

    /// Requests on a server.
    pub fn held(&self, id: ServerId) -> usize {
        self.servers.get(id.0).map_or(0, |server| server.held.len())
    }
}
