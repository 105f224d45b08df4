//! What requests do: they come back, go elsewhere, are given up.

use std::time::Duration;

use super::{Job, JobId, Order, Schedule};
use crate::engine::Fault;

/// Tries of a request after which it is given back as lost.
const MAX_TRIES: u32 = 8;

/// Who had work keeps its servers for as long: between two answers there may be a moment without a question.
const CLAIM: Duration = Duration::from_secs(2);

impl Schedule {
    /// Takes a request off its server and puts it at the head of its queue.
    pub(super) fn take_back(&mut self, id: JobId, counts: bool, fault: &Fault) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Some(sent) = job.sent.take() else { return };
        job.tries += u32::from(counts);
        let (lane, is_lost) = (job.lane, job.tries >= MAX_TRIES);
        if let Some(deadline) = sent.deadline {
            self.deadlines.remove(&(deadline, id));
        }
        self.servers[sent.server.0].held.remove(&id);
        self.queues[lane.index()].sent -= 1;
        if is_lost {
            self.jobs.remove(&id);
            self.queues[lane.index()].jobs -= 1;
            let reason = fault.reason();
            let reason = format!("it came to nothing {MAX_TRIES} times, the last time because: {reason}");
            self.orders.push(Order::Lose { job: id, reason });
        } else {
            self.queues[lane.index()].waiting.push_front(id);
        }
    }

    /// Forgets a request, and its connection.
    pub(super) fn forget(&mut self, now: Duration, id: JobId) -> Option<Job> {
        let job = self.forget_quietly(now, id)?;
        if let Some(sent) = job.sent {
            self.orders.push(Order::Withdraw(id));
            self.settle(sent.server, now);
        }
        Some(job)
    }

    pub(super) fn forget_quietly(&mut self, now: Duration, id: JobId) -> Option<Job> {
        let job = self.jobs.remove(&id)?;
        let queue = &mut self.queues[job.lane.index()];
        queue.jobs -= 1;
        if queue.jobs == 0 {
            queue.claim_until = now + CLAIM;
        }
        if let Some(sent) = job.sent {
            queue.sent -= 1;
            if let Some(deadline) = sent.deadline {
                self.deadlines.remove(&(deadline, id));
            }
            self.servers[sent.server.0].held.remove(&id);
        }
        Some(job)
    }
}
