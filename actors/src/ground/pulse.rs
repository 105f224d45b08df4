//! Whether a device at work is alive: how long it has been silent, and how long that may be.
//!
//! A device beats with every event that it tells, from whatever thread. The pace that it has shown decides what
//! silence means: a step that takes a minute by nature is no hang.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use ractor::{ActorRef, Message};

use crate::ground::status_board::update;

/// The shortest time between two looks at a pulse, and the longest.
const PULSE_INTERVALS: [Duration; 2] = [Duration::from_millis(5), Duration::from_secs(5)];
/// A silence is a hang only when it is so many times the longest one before.
const FACTOR: u32 = 10;

/// Sends an actor `message` again and again, to take the pulses of its devices: several times within the patience, and
/// never where there is none to outlast.
pub(crate) fn remind<M: Message>(
    actor: &ActorRef<M>,
    patience: Option<Duration>,
    message: impl Fn() -> M + Send + 'static,
) {
    if let Some(patience) = patience {
        let [shortest, longest] = PULSE_INTERVALS;
        actor.send_interval((patience / 4).clamp(shortest, longest), message);
    }
}

/// The pulse of one device; shared by clones.
#[derive(Debug, Clone)]
pub(crate) struct Pulse(Arc<Mutex<Beats>>);

#[derive(Debug)]
struct Beats {
    /// The newest beat, or when work began.
    newest: Instant,
    /// The longest silence at work that ended in a beat.
    slowest: Duration,
    /// Whether the device has something to do.
    is_at_work: bool,
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
        let beats = Beats { newest: Instant::now(), slowest: Duration::ZERO, is_at_work: true };
        Self(Arc::new(Mutex::new(beats)))
    }

    /// The device gets something to do after having had nothing: the silence before was no work.
    pub(crate) fn work_begins(&self) {
        update(&self.0, |beats| {
            if !beats.is_at_work {
                (beats.newest, beats.is_at_work) = (Instant::now(), true);
            }
        });
    }

    /// The device has nothing to do: its silence is no work.
    pub(crate) fn rests(&self) {
        update(&self.0, |beats| beats.is_at_work = false);
    }

    /// The device reported something.
    pub(crate) fn beat(&self) {
        update(&self.0, |beats| {
            let now = Instant::now();
            if beats.is_at_work {
                beats.slowest = beats.slowest.max(now - beats.newest);
            }
            beats.newest = now;
        });
    }

    /// How long the device has been silent.
    pub(crate) fn silent(&self) -> Duration {
        update(&self.0, |beats| beats.newest.elapsed())
    }

    /// Whether a device at work has been silent for longer than `patience` and its own pace explain.
    pub(crate) fn overdue(&self, patience: Duration) -> Option<Overdue> {
        update(&self.0, |beats| {
            let allowed = patience.max(beats.slowest.saturating_mul(FACTOR));
            let silent = beats.newest.elapsed();
            (beats.is_at_work && silent > allowed).then_some(Overdue { silent, allowed })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pulse whose newest beat lies back, after a longest silence before.
    fn pulse(silent_seconds: u64, slowest_seconds: u64) -> Pulse {
        let newest = Instant::now().checked_sub(Duration::from_secs(silent_seconds)).unwrap();
        let slowest = Duration::from_secs(slowest_seconds);
        Pulse(Arc::new(Mutex::new(Beats { newest, slowest, is_at_work: true })))
    }

    fn slowest(pulse: &Pulse) -> Duration {
        pulse.0.lock().unwrap().slowest
    }

    #[test]
    fn silence_is_a_hang_only_beyond_patience_and_the_devices_own_pace() {
        let patience = Duration::from_secs(10);
        assert_eq!(pulse(9, 0).overdue(patience), None);
        let overdue = pulse(11, 0).overdue(patience).unwrap();
        assert!(overdue.silent >= Duration::from_secs(11) && overdue.allowed == patience);
        assert_eq!(pulse(90, 10).overdue(patience), None, "its steps take ten seconds");
        assert_eq!(pulse(110, 10).overdue(patience).unwrap().allowed, Duration::from_secs(100));
    }

    #[test]
    fn a_beat_ends_the_silence_and_is_remembered_and_rest_is_no_silence() {
        let slow = pulse(30, 0);
        slow.beat();
        assert!(slow.silent() < Duration::from_secs(1));
        assert!(slowest(&slow) >= Duration::from_secs(30));
        let rested = pulse(30, 0);
        rested.rests();
        assert_eq!(rested.overdue(Duration::ZERO), None);
        rested.work_begins();
        rested.beat();
        assert!(slowest(&rested) < Duration::from_secs(1));
    }
}
