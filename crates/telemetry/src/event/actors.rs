//! What happens to actors.

use metrics::{counter, gauge};

use super::seconds;
use crate::names::{
    ACTOR_IN_FLIGHT_ITEMS, ACTOR_LAST_PROGRESS, ACTOR_QUEUE_ITEMS, ACTOR_RESTARTS, DEVICE_FAILURES,
};

/// An actor got something done.
#[derive(Debug, Clone, Copy)]
pub struct ActorProgressed {
    /// The actor's name.
    pub actor: &'static str,
    /// Work items that wait for it.
    pub queued: u64,
    /// Work items it is at.
    pub in_flight: u64,
    /// When, milliseconds since the Unix epoch.
    pub at_ms: u64,
}

impl ActorProgressed {
    /// Logs and counts it.
    pub fn emit(self) {
        let Self { actor, queued, in_flight, at_ms } = self;
        tracing::trace!(actor, queued, in_flight, "actor progressed");
        gauge!(ACTOR_QUEUE_ITEMS, "actor" => actor).set(queued as f64);
        gauge!(ACTOR_IN_FLIGHT_ITEMS, "actor" => actor).set(in_flight as f64);
        gauge!(ACTOR_LAST_PROGRESS, "actor" => actor).set(seconds(at_ms));
        // a rate of restarts needs a value before the first one
        counter!(ACTOR_RESTARTS, "actor" => actor).increment(0);
    }
}

/// An actor failed and is started again.
#[derive(Debug, Clone, Copy)]
pub struct ActorRestarted<'a> {
    /// The actor's name.
    pub actor: &'static str,
    /// How often it was restarted, this time included.
    pub restarts: u64,
    /// Why it failed.
    pub reason: &'a str,
}

impl ActorRestarted<'_> {
    /// Logs and counts it.
    pub fn emit(self) {
        let Self { actor, restarts, reason } = self;
        tracing::warn!(actor, restarts, reason, "actor failed and is started again");
        counter!(ACTOR_RESTARTS, "actor" => actor).increment(1);
    }
}

/// A device or server failed, or hung and was given up; the others go on.
#[derive(Debug, Clone, Copy)]
pub struct DeviceFailed<'a> {
    /// The device's name.
    pub device: &'a str,
    /// How often it was opened again, this time included.
    pub restarts: u64,
    /// Why it failed.
    pub reason: &'a str,
}

impl DeviceFailed<'_> {
    /// Logs and counts it.
    pub fn emit(self) {
        let Self { device, restarts, reason } = self;
        tracing::warn!(device, restarts, reason, "device failed; the others go on");
        counter!(DEVICE_FAILURES, "device" => device.to_owned()).increment(1);
    }
}
