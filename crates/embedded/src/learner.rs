//! What takes optimizer steps: one job at a time.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use still_roles::{LearnerStep, SourceError, TrainingJob, TrainingPlan};
use thiserror::Error;

/// A job as a learner takes it up.
#[derive(Debug, Clone)]
pub struct LearnerJob {
    /// The job.
    pub job: TrainingJob,
    /// A checkpoint folder of this very job to go on from.
    pub resume: Option<PathBuf>,
    /// How often training has gone back because it diverged, where the checkpoint does not know yet: each
    /// time halves the learning rate.
    pub rollbacks: u32,
    /// How its steps are overseen.
    pub oversight: StepOversight,
}

/// How a step is overseen while it is taken: of every piece of its work that is done it is told, and between two parts
/// of its examples it may be given up.
#[derive(Clone)]
pub struct StepOversight {
    piece_done: Arc<dyn Fn(usize, usize) + Send + Sync>,
    is_given_up: Halting,
}

/// Whether whoever takes steps is to take no further one, nor to end the one at work. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Halting(Arc<AtomicBool>);

impl Halting {
    /// Asks for it, or for nothing any more.
    pub fn set(&self, is_halting: bool) {
        self.0.store(is_halting, Ordering::Relaxed);
    }

    fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl StepOversight {
    /// `piece_done` hears how many pieces of how many are done, from any thread.
    pub fn new(is_given_up: Halting, piece_done: impl Fn(usize, usize) + Send + Sync + 'static) -> Self {
        Self { piece_done: Arc::new(piece_done), is_given_up }
    }

    /// Tells that so many pieces of a step's work are done.
    pub fn piece_done(&self, done: usize, pieces: usize) {
        (self.piece_done)(done, pieces);
    }

    /// Whether the next part is to be worked on.
    ///
    /// # Errors
    /// [`LearnerError::GivenUp`].
    pub fn goes_on(&self) -> Result<(), LearnerError> {
        if self.is_given_up.is_asked() { Err(LearnerError::GivenUp) } else { Ok(()) }
    }
}

impl Default for StepOversight {
    /// Nobody oversees it.
    fn default() -> Self {
        Self::new(Halting::default(), |_, _| ())
    }
}

impl fmt::Debug for StepOversight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepOversight").field("is_given_up", &self.is_given_up).finish_non_exhaustive()
    }
}

impl LearnerJob {
    /// A job that has not begun yet.
    pub fn fresh(job: TrainingJob) -> Self {
        Self { job, resume: None, rollbacks: 0, oversight: StepOversight::default() }
    }
}

/// Why a learner could not go on.
#[derive(Debug, Error)]
pub enum LearnerError {
    /// The job cannot be run as given.
    #[error("the training job is refused: {0}")]
    Refused(String),
    /// The checkpoint cannot be gone on from.
    #[error("checkpoint `{path}` cannot be resumed: {reason}")]
    Checkpoint {
        /// The checkpoint's folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A step or a save was asked for with no job begun.
    #[error("no training job has begun")]
    NoJob,
    /// The step at work was given up between two of its parts; nothing of the job has changed.
    #[error("the step was given up")]
    GivenUp,
    /// Too many steps in a row were not finite.
    #[error("training diverged at step {step}: {reason}")]
    Diverged {
        /// The step.
        step: u64,
        /// What was seen.
        reason: String,
    },
    /// Training diverged, and no earlier state is in memory: it goes on when the job begins again from a
    /// checkpoint, or anew, with these `rollbacks`.
    #[error("training diverged at step {}: it must go back to a checkpoint", diverged.step)]
    BackToCheckpoint {
        /// The step after which training has to go back.
        diverged: Box<LearnerStep>,
        /// How often it has gone back by then.
        rollbacks: u32,
    },
    /// The device failed.
    #[error("the learner failed: {0}")]
    Device(String),
    /// What must be durable cannot be written or read.
    #[error("{0}")]
    Disk(String),
}

impl From<SourceError> for LearnerError {
    fn from(error: SourceError) -> Self {
        Self::Disk(error.to_string())
    }
}

/// A job as it stood after a step. It is written on any thread, whatever the learner does meanwhile.
pub trait LearnerSnapshot: Send {
    /// Writes weights, moments, schedule and data order into `folder` (created, empty) and syncs every
    /// file. The folder is also a Hugging Face folder of the policy as it stood.
    ///
    /// # Errors
    /// When the disk fails.
    fn write(&self, folder: &Path) -> Result<(), LearnerError>;
}

/// One training job at a time.
pub trait Learner: Send {
    /// Begins a job, or goes on with it from its checkpoint.
    ///
    /// # Errors
    /// When the job or its checkpoint cannot be used, or the device fails.
    fn begin(&mut self, job: &LearnerJob) -> Result<TrainingPlan, LearnerError>;

    /// Takes one optimizer step.
    ///
    /// # Errors
    /// When training diverges for good or goes beyond its bounds, or the device fails.
    fn step(&mut self) -> Result<LearnerStep, LearnerError>;

    /// The job as it stands, to be written while training goes on. Cheap beside a step: parameters and
    /// moments are shared until they change.
    ///
    /// # Errors
    /// When no job has begun.
    fn snapshot(&mut self) -> Result<Box<dyn LearnerSnapshot>, LearnerError>;

    /// Writes the job as it stands into `folder` (created, empty), and waits for it.
    ///
    /// # Errors
    /// When no job has begun, or the disk fails.
    fn save(&mut self, folder: &Path) -> Result<(), LearnerError> {
        self.snapshot()?.write(folder)
    }

    /// The job is complete, and `folder` holds its final checkpoint: whoever computes in this process may be handed
    /// its parameters as they stand in memory.
    ///
    /// # Errors
    /// When no job has begun.
    fn completed(&mut self, folder: &Path) -> Result<(), LearnerError>;

    /// Ends the job and frees its memory.
    fn end(&mut self);
}
