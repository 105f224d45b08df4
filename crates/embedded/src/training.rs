//! The training loop: one job at a time, step by step, checkpoints in between.
//!
//! The thread obeys every order that waits between two optimizer steps. Paused or without a job it sleeps. A step that
//! takes long tells how far it has come, and one that is taken in parts is given up between two of them when training is to
//! halt: what it was at is done again from the state before it.
//!
//! A checkpoint stops training for its snapshot alone: a second thread writes and syncs the files and has them made
//! durable. Checkpoints become durable in the order of their steps, and a failure to write one ends training at the
//! next step.

use std::{
    collections::VecDeque,
    mem,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crossbeam::channel::{Receiver, TryRecvError};
use still_domain::CheckpointId;
use still_roles::{
    EventSink, LearnerStep, SavedCheckpoint, TrainingEvent, TrainingFactory, TrainingFailure, TrainingJob,
};

use crate::{
    background::Background,
    learner::{Halting, Learner, LearnerError, LearnerJob, StepOversight},
    training_thread::{TrainingOrder, TrainingThread},
};

/// Least time between two signs of life of one step.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Steps whose mean is a job's training loss.
const LOSS_STEPS: usize = 20;

/// Training runs of this process: learners that take their steps on threads of their own.
#[derive(Debug)]
pub struct EmbeddedTraining;

/// The checkpoint that is being written.
type Writing = Background<Result<CheckpointId, TrainingFailure>>;

/// The learner at work.
struct Training<'a> {
    learner: &'a mut dyn Learner,
    events: &'a EventSink<TrainingEvent>,
    halting: &'a Halting,
    writing: Writing,
    work: Option<Work>,
    /// Who asked for a checkpoint since the last step.
    asked: Vec<u64>,
    is_paused: bool,
}

/// The job at work.
struct Work {
    job: TrainingJob,
    step: u64,
    total_steps: u64,
    saved_step: Option<u64>,
    /// Where training began in this life of the process or went back to, until a checkpoint says so.
    went_back_to: Option<u64>,
    losses: VecDeque<f64>,
    /// When the last step of this life of the process ended.
    stepped_at: Option<Instant>,
}

impl EmbeddedTraining {
    /// Training runs that are called `name` and whose learners are built by `build`, one at a time, on devices of
    /// their own.
    pub fn factory(
        name: impl Into<String>,
        build: impl Fn() -> Result<Box<dyn Learner>, String> + Clone + Send + Sync + 'static,
    ) -> TrainingFactory {
        TrainingThread::factory(
            name,
            build,
            |learner: &mut (dyn Learner + 'static), orders, events, halting| {
                Training::new(learner, events, halting).work(orders)
            },
        )
    }
}

impl<'a> Training<'a> {
    fn new(learner: &'a mut dyn Learner, events: &'a EventSink<TrainingEvent>, halting: &'a Halting) -> Self {
        let writing = Writing::new("checkpoint");
        Self { learner, events, halting, writing, work: None, asked: Vec::new(), is_paused: false }
    }

    /// Works until the channel's other end is gone.
    fn work(mut self, orders: &Receiver<TrainingOrder>) -> Result<(), TrainingFailure> {
        self.events.tell(TrainingEvent::Ready);
        loop {
            let mut next = if self.work.is_some() && !self.is_paused {
                self.writing.take_finished().transpose()?;
                orders.try_recv()
            } else {
                // there is nothing to do beside it, and its failure must not wait for an order
                self.writing.wait().transpose()?;
                orders.recv().map_err(TryRecvError::from)
            };
            while let Ok(order) = next {
                self.obey(order)?;
                next = orders.try_recv();
            }
            if matches!(next, Err(TryRecvError::Disconnected)) {
                return Ok(());
            }
            self.answer()?;
            let Some(work) = self.work.take_if(|_| !self.is_paused) else { continue };
            self.advance(work)?;
        }
    }

    fn obey(&mut self, order: TrainingOrder) -> Result<(), TrainingFailure> {
        match order {
            TrainingOrder::Pause(is_paused) => self.is_paused = is_paused,
            TrainingOrder::Checkpoint(ticket) => self.asked.push(ticket),
            TrainingOrder::Start(job) => {
                self.answer()?;
                if self.work.take().is_some() {
                    self.learner.end();
                }
                let round = job.round;
                match self.begin(*job, 0)? {
                    Ok(begun) => self.work = Some(begun),
                    Err(reason) => self.events.tell(TrainingEvent::Refused { round, reason }),
                }
            }
            TrainingOrder::Halt => {
                self.halting.set(false);
                self.answer()?;
                if let Some(mut halted) = self.work.take() {
                    self.keep(&mut halted)?;
                    self.learner.end();
                } else {
                    self.writing.wait().transpose()?;
                }
                self.events.tell(TrainingEvent::Halted);
            }
        }
        Ok(())
    }

    /// Takes the next step, and ends the job after the last.
    fn advance(&mut self, mut work: Work) -> Result<(), TrainingFailure> {
        if work.step < work.total_steps
            && let Err(reason) = self.step(&mut work)?
        {
            // whoever lifts what it is refused for goes on from here
            self.keep(&mut work)?;
            self.learner.end();
            self.events.tell(TrainingEvent::Refused { round: work.job.round, reason });
            return Ok(());
        }
        if work.step < work.total_steps {
            self.work = Some(work);
            return Ok(());
        }
        self.save(&mut work, true, Vec::new())?;
        let unwritten = || TrainingFailure::Disk("the final checkpoint is not being written".to_owned());
        let checkpoint = self.writing.wait().ok_or_else(unwritten)??;
        let folder = work.job.checkpoints.folder(&checkpoint);
        self.learner.completed(&folder).map_err(failure)?;
        let losses = &work.losses;
        let mean = losses.iter().sum::<f64>() / losses.len() as f64;
        let loss = (!losses.is_empty()).then_some(mean);
        self.learner.end();
        self.events.tell(TrainingEvent::Done { round: work.job.round, checkpoint, folder, loss });
        Ok(())
    }

    /// One checkpoint answers all that asked for one since the last step.
    fn answer(&mut self) -> Result<(), TrainingFailure> {
        if self.asked.is_empty() {
            return Ok(());
        }
        let tickets = mem::take(&mut self.asked);
        match self.work.take() {
            Some(mut work) => {
                self.save(&mut work, false, tickets)?;
                self.work = Some(work);
            }
            None => self.events.tell(TrainingEvent::NothingToSave { tickets }),
        }
        Ok(())
    }

    /// Begins a job, going on from the first of its checkpoints that can be gone on from; the inner error says why
    /// it can never be run.
    fn begin(&mut self, job: TrainingJob, rollbacks: u32) -> Result<Result<Work, String>, TrainingFailure> {
        let checkpoints = Arc::clone(&job.checkpoints);
        let events = self.events.clone();
        let last_told = Mutex::new(None);
        let oversight = StepOversight::new(self.halting.clone(), move |done, pieces| {
            let mut last_told = last_told.lock().unwrap_or_else(PoisonError::into_inner);
            if last_told.is_none_or(|at: Instant| at.elapsed() >= TELL_EVERY) {
                *last_told = Some(Instant::now());
                events.tell(TrainingEvent::Advanced { share: done as f64 / pieces.max(1) as f64 });
            }
        });
        let mut learner_job = LearnerJob { job, resume: None, rollbacks, oversight };
        let mut unfit = None;
        for resume in checkpoints.newest_first()?.into_iter().map(Some).chain([None]) {
            let resume = match resume {
                Some(id) => {
                    let path = checkpoints.folder(&id);
                    if let Some(reason) = checkpoints.damage(&id)? {
                        self.pass_over(&LearnerError::Checkpoint { path, reason }, &mut unfit);
                        continue;
                    }
                    Some(path)
                }
                None => None,
            };
            // a job that goes back has shown before that the folder is its own: what is left of it is diverging
            if let (None, Some(reason), 0) = (&resume, &unfit, rollbacks)
                && !checkpoints.begins_anew()
            {
                let remedy = "no other checkpoint is left: name another output folder, or mend the settings";
                return Ok(Err(format!("{reason}; {remedy}")));
            }
            learner_job.resume = resume;
            match self.learner.begin(&learner_job) {
                Ok(plan) => {
                    let LearnerJob { job, resume: resumed_from, .. } = learner_job;
                    self.events.tell(TrainingEvent::Begun { round: job.round, plan, resumed_from });
                    let saved_step = (plan.resumed_step > 0).then_some(plan.resumed_step);
                    return Ok(Ok(Work {
                        job,
                        step: plan.resumed_step,
                        total_steps: plan.total_steps,
                        saved_step,
                        went_back_to: Some(plan.resumed_step),
                        losses: VecDeque::new(),
                        stepped_at: None,
                    }));
                }
                Err(error @ LearnerError::Refused(_)) => return Ok(Err(error.to_string())),
                Err(error @ LearnerError::Checkpoint { .. }) => {
                    self.pass_over(&error, &mut unfit);
                }
                Err(error) => return Err(failure(error)),
            }
        }
        let reason = "no checkpoint can be gone on from, and the job cannot begin anew";
        Err(TrainingFailure::Device(reason.to_owned()))
    }

    /// Says why a checkpoint is not gone on from, and notes it, unless another one was noted before.
    fn pass_over(&self, error: &LearnerError, unfit: &mut Option<String>) {
        self.events.tell(TrainingEvent::Warning(format!("{error}; the one before is tried")));
        unfit.get_or_insert_with(|| error.to_string());
    }

    /// Takes a step; the inner error says why the job can never be finished as given.
    fn step(&mut self, work: &mut Work) -> Result<Result<(), String>, TrainingFailure> {
        let step = match self.learner.step() {
            Err(LearnerError::BackToCheckpoint { diverged, rollbacks }) => {
                return self.go_back(work, &diverged, rollbacks).map(Ok);
            }
            Err(error @ LearnerError::Refused(_)) => return Ok(Err(error.to_string())),
            // the order to halt is on its way
            Err(LearnerError::GivenUp) => return Ok(Ok(())),
            step => step.map_err(failure)?,
        };
        work.step = step.step;
        work.total_steps = step.total_steps;
        if step.loss.is_finite() {
            if work.losses.len() == LOSS_STEPS {
                work.losses.pop_front();
            }
            work.losses.push_back(step.loss);
        }
        let now = Instant::now();
        let duration: Option<Duration> = work.stepped_at.replace(now).map(|before| now - before);
        self.events.tell(TrainingEvent::Progress { round: work.job.round, step, duration });
        let every = work.job.checkpoint_every_steps;
        let is_due = every > 0 && step.step.is_multiple_of(every) && !step.is_last();
        if step.rolled_back {
            work.went_back_to = Some(step.step);
        }
        // where training went back, a restart must go on from there as well, and as slowly
        if is_due || step.rolled_back {
            self.save(work, false, Vec::new())?;
        }
        Ok(Ok(()))
    }

    /// Saves what is not saved yet, and waits for it.
    fn keep(&mut self, work: &mut Work) -> Result<(), TrainingFailure> {
        if work.step > 0 && work.saved_step != Some(work.step) {
            self.save(work, false, Vec::new())?;
        }
        self.writing.wait().transpose().map(|_| ())
    }

    /// Begins the job again from its newest checkpoint, slower. That is saved at once, as where a learner goes
    /// back by itself.
    fn go_back(
        &mut self,
        work: &mut Work,
        diverged: &LearnerStep,
        rollbacks: u32,
    ) -> Result<(), TrainingFailure> {
        self.writing.wait().transpose()?;
        *work = self.begin(work.job.clone(), rollbacks)?.map_err(TrainingFailure::Device)?;
        let step = LearnerStep { step: work.step, rolled_back: true, ..*diverged };
        self.events.tell(TrainingEvent::Progress { round: work.job.round, step, duration: None });
        self.save(work, false, Vec::new())
    }

    /// Takes a snapshot and has it written: files first, synced; what makes the checkpoint exist, last. Waits for
    /// the checkpoint before. `tickets` hear of it when it is durable.
    fn save(&mut self, work: &mut Work, is_final: bool, tickets: Vec<u64>) -> Result<(), TrainingFailure> {
        let began = Instant::now();
        self.writing.wait().transpose()?;
        let snapshot = self.learner.snapshot().map_err(failure)?;
        let (step, went_back_to) = (work.step, work.went_back_to.take());
        let (checkpoints, events) = (Arc::clone(&work.job.checkpoints), self.events.clone());
        let stall = began.elapsed();
        let write = move || {
            let began = Instant::now();
            let folder: PathBuf = checkpoints.begin(step)?;
            snapshot.write(&folder).map_err(unwritten)?;
            let id = checkpoints.commit(SavedCheckpoint { step, is_final, went_back_to, began, stall })?;
            events.tell(TrainingEvent::Checkpointed { id: id.clone(), tickets });
            Ok(id)
        };
        let no_thread = |error| TrainingFailure::Device(format!("no thread can be had: {error}"));
        self.writing.begin(write).map_err(no_thread)?;
        work.saved_step = Some(step);
        Ok(())
    }
}

fn failure(error: LearnerError) -> TrainingFailure {
    match error {
        LearnerError::Disk(reason) => TrainingFailure::Disk(reason),
        other => TrainingFailure::Device(other.to_string()),
    }
}

/// A checkpoint that cannot be written is the disk's failure, whatever the writer calls it.
fn unwritten(error: LearnerError) -> TrainingFailure {
    match error {
        LearnerError::Device(reason) | LearnerError::Disk(reason) => TrainingFailure::Disk(reason),
        other => TrainingFailure::Device(other.to_string()),
    }
}
