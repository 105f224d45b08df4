//! What the trainer drives: one training job at a time, optimizer step by optimizer step.

use std::path::{Path, PathBuf};

use still_domain::{RoundNumber, TrainingSetId};
use thiserror::Error;

use crate::Weights;

/// A response to train on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// Text that the learner tokenises and ends with the stop token.
    Text(String),
    /// The very tokens that a policy drew, its stop token included.
    Tokens(Vec<u32>),
}

/// A problem with a response to imitate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SftExample {
    /// The problem statement, before any prompt template.
    pub problem: String,
    /// The response; the loss covers its tokens only.
    pub response: Response,
}

/// A problem with a right and a wrong response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreferenceExample {
    /// The problem statement, before any prompt template.
    pub problem: String,
    /// The response to prefer.
    pub chosen: Response,
    /// The response to avoid.
    pub rejected: Response,
}

/// What a job trains on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrainingExamples {
    /// Supervised fine-tuning.
    Sft(Vec<SftExample>),
    /// Direct preference optimisation.
    Dpo(Vec<PreferenceExample>),
}

/// The parameters that a job starts from.
#[derive(Debug, Clone)]
pub enum Initialisation {
    /// The configured base model.
    Base,
    /// A published policy.
    Policy(Weights),
}

/// One training job.
#[derive(Debug, Clone)]
pub struct TrainingJob {
    /// The round it belongs to.
    pub round: RoundNumber,
    /// The sealed set it trains on.
    pub training_set: TrainingSetId,
    /// What an earlier program called that set, where it was another name: a checkpoint under it is of this job too.
    pub legacy_training_set: Option<TrainingSetId>,
    /// The set's examples, in the manifest's order.
    pub examples: TrainingExamples,
    /// Where it starts.
    pub initialisation: Initialisation,
    /// Seed of the data order.
    pub seed: u64,
    /// A checkpoint folder of this very job to go on from.
    pub resume: Option<PathBuf>,
    /// How often training has gone back because it diverged, where the checkpoint does not know yet: each
    /// time halves the learning rate.
    pub rollbacks: u32,
}

/// How far a job goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrainingPlan {
    /// Optimizer steps of the whole job.
    pub total_steps: u64,
    /// Steps already taken: zero unless it was resumed.
    pub resumed_step: u64,
}

/// What preference optimisation did to the pairs of a step, before its update. Means over pairs.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PreferenceMetrics {
    /// `beta` times the gain of the chosen over that of the rejected response.
    pub margin: f64,
    /// Share of the pairs whose margin is above 0.
    pub accuracy: f64,
    /// Log-probability of the chosen response's compared tokens, in nats.
    pub chosen_log_probability: f64,
    /// Log-probability of the rejected response's compared tokens, in nats.
    pub rejected_log_probability: f64,
    /// Distance from the reference policy a token, in nats: the estimator `e^r - 1 - r` (Schulman 2020) of
    /// each response's mean log-ratio `r`.
    pub kl: f64,
}

/// What one optimizer step did.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LearnerStep {
    /// Steps taken, this one included.
    pub step: u64,
    /// Steps of the whole job.
    pub total_steps: u64,
    /// Mean loss over the step's target tokens (SFT, nats a token) or pairs (DPO).
    pub loss: f64,
    /// Global norm of the gradients before clipping.
    pub gradient_norm: f64,
    /// The learning rate used.
    pub learning_rate: f64,
    /// Tokens of the step's sequences, prompts included.
    pub tokens: u64,
    /// Whether the update was left out because loss or gradient was not finite.
    pub skipped: bool,
    /// Whether training went back to an earlier state after this step; `step` is where it stands then.
    pub rolled_back: bool,
    /// How often the step's parts were halved because the device ran out of memory.
    pub memory_shortages: u32,
    /// What became of the step's pairs; none in a step of imitation.
    pub preferences: Option<PreferenceMetrics>,
}

impl LearnerStep {
    /// Whether the job is complete.
    pub const fn is_last(&self) -> bool {
        self.step >= self.total_steps
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
    /// What was to be written could not be, with the place.
    #[error("the learner cannot write: {0}")]
    Disk(String),
}

/// A job as it stood after a step. It is written on any thread, whatever the learner does meanwhile.
pub trait LearnerSnapshot: Send {
    /// Writes weights, moments, schedule and data order into `folder` (created, empty) and syncs every
    /// file. The folder is also a Hugging Face folder of the policy as it stood.
    fn write(&self, folder: &Path) -> Result<(), LearnerError>;
}

/// One training job at a time.
pub trait Learner: Send {
    /// Begins a job, or goes on with it from its checkpoint.
    fn begin(&mut self, job: TrainingJob) -> Result<TrainingPlan, LearnerError>;

    /// Takes one optimizer step.
    fn step(&mut self) -> Result<LearnerStep, LearnerError>;

    /// The job as it stands, to be written while training goes on. Cheap beside a step: parameters and
    /// moments are shared until they change.
    fn snapshot(&mut self) -> Result<Box<dyn LearnerSnapshot>, LearnerError>;

    /// Writes the job as it stands into `folder` (created, empty), and waits for it.
    fn save(&mut self, folder: &Path) -> Result<(), LearnerError> {
        self.snapshot()?.write(folder)
    }

    /// The parameters as they stand.
    fn weights(&mut self) -> Result<Weights, LearnerError>;

    /// Ends the job and frees its memory.
    fn end(&mut self);
}
