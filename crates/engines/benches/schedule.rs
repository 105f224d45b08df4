//! What a request costs the schedule: servers by tens, hundreds and thousands, with a hundred a server in flight.
//!
//! `cargo bench -p still-engines --bench schedule`
#![allow(clippy::print_stdout, missing_docs)]

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use still_engines::{
    Load,
    schedule::{JobId, Lane, Limits, Order, PolicyId, Schedule, ServerId, Shares},
};

const POLICY: PolicyId = PolicyId(0);
/// Requests in flight on a server.
const ON_A_SERVER: usize = 100;
/// Requests that are measured.
const MEASURED: u64 = 300_000;

fn main() {
    println!("servers  in flight  ns a request  least and most held by a server");
    for (servers, is_scored) in [10, 100, 1_000].into_iter().flat_map(|count| [(count, false), (count, true)])
    {
        let mut fleet = Fleet::new(servers, is_scored);
        fleet.fill();
        let began = Instant::now();
        for _ in 0..MEASURED {
            fleet.end_one();
            fleet.submit_one();
        }
        let cost = began.elapsed().as_nanos() as f64 / MEASURED as f64;
        let held: Vec<usize> = (0..servers).map(|server| fleet.schedule.held(ServerId(server))).collect();
        let (least, most) = (held.iter().min().unwrap_or(&0), held.iter().max().unwrap_or(&0));
        let beside = if is_scored { ", a quarter of the requests scored" } else { "" };
        println!("{servers:>7}  {:>9}  {cost:>12.0}  {least} and {most}{beside}", fleet.sent.len());
    }
}

/// Servers that answer everything in the order in which it was sent.
struct Fleet {
    schedule: Schedule,
    servers: usize,
    /// Whether a quarter of what is asked for is scored, under the policy that draws.
    is_scored: bool,
    sent: VecDeque<(JobId, u64)>,
    next: u64,
    now: Duration,
}

impl Fleet {
    fn new(servers: usize, is_scored: bool) -> Self {
        let limits = Limits {
            max_in_flight: ON_A_SERVER,
            poll_every: Duration::from_secs(1),
            max_silence: Duration::from_mins(10),
        };
        let mut schedule = Schedule::new(Shares::default());
        for _ in 0..servers {
            schedule.add_server(Duration::ZERO, limits);
        }
        let (sent, now) = (VecDeque::new(), Duration::ZERO);
        let mut fleet = Self { schedule, servers, is_scored, sent, next: 0, now };
        fleet.obey();
        for lane in [Lane::Exploration, Lane::Scoring] {
            fleet.schedule.adopt(fleet.now, lane, Some(POLICY));
        }
        fleet.obey();
        fleet
    }

    /// Until every window has grown to its most.
    fn fill(&mut self) {
        let wanted = self.servers * ON_A_SERVER;
        while self.sent.len() < wanted {
            for _ in 0..wanted {
                self.submit_one();
            }
            for _ in 0..self.sent.len() / 2 {
                self.end_one();
            }
        }
    }

    fn submit_one(&mut self) {
        let job = JobId(self.next);
        self.next += 1;
        if self.is_scored && job.0.is_multiple_of(4) {
            self.schedule.submit(self.now, Lane::Scoring, job, None, 1_000);
        } else {
            self.schedule.submit(self.now, Lane::Exploration, job, Some(job.0 / 4), 1_000);
        }
        self.obey();
    }

    fn end_one(&mut self) {
        self.now += Duration::from_micros(10);
        if let Some((job, ticket)) = self.sent.pop_front() {
            let _settled = self.schedule.ended(self.now, job, ticket, Ok(1_000));
        }
        self.schedule.tick(self.now);
        self.obey();
    }

    fn obey(&mut self) {
        loop {
            let orders = self.schedule.orders();
            if orders.is_empty() {
                return;
            }
            for order in orders {
                match order {
                    Order::Attach { server, epoch, .. } => {
                        self.schedule.attached(self.now, server, epoch, Ok(Some(POLICY)));
                    }
                    Order::Swap { server, epoch, .. } => {
                        self.schedule.swapped(self.now, server, epoch, Ok(()));
                    }
                    Order::Poll { server, epoch } => {
                        let load = Load { generated_tokens: self.next, ..Load::default() };
                        self.schedule.polled(self.now, server, epoch, Ok(load));
                    }
                    Order::Send { job, ticket, .. } => self.sent.push_back((job, ticket)),
                    Order::Withdraw(_) | Order::Lose { .. } | Order::Warn { .. } => {}
                }
            }
        }
    }
}
