//! One server as the schedule sees it.

use std::{collections::HashSet, time::Duration};

use super::{JobId, PolicyId, window::Window};

/// Where a server stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It failed, and is left alone until then.
    Out { until: Duration },
    /// It is being looked at: is it there, what does it serve?
    Attaching,
    /// It is there, and serves weights that nobody knows.
    Unknown,
    /// It serves a policy.
    Serving(PolicyId),
    /// It serves a policy, and takes nothing at present: paused, loading or full.
    Resting { policy: PolicyId, since: Duration, until: Duration, is_paused: bool },
    /// It is being given a policy.
    Swapping(PolicyId),
}

/// One server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) phase: Phase,
    /// Counts what makes earlier answers void: what was asked of it before is not listened to.
    pub(super) epoch: u64,
    /// What it is to serve.
    pub(super) target: Option<PolicyId>,
    pub(super) window: Window,
    pub(super) held: HashSet<JobId>,
    /// Failures without anything good in between.
    pub(super) failures: u32,
    /// Requests in a row that came to nothing while the server itself seemed well.
    pub(super) strikes: u32,
    /// Tokens a second that one request is drawn with.
    pub(super) pace: Option<f64>,
    /// When it was last seen to draw, or given the first request.
    pub(super) last_progress: Duration,
    pub(super) generated_tokens: u64,
    pub(super) next_poll: Duration,
    pub(super) is_polled: bool,
    pub(super) missed_polls: u32,
    /// How it is listed among those with room: the policy, and how loaded it is in thousandths.
    pub(super) listed: Option<(PolicyId, u32)>,
    /// When it is looked at next, as the schedule's list of wakes has it.
    pub(super) wake: Option<Duration>,
    /// An operator took it out: it ends what it holds.
    pub(super) is_leaving: bool,
}

impl Server {
    pub(super) fn new(max_in_flight: usize) -> Self {
        Self {
            phase: Phase::Attaching,
            epoch: 0,
            target: None,
            window: Window::new(max_in_flight),
            held: HashSet::new(),
            failures: 0,
            strikes: 0,
            pace: None,
            last_progress: Duration::ZERO,
            generated_tokens: 0,
            next_poll: Duration::ZERO,
            is_polled: false,
            missed_polls: 0,
            listed: None,
            wake: None,
            is_leaving: false,
        }
    }

    /// The policy that it serves for certain.
    pub(super) const fn serves(&self) -> Option<PolicyId> {
        match self.phase {
            Phase::Serving(policy) | Phase::Resting { policy, .. } => Some(policy),
            _ => None,
        }
    }

    /// Whether it can be counted on before long.
    pub(super) const fn is_usable(&self) -> bool {
        !self.is_leaving && !matches!(self.phase, Phase::Out { .. })
    }

    /// How loaded it is, in thousandths of its window.
    pub(super) fn load(&self) -> u32 {
        let limit = self.window.limit().max(1);
        u32::try_from(self.held.len() * 1000 / limit).unwrap_or(u32::MAX)
    }

    /// Learns from a request that brought so many tokens in so long.
    pub(super) fn learn_pace(&mut self, tokens: u32, took: Duration) {
        let seconds = took.as_secs_f64();
        if tokens == 0 || seconds <= 0.0 {
            return;
        }
        let pace = f64::from(tokens) / seconds;
        self.pace = Some(self.pace.map_or(pace, |known| known * 0.8 + pace * 0.2));
    }
}
