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
    /// The devices that lost attempts which are to be asked for again, and those that were given up meanwhile.
    lost: HashMap<AttemptId, usize>,
}

/// An attempt and its device; without one it waits.
#[derive(Debug)]
struct Held<T> {
    attempt: T,
    device: Option<usize>,
    /// The device that lost it: another one gets it, as long as there is any.
    lost_by: Option<usize>,
}

/// What is on one device.
#[derive(Debug, Default)]
struct Device {
    capacity: usize,
    /// Takes nothing more for the time being.
    is_closed: bool,
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
            lost: HashMap::new(),
        }
    }

    /// Takes an attempt in. One that is under way already, asked for by a supply that does not know of it, keeps
    /// running under its new credit.
    pub(crate) fn take_in(&mut self, attempt: T) {
        if let Some(known) = self.attempts.get_mut(attempt.id()) {
            known.attempt = attempt;
        } else {
            self.waiting.push_back(attempt.id().clone());
            let lost_by = self.lost.remove(attempt.id());
            self.attempts.insert(attempt.id().clone(), Held { attempt, device: None, lost_by });
        }
    }

    /// A device can usefully hold so many.
    pub(crate) fn set_capacity(&mut self, device: usize, capacity: usize) {
        if let Some(device) = self.devices.get_mut(device) {
            device.capacity = capacity;
        }
    }

    /// A device takes nothing more, or something again.
    pub(crate) fn set_closed(&mut self, device: usize, is_closed: bool) {
        if let Some(device) = self.devices.get_mut(device) {
            device.is_closed = is_closed;
        }
    }

    /// What a device holds, in no order.
    pub(crate) fn held_by(&self, index: usize) -> impl Iterator<Item = &AttemptId> {
        self.attempts.iter().filter(move |(_, held)| held.device == Some(index)).map(|(id, _)| id)
    }

    /// An attempt was given up on its device: it waits again, before all else.
    pub(crate) fn put_back(&mut self, id: &AttemptId) {
        let Some(held) = self.attempts.get_mut(id) else { return };
        if let Some(device) = held.device.take().and_then(|index| self.devices.get_mut(index)) {
            device.let_go(&id.problem);
            self.waiting.push_front(id.clone());
        }
    }

    /// Gives the next waiting attempt to a device with room: to the one that works on its problem already, else to
    /// the emptiest. One that was lost waits for another device than the one that lost it, if there is any other.
    pub(crate) fn next(&mut self) -> Option<(usize, &T)> {
        if !self.devices.iter().any(Device::has_room) {
            return None;
        }
        let device_of = |id| Some((self.device_for(id)?, id));
        let (place, (index, id)) =
            self.waiting.iter().enumerate().find_map(|(place, id)| Some((place, device_of(id)?)))?;
        let id = id.clone();
        self.waiting.remove(place);
        let held = self.attempts.get_mut(&id)?;
        let device = self.devices.get_mut(index)?;
        held.device = Some(index);
        device.held += 1;
        *device.problems.entry(id.problem).or_default() += 1;
        Some((index, &held.attempt))
    }

    /// The device that a waiting attempt goes to now.
    fn device_for(&self, id: &AttemptId) -> Option<usize> {
        let lost_by = self.attempts.get(id).and_then(|held| held.lost_by);
        let is_another = |(index, device): &(usize, &Device)| Some(*index) != lost_by && device.is_open();
        let has_another = self.devices.iter().enumerate().any(|one| is_another(&one));
        let open = || {
            let all = self.devices.iter().enumerate().filter(|(_, device)| device.has_room());
            all.filter(move |one| !has_another || is_another(one))
        };
        let at_it = open().find(|(_, device)| device.problems.contains_key(&id.problem));
        at_it.or_else(|| open().min_by_key(|(_, device)| device.held)).map(|(index, _)| index)
    }

    /// An attempt has come to something, or to nothing.
    pub(crate) fn remove(&mut self, id: &AttemptId) -> Option<T> {
        let Held { attempt, device, .. } = self.attempts.remove(id)?;
        match device.and_then(|index| self.devices.get_mut(index)) {
            Some(device) => device.let_go(&id.problem),
            None => self.waiting.retain(|waiting| waiting != id),
        }
        Some(attempt)
    }

    /// An attempt was lost by its device, and is asked for again by whoever decides what is attempted.
    pub(crate) fn lose(&mut self, id: &AttemptId) -> Option<T> {
        let lost_by = self.attempts.get(id).and_then(|held| held.device);
        let attempt = self.remove(id)?;
        self.lost.extend(lost_by.map(|device| (id.clone(), device)));
        Some(attempt)
    }

    /// What was lost under an earlier policy was asked for again long ago, or given up.
    pub(crate) fn forget_losses(&mut self) {
        self.lost.clear();
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
    const fn is_open(&self) -> bool {
        !self.is_closed && self.capacity > 0
    }

    const fn has_room(&self) -> bool {
        self.is_open() && self.held < self.capacity
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
    fn what_a_device_lost_goes_to_another_as_long_as_there_is_one() {
        let mut assignments = Assignments::new(2);
        assignments.set_capacity(0, 1);
        assignments.set_capacity(1, 1);
        assignments.take_in(attempt("a", 0));
        assignments.take_in(attempt("b", 0));
        assert_eq!(given(&mut assignments), [(0, "a#0".to_owned()), (1, "b#0".to_owned())]);
        assert_eq!(assignments.lose(&attempt("a", 0)), Some(attempt("a", 0)));
        assignments.take_in(attempt("a", 0));
        assert_eq!(given(&mut assignments), [], "the other has no room at the moment");
        assignments.take_in(attempt("c", 0));
        assert_eq!(given(&mut assignments), [(0, "c#0".to_owned())], "what was not lost goes past it");
        assignments.remove(&attempt("b", 0)).unwrap();
        assert_eq!(given(&mut assignments), [(1, "a#0".to_owned())]);

        assert_eq!(assignments.lose(&attempt("a", 0)), Some(attempt("a", 0)));
        assignments.give_back(0);
        assignments.remove(&attempt("c", 0)).unwrap();
        assignments.take_in(attempt("a", 0));
        assert_eq!(given(&mut assignments), [(1, "a#0".to_owned())], "nobody else is left");

        assert!(assignments.lose(&attempt("a", 0)).is_some());
        assignments.forget_losses();
        assignments.set_capacity(0, 1);
        assignments.take_in(attempt("b", 1));
        assignments.take_in(attempt("a", 0));
        assert_eq!(given(&mut assignments), [(0, "b#1".to_owned()), (1, "a#0".to_owned())]);
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

    #[test]
    fn a_closed_device_takes_nothing_and_what_it_gives_up_goes_first_to_others() {
        let mut assignments = Assignments::new(2);
        assignments.set_capacity(0, 4);
        assignments.take_in(attempt("a", 0));
        assignments.take_in(attempt("a", 1));
        assert_eq!(given(&mut assignments).len(), 2);
        assignments.set_closed(0, true);
        assignments.take_in(attempt("b", 0));
        assert!(given(&mut assignments).is_empty());
        let mut held: Vec<_> = assignments.held_by(0).map(ToString::to_string).collect();
        held.sort();
        assert_eq!(held, ["a#0", "a#1"]);
        assignments.put_back(&attempt("a", 1));
        assignments.put_back(&attempt("a", 1));
        assert_eq!((assignments.held(0), assignments.waiting()), (1, 2), "once");
        assignments.set_capacity(1, 4);
        assert_eq!(given(&mut assignments), [(1, "a#1".to_owned()), (1, "b#0".to_owned())]);
        assignments.set_closed(0, false);
        assignments.take_in(attempt("a", 2));
        assert_eq!(given(&mut assignments).len(), 1);
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
