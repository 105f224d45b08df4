//! The job at work: its folder, its trainer, and what is known of both.

use std::{
    collections::{HashSet, VecDeque},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use crossbeam::channel::Receiver;
use still_process::{Heard, ProcessLog, ProcessTree, Turn};
use still_roles::{EventSink, TrainingEvent, TrainingFailure, TrainingJob};

use crate::{
    checkpoints::{Adopted, disk},
    job_folder::JobFolder,
    protocol::{Progress, TrainerLine},
};

/// Steps whose mean is a job's training loss.
const LOSS_STEPS: usize = 20;

/// What is heard of a trainer.
pub(crate) type TrainerWord = Heard<Result<TrainerLine, String>>;

/// The job at work.
pub(crate) struct Work {
    pub(crate) job: TrainingJob,
    pub(crate) folder: JobFolder,
    pub(crate) log: Arc<ProcessLog>,
    pub(crate) phase: Phase,
    /// The devices are the job's, where it shares them.
    pub(crate) turn: Option<Turn>,
    /// Failures since the last checkpoint that went further than any before.
    pub(crate) failures: u32,
    pub(crate) furthest_step: u64,
    /// Checkpoints that the trainer could not go on from.
    pub(crate) unfit: HashSet<PathBuf>,
    /// Where training began or went back to, until a checkpoint says so.
    pub(crate) went_back_to: Option<u64>,
    /// Orders that wait for a checkpoint.
    pub(crate) tickets: Vec<u64>,
    pub(crate) losses: VecDeque<f64>,
    pub(crate) stepped_at: Option<Instant>,
    /// Until when a drain waits for a checkpoint.
    pub(crate) halt_at: Option<Instant>,
}

/// What becomes of the trainer.
pub(crate) enum Phase {
    /// It is started at that moment.
    Waiting(Instant),
    /// It is started when the devices that it shares are its own.
    Asking(Receiver<Turn>),
    Running(Running),
}

/// A trainer that runs.
pub(crate) struct Running {
    pub(crate) process: ProcessTree,
    pub(crate) heard: Receiver<TrainerWord>,
    pub(crate) heard_at: Instant,
    pub(crate) resumed_from: Option<PathBuf>,
    /// How the job came to its end, as the trainer says.
    pub(crate) verdict: Option<Verdict>,
    /// It is asked to end.
    pub(crate) ending: Option<Ending>,
}

/// The last word of a trainer.
pub(crate) enum Verdict {
    Done,
    Failed(String),
    Unfit(String),
    Refused(String),
}

/// A trainer that is asked to end.
pub(crate) struct Ending {
    /// Why; `None` where nothing failed.
    pub(crate) reason: Option<String>,
    pub(crate) kill_at: Instant,
    pub(crate) was_killed: bool,
}

impl Work {
    /// A job whose trainer is yet to be started.
    pub(crate) fn new(job: TrainingJob, folder: JobFolder) -> Result<Self, TrainingFailure> {
        let log = ProcessLog::open(&folder.log()).map_err(|error| disk(&folder.log(), &error))?;
        Ok(Self {
            job,
            folder,
            log: Arc::new(log),
            phase: Phase::Waiting(Instant::now()),
            turn: None,
            failures: 0,
            furthest_step: 0,
            unfit: HashSet::new(),
            went_back_to: None,
            tickets: Vec::new(),
            losses: VecDeque::new(),
            stepped_at: None,
            halt_at: None,
        })
    }

    /// Mean loss of the last steps; `None` when the process that took them is gone.
    pub(crate) fn loss(&self) -> Option<f64> {
        let mean = self.losses.iter().sum::<f64>() / self.losses.len() as f64;
        (!self.losses.is_empty()).then_some(mean)
    }

    /// Asks the trainer for a checkpoint.
    pub(crate) fn request(&self) -> Result<(), TrainingFailure> {
        self.folder.request_checkpoint().map_err(|error| disk(self.folder.path(), &error))
    }

    /// Asks the trainer to end.
    pub(crate) fn end(&mut self, reason: Option<String>, patience: Duration) {
        if let Phase::Running(running) = &mut self.phase {
            running.process.terminate();
            let kill_at = Instant::now() + patience;
            running.ending.get_or_insert(Ending { reason, kill_at, was_killed: false });
        }
    }

    pub(crate) fn progressed(&mut self, progress: &Progress, events: &EventSink<TrainingEvent>) {
        let step = progress.as_step(self.folder.total_steps());
        if step.loss.is_finite() {
            if self.losses.len() == LOSS_STEPS {
                self.losses.pop_front();
            }
            self.losses.push_back(step.loss);
        }
        let now = Instant::now();
        let duration = self.stepped_at.replace(now).map(|before| now - before);
        events.tell(TrainingEvent::Progress { round: self.job.round, step, duration });
    }

    /// Checkpoints are durable: they answer all who asked.
    pub(crate) fn saved(&mut self, adopted: &[Adopted], events: &EventSink<TrainingEvent>) {
        for Adopted { id, step } in adopted {
            let tickets = std::mem::take(&mut self.tickets);
            events.tell(TrainingEvent::Checkpointed { id: id.clone(), tickets });
            if *step > self.furthest_step {
                (self.furthest_step, self.failures) = (*step, 0);
            }
        }
        if !adopted.is_empty() {
            self.folder.withdraw_request();
        }
    }
}

/// No checkpoint will answer these orders.
pub(crate) fn nothing_to_save(tickets: Vec<u64>, events: &EventSink<TrainingEvent>) {
    if !tickets.is_empty() {
        events.tell(TrainingEvent::NothingToSave { tickets });
    }
}
