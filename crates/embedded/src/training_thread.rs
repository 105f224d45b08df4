//! A training run of this process: a thread that obeys orders, whoever takes the steps.

use crossbeam::channel::Receiver;
use still_roles::{
    EventSink, Role, TrainingEvent, TrainingFactory, TrainingFailure, TrainingJob, TrainingRun,
};

use crate::{device::DeviceLock, learner::Halting, role_thread::RoleThread};

/// A [`TrainingRun`] whose orders go to a thread of its own.
#[derive(Debug)]
pub struct TrainingThread {
    thread: RoleThread<TrainingOrder>,
    halting: Halting,
}

/// The orders of the thread; [`TrainingRun`] says what each means.
#[derive(Debug)]
pub enum TrainingOrder {
    /// Take a job up.
    Start(Box<TrainingJob>),
    /// Write a checkpoint, for the order of that number.
    Checkpoint(u64),
    /// Take no further step, or go on.
    Pause(bool),
    /// Write a checkpoint and drop the job.
    Halt,
}

impl TrainingThread {
    /// Training runs that are called `name`. What takes the steps is built by `build` on the thread, one at a time, and
    /// works by `work` until the orders' other end is gone. [`Halting`] is asked for before the order to halt or the end of
    /// the orders comes: whoever obeys the order takes it back.
    pub fn factory<W: ?Sized + 'static>(
        name: impl Into<String>,
        build: impl Fn() -> Result<Box<W>, String> + Clone + Send + Sync + 'static,
        work: impl Fn(
            &mut W,
            &Receiver<TrainingOrder>,
            &EventSink<TrainingEvent>,
            &Halting,
        ) -> Result<(), TrainingFailure>
        + Clone
        + Send
        + Sync
        + 'static,
    ) -> TrainingFactory {
        let (name, lock) = (name.into(), DeviceLock::default());
        TrainingFactory::new(name.clone(), move |events| {
            let (reported, failed) = (events.clone(), events);
            let (thread, work, halting) = (name.clone(), work.clone(), Halting::default());
            let asked = halting.clone();
            let work = move |worker: &mut W, orders: &Receiver<TrainingOrder>| {
                work(worker, orders, &reported, &asked).map_err(|failure| match failure {
                    TrainingFailure::Device(reason) => TrainingFailure::Device(format!("{thread}: {reason}")),
                    disk @ TrainingFailure::Disk(_) => disk,
                })
            };
            let failed = move |failure| failed.tell(TrainingEvent::Failed(failure));
            let thread = RoleThread::spawn(&name, &lock, build.clone(), work, failed)
                .map_err(|error| format!("{name}: no thread can be had: {error}"))?;
            let opened: Box<dyn TrainingRun> = Box::new(Self { thread, halting });
            Ok(opened)
        })
    }
}

impl Role for TrainingThread {
    fn end(self: Box<Self>) {
        self.halting.set(true);
        self.thread.end();
    }

    fn abandon(self: Box<Self>) {
        self.halting.set(true);
        self.thread.abandon();
    }
}

impl TrainingRun for TrainingThread {
    fn start(&mut self, job: TrainingJob) {
        self.thread.send(TrainingOrder::Start(Box::new(job)));
    }

    fn checkpoint(&mut self, ticket: u64) {
        self.thread.send(TrainingOrder::Checkpoint(ticket));
    }

    fn pause(&mut self, is_paused: bool) {
        self.thread.send(TrainingOrder::Pause(is_paused));
    }

    fn halt(&mut self) {
        self.halting.set(true);
        self.thread.send(TrainingOrder::Halt);
    }
}
