//! The learner role.

use std::{path::Path, sync::Arc};

use burn::tensor::Device;
use still_decoder::{
    DecoderConfig, DecoderWeights, Threads,
    hugging_face::{DEFAULT_MAX_SHARD_BYTES, Precision, save_folder},
};
use still_policy::{BatchError, Decoder, ForwardSettings};
use still_roles::{
    Initialisation, Learner, LearnerError, LearnerStep, TrainingExamples, TrainingJob, TrainingPlan, Weights,
};

use crate::{
    checkpoint::{self, Position},
    config::{JobConfig, LearnerConfig},
    data_order::DataOrder,
    examples::{ExampleEncoder, Examples, Sequence, encode_dpo, encode_sft},
    loss::{self, LossAndGradients},
    optimizer::{Optimizer, accumulate, clip_scale, global_norm},
};

/// The base model, as the first job starts from it.
pub struct BasePolicy {
    /// Its sizes.
    pub config: DecoderConfig,
    /// Its parameters.
    pub weights: Weights,
}

/// One training job at a time.
pub struct PolicyLearner {
    config: LearnerConfig,
    base: BasePolicy,
    encoder: Box<dyn ExampleEncoder>,
    /// Where gradients are made.
    device: Device,
    settings: ForwardSettings,
    job: Option<Job>,
}

/// A job under way.
struct Job {
    config: JobConfig,
    examples: Examples,
    /// Summed log-probabilities of the policy that a DPO job started from, by pair.
    reference: Vec<(f32, f32)>,
    order: DataOrder,
    masters: DecoderWeights,
    optimizer: Optimizer,
    position: Position,
    total_steps: u64,
}

impl PolicyLearner {
    /// A learner that makes gradients on `device`.
    pub fn new(
        config: LearnerConfig,
        base: BasePolicy,
        encoder: Box<dyn ExampleEncoder>,
        device: Device,
        fused: bool,
    ) -> Self {
        let settings = ForwardSettings {
            config: Arc::new(base.config.clone()),
            threads: Threads::new(config.threads),
            recompute: config.recompute_activations,
            fused,
        };
        Self { config, base, encoder, device, settings, job: None }
    }

    fn encode(&self, job: &TrainingJob, config: &JobConfig) -> Result<Examples, LearnerError> {
        let limit = config.max_sequence_tokens;
        let (examples, left_out) = match &job.examples {
            TrainingExamples::Sft(examples) => encode_sft(&*self.encoder, examples, limit)?,
            TrainingExamples::Dpo(pairs) => encode_dpo(&*self.encoder, pairs, self.config.dpo.span, limit)?,
        };
        if left_out > 0 {
            tracing::warn!(left_out, limit, "examples longer than max_sequence_tokens are left out");
        }
        if examples.len() == 0 {
            let reason = format!("no example is left of {left_out} once those over {limit} tokens are out");
            return Err(LearnerError::Refused(reason));
        }
        Ok(examples)
    }

    /// The reference's log-probabilities of every pair, from the policy that the job starts from.
    fn reference(
        &self,
        examples: &Examples,
        start: &DecoderWeights,
    ) -> Result<Vec<(f32, f32)>, LearnerError> {
        let Examples::Dpo(pairs) = examples else { return Ok(Vec::new()) };
        let device = self.device.clone().inner();
        let mut sums = Vec::with_capacity(pairs.len());
        for pair in pairs {
            let found = loss::target_sums(start, &[&pair.0, &pair.1], &device, &self.settings);
            let found = found.map_err(|error| refused(&error))?;
            sums.push((found.first().copied().unwrap_or(0.0), found.get(1).copied().unwrap_or(0.0)));
        }
        Ok(sums)
    }

    /// Loss and gradients of a step's examples, part by part.
    fn gradients(&self, job: &Job, batch: &[usize]) -> Result<(LossAndGradients, u64), LearnerError> {
        let decoder = Decoder::from_weights(&job.masters, &self.device);
        let limit = self.config.micro_batch_tokens.max(1);
        let mut tokens = 0;
        let mut whole: Option<LossAndGradients> = None;
        let mut add = |part: LossAndGradients| match &mut whole {
            None => whole = Some(part),
            Some(whole) => {
                whole.loss += part.loss;
                accumulate(&mut whole.gradients, &part.gradients);
            }
        };
        match &job.examples {
            Examples::Sft(sequences) => {
                let chosen: Vec<&Sequence> = batch.iter().filter_map(|index| sequences.get(*index)).collect();
                let targets = chosen.iter().map(|sequence| sequence.target.len()).sum::<usize>().max(1);
                for part in parts(&chosen, limit, |sequence| sequence.tokens.len()) {
                    tokens += part.iter().map(|sequence| sequence.tokens.len() as u64).sum::<u64>();
                    add(loss::sft(&decoder, part, targets, &self.settings)
                        .map_err(|error| refused(&error))?);
                }
            }
            Examples::Dpo(pairs) => {
                let chosen: Vec<usize> = batch.iter().copied().filter(|index| *index < pairs.len()).collect();
                let length = |index: &usize| {
                    pairs.get(*index).map_or(0, |(one, two)| one.tokens.len() + two.tokens.len())
                };
                for part in parts(&chosen, limit, length) {
                    tokens += part.iter().map(|index| length(index) as u64).sum::<u64>();
                    let members: Vec<_> = part.iter().filter_map(|index| pairs.get(*index)).collect();
                    let reference: Vec<_> =
                        part.iter().filter_map(|index| job.reference.get(*index).copied()).collect();
                    let part = loss::dpo(
                        &decoder,
                        &members,
                        &reference,
                        chosen.len(),
                        &self.config.dpo,
                        &self.settings,
                    );
                    add(part.map_err(|error| refused(&error))?);
                }
            }
        }
        whole
            .map(|whole| (whole, tokens))
            .ok_or_else(|| LearnerError::Refused("a step has no example".to_owned()))
    }
}

impl Learner for PolicyLearner {
    fn begin(&mut self, job: TrainingJob) -> Result<TrainingPlan, LearnerError> {
        self.job = None;
        let config = if job.round.0 == 0 { &self.config.imitation } else { &self.config.improvement }.clone();
        let examples = self.encode(&job, &config)?;
        let start = match &job.initialisation {
            Initialisation::Base => &self.base.weights,
            Initialisation::Policy(weights) => weights,
        };
        let reference = self.reference(&examples, start)?;
        let order = DataOrder::new(job.seed, examples.lengths(), &config);
        let total_steps = order.total_steps(&config);
        let fingerprint = fingerprint(&job, &self.config, &config, &examples);
        let (masters, optimizer, position) = match &job.resume {
            None => {
                let position = Position {
                    step: 0,
                    updates: 0,
                    skipped_in_a_row: 0,
                    rate_factor: 1.0,
                    fingerprint,
                    decoder: self.base.config.clone(),
                };
                (start.to_f32(), Optimizer::new(&self.base.config), position)
            }
            Some(folder) => {
                let found = checkpoint::load(folder)?;
                if found.2.fingerprint != fingerprint {
                    let reason = "it belongs to a job with other data or settings".to_owned();
                    return Err(LearnerError::Checkpoint { path: folder.clone(), reason });
                }
                found
            }
        };
        let plan = TrainingPlan { total_steps, resumed_step: position.step };
        self.job =
            Some(Job { config, examples, reference, order, masters, optimizer, position, total_steps });
        Ok(plan)
    }

    fn step(&mut self) -> Result<LearnerStep, LearnerError> {
        let mut job = self.job.take().ok_or(LearnerError::NoJob)?;
        let step = job.position.step;
        let batch = job.order.batch(step).to_vec();
        let found = self.gradients(&job, &batch);
        let (LossAndGradients { loss, gradients }, tokens) = match found {
            Ok(found) => found,
            Err(error) => {
                self.job = Some(job);
                return Err(error);
            }
        };
        let norm = global_norm(&gradients);
        let rate = job.config.schedule.rate(step, job.total_steps) * job.position.rate_factor;
        let skipped = !(loss.is_finite() && norm.is_finite());
        if skipped {
            job.position.skipped_in_a_row += 1;
        } else {
            let scale = clip_scale(norm, job.config.clip_norm);
            job.optimizer.step(&mut job.masters, &gradients, scale, rate, &job.config);
            job.position.skipped_in_a_row = 0;
            job.position.updates = job.optimizer.updates;
        }
        job.position.step += 1;
        let report = LearnerStep {
            step: job.position.step,
            total_steps: job.total_steps,
            loss,
            gradient_norm: norm,
            learning_rate: rate,
            tokens,
            skipped,
        };
        let diverged = job.position.skipped_in_a_row > self.config.max_skipped_steps;
        self.job = Some(job);
        if diverged {
            let reason = format!("loss {loss} and gradient norm {norm} for several steps in a row");
            return Err(LearnerError::Diverged { step: report.step, reason });
        }
        Ok(report)
    }

    fn save(&mut self, folder: &Path) -> Result<(), LearnerError> {
        let job = self.job.as_ref().ok_or(LearnerError::NoJob)?;
        self.encoder.save(folder).map_err(LearnerError::Device)?;
        save_folder(folder, &self.base.config, &job.masters, Precision::F32, DEFAULT_MAX_SHARD_BYTES)
            .map_err(|error| LearnerError::Device(error.to_string()))?;
        checkpoint::save(folder, &job.masters, &job.optimizer, &job.position)?;
        checkpoint::sync_folder(folder)
    }

    fn weights(&mut self) -> Result<Weights, LearnerError> {
        let job = self.job.as_ref().ok_or(LearnerError::NoJob)?;
        Ok(Arc::new(job.masters.clone()))
    }

    fn end(&mut self) {
        self.job = None;
    }
}

/// Cuts a step's members into parts of at most `limit` tokens; a longer member is a part of its own.
fn parts<T>(members: &[T], limit: usize, length: impl Fn(&T) -> usize) -> Vec<&[T]> {
    let (mut parts, mut start, mut tokens) = (Vec::new(), 0, 0);
    for (index, member) in members.iter().enumerate() {
        let more = length(member);
        if index > start && tokens + more > limit {
            parts.extend(members.get(start..index));
            (start, tokens) = (index, 0);
        }
        tokens += more;
    }
    parts.extend(members.get(start..).filter(|rest| !rest.is_empty()));
    parts
}

/// Names a job by everything that its steps depend on.
fn fingerprint(
    job: &TrainingJob,
    learner: &LearnerConfig,
    config: &JobConfig,
    examples: &Examples,
) -> String {
    let mut hasher = blake3::Hasher::new();
    let start = match &job.initialisation {
        Initialisation::Base => "base",
        Initialisation::Policy(_) => "policy",
    };
    let text = format!(
        "{} {} {} {start} {:?} {config:?} {}",
        job.round, job.training_set, job.seed, learner.dpo, learner.micro_batch_tokens
    );
    hasher.update(text.as_bytes());
    for length in examples.lengths() {
        hasher.update(&(length as u64).to_le_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

fn refused(error: &BatchError) -> LearnerError {
    LearnerError::Refused(error.to_string())
}
