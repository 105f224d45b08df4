//! What is known of whoever holds a lane.

use std::collections::HashMap;

use still_domain::{AttemptId, PolicyRef};
use still_roles::{EventSink, GeneratorEvent};

use crate::schedule::JobId;

/// A lane, open or not.
#[derive(Default)]
pub(super) struct LaneState {
    open: Option<(u64, EventSink<GeneratorEvent>)>,
    /// What its rollouts are to be drawn by.
    pub(super) wanted: Option<PolicyRef>,
    pub(super) jobs: HashMap<AttemptId, JobId>,
    told_capacity: usize,
}

impl LaneState {
    pub(super) fn open(&mut self, incarnation: u64, events: EventSink<GeneratorEvent>, capacity: usize) {
        events.tell(GeneratorEvent::Capacity(capacity));
        self.open = Some((incarnation, events));
        self.told_capacity = capacity;
    }

    pub(super) const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether orders of that opening are to be followed.
    pub(super) fn is(&self, incarnation: u64) -> bool {
        self.open.as_ref().is_some_and(|(open, _)| *open == incarnation)
    }

    pub(super) fn tell(&self, event: GeneratorEvent) {
        if let Some((_, events)) = &self.open {
            events.tell(event);
        }
    }

    pub(super) fn tell_capacity(&mut self, capacity: usize) {
        if capacity != self.told_capacity {
            self.told_capacity = capacity;
            self.tell(GeneratorEvent::Capacity(capacity));
        }
    }
}
