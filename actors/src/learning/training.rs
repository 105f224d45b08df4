//! What the learner's device thread does: one job at a time, step by step, checkpoints in between.
//!
//! The thread obeys every command that waits between two optimizer steps, and looks at the switches there.
//! Paused or without a job it sleeps.
//!
//! A checkpoint stops training for its snapshot alone: a second thread writes, hashes and syncs the files and
//! records them, the manifest last. Checkpoints become durable in the order of their steps, and a failure to
//! write one ends training at the next step.

use std::{
    collections::VecDeque,
    mem,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, TryRecvError};
use ractor::ActorProcessingErr;
use still_domain::{CheckpointId, CheckpointManifest, RoundNumber};
use still_roles::{Background, Learner, LearnerError, LearnerStep, TrainingJob};
use still_store::{CheckpointsSection, StoreError};

use crate::{
    ground::board::shown,
    ground::error::Refusal,
    ground::ledger::Ledger,
    ground::observe::Observer,
    ground::protocol::{Answer, TrainedPolicy},
    ground::switches::Switches,
    learning::trainer::intact_checkpoints,
};

/// Steps whose mean is a round's training loss.
const LOSS_STEPS: usize = 20;

/// What the learner's thread is told.
#[derive(Debug)]
pub(crate) enum LearnerCommand {
    /// Take this job up; the checkpoints are tried in order to go on from.
    Train(Box<TrainingJob>, Vec<PathBuf>),
    /// The switches changed: wake up and look at them.
    LookAtSwitches,
    /// Write a checkpoint.
    Checkpoint(Answer<CheckpointId>),
    /// Write a checkpoint of the job, drop it, and say so.
    Halt,
}

/// What the learner's thread tells.
#[derive(Debug)]
pub(crate) enum LearnerFact {
    /// A job is done.
    Trained(TrainedPolicy),
    /// A job can never be run as given.
    Refused {
        /// The round it was for.
        round: RoundNumber,
        /// Why.
        reason: String,
    },
    /// The halt is done.
    Halted,
}

/// The checkpoint that is being written.
type Writing = Background<Result<CheckpointManifest, ActorProcessingErr>>;

/// What the learner's thread works with.
#[derive(Clone)]
pub(crate) struct Training {
    pub(crate) ledger: Ledger,
    pub(crate) observer: Observer,
    pub(crate) config: CheckpointsSection,
    pub(crate) switches: Arc<Switches>,
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

impl Training {
    /// Works until the channel's other end is gone.
    pub(crate) fn work(
        &self,
        learner: &mut dyn Learner,
        commands: &Receiver<LearnerCommand>,
        tell: impl Fn(LearnerFact),
    ) -> Result<(), ActorProcessingErr> {
        let mut work: Option<Work> = None;
        let mut writing = Writing::new("checkpoint");
        let mut asked = Vec::new();
        loop {
            let mut next = if work.is_some() && !self.switches.training_paused() {
                writing.take_finished().transpose()?;
                commands.try_recv()
            } else {
                // there is nothing to do beside it, and its failure must not wait for a command
                writing.wait().transpose()?;
                commands.recv().map_err(TryRecvError::from)
            };
            while let Ok(command) = next {
                match command {
                    LearnerCommand::LookAtSwitches => {}
                    LearnerCommand::Checkpoint(answer) => asked.push(answer),
                    LearnerCommand::Train(job, resume) => {
                        self.answer(learner, work.as_mut(), &mut writing, &mut asked)?;
                        if work.take().is_some() {
                            learner.end();
                        }
                        let round = job.round;
                        match self.begin(learner, *job, resume)? {
                            Ok(begun) => work = Some(begun),
                            Err(reason) => tell(LearnerFact::Refused { round, reason }),
                        }
                    }
                    LearnerCommand::Halt => {
                        self.answer(learner, work.as_mut(), &mut writing, &mut asked)?;
                        if let Some(mut halted) = work.take() {
                            if halted.step > 0 && halted.saved_step != Some(halted.step) {
                                self.save(learner, &mut halted, &mut writing, false, Vec::new())?;
                            }
                            learner.end();
                        }
                        writing.wait().transpose()?;
                        tell(LearnerFact::Halted);
                    }
                }
                next = commands.try_recv();
            }
            if matches!(next, Err(TryRecvError::Disconnected)) {
                return Ok(());
            }
            self.answer(learner, work.as_mut(), &mut writing, &mut asked)?;
            if self.switches.training_paused() {
                continue;
            }
            let Some(at_work) = &mut work else { continue };
            if at_work.step < at_work.total_steps {
                self.step(learner, at_work, &mut writing)?;
            }
            if at_work.step >= at_work.total_steps {
                self.save(learner, at_work, &mut writing, true, Vec::new())?;
                let checkpoint = writing.wait().ok_or("the final checkpoint is not being written")??.id;
                let weights = learner.weights()?;
                let losses = &at_work.losses;
                let mean = losses.iter().sum::<f64>() / losses.len() as f64;
                let loss = (!losses.is_empty()).then_some(mean);
                let round = at_work.job.round;
                learner.end();
                work = None;
                tell(LearnerFact::Trained(TrainedPolicy { round, checkpoint, weights, loss }));
            }
        }
    }

    /// One checkpoint answers all that asked for one since the last step.
    fn answer(
        &self,
        learner: &mut dyn Learner,
        work: Option<&mut Work>,
        writing: &mut Writing,
        asked: &mut Vec<Answer<CheckpointId>>,
    ) -> Result<(), ActorProcessingErr> {
        if asked.is_empty() {
            return Ok(());
        }
        let answers = mem::take(asked);
        if let Some(work) = work {
            return self.save(learner, work, writing, false, answers);
        }
        for answer in answers {
            let refusal = Refusal::NotNow("nothing is being trained".to_owned());
            let _nobody_waits = answer.send(Err(refusal));
        }
        Ok(())
    }

    /// Begins a job, going on from the first of `resume` that can be gone on from; the inner error says why it
    /// can never be run.
    fn begin(
        &self,
        learner: &mut dyn Learner,
        job: TrainingJob,
        resume: Vec<PathBuf>,
    ) -> Result<Result<Work, String>, ActorProcessingErr> {
        let tries = resume.into_iter().map(Some).chain([None]);
        for resume in tries {
            match learner.begin(TrainingJob { resume, ..job.clone() }) {
                Ok(plan) => {
                    shown(&self.observer.board.training, |training| {
                        training.round = Some(job.round);
                        training.step = plan.resumed_step;
                        training.total_steps = plan.total_steps;
                        training.loss = None;
                    });
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
                Err(error @ LearnerError::Checkpoint { .. }) => self.observer.warn(error.to_string()),
                Err(error) => return Err(error.into()),
            }
        }
        Err("no checkpoint can be gone on from, and the job cannot begin anew".into())
    }

    fn step(
        &self,
        learner: &mut dyn Learner,
        work: &mut Work,
        writing: &mut Writing,
    ) -> Result<(), ActorProcessingErr> {
        let step = match learner.step() {
            Err(LearnerError::BackToCheckpoint { diverged, rollbacks }) => {
                return self.go_back(learner, work, writing, &diverged, rollbacks);
            }
            step => step?,
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
        self.observer.trained(work.job.round, &step, duration);
        let every = self.config.every_steps;
        let is_due = every > 0 && step.step % every == 0 && !step.is_last();
        if step.rolled_back {
            work.went_back_to = Some(step.step);
        }
        // where training went back, a restart must go on from there as well, and as slowly
        if is_due || step.rolled_back {
            self.save(learner, work, writing, false, Vec::new())?;
        }
        Ok(())
    }

    /// Begins the job again from its newest checkpoint, slower. That is saved at once, as where a learner goes
    /// back by itself.
    fn go_back(
        &self,
        learner: &mut dyn Learner,
        work: &mut Work,
        writing: &mut Writing,
        diverged: &LearnerStep,
        rollbacks: u32,
    ) -> Result<(), ActorProcessingErr> {
        writing.wait().transpose()?;
        let job = TrainingJob { rollbacks, ..work.job.clone() };
        let checkpoints = intact_checkpoints(&self.ledger, &self.observer, job.round, &job.training_set)?;
        let folders = checkpoints.iter().map(|one| self.ledger.checkpoints.folder(&one.id));
        *work = self.begin(learner, job, folders.collect())??;
        let step = LearnerStep { step: work.step, rolled_back: true, ..*diverged };
        self.observer.trained(work.job.round, &step, None);
        self.save(learner, work, writing, false, Vec::new())
    }

    /// Takes a snapshot and has it written: files first, synced; the manifest, which makes it exist, last.
    /// Waits for the checkpoint before. `answers` are told when it is durable.
    fn save(
        &self,
        learner: &mut dyn Learner,
        work: &mut Work,
        writing: &mut Writing,
        is_final: bool,
        answers: Vec<Answer<CheckpointId>>,
    ) -> Result<(), ActorProcessingErr> {
        let began = Instant::now();
        writing.wait().transpose()?;
        let snapshot = learner.snapshot()?;
        let (round, step, set) = (work.job.round, work.step, work.job.training_set.clone());
        let went_back_to = work.went_back_to.take();
        let training = self.clone();
        let stall = began.elapsed();
        writing.begin(move || {
            let began = Instant::now();
            let Training { ledger, observer, config, switches: _ } = training;
            let mut pending = ledger.checkpoints.begin(round, step)?;
            if let Some(step) = went_back_to {
                pending = pending.going_back_to(step);
            }
            snapshot.write(pending.folder()).map_err(unwritten)?;
            let manifest = ledger.checkpoints.commit(pending, set, is_final, observer.now_ms())?;
            observer.checkpointed(&manifest, began.elapsed(), stall);
            ledger.checkpoints.retain_by(&config, &manifest.id)?;
            for answer in answers {
                let _nobody_waits = answer.send(Ok(manifest.id.clone()));
            }
            Ok(manifest)
        })?;
        work.saved_step = Some(step);
        Ok(())
    }
}

/// A checkpoint that cannot be written is the disk's failure like any other of the store.
fn unwritten(error: LearnerError) -> ActorProcessingErr {
    match error {
        LearnerError::Disk(reason) => StoreError::Engine { action: "write a checkpoint", reason }.into(),
        other => other.into(),
    }
}
