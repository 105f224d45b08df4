//! The learner role.

use std::{path::Path, sync::Arc};

use still_decoder::{DecoderConfig, Threads};
use still_domain::seed;
use still_embedded::{Learner, LearnerError, LearnerJob, LearnerSnapshot};
use still_library::{PolicyLibrary, Weights};
use still_recipe::{CpuArithmetic, Precision};
use still_roles::{LearnerStep, TrainingJob, TrainingPlan};
use still_tensor_decoder::{Adapters, ForwardSettings, LayerObserver, ParameterList, Role};
use still_training_data::ExampleEncoder;

use crate::{
    checkpoint::{self, Position, TrainingState},
    config::LearnerConfig,
    job::{Job, StepGradients, reference},
    job_plan::{JobPlan, Planning},
    loss::PairSums,
    optimizer::{Optimizer, Update, clip_scale, global_norm},
    replicas::{LearnerDevice, Replicas, Workplace},
    snapshot::JobSnapshot,
    trained::Trained,
};

/// What the learning rate is multiplied by each time that training goes back.
const RATE_AFTER_ROLLBACK: f64 = 0.5;
/// Times that training goes back before it gives up.
const MAX_ROLLBACKS: u32 = 3;

/// What others load a model by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelName {
    /// A folder, or a repository of the hub.
    pub name: String,
    /// The commit of the repository.
    pub revision: Option<String>,
}

/// The base model, as the first job starts from it.
#[derive(Debug, Clone)]
pub struct BasePolicy {
    /// Adapters that are trained beside it are written with its name. Without one (others cannot load it: something
    /// was merged into it, say) they would be of no use and are not written.
    pub name: Option<ModelName>,
    /// Its sizes.
    pub config: DecoderConfig,
}

/// One training job at a time.
pub struct PolicyLearner {
    config: LearnerConfig,
    base: BasePolicy,
    library: Arc<PolicyLibrary>,
    encoder: Arc<dyn ExampleEncoder>,
    devices: Vec<LearnerDevice>,
    settings: ForwardSettings,
    /// Started with the first job.
    replicas: Option<Replicas>,
    job: Option<Job>,
}

impl PolicyLearner {
    /// A learner that makes gradients on `devices`, which share every step's parts: how many there are does not change a bit
    /// of the result.
    pub fn new(
        mut config: LearnerConfig,
        base: BasePolicy,
        library: Arc<PolicyLibrary>,
        encoder: Arc<dyn ExampleEncoder>,
        devices: Vec<LearnerDevice>,
    ) -> Self {
        // a job is the same whatever is asked of what it does not use
        let is_processor = |device: &LearnerDevice| matches!(device, LearnerDevice::Processor);
        if devices.iter().all(is_processor) {
            config.training.precision = Precision::F32;
        }
        if !devices.iter().any(is_processor) {
            config.training.cpu_arithmetic = CpuArithmetic::F32;
        }
        let settings = ForwardSettings {
            config: Arc::new(base.config.clone()),
            threads: Threads::new(config.threads).multiplying_in(config.arithmetic()),
            recompute: config.training.recompute_activations,
            observer: LayerObserver::default(),
        };
        Self { config, base, library, encoder, devices, settings, replicas: None, job: None }
    }

    fn start_replicas(&self) -> Result<Replicas, LearnerError> {
        let workplace =
            |device: &LearnerDevice| Workplace { device: device.clone(), settings: self.settings.clone() };
        Replicas::start(self.devices.iter().map(workplace).collect())
    }

    /// The weights that a job starts from.
    fn start(&self, job: &TrainingJob) -> Result<Weights, LearnerError> {
        let start = job.start.as_ref();
        let found =
            start.map_or_else(|| self.library.base_weights(), |start| self.library.host_weights(start));
        found.map_err(|error| LearnerError::Device(error.to_string()))
    }

    /// The parameters of the job at work as they stand.
    ///
    /// # Errors
    /// When no job has begun.
    pub fn weights(&self) -> Result<Weights, LearnerError> {
        let job = self.job.as_ref().ok_or(LearnerError::NoJob)?;
        Ok(job.state.trained.policy(&self.base.config))
    }

    /// What a job trains, before its first step.
    fn fresh(&self, job: &TrainingJob, start: &Weights) -> Result<Trained, LearnerError> {
        let Some(lora) = self.config.lora() else { return Ok(Trained::Full(start.to_f32())) };
        let seed = seed::derive(job.seed, &["adapters"]);
        let adapters = Adapters::new(&lora, &self.base.config, seed)
            .map_err(|error| LearnerError::Refused(error.to_string()))?;
        Ok(Trained::Adapters { adapters, base: Arc::clone(start) })
    }
}

/// What a job begins with.
enum Begun {
    /// The masters of its first step.
    Fresh(Trained),
    /// What a checkpoint held.
    Found(Box<TrainingState>, Arc<[PairSums]>),
}

impl Learner for PolicyLearner {
    fn begin(&mut self, job: &LearnerJob) -> Result<TrainingPlan, LearnerError> {
        self.end();
        let LearnerJob { job, resume, rollbacks: rolled_back, oversight } = job;
        let start = self.start(job)?;
        let fresh = self.fresh(job, &start)?;
        let frozen = fresh.base().cloned();
        let planning = Planning {
            job,
            learner: &self.config,
            encoder: &*self.encoder,
            positions: self.base.config.max_position_count,
            frozen: frozen.as_deref(),
        };
        let (plan, begun) = match resume {
            None => {
                let plan = planning.begin()?;
                (plan, Begun::Fresh(fresh))
            }
            Some(folder) => {
                let (found, reference) = checkpoint::load(folder, fresh)?;
                let unfit = |reason: &str| LearnerError::Checkpoint {
                    path: folder.clone(),
                    reason: reason.to_owned(),
                };
                let Position { fingerprint, skipped_in_a_row, rollbacks, .. } = &found.position;
                let plan = planning
                    .go_on(fingerprint)?
                    .ok_or_else(|| unfit("it belongs to a job with other data or settings"))?;
                if rolled_back > rollbacks && *skipped_in_a_row > 0 {
                    return Err(unfit("training was diverging already when it was written"));
                }
                (plan, Begun::Found(Box::new(found), reference))
            }
        };
        let order = plan.order(job.seed);
        let total_steps = order.total_steps(&plan.settings);
        let JobPlan { version, settings: config, examples, left_out, name } = plan;
        if left_out > 0 {
            let limit = config.max_sequence_tokens;
            let positions = self.base.config.max_position_count;
            tracing::warn!(
                left_out,
                limit,
                positions,
                "examples longer than max_sequence_tokens, or than the model has positions, are left out"
            );
        }
        let replicas = match self.replicas.take() {
            Some(replicas) => replicas,
            None => self.start_replicas()?,
        };
        let replicas = self.replicas.insert(replicas);
        let (mut state, reference) = match begun {
            Begun::Found(mut state, reference) => {
                state.position.fingerprint = name;
                (*state, reference)
            }
            Begun::Fresh(trained) => {
                let position = Position {
                    step: 0,
                    updates: 0,
                    skipped_in_a_row: 0,
                    rollbacks: 0,
                    micro_batch_tokens: 0,
                    threads: 0,
                    fingerprint: name,
                    decoder: self.base.config.clone(),
                };
                let optimizer = Optimizer::new(config.optimizer, &trained);
                let state = TrainingState { trained, optimizer, position };
                (state, reference(replicas, &examples, &start, self.base.config.layer_count, oversight)?)
            }
        };
        let (threads, before) = (self.settings.threads.count(), state.position.threads);
        if before > 0 && before != threads {
            tracing::warn!(
                before,
                threads,
                "other numbers of threads add up in another order: the result is as good and not the same to the bit; \
                 set `device.learner_threads` for that"
            );
        }
        state.position.threads = threads;
        state.position.rollbacks = state.position.rollbacks.max(*rolled_back);
        if state.position.micro_batch_tokens == 0 {
            state.position.micro_batch_tokens = self.config.micro_batch_tokens().max(1);
        }
        let plan = TrainingPlan { total_steps, resumed_step: state.position.step, left_out: left_out as u64 };
        // a state between skipped steps may be diverging already
        let is_good = state.position.skipped_in_a_row == 0;
        let last_good = is_good
            .then(|| kept(&Arc::new(state.clone()), self.config.training.max_kept_parameters))
            .flatten();
        let starts_from_base = job.start.as_ref().is_none_or(|start| start.checkpoint.is_none());
        let base_name = self.base.name.clone().filter(|_| frozen.is_some() && starts_from_base);
        let dpo = self.config.training.dpo.clone();
        self.job = Some(Job {
            version,
            config,
            dpo,
            examples,
            reference,
            order,
            base_name,
            state,
            last_good,
            total_steps,
            oversight: oversight.clone(),
            is_alarmed: false,
        });
        Ok(plan)
    }

    fn step(&mut self) -> Result<LearnerStep, LearnerError> {
        let job = self.job.as_mut().ok_or(LearnerError::NoJob)?;
        let replicas = self.replicas.as_mut().ok_or(LearnerError::NoJob)?;
        let threads = self.settings.threads.count();
        let step = job.state.position.step;
        let batch = job.order.batch(step).to_vec();
        let StepGradients { loss, gradients, tokens, mut preferences, memory_shortages } =
            job.gradients(replicas, &batch)?;
        let alarm = job.alarm(preferences.as_mut())?;
        let norm = global_norm(&gradients, threads);
        let lowered = RATE_AFTER_ROLLBACK.powi(job.state.position.rollbacks as i32);
        let rate = job.version.learning_rate(&job.config, step, job.total_steps) * lowered;
        let skipped = !(loss.is_finite() && norm.is_finite());
        let state = &mut job.state;
        if skipped {
            state.position.skipped_in_a_row += 1;
            tracing::warn!(step, loss, norm, "a step is left out: its loss or gradient is not finite");
        } else {
            let config = &job.config;
            let update = Update {
                rate,
                gradient_scale: clip_scale(norm, config.clip_norm),
                betas: config.betas,
                epsilon: config.epsilon,
                decay: |role| match role {
                    Role::Matrix { .. } => config.weight_decay,
                    Role::Embedding if config.decay_embeddings => config.weight_decay,
                    Role::Embedding | Role::Vector => 0.0,
                },
                threads: &self.settings.threads,
            };
            state.optimizer.update(&mut state.trained, &gradients, &update);
            state.position.skipped_in_a_row = 0;
            state.position.updates = state.optimizer.updates;
        }
        state.position.step += 1;
        let report = LearnerStep {
            step: state.position.step,
            total_steps: job.total_steps,
            loss,
            gradient_norm: norm,
            learning_rate: rate,
            tokens,
            skipped,
            rolled_back: false,
            memory_shortages,
            preferences,
            alarm,
        };
        if state.position.skipped_in_a_row > self.config.training.max_skipped_steps {
            return roll_back(job, report);
        }
        Ok(report)
    }

    fn snapshot(&mut self) -> Result<Box<dyn LearnerSnapshot>, LearnerError> {
        let job = self.job.as_mut().ok_or(LearnerError::NoJob)?;
        let state = Arc::new(job.state.clone());
        if state.position.skipped_in_a_row == 0 {
            job.last_good = kept(&state, self.config.training.max_kept_parameters);
        }
        Ok(Box::new(JobSnapshot {
            config: self.base.config.clone(),
            encoder: Arc::clone(&self.encoder),
            base_name: job.base_name.clone(),
            state,
            reference: Arc::clone(&job.reference),
        }))
    }

    fn completed(&mut self, folder: &Path) -> Result<(), LearnerError> {
        self.library.remember(folder, &self.weights()?);
        Ok(())
    }

    fn end(&mut self) {
        self.job = None;
        if let Some(replicas) = &mut self.replicas
            && replicas.release().is_err()
        {
            // a thread is gone: the next job starts them anew
            self.replicas = None;
        }
    }
}

/// Goes back to the last good state with a lower rate, asks for a checkpoint to go back to, or gives up.
fn roll_back(job: &mut Job, diverged: LearnerStep) -> Result<LearnerStep, LearnerError> {
    let rollbacks = job.state.position.rollbacks + 1;
    if rollbacks > MAX_ROLLBACKS {
        let reason = format!(
            "loss {} and gradient norm {} for several steps in a row, {} times gone back before: lower \
             `peak_learning_rate`",
            diverged.loss,
            diverged.gradient_norm,
            rollbacks - 1
        );
        return Err(LearnerError::Diverged { step: diverged.step, reason });
    }
    let Some(good) = &job.last_good else {
        return Err(LearnerError::BackToCheckpoint { diverged: Box::new(diverged), rollbacks });
    };
    let micro_batch_tokens = job.state.position.micro_batch_tokens;
    job.state = TrainingState::clone(good);
    job.state.position.micro_batch_tokens = micro_batch_tokens;
    job.state.position.rollbacks = rollbacks;
    job.state.position.skipped_in_a_row = 0;
    let step = job.state.position.step;
    tracing::warn!(from = diverged.step, to = step, rollbacks, "training diverged and goes back, slower");
    Ok(LearnerStep { step, rolled_back: true, ..diverged })
}

/// A state to go back to, unless it has more parameters than are kept.
fn kept(state: &Arc<TrainingState>, max_parameters: usize) -> Option<Arc<TrainingState>> {
    let count: usize = state.trained.values().iter().map(|(_, values)| values.len()).sum();
    (count <= max_parameters).then(|| Arc::clone(state))
}
