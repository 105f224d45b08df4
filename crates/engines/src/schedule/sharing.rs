//! Who gets what: policies to servers, requests to servers with room.

use std::time::Duration;

use super::{DEADLINE_FACTOR, Lane, Order, PolicyId, Schedule, Sent, ServerId, server::Phase};

/// On top of what the server's pace explains.
const DEADLINE_SLACK: Duration = Duration::from_mins(1);

/// Thousandths of load that a prompt's prefix is worth.
const PREFIX_WORTH: u32 = 250;

/// Prefixes that are remembered.
const MAX_PREFIXES: usize = 1 << 16;

impl Schedule {
    /// Brings everything that follows from what happened up to date.
    pub(super) fn go_on(&mut self, now: Duration) {
        if std::mem::take(&mut self.is_unsettled) {
            self.aim();
            for id in 0..self.servers.len() {
                self.settle(ServerId(id), now);
            }
        }
        for lane in Lane::ALL {
            self.share_out(lane, now);
        }
    }

    pub(super) fn wants(&self, lane: Lane) -> bool {
        let queue = &self.queues[lane.index()];
        queue.policy.is_some() && (queue.jobs > 0 || queue.claim_until > Duration::ZERO)
    }

    /// Whether two lanes want different policies, so that servers are shared out among them.
    pub(super) fn is_shared(&self) -> bool {
        let [exploration, evaluation] = &self.queues;
        self.wants(Lane::Evaluation)
            && exploration.policy.is_some()
            && exploration.policy != evaluation.policy
    }

    /// Of so many servers, those for evaluation beside exploration: a single one does one after the other.
    pub(super) fn evaluation_servers(&self, count: usize) -> usize {
        if count <= 1 {
            return count;
        }
        ((count as f64 * self.evaluation_share).round() as usize).clamp(1, count - 1)
    }

    /// Decides what every server is to serve.
    pub(super) fn aim(&mut self) {
        let [exploration, evaluation] = [Lane::Exploration, Lane::Evaluation].map(|lane| {
            let policy = self.queues[lane.index()].policy;
            (policy, self.wants(lane))
        });
        let single = match (exploration, evaluation) {
            ((one, true), (other, true)) if one != other => {
                self.aim_apart(one, other);
                return;
            }
            (_, (policy, true)) | ((policy, _), _) => policy,
        };
        for server in &mut self.servers {
            server.target = single;
        }
    }

    /// Shares servers out among two policies, leaving as many as possible where they are.
    pub(super) fn aim_apart(&mut self, exploration: Option<PolicyId>, evaluation: Option<PolicyId>) {
        let mut usable: Vec<usize> =
            (0..self.servers.len()).filter(|index| self.servers[*index].is_usable()).collect();
        let wanted = self.evaluation_servers(usable.len());
        usable.sort_by_key(|index| {
            let server = &self.servers[*index];
            let serves = server.serves();
            (serves != evaluation, server.target != evaluation, server.held.len(), *index)
        });
        for (place, index) in usable.into_iter().enumerate() {
            self.servers[index].target = if place < wanted { evaluation } else { exploration };
        }
        for server in self.servers.iter_mut().filter(|server| !server.is_usable()) {
            server.target = exploration;
        }
    }

    /// Gives a server a policy if it is due, and lists it as it now is.
    pub(super) fn settle(&mut self, id: ServerId, now: Duration) {
        let limits = self.limits[id.0];
        let server = &mut self.servers[id.0];
        if server.is_leaving && server.held.is_empty() && server.phase != Phase::Gone {
            // what it is being asked is not listened to any more
            server.epoch += 1;
            server.phase = Phase::Gone;
        }
        let is_due = match server.phase {
            Phase::Unknown => true,
            Phase::Serving(policy) | Phase::Resting { policy, .. } => server.target != Some(policy),
            _ => false,
        };
        if let Some(policy) = server.target
            && is_due
            && (server.held.is_empty() || server.beside.contains(&policy))
            && !server.is_leaving
        {
            server.epoch += 1;
            server.phase = Phase::Swapping(policy);
            self.orders.push(Order::Swap { server: id, epoch: server.epoch, policy });
        }
        let server = &mut self.servers[id.0];
        let listed = match server.phase {
            Phase::Serving(policy)
                if !server.is_leaving
                    && server.target.is_none_or(|target| target == policy)
                    && server.held.len() < server.window.limit() =>
            {
                Some((policy, server.load()))
            }
            _ => None,
        };
        let wake = match server.phase {
            Phase::Out { until } => Some(until),
            Phase::Serving(_) | Phase::Resting { .. } => {
                let silence = (!server.held.is_empty()).then(|| server.last_progress + limits.max_silence);
                let poll = (!server.is_polled).then_some(server.next_poll);
                [silence, poll].into_iter().flatten().min()
            }
            _ => None,
        };
        // what is due already is not to be due for ever
        let wake = wake.map(|at| at.max(now));
        if listed != server.listed {
            if let Some((policy, load)) = std::mem::replace(&mut server.listed, listed)
                && let Some(room) = self.room.get_mut(&policy)
            {
                room.remove(&(load, id));
            }
            if let Some((policy, load)) = listed {
                self.room.entry(policy).or_default().insert((load, id));
            }
        }
        let server = &mut self.servers[id.0];
        if wake != server.wake {
            if let Some(at) = std::mem::replace(&mut server.wake, wake) {
                self.wakes.remove(&(at, id));
            }
            if let Some(at) = wake {
                self.wakes.insert((at, id));
            }
        }
    }

    /// Sends what waits to servers with room.
    pub(super) fn share_out(&mut self, lane: Lane, now: Duration) {
        let Some(policy) = self.queues[lane.index()].policy else { return };
        while let Some(id) = self.queues[lane.index()].waiting.front().copied() {
            let Some(job) = self.jobs.get(&id).filter(|job| job.sent.is_none()) else {
                // it was cancelled while it waited
                self.queues[lane.index()].waiting.pop_front();
                continue;
            };
            let (group, max_tokens) = (job.group, job.max_tokens);
            let Some(server) = self.pick(policy, group) else { return };
            self.queues[lane.index()].waiting.pop_front();
            if self.prefixes.len() >= MAX_PREFIXES {
                self.prefixes.clear();
            }
            self.prefixes.insert(group, server);
            let ticket = self.next_ticket;
            self.next_ticket += 1;
            let chosen = &mut self.servers[server.0];
            if chosen.held.is_empty() {
                chosen.last_progress = now;
            }
            chosen.held.insert(id);
            let deadline = chosen.pace.map(|pace| {
                let seconds = DEADLINE_FACTOR * f64::from(max_tokens) / pace.max(1e-3);
                now + Duration::from_secs_f64(seconds.min(1e9)) + DEADLINE_SLACK
            });
            if let Some(job) = self.jobs.get_mut(&id) {
                job.sent = Some(Sent { server, ticket, at: now, deadline });
            }
            if let Some(deadline) = deadline {
                self.deadlines.insert((deadline, id));
            }
            self.orders.push(Order::Send { server, job: id, ticket });
            self.settle(server, now);
        }
    }

    /// The server for a request: where its prefix lies, unless that one is much more loaded than the least loaded.
    pub(super) fn pick(&self, policy: PolicyId, group: u64) -> Option<ServerId> {
        let (least, first) = self.room.get(&policy)?.first().copied()?;
        let near = self.prefixes.get(&group).copied().filter(|near| {
            let listed = self.servers.get(near.0).and_then(|server| server.listed);
            listed.is_some_and(|(of, load)| of == policy && load <= least + PREFIX_WORTH)
        });
        near.or(Some(first))
    }
}
