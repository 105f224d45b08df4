//! What servers do: they are looked at, heard, left alone, left out and taken back.

use std::time::Duration;

use super::{DEADLINE_FACTOR, JobId, Order, REST, Schedule, ServerId, server::Phase};
use crate::engine::{Fault, Load};

/// Failed requests in a row after which a server counts as failed.
const MAX_STRIKES: u32 = 3;

/// The first wait before a failed server is looked at again; it doubles.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);

/// The longest such wait.
const MAX_BACKOFF: Duration = Duration::from_mins(1);

/// A pause that nobody here asked for is ended after as long.
const PAUSE_PATIENCE: Duration = Duration::from_secs(30);

impl Schedule {
    pub(super) fn hear(&mut self, id: ServerId, now: Duration, load: &Load) {
        let server = &mut self.servers[id.0];
        server.missed_polls = 0;
        server.hear(load, now);
        // a counter that fell is of another process
        if load.generated_tokens != server.generated_tokens {
            (server.generated_tokens, server.last_progress) = (load.generated_tokens, now);
        }
        server.window.hear(load, now);
        match server.phase {
            Phase::Serving(policy) | Phase::Resting { policy, is_paused: false, .. } if load.is_paused => {
                server.phase = Phase::Resting { policy, since: now, until: now, is_paused: true };
            }
            Phase::Resting { since, is_paused: true, .. } if load.is_paused => {
                // frozen requests are nobody's silence
                server.last_progress = now;
                if now.saturating_sub(since) >= PAUSE_PATIENCE {
                    let text =
                        format!("it is still paused after {} s: it is set right", PAUSE_PATIENCE.as_secs());
                    self.orders.push(Order::Warn { server: id, text });
                    // what reached it while it was paused is answered by nobody, and it is given nothing while it holds that
                    self.take_all_back(id, &Fault::Aborted("its server was left paused".to_owned()));
                    self.attach(id, now, true);
                }
            }
            Phase::Resting { policy, until, .. } if !load.is_paused && now >= until => {
                (server.phase, server.last_progress) = (Phase::Serving(policy), now);
            }
            _ => {}
        }
    }

    /// What a request that brought nothing says of its server.
    pub(super) fn blame(&mut self, id: ServerId, now: Duration, fault: &Fault) {
        let server = &mut self.servers[id.0];
        match fault {
            Fault::Busy(_) | Fault::Aborted(_) => {
                server.window.cut(now);
                if let Some(policy) = server.serves() {
                    let until = now + REST;
                    server.phase = Phase::Resting { policy, since: now, until, is_paused: false };
                }
            }
            Fault::Failed(reason) => {
                server.strikes += 1;
                if server.strikes >= MAX_STRIKES {
                    self.fail(id, now, &format!("{MAX_STRIKES} requests in a row failed: {reason}"));
                }
            }
            Fault::Broken(reason) => {
                server.strikes += 1;
                if server.strikes >= MAX_STRIKES {
                    self.fail(id, now, &format!("{MAX_STRIKES} connections in a row broke: {reason}"));
                } else if server.serves().is_some() {
                    // it may have been started anew, with other weights
                    self.attach(id, now, false);
                }
            }
            Fault::OtherWeights(reason) if server.serves().is_some() => {
                let text = format!("an answer is thrown away: {reason}");
                self.orders.push(Order::Warn { server: id, text });
                self.attach(id, now, true);
            }
            Fault::OtherWeights(_) | Fault::Refused(_) => {}
        }
    }

    /// Has a server looked at; what it holds stays there.
    pub(super) fn attach(&mut self, id: ServerId, now: Duration, is_doubted: bool) {
        let server = &mut self.servers[id.0];
        server.epoch += 1;
        server.phase = Phase::Attaching;
        server.last_progress = now;
        self.orders.push(Order::Attach { server: id, epoch: server.epoch, is_doubted });
        self.is_unsettled = true;
    }

    /// Leaves a server out for a while; what it holds goes elsewhere.
    pub(super) fn fail(&mut self, id: ServerId, now: Duration, reason: &str) {
        let server = &mut self.servers[id.0];
        server.epoch += 1;
        let doubled = FIRST_BACKOFF.saturating_mul(1_u32.checked_shl(server.failures).unwrap_or(u32::MAX));
        let after = doubled.min(MAX_BACKOFF);
        server.failures += 1;
        server.strikes = 0;
        server.phase = Phase::Out { until: now + after };
        server.window.restart();
        server.last_failure = Some(reason.to_owned());
        let text = format!("{reason}; it is left out and looked at again after {} s", after.as_secs());
        self.orders.push(Order::Warn { server: id, text });
        self.take_all_back(id, &Fault::Broken(reason.to_owned()));
        self.is_unsettled = true;
    }

    /// Takes everything that a server holds off it; it goes elsewhere.
    pub(super) fn take_all_back(&mut self, id: ServerId, fault: &Fault) {
        let held: Vec<JobId> = self.servers[id.0].held.iter().copied().collect();
        for job in held {
            self.orders.push(Order::Withdraw(job));
            self.take_back(job, matches!(fault, Fault::Broken(_)), fault);
        }
    }

    /// Does what is due for a server.
    pub(super) fn wake(&mut self, id: ServerId, now: Duration) {
        let limits = self.limits[id.0];
        let server = &mut self.servers[id.0];
        match server.phase {
            Phase::Out { until } if until <= now && !server.is_leaving => self.attach(id, now, false),
            Phase::Serving(_) | Phase::Resting { .. } => {
                let silent = now.saturating_sub(server.last_progress);
                if !server.held.is_empty() && silent >= limits.max_silence {
                    let held = server.held.len();
                    let reason = format!(
                        "it holds {held} requests and has drawn nothing for {:.0} s",
                        silent.as_secs_f64()
                    );
                    return self.fail(id, now, &reason);
                }
                if !server.is_polled && server.next_poll <= now {
                    server.is_polled = true;
                    self.orders.push(Order::Poll { server: id, epoch: server.epoch });
                }
            }
            _ => {}
        }
    }

    /// A request is not back by its deadline.
    pub(super) fn too_late(&mut self, job: JobId, now: Duration) {
        let Some(sent) = self.jobs.get(&job).and_then(|job| job.sent) else { return };
        let fault = Fault::Failed(format!(
            "no answer after {:.0} s, {DEADLINE_FACTOR} times what the server's pace explains",
            now.saturating_sub(sent.at).as_secs_f64()
        ));
        self.orders.push(Order::Withdraw(job));
        self.take_back(job, true, &fault);
        self.blame(sent.server, now, &fault);
        self.settle(sent.server, now);
    }
}
