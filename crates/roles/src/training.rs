//! What the trainer holds: one training job at a time, here or elsewhere.

use std::{
    fmt,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use still_domain::{Algorithm, CheckpointId, PolicyRef, Recipe, RoundNumber, TrainingSetId};

use crate::{
    example::ExampleSource,
    role::{Role, RoleFactory},
};

/// One training job.
#[derive(Clone)]
pub struct TrainingJob {
    /// The round it belongs to.
    pub round: RoundNumber,
    /// The sealed set it trains on.
    pub training_set: TrainingSetId,
    /// What an earlier program called that set, where it was another name: a checkpoint under it is of this job too.
    pub legacy_training_set: Option<TrainingSetId>,
    /// Which settings it obeys.
    pub recipe: Recipe,
    /// What is minimised.
    pub objective: Algorithm,
    /// The set's examples, in the manifest's order.
    pub examples: Arc<dyn ExampleSource>,
    /// The policy that it starts from; `None` is the configured base model.
    pub start: Option<PolicyRef>,
    /// Seed of the data order.
    pub seed: u64,
    /// Optimizer steps between two checkpoints; 0 saves at the end alone.
    pub checkpoint_every_steps: u64,
    /// Where its checkpoints are, and where new ones go.
    pub checkpoints: Arc<dyn CheckpointStore>,
}

/// How far a job goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrainingPlan {
    /// Optimizer steps of the whole job.
    pub total_steps: u64,
    /// Steps already taken: zero unless it was resumed.
    pub resumed_step: u64,
    /// Examples of the set that are longer than the learner takes, and not trained on.
    pub left_out: u64,
}

/// What preference optimisation did to the pairs of a step, before its update. Means over pairs.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PreferenceMetrics {
    /// `beta` times the gain of the chosen over that of the rejected response; gains are over the reference policy, and
    /// means over tokens where the loss goes by them.
    pub margin: f64,
    /// Share of the pairs whose margin is above 0.
    pub accuracy: f64,
    /// Log-probability of the chosen response's compared tokens, in nats.
    pub chosen_log_probability: f64,
    /// Log-probability of the rejected response's compared tokens, in nats.
    pub rejected_log_probability: f64,
    /// Gain of the chosen response over the reference policy, in nats a token: below 0 where preference optimisation makes
    /// what it prefers less likely.
    pub chosen_drift: f64,
    /// Estimated distance from the reference policy a token, in nats: `e^r - 1 - r` (Schulman 2020) of each response's
    /// mean log-ratio `r`. The responses were drawn by neither of the two, so it tells how far they are apart on these,
    /// and is no KL divergence.
    pub kl: f64,
    /// Whether margin or drift is near its bound.
    pub is_alarming: bool,
}

/// What one optimizer step did.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LearnerStep {
    /// Steps taken, this one included.
    pub step: u64,
    /// Steps of the whole job.
    pub total_steps: u64,
    /// Mean loss over the step's target tokens (SFT, nats a token) or pairs (preference optimisation).
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
    /// Preference optimisation has come near a bound that the step before was not near.
    pub alarm: Option<PreferenceAlarm>,
}

/// What preference optimisation came near: told once, where it begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PreferenceAlarm {
    /// What there is too much of, and its unit.
    pub what: &'static str,
    /// How much.
    pub found: f64,
    /// The setting that bounds it.
    pub key: &'static str,
    /// The most that is allowed.
    pub most: f64,
}

impl fmt::Display for PreferenceAlarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, found, key, most } = self;
        write!(f, "{what} of {found:.3}, where `{key}` allows {most}")
    }
}

impl LearnerStep {
    /// Whether the job is complete.
    pub const fn is_last(&self) -> bool {
        self.step >= self.total_steps
    }
}

/// A checkpoint whose files are written and synced, in the folder that [`CheckpointStore::begin`] gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedCheckpoint {
    /// Optimizer steps taken.
    pub step: u64,
    /// Whether training is complete.
    pub is_final: bool,
    /// Training began anew or went back to this step: checkpoints of later steps are of training that was given up.
    pub went_back_to: Option<u64>,
    /// When writing began.
    pub began: Instant,
    /// How long training waited for the snapshot that was written.
    pub stall: Duration,
}

/// Why a run failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrainingFailure {
    /// The device, or the training itself: a fresh run may do better.
    Device(String),
    /// What must be durable cannot be written or read.
    Disk(String),
}

/// Where the checkpoints of one job are: the durable side of training.
pub trait CheckpointStore: Send + Sync {
    /// The complete checkpoints, newest first. Their files are not looked at.
    ///
    /// # Errors
    /// When it is not known which there are.
    fn newest_first(&self) -> Result<Vec<CheckpointId>, TrainingFailure>;

    /// What of a checkpoint's files is not as it was written, if anything is. Reads all of them.
    ///
    /// # Errors
    /// When it is not known how they were written.
    fn damage(&self, id: &CheckpointId) -> Result<Option<String>, TrainingFailure>;

    /// An empty folder for the files of a checkpoint after so many steps.
    ///
    /// # Errors
    /// When it cannot be made.
    fn begin(&self, step: u64) -> Result<PathBuf, TrainingFailure>;

    /// Makes a checkpoint exist, whose files are written and synced. Whoever reads it finds all of it or none.
    ///
    /// # Errors
    /// When it cannot be made durable; then it does not exist.
    fn commit(&self, saved: SavedCheckpoint) -> Result<CheckpointId, TrainingFailure>;

    /// Where the files of a complete checkpoint are.
    fn folder(&self, id: &CheckpointId) -> PathBuf;

    /// Whether a job that can go on from none of the checkpoints begins anew. Where a person named the folder, it is
    /// refused instead: it may be another training's.
    fn begins_anew(&self) -> bool {
        true
    }
}

/// Keeps nothing: of jobs that nobody interrupts, as benchmarks are.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCheckpoints;

impl CheckpointStore for NoCheckpoints {
    fn newest_first(&self) -> Result<Vec<CheckpointId>, TrainingFailure> {
        Ok(Vec::new())
    }

    fn damage(&self, id: &CheckpointId) -> Result<Option<String>, TrainingFailure> {
        Ok(Some(format!("this job keeps no checkpoint, nor `{id}`")))
    }

    fn begin(&self, step: u64) -> Result<PathBuf, TrainingFailure> {
        Err(TrainingFailure::Disk(format!("this job keeps no checkpoint after step {step}")))
    }

    fn commit(&self, saved: SavedCheckpoint) -> Result<CheckpointId, TrainingFailure> {
        Err(TrainingFailure::Disk(format!("this job keeps no checkpoint after step {}", saved.step)))
    }

    fn folder(&self, id: &CheckpointId) -> PathBuf {
        PathBuf::from(id.as_str())
    }
}

/// What a training run tells.
#[derive(Debug, Clone, PartialEq)]
pub enum TrainingEvent {
    /// A run is up and takes jobs.
    Ready,
    /// A job has begun, or goes on from a checkpoint.
    Begun {
        /// The round it is for.
        round: RoundNumber,
        /// How far it goes.
        plan: TrainingPlan,
        /// The checkpoint's folder that it goes on from.
        resumed_from: Option<PathBuf>,
    },
    /// It is alive, and between two steps.
    Alive,
    /// The step at work, or what comes before the first, has come further. Told now and then where it takes long.
    Advanced {
        /// The share that is done, from 0 to 1.
        share: f64,
    },
    /// A step was taken, or training went back.
    Progress {
        /// The round it is for.
        round: RoundNumber,
        /// The step.
        step: LearnerStep,
        /// The time since the one before, where there was one.
        duration: Option<Duration>,
    },
    /// A checkpoint is durable.
    Checkpointed {
        /// Its name.
        id: CheckpointId,
        /// The orders that asked for it.
        tickets: Vec<u64>,
    },
    /// Nothing is being trained, so that no checkpoint could be written.
    NothingToSave {
        /// The orders that asked for one.
        tickets: Vec<u64>,
    },
    /// The job is done, its final checkpoint durable.
    Done {
        /// The round it was for.
        round: RoundNumber,
        /// The final checkpoint.
        checkpoint: CheckpointId,
        /// Its folder.
        folder: PathBuf,
        /// Mean loss of the last steps; `None` when the process that took them is gone.
        loss: Option<f64>,
    },
    /// The job can never be run as given.
    Refused {
        /// The round it was for.
        round: RoundNumber,
        /// Why.
        reason: String,
    },
    /// Something an operator should know of.
    Warning(String),
    /// What a halt asked for is done.
    Halted,
    /// The run failed: its last word. A fresh one goes on from the newest checkpoint.
    Failed(TrainingFailure),
}

/// One training job at a time. Every order returns at once.
pub trait TrainingRun: Role {
    /// Takes a job up, in place of the one at work, going on from its newest checkpoint that can be gone on from.
    fn start(&mut self, job: TrainingJob);

    /// Writes a checkpoint after the step at work, and names `ticket` when it is durable. One checkpoint may answer
    /// several orders.
    fn checkpoint(&mut self, ticket: u64);

    /// Takes no further step, or goes on.
    fn pause(&mut self, is_paused: bool);

    /// Writes a checkpoint of the job, drops it, and says so.
    fn halt(&mut self);
}

/// Opens training runs on the devices of a learner, or at another trainer.
pub type TrainingFactory = RoleFactory<dyn TrainingRun, TrainingEvent>;

impl fmt::Debug for TrainingJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrainingJob")
            .field("round", &self.round)
            .field("training_set", &self.training_set)
            .field("recipe", &self.recipe)
            .field("objective", &self.objective)
            .field("examples", &self.examples.count())
            .field("start", &self.start)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for TrainingFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Device(reason) | Self::Disk(reason)) = self;
        f.write_str(reason)
    }
}

impl std::error::Error for TrainingFailure {}

impl From<String> for TrainingFailure {
    fn from(reason: String) -> Self {
        Self::Device(reason)
    }
}
