//! One server as the schedule sees it.

use std::{collections::HashSet, time::Duration};

use still_control::ServerState;

use super::{JobId, Lane, PolicyId, window::Window};
use crate::engine::Load;

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
    /// An operator took it out, and it holds nothing any more.
    Gone,
}

/// What there is to show of a server.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// How it stands.
    pub state: ServerState,
    /// The policy that it serves for certain.
    pub serves: Option<PolicyId>,
    /// What it said of its load last.
    pub load: Load,
    /// Requests that it was given and has not answered.
    pub in_flight: usize,
    /// Requests that it may hold.
    pub window: usize,
    /// Tokens a second that it says it reads and draws.
    pub tokens_per_second: f64,
    /// Why it was left out last.
    pub last_failure: Option<String>,
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
    /// Policies that it can be given while it holds requests of others.
    pub(super) beside: HashSet<PolicyId>,
    /// Failures without anything good in between.
    pub(super) failures: u32,
    /// Requests in a row that came to nothing while the server itself seemed well.
    pub(super) strikes: u32,
    /// Tokens a second that one request is drawn with.
    drawing_pace: Option<f64>,
    /// Tokens a second that one sequence is read and scored with: hundreds of times as many.
    scoring_pace: Option<f64>,
    /// When it was last seen to draw, or given the first request.
    pub(super) last_progress: Duration,
    pub(super) generated_tokens: u64,
    /// What it said of its load last, and when.
    pub(super) told: Option<(Load, Duration)>,
    /// Tokens a second that it says it reads and draws.
    pub(super) tokens_per_second: f64,
    /// Why it was left out last.
    pub(super) last_failure: Option<String>,
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
            beside: HashSet::new(),
            failures: 0,
            strikes: 0,
            drawing_pace: None,
            scoring_pace: None,
            last_progress: Duration::ZERO,
            generated_tokens: 0,
            told: None,
            tokens_per_second: 0.0,
            last_failure: None,
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
        !self.is_leaving && !matches!(self.phase, Phase::Out { .. } | Phase::Gone)
    }

    /// Learns what it says of its load.
    pub(super) fn hear(&mut self, load: &Load, now: Duration) {
        if let Some((before, then)) = &self.told {
            let seconds = now.saturating_sub(*then).as_secs_f64();
            // a counter that fell is of another process
            let tokens = load.generated_tokens.saturating_sub(before.generated_tokens);
            if seconds > 0.0 {
                self.tokens_per_second = tokens as f64 / seconds;
            }
        }
        if let Some(told) = load.tokens_per_second {
            self.tokens_per_second = told;
        }
        self.told = Some((*load, now));
    }

    /// What there is to show of it.
    pub(super) fn standing(&self) -> Standing {
        let state = match self.phase {
            Phase::Gone => ServerState::Gone,
            _ if self.is_leaving => ServerState::Leaving,
            Phase::Out { .. } => ServerState::LeftOut,
            Phase::Attaching | Phase::Unknown => ServerState::Attaching,
            Phase::Serving(_) => ServerState::Serving,
            Phase::Resting { is_paused: true, .. } => ServerState::Paused,
            Phase::Resting { .. } => ServerState::Full,
            Phase::Swapping(_) => ServerState::Swapping,
        };
        Standing {
            state,
            serves: self.serves(),
            load: self.told.map(|(load, _)| load).unwrap_or_default(),
            in_flight: self.held.len(),
            window: self.window.limit(),
            tokens_per_second: self.tokens_per_second,
            last_failure: self.last_failure.clone(),
        }
    }

    /// How loaded it is, in thousandths of its window.
    pub(super) fn load(&self) -> u32 {
        let limit = self.window.limit().max(1);
        u32::try_from(self.held.len() * 1000 / limit).unwrap_or(u32::MAX)
    }

    /// Tokens a second that one request of a lane is answered with, where that is known.
    pub(super) const fn pace(&self, lane: Lane) -> Option<f64> {
        match lane {
            Lane::Exploration | Lane::Evaluation => self.drawing_pace,
            Lane::Scoring => self.scoring_pace,
        }
    }

    /// Learns from a request of a lane that brought so many tokens in so long.
    pub(super) fn learn_pace(&mut self, lane: Lane, tokens: u32, took: Duration) {
        let seconds = took.as_secs_f64();
        if tokens == 0 || seconds <= 0.0 {
            return;
        }
        let pace = f64::from(tokens) / seconds;
        let known = match lane {
            Lane::Exploration | Lane::Evaluation => &mut self.drawing_pace,
            Lane::Scoring => &mut self.scoring_pace,
        };
        *known = Some(known.map_or(pace, |known| known * 0.8 + pace * 0.2));
    }
}
