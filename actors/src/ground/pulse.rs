//! Whether a device at work is alive: how long it has been silent, and how long that may be.
//!
//! A device beats with every event that it tells, from whatever thread. The pace that it has shown decides what
//! silence means: a step that takes a minute by nature is no hang.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// The shortest time between two looks at a pulse, and the longest.
const PULSE_INTERVALS: [Duration; 2] = [Duration::from_millis(5), Duration::from_secs(5)];
/// A silence is a hang only when it is so many times the longest one before.
const FACTOR: u64 = 10;

/// How often pulses are taken: several times within the patience.
pub(crate) fn pulse_interval(patience: Duration) -> Duration {
    let [shortest, longest] = PULSE_INTERVALS;
    (patience / 4).clamp(shortest, longest)
}

/// The pulse of one device; shared by clones.
#[derive(Debug, Clone)]
pub(crate) struct Pulse(Arc<Beats>);

#[derive(Debug)]
struct Beats {
    epoch: Instant,
    /// Milliseconds from the epoch to the newest beat.
    newest_ms: AtomicU64,
    /// The longest silence at work that ended in a beat, in milliseconds.
    slowest_ms: AtomicU64,
    /// Whether the device has something to do.
    is_at_work: AtomicBool,
}

/// A silence that no pace explains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overdue {
    pub(crate) silent: Duration,
    pub(crate) allowed: Duration,
}

impl Pulse {
    /// A device that begins to work now.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Beats {
            epoch: Instant::now(),
            newest_ms: AtomicU64::new(0),
            slowest_ms: AtomicU64::new(0),
            is_at_work: AtomicBool::new(true),
        }))
    }

    /// The device gets something to do after having had nothing: the silence before was no work.
    pub(crate) fn work_begins(&self) {
        if !self.0.is_at_work.swap(true, Ordering::Relaxed) {
            self.0.newest_ms.store(self.now_ms(), Ordering::Relaxed);
        }
    }

    /// The device has nothing to do: its silence is no work.
    pub(crate) fn rests(&self) {
        self.0.is_at_work.store(false, Ordering::Relaxed);
    }

    /// The device reported something.
    pub(crate) fn beat(&self) {
        let now_ms = self.now_ms();
        let before_ms = self.0.newest_ms.swap(now_ms, Ordering::Relaxed);
        if self.0.is_at_work.load(Ordering::Relaxed) {
            self.0.slowest_ms.fetch_max(now_ms.saturating_sub(before_ms), Ordering::Relaxed);
        }
    }

    /// How long the device has been silent.
    pub(crate) fn silent(&self) -> Duration {
        Duration::from_millis(self.now_ms().saturating_sub(self.0.newest_ms.load(Ordering::Relaxed)))
    }

    /// Whether a device at work has been silent for longer than `patience` and its own pace explain.
    pub(crate) fn overdue(&self, patience: Duration) -> Option<Overdue> {
        if !self.0.is_at_work.load(Ordering::Relaxed) {
            return None;
        }
        let slowest = Duration::from_millis(self.0.slowest_ms.load(Ordering::Relaxed).saturating_mul(FACTOR));
        let (silent, allowed) = (self.silent(), patience.max(slowest));
        (silent > allowed).then_some(Overdue { silent, allowed })
    }

    fn now_ms(&self) -> u64 {
        self.0.epoch.elapsed().as_millis() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pulse whose newest beat lies back, after a longest silence before.
    fn pulse(silent_ms: u64, slowest_ms: u64) -> Pulse {
        let epoch = Instant::now().checked_sub(Duration::from_secs(1_000)).unwrap();
        let newest_ms = AtomicU64::new(1_000_000 - silent_ms);
        let (slowest_ms, is_at_work) = (AtomicU64::new(slowest_ms), AtomicBool::new(true));
        Pulse(Arc::new(Beats { epoch, newest_ms, slowest_ms, is_at_work }))
    }

    #[test]
    fn silence_is_a_hang_only_beyond_patience_and_the_devices_own_pace() {
        let patience = Duration::from_secs(10);
        assert_eq!(pulse(9_000, 0).overdue(patience), None);
        let overdue = pulse(11_000, 500).overdue(patience).unwrap();
        assert!(overdue.silent >= Duration::from_secs(11) && overdue.allowed == patience);
        assert_eq!(pulse(90_000, 10_000).overdue(patience), None, "its steps take ten seconds");
        assert_eq!(pulse(110_000, 10_000).overdue(patience).unwrap().allowed, Duration::from_secs(100));
    }

    #[test]
    fn a_beat_ends_the_silence_and_is_remembered_and_rest_is_no_silence() {
        let slow = pulse(30_000, 0);
        slow.beat();
        assert!(slow.silent() < Duration::from_secs(1));
        assert!(slow.0.slowest_ms.load(Ordering::Relaxed) >= 30_000);
        let rested = pulse(30_000, 0);
        rested.rests();
        assert_eq!(rested.overdue(Duration::ZERO), None);
        rested.work_begins();
        rested.beat();
        assert!(rested.0.slowest_ms.load(Ordering::Relaxed) < 1_000);
    }
}
