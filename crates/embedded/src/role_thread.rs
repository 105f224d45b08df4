//! A named thread of the operating system that builds what does the work, owns it, and drops it.
//!
//! Nobody else ever touches it. A panic or an error is reported and ends the thread, not the process.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    thread::{self, JoinHandle},
};

use crossbeam::channel::{Receiver, Sender, unbounded};
use still_roles::panic_text;

use crate::device::{DeviceLock, locked};

/// The thread, and the way to it. Dropping it lets the thread end by itself.
#[derive(Debug)]
pub(crate) struct RoleThread<C> {
    /// As long as what may be ordered: rollouts are bounded by the credits of whoever submits them.
    commands: Sender<C>,
    handle: JoinHandle<()>,
    lock: DeviceLock,
}

impl<C: Send + 'static> RoleThread<C> {
    /// Starts a thread that builds what does the work, once the device is free, and works with it until `work`
    /// returns, which it must do when the channel's other end is gone. `failed` hears of what cannot be built,
    /// fails or panics, after the device is let go of.
    pub(crate) fn spawn<R: ?Sized, F: From<String>>(
        name: &str,
        lock: &DeviceLock,
        build: impl FnOnce() -> Result<Box<R>, String> + Send + 'static,
        work: impl FnOnce(&mut R, &Receiver<C>) -> Result<(), F> + Send + 'static,
        failed: impl FnOnce(F) + Send + 'static,
    ) -> io::Result<Self> {
        let (commands, receiver) = unbounded();
        let current = lock.current();
        let thread = name.to_owned();
        let handle = thread::Builder::new().name(thread.clone()).spawn(move || {
            let result = catch_unwind(AssertUnwindSafe(|| {
                let _held = locked(&current);
                let mut role =
                    build().map_err(|reason| F::from(format!("{thread}: cannot be built: {reason}")))?;
                work(&mut role, &receiver)
            }));
            match result {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => failed(failure),
                Err(panic) => failed(format!("{thread}: panicked: {}", panic_text(panic.as_ref())).into()),
            }
        })?;
        Ok(Self { commands, handle, lock: lock.clone() })
    }

    /// Hands a command over. A thread that has ended by itself takes none any more: it has reported why.
    pub(crate) fn send(&self, command: C) {
        let _has_reported = self.commands.send(command);
    }

    /// Tells the thread to end and waits until it has. Blocks.
    pub(crate) fn end(self) {
        drop(self.commands);
        // panics are caught inside the thread and reported: joining has nothing to say
        let _joined = self.handle.join();
    }

    /// Gives the thread up: the next one on this device does not wait for it.
    pub(crate) fn abandon(self) {
        self.lock.renew();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    };

    use super::*;

    /// Adds up what it is sent; a zero makes it panic.
    struct Sum(u32, Arc<AtomicUsize>);

    impl Sum {
        fn add(&mut self, number: u32) -> Result<u32, String> {
            assert_ne!(number, 0, "zero is refused");
            self.0 += number;
            if self.0 > 100 { Err("adder: overflow".to_owned()) } else { Ok(self.0) }
        }
    }

    impl Drop for Sum {
        fn drop(&mut self) {
            self.1.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// The device, how many use it, and what they tell.
    struct Bench {
        lock: DeviceLock,
        alive: Arc<AtomicUsize>,
        failures: mpsc::Sender<String>,
        sums: mpsc::Sender<u32>,
    }

    impl Bench {
        fn new() -> (Self, mpsc::Receiver<String>, mpsc::Receiver<u32>) {
            let ((failures, failed), (sums, summed)) = (mpsc::channel(), mpsc::channel());
            let bench = Self { lock: DeviceLock::default(), alive: Arc::default(), failures, sums };
            (bench, failed, summed)
        }

        fn spawn(&self) -> RoleThread<u32> {
            let (alive, failures, sums) = (Arc::clone(&self.alive), self.failures.clone(), self.sums.clone());
            let build = move || {
                assert_eq!(alive.fetch_add(1, Ordering::SeqCst), 0, "two roles share the device");
                Ok(Box::new(Sum(0, alive)))
            };
            let work = move |adder: &mut Sum, commands: &Receiver<u32>| {
                for number in commands {
                    sums.send(adder.add(number)?).map_err(|error| error.to_string())?;
                }
                Ok(())
            };
            RoleThread::spawn("adder", &self.lock, build, work, move |failure| {
                failures.send(failure).unwrap();
            })
            .unwrap()
        }
    }

    #[test]
    fn work_goes_on_until_the_thread_is_ended_and_the_device_is_free_then() {
        let (bench, failed, summed) = Bench::new();
        let thread = bench.spawn();
        thread.send(2);
        thread.send(3);
        assert_eq!((summed.recv(), summed.recv()), (Ok(2), Ok(5)));
        thread.end();
        assert_eq!(bench.alive.load(Ordering::SeqCst), 0);
        assert!(failed.try_recv().is_err());
    }

    #[test]
    fn a_panic_and_an_error_are_reported_and_the_next_one_starts_anew() {
        let (bench, failed, summed) = Bench::new();
        bench.spawn().send(0);
        let failure = failed.recv().unwrap();
        assert!(failure.starts_with("adder: panicked:") && failure.contains("zero is refused"), "{failure}");

        let thread = bench.spawn();
        thread.send(7);
        assert_eq!(summed.recv(), Ok(7), "the sum starts anew");
        thread.send(100);
        assert_eq!(failed.recv().unwrap(), "adder: overflow");
        // what it ended of is the report's to say
        thread.send(1);
    }

    #[test]
    fn what_cannot_be_built_is_reported() {
        let (failures, failed) = mpsc::channel::<String>();
        let build = || Err::<Box<Sum>, _>("no such device".to_owned());
        let work = |_: &mut Sum, _: &Receiver<u32>| Ok(());
        let lock = DeviceLock::default();
        let _thread =
            RoleThread::spawn("adder", &lock, build, work, move |error| failures.send(error).unwrap());
        assert_eq!(failed.recv().unwrap(), "adder: cannot be built: no such device");
    }

    #[test]
    fn a_successor_waits_for_the_device_but_not_for_one_that_hangs_and_is_given_up() {
        let (release, released) = mpsc::channel::<()>();
        let (started, has_started) = mpsc::channel();
        let lock = DeviceLock::default();
        let spawn = |number: u32, hang: Option<mpsc::Receiver<()>>| {
            let started = started.clone();
            let build = || Ok(Box::new(Sum(0, Arc::new(AtomicUsize::new(1)))));
            let work = move |_: &mut Sum, _: &Receiver<u32>| {
                started.send(number).unwrap();
                if let Some(hang) = hang {
                    let _ = hang.recv();
                }
                Ok::<_, String>(())
            };
            RoleThread::spawn("hung", &lock, build, work, |_| {}).unwrap()
        };
        let hung = spawn(1, Some(released));
        assert_eq!(has_started.recv(), Ok(1));
        let waiting = spawn(2, None);
        assert!(has_started.try_recv().is_err(), "the device is held");
        hung.abandon();
        let next = spawn(3, None);
        assert_eq!(has_started.recv(), Ok(3), "it does not wait");
        next.end();
        drop(release);
        waiting.end();
        assert_eq!(has_started.recv(), Ok(2), "whoever waited before goes on when the device is let go of");
    }
}
