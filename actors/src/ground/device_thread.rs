//! A named thread of the operating system for each device role, behind a bounded channel.
//!
//! Tensor work blocks for milliseconds to seconds and some of it is bound to its thread, so it never runs on
//! the runtime's workers. The thread builds its role, owns it, and drops it; nobody else ever touches it. A
//! panic or an error of the role is reported and ends the thread, not the process.
//!
//! A role's factory is locked for as long as its role lives. A restarted actor's thread thus waits until the
//! old thread has let go of the device: two roles of one factory never share it, not even for a moment.

use std::{
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use ractor::ActorProcessingErr;
use still_roles::panic_text;
use still_store::StoreError;
use thiserror::Error;

/// Builds a role.
type Build<R> = Box<dyn FnMut() -> Result<Box<R>, String> + Send>;

/// Builds fresh roles of one kind on one device, one at a time. Clones share the device.
pub struct RoleFactory<R: ?Sized>(Arc<Mutex<Build<R>>>);

/// A device role failed; a fresh one may do better.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{thread}: {reason}")]
pub struct RoleFailure {
    /// The thread.
    pub thread: String,
    /// What was seen.
    pub reason: String,
}

/// The thread of a device role, and the way to it. Dropping it lets the thread end by itself.
#[derive(Debug)]
pub(crate) struct DeviceThread<C> {
    name: String,
    commands: Sender<C>,
    handle: JoinHandle<()>,
}

impl<R: ?Sized> RoleFactory<R> {
    /// A factory that builds by `build`, anew after every failure.
    pub fn new(build: impl FnMut() -> Result<Box<R>, String> + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Box::new(build))))
    }
}

impl<C: Send + 'static> DeviceThread<C> {
    /// Starts a thread that builds a role and works with it until `work` returns, which it must do when the
    /// channel's other end is gone. `failed` is told of a role that cannot be built, fails or panics; a
    /// failure of the store is passed on as it is.
    pub(crate) fn spawn<R: ?Sized + 'static>(
        name: String,
        capacity: usize,
        factory: &RoleFactory<R>,
        work: impl FnOnce(&mut R, &Receiver<C>) -> Result<(), ActorProcessingErr> + Send + 'static,
        failed: impl FnOnce(ActorProcessingErr) + Send + 'static,
    ) -> io::Result<Self> {
        let (commands, receiver) = bounded(capacity);
        let factory = factory.clone();
        let thread_name = name.clone();
        let handle = thread::Builder::new().name(name.clone()).spawn(move || {
            let result = catch_unwind(AssertUnwindSafe(|| {
                let mut build = factory.0.lock().unwrap_or_else(PoisonError::into_inner);
                let mut role = build().map_err(|reason| format!("cannot be built: {reason}"))?;
                work(&mut role, &receiver)
            }));
            let reason = match result {
                Ok(Ok(())) => return,
                Ok(Err(error)) if error.is::<StoreError>() => return failed(error),
                Ok(Err(error)) => error.to_string(),
                Err(panic) => format!("panicked: {}", panic_text(panic.as_ref())),
            };
            failed(RoleFailure { thread: thread_name, reason }.into());
        })?;
        Ok(Self { name, commands, handle })
    }

    /// Hands a command over without waiting. A thread that has ended by itself takes none any more: it has reported
    /// why, and whoever called `spawn` fails of that as soon as it reads the report.
    ///
    /// # Errors
    /// When more commands are on their way than credits allow.
    pub(crate) fn send(&self, command: C) -> Result<(), RoleFailure> {
        match self.commands.try_send(command) {
            Ok(()) | Err(TrySendError::Disconnected(_)) => Ok(()),
            Err(TrySendError::Full(_)) => {
                let reason = "has more commands waiting than it may".to_owned();
                Err(RoleFailure { thread: self.name.clone(), reason })
            }
        }
    }

    /// Commands that wait for the thread.
    pub(crate) fn waiting(&self) -> usize {
        self.commands.len()
    }

    /// Tells the thread to end and waits until it has, without blocking the runtime.
    pub(crate) async fn shut_down(self) {
        drop(self.commands);
        let handle = self.handle;
        // The thread's panics are caught inside it and reported, so joining has nothing to say.
        let _joined = tokio::task::spawn_blocking(move || handle.join()).await;
    }
}

impl<R: ?Sized> Clone for RoleFactory<R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<R: ?Sized> fmt::Debug for RoleFactory<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoleFactory")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    };

    use super::*;

    /// Adds up what it is sent; a zero makes it panic.
    trait Adder: Send {
        fn add(&mut self, number: u32) -> Result<u32, String>;
    }

    struct Sum(u32, Arc<AtomicUsize>);

    impl Adder for Sum {
        fn add(&mut self, number: u32) -> Result<u32, String> {
            assert_ne!(number, 0, "zero is refused");
            self.0 += number;
            if self.0 > 100 { Err("overflow".to_owned()) } else { Ok(self.0) }
        }
    }

    impl Drop for Sum {
        fn drop(&mut self) {
            self.1.fetch_sub(1, Ordering::SeqCst);
        }
    }

    fn factory(alive: &Arc<AtomicUsize>) -> RoleFactory<dyn Adder> {
        let alive = Arc::clone(alive);
        RoleFactory::<dyn Adder>::new(move || {
            assert_eq!(alive.fetch_add(1, Ordering::SeqCst), 0, "two roles share the device");
            Ok(Box::new(Sum(0, Arc::clone(&alive))))
        })
    }

    fn spawn(
        factory: &RoleFactory<dyn Adder>,
        failures: &mpsc::Sender<ActorProcessingErr>,
        sums: &mpsc::Sender<u32>,
    ) -> DeviceThread<u32> {
        let (failures, sums) = (failures.clone(), sums.clone());
        let work = move |adder: &mut (dyn Adder + 'static), commands: &Receiver<u32>| {
            for number in commands {
                sums.send(adder.add(number)?).map_err(|error| error.to_string())?;
            }
            Ok(())
        };
        let failed = move |failure| failures.send(failure).unwrap();
        DeviceThread::spawn("adder".to_owned(), 4, factory, work, failed).unwrap()
    }

    #[tokio::test]
    async fn a_role_works_on_its_thread_until_it_is_shut_down_and_then_lets_go_of_the_device() {
        let alive = Arc::new(AtomicUsize::new(0));
        let (failures, failed) = mpsc::channel();
        let (sums, summed) = mpsc::channel();
        let factory = factory(&alive);
        let thread = spawn(&factory, &failures, &sums);
        thread.send(2).unwrap();
        thread.send(3).unwrap();
        assert_eq!((summed.recv(), summed.recv()), (Ok(2), Ok(5)));
        assert_eq!(thread.waiting(), 0);
        thread.shut_down().await;
        assert_eq!(alive.load(Ordering::SeqCst), 0);
        assert!(failed.try_recv().is_err());
    }

    #[test]
    fn a_panic_and_an_error_are_reported_and_a_fresh_role_takes_over() {
        let alive = Arc::new(AtomicUsize::new(0));
        let (failures, failed) = mpsc::channel();
        let (sums, summed) = mpsc::channel();
        let factory = factory(&alive);
        let thread = spawn(&factory, &failures, &sums);
        thread.send(0).unwrap();
        let failure = failed.recv().unwrap();
        let failure = failure.downcast_ref::<RoleFailure>().unwrap();
        assert_eq!(failure.thread, "adder");
        assert!(failure.reason.starts_with("panicked:") && failure.reason.contains("zero is refused"));

        let thread = spawn(&factory, &failures, &sums);
        thread.send(7).unwrap();
        assert_eq!(summed.recv(), Ok(7), "the sum starts anew");
        thread.send(100).unwrap();
        assert_eq!(failed.recv().unwrap().to_string(), "adder: overflow");
    }

    #[test]
    fn a_role_that_cannot_be_built_is_reported() {
        let (failures, failed) = mpsc::channel();
        let factory = RoleFactory::<dyn Adder>::new(|| Err("no such device".to_owned()));
        let thread = spawn(&factory, &failures, &mpsc::channel().0);
        assert_eq!(failed.recv().unwrap().to_string(), "adder: cannot be built: no such device");
        while !thread.handle.is_finished() {
            thread::yield_now();
        }
        assert_eq!(thread.send(1), Ok(()), "what it ended of is the report's to say");
    }

    #[test]
    fn more_commands_than_the_channel_holds_are_an_error_and_never_a_wait() {
        let (release, released) = mpsc::channel::<()>();
        let factory = RoleFactory::<dyn Adder>::new(|| Ok(Box::new(Sum(0, Arc::new(AtomicUsize::new(1))))));
        let work = move |_: &mut (dyn Adder + 'static), _: &Receiver<u32>| {
            let _ = released.recv();
            Ok(())
        };
        let thread = DeviceThread::spawn("full".to_owned(), 2, &factory, work, |_| {}).unwrap();
        thread.send(1).unwrap();
        thread.send(2).unwrap();
        assert!(thread.send(3).unwrap_err().reason.contains("more commands"));
        drop(release);
    }
}
