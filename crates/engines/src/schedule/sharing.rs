//! Who gets what: policies to servers, requests to servers with room.

use std::{cmp::Reverse, time::Duration};

use super::{DEADLINE_FACTOR, Job, JobId, Lane, Order, PolicyId, Schedule, Sent, ServerId, server::Phase};

/// On top of what the server's pace explains.
const DEADLINE_SLACK: Duration = Duration::from_mins(1);

/// Thousandths of load that a prompt's prefix is worth.
const PREFIX_WORTH: u32 = 250;

/// Prefixes that are remembered.
const MAX_PREFIXES: usize = 1 << 16;

/// Lanes that want the same policy.
#[derive(Debug, Clone, Copy)]
struct Party {
    policy: PolicyId,
    /// What it takes of the servers, beside what the others take.
    share: f64,
}

/// Of so many servers, those of each party: by their shares, and one at least. Where there are fewer servers than parties the
/// first have them, and the others wait: what evaluation and scoring have to do ends.
fn quotas(parties: &[Party], count: usize) -> Vec<usize> {
    let total: f64 = parties.iter().map(|party| party.share).sum();
    let mut left = count;
    let quota = |(place, party): (usize, &Party)| {
        let after = parties.len() - place - 1;
        let wanted = match after {
            0 => left,
            _ => (count as f64 * party.share / total.max(f64::MIN_POSITIVE)).round() as usize,
        };
        let most = left.saturating_sub(after).max(left.min(1));
        let quota = wanted.clamp(most.min(1), most);
        left -= quota;
        quota
    };
    parties.iter().enumerate().map(quota).collect()
}

impl Schedule {
    /// Brings everything that follows from what happened up to date.
    pub(super) fn go_on(&mut self, now: Duration) {
        if std::mem::take(&mut self.is_unsettled) {
            self.aim();
            for id in 0..self.servers.len() {
                self.settle(ServerId(id), now);
            }
        }
        self.share_out(now);
    }

    pub(super) fn wants(&self, lane: Lane) -> bool {
        let queue = &self.queues[lane.index()];
        queue.policy.is_some() && (queue.jobs > 0 || queue.claim_until > Duration::ZERO)
    }

    /// What a lane takes of the fleet beside the others.
    fn share(&self, lane: Lane) -> f64 {
        match lane {
            Lane::Evaluation => self.shares.evaluation,
            Lane::Scoring => self.shares.scoring,
            Lane::Exploration => {
                let others = [Lane::Evaluation, Lane::Scoring].into_iter().filter(|lane| self.wants(*lane));
                1.0 - others.map(|lane| self.share(lane)).sum::<f64>()
            }
        }
    }

    /// Who wants which policy, in the order in which they are served; one lane as if it wanted its own.
    fn parties(&self, also: Option<Lane>) -> Vec<Party> {
        let mut parties: Vec<Party> = Vec::new();
        for lane in Lane::ALL.into_iter().filter(|lane| self.wants(*lane) || also == Some(*lane)) {
            let Some(policy) = self.queues[lane.index()].policy else { continue };
            let share = self.share(lane);
            match parties.iter_mut().find(|party| party.policy == policy) {
                Some(party) => party.share += share,
                None => parties.push(Party { policy, share }),
            }
        }
        parties
    }

    /// Of so many servers, those that a lane has, or would have if it wanted any.
    pub(super) fn servers_of(&self, lane: Lane, count: usize) -> usize {
        let Some(policy) = self.queues[lane.index()].policy else { return count };
        let parties = self.parties(Some(lane));
        let mut shares = parties.iter().zip(quotas(&parties, count));
        shares.find(|(party, _)| party.policy == policy).map_or(count, |(_, quota)| quota)
    }

    /// Decides what every server is to serve.
    fn aim(&mut self) {
        let parties = self.parties(None);
        let single = match parties[..] {
            [] => self.queues[Lane::Exploration.index()].policy,
            [party] => Some(party.policy),
            _ => return self.aim_apart(&parties),
        };
        for server in &mut self.servers {
            server.target = single;
        }
    }

    /// Shares servers out among policies, leaving as many as possible where they are.
    fn aim_apart(&mut self, parties: &[Party]) {
        let mut free: Vec<usize> =
            (0..self.servers.len()).filter(|index| self.servers[*index].is_usable()).collect();
        let mut missing = Vec::with_capacity(parties.len());
        for (party, quota) in parties.iter().zip(quotas(parties, free.len())) {
            let policy = Some(party.policy);
            // who has the policy keeps it before who is to be given it, the busiest first
            free.sort_by_key(|index| {
                let server = &self.servers[*index];
                (server.serves() != policy, server.target != policy, Reverse(server.held.len()), *index)
            });
            let is_its = |index: &&usize| {
                let server = &self.servers[**index];
                server.serves() == policy || server.target == policy
            };
            let kept = free.iter().take_while(is_its).count().min(quota);
            for index in free.drain(..kept) {
                self.servers[index].target = policy;
            }
            missing.push((policy, quota - kept));
        }
        // the idlest can be given another one soonest
        free.sort_by_key(|index| (self.servers[*index].held.len(), *index));
        let mut free = free.into_iter();
        for (policy, count) in missing {
            for index in free.by_ref().take(count) {
                self.servers[index].target = policy;
            }
        }
        let last = parties.last().map(|party| party.policy);
        for server in self.servers.iter_mut().filter(|server| !server.is_usable()) {
            server.target = last;
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
    fn share_out(&mut self, now: Duration) {
        while let Some((lane, id, server)) = self.next_to_send() {
            let queue = &mut self.queues[lane.index()];
            queue.waiting.pop_front();
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            queue.sent += 1;
            let (group, max_tokens) = (job.group, job.max_tokens);
            let ticket = self.next_ticket;
            self.next_ticket += 1;
            let chosen = &mut self.servers[server.0];
            if chosen.held.is_empty() {
                chosen.last_progress = now;
            }
            chosen.held.insert(id);
            let deadline = chosen.pace(lane).map(|pace| {
                let seconds = DEADLINE_FACTOR * f64::from(max_tokens) / pace.max(1e-3);
                now + Duration::from_secs_f64(seconds.min(1e9)) + DEADLINE_SLACK
            });
            job.sent = Some(Sent { server, ticket, at: now, deadline });
            if let Some(group) = group {
                if self.prefixes.len() >= MAX_PREFIXES {
                    self.prefixes.clear();
                }
                self.prefixes.insert(group, server);
            }
            if let Some(deadline) = deadline {
                self.deadlines.insert((deadline, id));
            }
            self.orders.push(Order::Send { server, job: id, ticket });
            self.settle(server, now);
        }
    }

    /// What is sent next, and where to: of the lanes with something to send and room for it, that of the lane which has the
    /// least under way for its share.
    fn next_to_send(&mut self) -> Option<(Lane, JobId, ServerId)> {
        let mut next: Option<(f64, Lane, JobId, ServerId)> = None;
        for lane in Lane::ALL {
            let Some(policy) = self.queues[lane.index()].policy else { continue };
            let Some((id, group)) = self.first_waiting(lane) else { continue };
            let Some(server) = self.pick(policy, group) else { continue };
            let has = self.queues[lane.index()].sent as f64 / self.share(lane).max(f64::MIN_POSITIVE);
            if next.is_none_or(|(least, ..)| has < least) {
                next = Some((has, lane, id, server));
            }
        }
        next.map(|(_, lane, id, server)| (lane, id, server))
    }

    /// The request of a lane that waits first, with its prefix.
    fn first_waiting(&mut self, lane: Lane) -> Option<(JobId, Option<u64>)> {
        let waiting = &mut self.queues[lane.index()].waiting;
        while let Some(id) = waiting.front() {
            match self.jobs.get(id) {
                Some(Job { sent: None, group, .. }) => return Some((*id, *group)),
                // it was cancelled while it waited
                _ => waiting.pop_front(),
            };
        }
        None
    }

    /// The server for a request: where its prefix lies, unless that one is much more loaded than the least loaded.
    fn pick(&self, policy: PolicyId, group: Option<u64>) -> Option<ServerId> {
        let (least, first) = self.room.get(&policy)?.first().copied()?;
        let lies = group.and_then(|group| self.prefixes.get(&group).copied());
        let near = lies.filter(|near| {
            let listed = self.servers.get(near.0).and_then(|server| server.listed);
            listed.is_some_and(|(of, load)| of == policy && load <= least + PREFIX_WORTH)
        });
        near.or(Some(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_is_somebodys_and_nobody_goes_without_one_while_there_are_as_many() {
        let shares = |shares: &[f64]| -> Vec<Party> {
            let party = |(id, share): (usize, &f64)| Party { policy: PolicyId(id as u64), share: *share };
            shares.iter().enumerate().map(party).collect()
        };
        for parties in [shares(&[1.0]), shares(&[0.25, 0.75]), shares(&[0.25, 0.25, 0.5]), shares(&[0.25; 2])]
        {
            for count in 0..100 {
                let quotas = quotas(&parties, count);
                assert_eq!(quotas.iter().sum::<usize>(), count);
                let served = quotas.iter().take_while(|quota| **quota > 0).count();
                assert_eq!(served, parties.len().min(count), "the first are served first: {quotas:?}");
            }
        }
        assert_eq!(quotas(&shares(&[0.25, 0.75]), 8), [2, 6]);
        assert_eq!(quotas(&shares(&[0.25, 0.25, 0.5]), 100), [25, 25, 50]);
        assert_eq!(quotas(&shares(&[0.25; 2]), 10), [5, 5], "without exploration they share alike");
    }
}
