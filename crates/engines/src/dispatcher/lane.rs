//! What is known of whoever holds a lane.

use std::collections::HashMap;

use still_domain::{AttemptId, PolicyName, PolicyRef};
use still_roles::{EventSink, GeneratorEvent, Unscored};

use super::work::{Answer, WorkName};
use crate::schedule::JobId;

/// What a scorer is told of its pass. Every sequence that is submitted comes to exactly one `Scored`, unless the lane is
/// closed before.
#[derive(Debug)]
pub(crate) enum ScorerEvent {
    /// So many sequences can usefully be held at once: the first word, told again when it changes. 0 is a state.
    Capacity(usize),
    /// The policy's weights cannot be had.
    NotAdopted(String),
    /// What became of a sequence.
    Scored { number: u64, found: Result<Vec<f32>, Unscored> },
    /// The lane is another's, or the fleet has ended: the last word.
    Closed,
}

/// Who holds a lane.
pub(crate) enum Holder {
    Generator(EventSink<GeneratorEvent>),
    Scorer(EventSink<ScorerEvent>),
}

impl Drop for Holder {
    fn drop(&mut self) {
        if let Self::Scorer(events) = self {
            events.tell(ScorerEvent::Closed);
        }
    }
}

/// A lane, open or not.
#[derive(Default)]
pub(super) struct LaneState {
    open: Option<(u64, Holder)>,
    /// What its work is to be done by.
    pub(super) wanted: Option<PolicyRef>,
    pub(super) jobs: HashMap<WorkName, JobId>,
    told_capacity: usize,
}

impl LaneState {
    pub(super) fn open(&mut self, incarnation: u64, holder: Holder, capacity: usize) {
        self.open = Some((incarnation, holder));
        self.tell_all(GeneratorEvent::Capacity(capacity), ScorerEvent::Capacity(capacity));
        self.told_capacity = capacity;
    }

    /// Whether orders of that opening are to be followed.
    pub(super) fn is(&self, incarnation: u64) -> bool {
        self.open.as_ref().is_some_and(|(open, _)| *open == incarnation)
    }

    /// Whether a generator holds it, which passes on what operators should know.
    pub(super) const fn is_heard_by_operators(&self) -> bool {
        matches!(self.open, Some((_, Holder::Generator(_))))
    }

    /// Tells a generator; a scorer hears nothing of it.
    pub(super) fn tell(&self, event: GeneratorEvent) {
        if let Some((_, Holder::Generator(events))) = &self.open {
            events.tell(event);
        }
    }

    /// Tells whoever holds it, in its own words.
    fn tell_all(&self, generator: GeneratorEvent, scorer: ScorerEvent) {
        match &self.open {
            Some((_, Holder::Generator(events))) => events.tell(generator),
            Some((_, Holder::Scorer(events))) => events.tell(scorer),
            None => {}
        }
    }

    pub(super) fn tell_not_adopted(&self, policy: PolicyName, reason: &str) {
        let of_generator = GeneratorEvent::NotAdopted { policy, reason: reason.to_owned() };
        self.tell_all(of_generator, ScorerEvent::NotAdopted(reason.to_owned()));
    }

    pub(super) fn tell_capacity(&mut self, capacity: usize) {
        if capacity != self.told_capacity {
            self.told_capacity = capacity;
            self.tell_all(GeneratorEvent::Capacity(capacity), ScorerEvent::Capacity(capacity));
        }
    }

    /// Its work was done.
    pub(super) fn tell_done(&self, name: WorkName, answer: Answer) {
        match (answer, name, &self.open) {
            (Answer::Rollout(rollout), _, Some((_, Holder::Generator(events)))) => {
                events.tell(GeneratorEvent::Drawn(rollout.trajectory.tokens.len() as u64));
                events.tell(GeneratorEvent::Finished(vec![*rollout]));
            }
            (Answer::Scores(values), WorkName::Sequence(number), Some((_, Holder::Scorer(events)))) => {
                events.tell(ScorerEvent::Scored { number, found: Ok(values) });
            }
            _ => {}
        }
    }

    /// Its work can never be done.
    pub(super) fn tell_refused(&self, name: WorkName, reason: String) {
        self.tell_undone(
            name,
            reason,
            |id, reason| GeneratorEvent::Refused { id, reason },
            Unscored::Refused,
        );
    }

    /// Its work came to nothing, and may come to something when it is asked for again.
    pub(super) fn tell_lost(&self, name: WorkName, reason: String) {
        self.tell_undone(name, reason, |id, reason| GeneratorEvent::Lost { id, reason }, Unscored::Lost);
    }

    fn tell_undone(
        &self,
        name: WorkName,
        reason: String,
        of_rollout: fn(AttemptId, String) -> GeneratorEvent,
        of_sequence: fn(String) -> Unscored,
    ) {
        match (name, &self.open) {
            (WorkName::Rollout(id), Some((_, Holder::Generator(events)))) => {
                events.tell(of_rollout(id, reason));
            }
            (WorkName::Sequence(number), Some((_, Holder::Scorer(events)))) => {
                events.tell(ScorerEvent::Scored { number, found: Err(of_sequence(reason)) });
            }
            _ => {}
        }
    }
}
