//! What every actor shows of itself, readable at any time without asking anyone.
//!
//! Actors and device threads write plain atomics; [`crate::System::status`] reads them. A stuck actor can
//! therefore never make the status stick.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
};

use serde::{Deserialize, Serialize};
use still_control::{ActorState, ActorStatus, DeviceStatus};
use still_domain::{LogProbabilityGap, PolicyScores, Round, RoundNumber, RoundPhase};

use crate::ground::{name::ActorName, pulse::Pulse};

/// Seconds over which token rates are averaged.
const RATE_WINDOW_MS: u64 = 10_000;

/// What one actor shows.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    state: AtomicU8,
    queued: AtomicU64,
    in_flight: AtomicU64,
    progress_ms: AtomicU64,
    restarts: AtomicU64,
}

impl Meter {
    pub(crate) fn set_state(&self, state: ActorState) {
        self.state.store(state as u8, Ordering::Relaxed);
    }

    pub(crate) fn set_load(&self, queued: usize, in_flight: usize) {
        self.queued.store(queued as u64, Ordering::Relaxed);
        self.in_flight.store(in_flight as u64, Ordering::Relaxed);
    }

    pub(crate) fn set_restarts(&self, restarts: u64) {
        self.restarts.store(restarts, Ordering::Relaxed);
    }

    pub(crate) fn progressed(&self, now_ms: u64) {
        self.progress_ms.store(now_ms, Ordering::Relaxed);
    }

    pub(crate) fn read(&self, name: ActorName, now_ms: u64) -> ActorStatus {
        let state = usize::from(self.state.load(Ordering::Relaxed));
        ActorStatus {
            name: name.to_string(),
            state: ActorState::ALL.get(state).copied().unwrap_or(ActorState::Stopped),
            queued: self.queued.load(Ordering::Relaxed),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            idle_seconds: match self.progress_ms.load(Ordering::Relaxed) {
                0 => 0.0,
                last => now_ms.saturating_sub(last) as f64 / 1000.0,
            },
            restarts: self.restarts.load(Ordering::Relaxed),
        }
    }
}

/// What is measured before a set is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measuring {
    /// How far the engines' log-probabilities are from the learner's.
    Gap,
    /// Perplexities of the pool under one policy.
    Perplexities,
}

/// How the round stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RoundProgress {
    /// The round at work; `None` before the store is read.
    pub round: Option<RoundNumber>,
    /// How far it has come.
    pub phase: Option<RoundPhase>,
    /// Judged by the round's policy.
    pub judged: u64,
    /// Of these, correct.
    pub correct: u64,
    /// Judgements that the round waits for; 0 when it has no quota.
    pub quota: u64,
    /// What is measured before the round's set is sealed, while that is at work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measuring: Option<Measuring>,
    /// Trajectories in the pool, right and wrong.
    pub pool: u64,
    /// Newly selected into the round's sealed set; 0 before it is sealed.
    pub selected: u64,
    /// Rounds that are over, imitation not counted.
    pub rounds_over: u64,
    /// The last round that ended.
    pub last_round: Option<Round>,
    /// How far the engines' log-probabilities are from the learner's, measured last; `None` before that.
    pub gap: Option<LogProbabilityGap>,
    /// The base model's scores; `None` before it is scored.
    pub base: Option<PolicyScores>,
}

/// How training stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingProgress {
    /// The round trained for.
    pub round: Option<RoundNumber>,
    /// Optimizer steps taken.
    pub step: u64,
    /// Optimizer steps of the job; 0 before it begins.
    pub total_steps: u64,
    /// The share of the step at work that is done, from 0 to 1, where it takes long enough to tell.
    #[serde(default)]
    pub step_share: Option<f64>,
    /// Loss of the last step.
    pub loss: Option<f64>,
    /// Steps left out because loss or gradient was not finite, since the start.
    pub skipped_steps: u64,
    /// Times that training went back to an earlier state because it diverged, since the start.
    pub rollbacks: u64,
    /// Times that a step's parts were halved because the device ran out of memory, since the start.
    pub memory_shortages: u64,
    /// Steps of the newest checkpoint.
    pub checkpoint_step: Option<u64>,
    /// When the newest checkpoint was committed, milliseconds since the Unix epoch.
    pub checkpoint_ms: Option<u64>,
}

/// How evaluation stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvaluationProgress {
    /// Answers judged.
    pub judged: u64,
    /// Answers to judge.
    pub total: u64,
}

/// A count that only grows, and how fast it did over the last seconds.
#[derive(Debug, Default)]
pub(crate) struct Rate(Mutex<RateState>);

#[derive(Debug, Default)]
struct RateState {
    total: u64,
    recent: VecDeque<(u64, u64)>,
}

impl Rate {
    /// Adds to the count.
    pub(crate) fn add(&self, amount: u64, now_ms: u64) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.total += amount;
        match state.recent.back_mut() {
            // Steps may come thousands a second; tenths of a second are fine enough.
            Some((then, sum)) if now_ms.saturating_sub(*then) < 100 => *sum += amount,
            _ => state.recent.push_back((now_ms, amount)),
        }
        while state.recent.front().is_some_and(|(then, _)| now_ms.saturating_sub(*then) > RATE_WINDOW_MS) {
            state.recent.pop_front();
        }
    }

    /// The whole count.
    pub(crate) fn total(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).total
    }

    /// The count at this instant.
    pub(crate) fn mark(&self, now_ms: u64) -> Mark {
        Mark { now_ms, total: self.total() }
    }

    /// Growth a second over the last seconds; zero before a tenth of a second has been seen.
    pub(crate) fn per_second(&self, now_ms: u64) -> f64 {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let in_window = |(then, _): &&(u64, u64)| now_ms.saturating_sub(*then) <= RATE_WINDOW_MS;
        let Some((first, _)) = state.recent.iter().find(in_window) else { return 0.0 };
        let seconds = now_ms.saturating_sub(*first) as f64 / 1000.0;
        let sum: u64 = state.recent.iter().filter(in_window).map(|(_, amount)| amount).sum();
        if seconds < 0.1 { 0.0 } else { sum as f64 / seconds }
    }
}

/// A count at an instant, to tell rates from.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mark {
    now_ms: u64,
    total: u64,
}

impl Mark {
    /// Growth a second from an earlier mark to this one.
    pub(crate) fn rate_since(self, earlier: Self) -> f64 {
        let seconds = self.now_ms.saturating_sub(earlier.now_ms) as f64 / 1000.0;
        if seconds > 0.0 { (self.total - earlier.total) as f64 / seconds } else { 0.0 }
    }
}

/// What a device shows, and the pulse that tells its silence at any moment.
#[derive(Debug, Clone)]
pub(crate) struct DeviceMeter {
    pub(crate) status: DeviceStatus,
    pub(crate) pulse: Pulse,
}

/// Everything that is shown.
#[derive(Debug, Default)]
pub(crate) struct StatusBoard {
    meters: [Meter; ActorName::ALL.len()],
    pub(crate) round: Mutex<RoundProgress>,
    pub(crate) training: Mutex<TrainingProgress>,
    pub(crate) evaluation: Mutex<EvaluationProgress>,
    pub(crate) devices: Mutex<BTreeMap<String, DeviceMeter>>,
    pub(crate) rollout_tokens: Rate,
    pub(crate) training_tokens: Rate,
    pub(crate) rollouts: AtomicU64,
}

impl StatusBoard {
    pub(crate) fn meter(&self, actor: ActorName) -> &Meter {
        &self.meters[actor.ordinal()]
    }

    pub(crate) fn actors(&self, now_ms: u64) -> Vec<ActorStatus> {
        ActorName::ALL.into_iter().map(|name| self.meter(name).read(name, now_ms)).collect()
    }

    /// Every device, by name.
    pub(crate) fn devices(&self) -> Vec<DeviceStatus> {
        let read = |meter: &DeviceMeter| {
            let silent_seconds = meter.pulse.silent().as_secs_f64();
            DeviceStatus { silent_seconds, ..meter.status.clone() }
        };
        update(&self.devices, |devices| devices.values().map(read).collect())
    }
}

/// Reads or changes a value under its lock.
pub(crate) fn update<T, R>(value: &Mutex<T>, look: impl FnOnce(&mut T) -> R) -> R {
    look(&mut value.lock().unwrap_or_else(PoisonError::into_inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_taken_over_the_window_and_the_total_over_all_time() {
        let rate = Rate::default();
        for second in 0..30 {
            rate.add(100, second * 1_000);
        }
        assert_eq!(rate.total(), 3_000);
        let per_second = rate.per_second(29_000);
        assert!((100.0..=115.0).contains(&per_second), "{per_second}");
        assert!(rate.per_second(60_000).abs() < f64::EPSILON, "nothing happened lately");
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "halves are exact")]
    fn a_meter_shows_what_was_last_set() {
        let meter = Meter::default();
        let fresh = meter.read(ActorName::Sampler, 5_000);
        assert_eq!((fresh.state, fresh.idle_seconds), (ActorState::Starting, 0.0));
        for state in ActorState::ALL {
            meter.set_state(state);
            assert_eq!(meter.read(ActorName::Sampler, 0).state, state);
        }
        meter.set_load(3, 2);
        meter.progressed(3_500);
        let status = meter.read(ActorName::Sampler, 5_000);
        assert_eq!((status.name.as_str(), status.queued, status.in_flight), ("sampler", 3, 2));
        assert_eq!(status.idle_seconds, 1.5);
    }
}
