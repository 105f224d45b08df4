//! A role with its device or server: replaced when it fails, given up when it hangs, left out when it fails again
//! and again. Nothing of that is felt by any other device.

use std::time::{Duration, Instant};

use still_control::{DeviceState, DeviceStatus};
use still_roles::{EventSink, Role, RoleFactory};

use crate::ground::{
    error::AllDevicesFailed,
    name::ActorName,
    observe::Observer,
    pulse::{Overdue, Pulse},
    restart::{Failures, RestartPolicy},
    status_board::{DeviceMeter, StatusBoard, update},
};

/// A role with its device.
pub(crate) struct Supervised<R: Role + ?Sized, E> {
    factory: RoleFactory<R, E>,
    policy: RestartPolicy,
    patience: Option<Duration>,
    role: Option<Box<R>>,
    /// Counts openings; what an earlier one still tells is not listened to.
    incarnation: u64,
    failures: Failures,
    restarts: u64,
    pulse: Pulse,
    state: DeviceState,
    last_failure: Option<String>,
}

/// A failure of a device, and what becomes of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DeviceFailure {
    pub(crate) reason: String,
    pub(crate) prospect: Prospect,
}

/// What becomes of a device that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prospect {
    /// It is opened again after a while.
    Again {
        /// How long to wait.
        after: Duration,
    },
    /// It has failed too often and is left out; much later it is tried once more.
    LeftOut {
        /// How long to wait.
        after: Duration,
        /// Restarts within the window.
        restarts: u32,
    },
}

impl Prospect {
    /// How long to wait before the device is opened again.
    pub(crate) const fn after(self) -> Duration {
        match self {
            Self::Again { after } | Self::LeftOut { after, .. } => after,
        }
    }
}

impl<R: Role + ?Sized, E> Supervised<R, E> {
    /// A device that is not opened yet. Silence is a hang only where there is a `patience` to outlast.
    pub(crate) fn new(factory: RoleFactory<R, E>, policy: RestartPolicy, patience: Option<Duration>) -> Self {
        Self {
            factory,
            policy,
            patience,
            role: None,
            incarnation: 0,
            failures: Failures::default(),
            restarts: 0,
            pulse: Pulse::new(),
            state: DeviceState::Starting,
            last_failure: None,
        }
    }

    /// The device, as operators know it.
    pub(crate) fn name(&self) -> &str {
        self.factory.name()
    }

    /// Opens a fresh role; `tell` is given its events with the number of the opening.
    ///
    /// # Errors
    /// When not even its thread or connection can be had.
    pub(crate) fn open(&mut self, tell: impl Fn(u64, E) + Send + Sync + 'static) -> Result<&mut R, String> {
        self.incarnation += 1;
        let (incarnation, pulse) = (self.incarnation, Pulse::new());
        self.pulse = pulse.clone();
        let events = EventSink::new(move |event| {
            pulse.beat();
            tell(incarnation, event);
        });
        let role = self.factory.open(events)?;
        self.state = DeviceState::Starting;
        Ok(self.role.insert(role))
    }

    /// The role, while it is open.
    pub(crate) fn role(&mut self) -> Option<&mut R> {
        self.role.as_deref_mut()
    }

    /// Whether an event is of the role that is open now.
    pub(crate) const fn is_present(&self, incarnation: u64) -> bool {
        self.incarnation == incarnation && self.role.is_some()
    }

    /// The role reported that it is up.
    pub(crate) const fn is_up(&mut self) {
        self.state = DeviceState::Up;
    }

    /// Whether the device has something to do. One that is being opened has.
    pub(crate) fn works(&self, is_at_work: bool) {
        if is_at_work || self.state == DeviceState::Starting {
            self.pulse.work_begins();
        } else {
            self.pulse.rests();
        }
    }

    /// Brings what the board shows of the device up to date.
    pub(crate) fn show(&self, board: &StatusBoard, actor: ActorName, in_flight: usize, capacity: usize) {
        let (in_flight, capacity, pulse) = (in_flight as u64, capacity as u64, self.pulse.clone());
        update(&board.devices, |devices| match devices.get_mut(self.name()) {
            // what is made of text changes with a failure alone
            Some(DeviceMeter { status, pulse: shown }) if status.restarts == self.restarts => {
                (status.state, status.in_flight, status.capacity) = (self.state, in_flight, capacity);
                *shown = pulse;
            }
            _ => {
                let status = DeviceStatus {
                    name: self.name().to_owned(),
                    actor: actor.to_string(),
                    state: self.state,
                    in_flight,
                    capacity,
                    silent_seconds: 0.0,
                    restarts: self.restarts,
                    last_failure: self.last_failure.clone(),
                };
                devices.insert(status.name.clone(), DeviceMeter { status, pulse });
            }
        });
    }

    /// Whether it has failed too often.
    pub(crate) fn is_left_out(&self) -> bool {
        self.state == DeviceState::LeftOut
    }

    /// The role failed, or could not be opened.
    pub(crate) fn failed(&mut self, reason: String) -> DeviceFailure {
        // it has ended by itself, was never there, or is of no use: whoever is opened next waits for it to end
        self.role = None;
        self.last_failure = Some(reason.clone());
        self.restarts += 1;
        let prospect = match self.failures.add(&self.policy, Instant::now()) {
            Ok(after) => {
                self.state = DeviceState::BackingOff;
                Prospect::Again { after }
            }
            Err(restarts) => {
                self.state = DeviceState::LeftOut;
                Prospect::LeftOut { after: self.policy.window, restarts }
            }
        };
        DeviceFailure { reason, prospect }
    }

    /// Reports a failure; gives how long to wait before the device is opened again.
    ///
    /// # Errors
    /// When it has failed too often. An actor with no other device has failed with it.
    pub(crate) fn report(
        &self,
        failure: DeviceFailure,
        observer: &Observer,
    ) -> Result<Duration, AllDevicesFailed> {
        let DeviceFailure { reason, prospect } = failure;
        observer.device_failed(self.name(), self.restarts, &reason, prospect);
        match prospect {
            Prospect::Again { after } => Ok(after),
            Prospect::LeftOut { restarts, .. } => Err(AllDevicesFailed { reason, restarts }),
        }
    }

    /// Gives a role up that is at work and has been silent for longer than its own pace explains. Its successor does not
    /// wait for it.
    pub(crate) fn give_up_if_silent(&mut self) -> Option<DeviceFailure> {
        let patience = self.patience.filter(|_| self.role.is_some())?;
        let Overdue { silent, allowed } = self.pulse.overdue(patience)?;
        let reason = format!(
            "{}: nothing was heard of it for {:.1} s, and {:.1} s is the longest that its pace explains",
            self.name(),
            silent.as_secs_f64(),
            allowed.as_secs_f64()
        );
        if let Some(role) = self.role.take() {
            role.abandon();
        }
        Some(self.failed(reason))
    }

    /// Lets the role go, to be ended on a thread that may wait for it.
    pub(crate) const fn take(&mut self) -> Option<Box<R>> {
        self.role.take()
    }
}

/// Ends roles side by side, off the runtime's workers, and waits until each has let go of its device.
pub(crate) async fn end_all<R: Role + ?Sized + 'static>(roles: impl IntoIterator<Item = Box<R>>) {
    let ending: Vec<_> =
        roles.into_iter().map(|role| tokio::task::spawn_blocking(move || role.end())).collect();
    for ended in ending {
        // a role that panics as it ends has ended
        let _ended = ended.await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    struct Doll(Arc<AtomicUsize>);

    impl Role for Doll {
        fn end(self: Box<Self>) {}

        fn abandon(self: Box<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// The way to tell an event to the role opened last.
    type Sinks = Arc<Mutex<Vec<EventSink<u32>>>>;

    fn supervised(patience: Option<Duration>) -> (Supervised<Doll, u32>, Sinks, Arc<AtomicUsize>) {
        let (sinks, abandoned) = (Sinks::default(), Arc::new(AtomicUsize::new(0)));
        let (kept, counted) = (Arc::clone(&sinks), Arc::clone(&abandoned));
        let factory = RoleFactory::new("doll", move |events| {
            kept.lock().unwrap().push(events);
            Ok(Box::new(Doll(Arc::clone(&counted))))
        });
        let policy = RestartPolicy {
            first_backoff: Duration::from_millis(10),
            max_backoff: Duration::from_millis(15),
            max_restarts: 2,
            window: Duration::from_mins(1),
        };
        (Supervised::new(factory, policy, patience), sinks, abandoned)
    }

    #[test]
    fn a_device_backs_off_longer_each_time_and_is_left_out_in_the_end() {
        let (mut device, _, _) = supervised(None);
        let board = StatusBoard::default();
        let shown = |device: &Supervised<Doll, u32>, in_flight| {
            device.show(&board, ActorName::Sampler, in_flight, 9);
            let status = board.devices().remove(0);
            (status.state, status.in_flight, status.restarts, status.last_failure)
        };
        assert_eq!(shown(&device, 2), (DeviceState::Starting, 2, 0, None));
        let again = |after| Prospect::Again { after: Duration::from_millis(after) };
        assert_eq!(device.failed("once".to_owned()).prospect, again(10));
        assert_eq!(shown(&device, 0), (DeviceState::BackingOff, 0, 1, Some("once".to_owned())));
        assert_eq!(device.failed("twice".to_owned()).prospect, again(15));
        let left_out = Prospect::LeftOut { after: Duration::from_mins(1), restarts: 2 };
        assert_eq!(device.failed("thrice".to_owned()).prospect, left_out);
        assert_eq!(shown(&device, 0), (DeviceState::LeftOut, 0, 3, Some("thrice".to_owned())));
        device.is_up();
        assert_eq!(shown(&device, 1), (DeviceState::Up, 1, 3, Some("thrice".to_owned())));
    }

    #[test]
    fn what_an_earlier_opening_tells_is_recognised() {
        let (mut device, sinks, _) = supervised(None);
        let reported = Arc::new(Mutex::new(Vec::new()));
        for _ in 0..2 {
            let reported = Arc::clone(&reported);
            device
                .open(move |incarnation, event| reported.lock().unwrap().push((incarnation, event)))
                .unwrap();
        }
        for (sink, event) in sinks.lock().unwrap().iter().zip([7, 8]) {
            sink.tell(event);
        }
        assert_eq!(*reported.lock().unwrap(), [(1, 7), (2, 8)]);
        assert!(!device.is_present(1) && device.is_present(2));
        device.failed("gone".to_owned());
        assert!(!device.is_present(2));
    }

    #[test]
    fn one_that_hangs_is_named_and_given_up() {
        let (mut device, _, abandoned) = supervised(Some(Duration::ZERO));
        device.open(|_, _| {}).unwrap();
        let DeviceFailure { reason, prospect } = loop {
            if let Some(given_up) = device.give_up_if_silent() {
                break given_up;
            }
            std::thread::yield_now();
        };
        assert!(reason.starts_with("doll: nothing was heard"), "{reason}");
        assert!(matches!(prospect, Prospect::Again { .. }));
        assert_eq!(abandoned.load(Ordering::SeqCst), 1);
        assert_eq!(device.give_up_if_silent(), None, "there is nothing to wait for");
    }
}
