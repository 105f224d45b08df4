//! Which attempt is on which device, and which waits: the sampler without its mailbox and its generators.

use std::collections::{BTreeMap, HashMap, VecDeque};

use still_domain::{AttemptId, ProblemId};

use crate::ground::protocol::Attempt;

/// What is shared out: an attempt, or in tests its name alone.
pub(crate) trait Named {
    /// Its name.
    fn id(&self) -> &AttemptId;
}

impl Named for Attempt {
    fn id(&self) -> &AttemptId {
        &self.id
    }
}

/// Attempts by device, and those that wait for one.
#[derive(Debug)]
pub(crate) struct Assignments<T> {
    devices: Vec<Device>,
    attempts: HashMap<AttemptId, Held<T>>,
    waiting: VecDeque<AttemptId>,
}

/// An attempt and its device; without one it waits.
#[derive(Debug)]
struct Held<T> {
    attempt: T,
    device: Option<usize>,
}

/// What is on one device.
#[derive(Debug, Default)]
struct Device {
    capacity: usize,
    held: usize,
    problems: BTreeMap<ProblemId, usize>,
}

impl<T: Named> Assignments<T> {
    /// So many devices, none of which is known to have room.
    pub(crate) fn new(devices: usize) -> Self {
        Self {
            devices: (0..devices).map(|_| Device::default()).collect(),
            attempts: HashMap::new(),
            waiting: VecDeque::new(),
        }
    }

    /// Takes an attempt in. One that is under way already, asked for by a supply that does not know of it, keeps
    /// running under its new credit.
    pub(crate) fn take_in(&mut self, attempt: T) {
        if let Some(known) = self.attempts.get_mut(attempt.id()) {
            known.attempt = attempt;
        } else {
            self.waiting.push_back(attempt.id().clone());
            self.attempts.insert(attempt.id().clone(), Held { attempt, device: None });
        }
    }

    /// A device can usefully hold so many.
    pub(crate) fn set_capacity(&mut self, device: usize, capacity: usize) {
        if let Some(device) = self.devices.get_mut(device) {
            device.capacity = capacity;
        }
    }

    /// Gives the next waiting attempt to a device with room: to the one that works on its problem already, else to
    /// the emptiest.
    pub(crate) fn next(&mut self) -> Option<(usize, &T)> {
        let problem = &self.waiting.front()?.problem;
        let has_room = |index: &usize| self.devices.get(*index).is_some_and(Device::has_room);
        let is_at_it =
            |index: &usize| self.devices.get(*index).is_some_and(|one| one.problems.contains_key(problem));
        let mut open = (0..self.devices.len()).filter(has_room);
        let at_it = open.clone().find(is_at_it);
        let index = at_it.or_else(|| open.by_ref().min_by_key(|index| self.held(*index)))?;
        let id = self.waiting.pop_front()?;
        let held = self.attempts.get_mut(&id)?;
        let device = self.devices.get_mut(index)?;
        held.device = Some(index);
        device.held += 1;
        *device.problems.entry(id.problem).or_default() += 1;
        Some((index, &held.attempt))
    }

    /// An attempt has come to something, or to nothing.
    pub(crate) fn remove(&mut self, id: &AttemptId) -> Option<T> {
        let Held { attempt, device } = self.attempts.remove(id)?;
        match device.and_then(|index| self.devices.get_mut(index)) {
            Some(device) => device.let_go(&id.problem),
            None => self.waiting.retain(|waiting| waiting != id),
        }
        Some(attempt)
    }

    /// A device is gone: what it held waits again, before all else. How many these were.
    pub(crate) fn give_back(&mut self, index: usize) -> usize {
        let mut returned: Vec<_> = self
            .attempts
            .iter_mut()
            .filter(|(_, held)| held.device == Some(index))
            .map(|(id, held)| {
                held.device = None;
                id.clone()
            })
            .collect();
        returned.sort_unstable();
        let count = returned.len();
        for id in returned.into_iter().rev() {
            self.waiting.push_front(id);
        }
        if let Some(device) = self.devices.get_mut(index) {
            *device = Device::default();
        }
        count
    }

    /// Attempts that a device holds.
    pub(crate) fn held(&self, device: usize) -> usize {
        self.devices.get(device).map_or(0, |device| device.held)
    }

    /// Attempts that a device can usefully hold.
    pub(crate) fn capacity(&self, device: usize) -> usize {
        self.devices.get(device).map_or(0, |device| device.capacity)
    }

    /// Attempts that any device holds.
    pub(crate) fn all_held(&self) -> usize {
        self.devices.iter().map(|device| device.held).sum()
    }

    /// Attempts that wait for a device.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

impl Device {
    const fn has_room(&self) -> bool {
        self.held < self.capacity
    }

    fn let_go(&mut self, problem: &ProblemId) {
        self.held = self.held.saturating_sub(1);
        if let Some(count) = self.problems.get_mut(problem) {
            *count -= 1;
            if *count == 0 {
                self.problems.remove(problem);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use still_domain::AttemptNumber;

    use super::*;

    impl Named for AttemptId {
        fn id(&self) -> &AttemptId {
            self
        }
    }

    fn attempt(problem: &str, number: u32) -> AttemptId {
        AttemptId { problem: ProblemId::new(problem), number: AttemptNumber(number) }
    }

    fn given(assignments: &mut Assignments<AttemptId>) -> Vec<(usize, String)> {
        let mut all = Vec::new();
        while let Some((device, id)) = assignments.next() {
            all.push((device, id.to_string()));
        }
        all
    }

    #[test]
    fn attempts_of_one_problem_share_a_device_and_others_go_where_there_is_least() {
        let mut assignments = Assignments::new(2);
        for id in [attempt("a", 0), attempt("a", 1), attempt("b", 0), attempt("b", 1), attempt("c", 0)] {
            assignments.take_in(id);
        }
        assert!(assignments.next().is_none(), "no device has reported its capacity");
        assignments.set_capacity(0, 2);
        assignments.set_capacity(1, 2);
        let handed = given(&mut assignments);
        let handed: Vec<_> = handed.iter().map(|(device, id)| (*device, id.as_str())).collect();
        assert_eq!(handed, [(0, "a#0"), (0, "a#1"), (1, "b#0"), (1, "b#1")]);
        assert_eq!((assignments.waiting(), assignments.all_held()), (1, 4));
        assignments.remove(&attempt("b", 0)).unwrap();
        assert_eq!(given(&mut assignments), [(1, "c#0".to_owned())]);
    }

    #[test]
    fn what_a_lost_device_held_goes_first_to_the_others() {
        let mut assignments = Assignments::new(2);
        assignments.set_capacity(0, 2);
        for number in 0..3 {
            assignments.take_in(attempt("a", number));
        }
        assert_eq!(given(&mut assignments).len(), 2);
        assert_eq!(assignments.give_back(0), 2);
        assert_eq!((assignments.held(0), assignments.capacity(0)), (0, 0));
        assignments.set_capacity(1, 8);
        let ids = given(&mut assignments);
        assert_eq!(ids, [(1, "a#0".to_owned()), (1, "a#1".to_owned()), (1, "a#2".to_owned())]);
    }

    #[test]
    fn an_attempt_asked_for_twice_is_one() {
        let mut assignments = Assignments::new(1);
        assignments.set_capacity(0, 8);
        assignments.take_in(attempt("a", 0));
        assignments.take_in(attempt("a", 0));
        assert_eq!(given(&mut assignments).len(), 1);
        assignments.take_in(attempt("a", 0));
        assert!(given(&mut assignments).is_empty());
        assert!(
            assignments.remove(&attempt("a", 0)).is_some() && assignments.remove(&attempt("a", 0)).is_none()
        );
    }

    proptest! {
        /// Whatever comes, goes and fails when: every attempt is in exactly one place, and no device holds more than
        /// it said it can.
        #[test]
        fn nothing_is_lost_and_nothing_is_twice(
            events in prop::collection::vec((0_u8..5, 0_u32..30, 0_usize..3), 0..200),
        ) {
            let mut assignments = Assignments::new(3);
            let mut known = std::collections::BTreeSet::new();
            for (kind, number, device) in events {
                let id = attempt(["a", "b", "c"][number as usize % 3], number);
                match kind {
                    0 | 1 => { assignments.take_in(id.clone()); known.insert(id); }
                    2 => prop_assert_eq!(assignments.remove(&id).is_some(), known.remove(&id)),
                    3 => { assignments.give_back(device); }
                    _ => assignments.set_capacity(device, 4),
                }
                while let Some((index, _)) = assignments.next() {
                    prop_assert!(assignments.held(index) <= assignments.capacity(index));
                }
                prop_assert_eq!(assignments.all_held() + assignments.waiting(), known.len());
            }
        }
    }
}
