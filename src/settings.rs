//! The configuration's sections as the rooms of the house want them.

use still_actors::{SystemConfig, TrainerConfig};
use still_daemon::config::{self, Config, LearnerSettings, Precision};
use still_learning::{Decay, DpoConfig, DpoSpan, JobConfig, LearnerConfig, Schedule};
use still_policy::{LoraConfig, Projection, TensorPrecision};
use still_store::Retention;

/// What the actors need to know.
pub(crate) fn system(config: &Config) -> SystemConfig {
    SystemConfig {
        seed: config.run.seed,
        rounds: config.run.rounds,
        lockstep: config.run.lockstep,
        exploration: config.exploration.clone(),
        round: config.round.clone(),
        selection: config.selection.clone(),
        pairs: config.pairs.clone(),
        hygiene: config.hygiene.clone(),
        trainer: TrainerConfig {
            checkpoint_every_steps: config.checkpoints.every_steps,
            retention: Retention {
                last: config.checkpoints.keep_last,
                best: config.checkpoints.keep_best,
                every_rounds: config.checkpoints.keep_every_rounds,
                published: config.checkpoints.keep_published,
            },
        },
        evaluation: config.evaluation.clone(),
        gate: config.gate.clone(),
        verifier_pool: config.verifier.pool(),
        supervision: config.supervision.clone(),
    }
}

/// What the learner needs to know.
pub(crate) fn learner(config: &Config) -> LearnerConfig {
    let training = &config.training;
    LearnerConfig {
        imitation: job(&training.imitation),
        improvement: job(&training.improvement),
        dpo: DpoConfig {
            beta: training.dpo.beta,
            span: match training.dpo.span {
                config::DpoSpan::Thought => DpoSpan::Thought,
                config::DpoSpan::Full => DpoSpan::Full,
            },
            sft_coefficient: training.dpo.sft_coefficient,
        },
        lora: (training.lora.rank > 0).then(|| LoraConfig {
            rank: training.lora.rank as usize,
            alpha: training.lora.alpha,
            // validation has refused names that are none
            targets: training.lora.targets.iter().filter_map(|name| Projection::from_name(name)).collect(),
        }),
        threads: threads(config.device.learner_threads),
        precision: precision(training.precision),
        recompute_activations: training.recompute_activations,
        micro_batch_tokens: training.micro_batch_tokens as usize,
        max_skipped_steps: training.max_skipped_steps,
        max_kept_parameters: training.max_kept_parameters,
    }
}

/// A number format as the policy names it.
pub(crate) const fn precision(configured: Precision) -> TensorPrecision {
    match configured {
        Precision::F32 => TensorPrecision::F32,
        Precision::Bf16 => TensorPrecision::Bf16,
    }
}

/// How many threads a setting means: 0 is as many as the machine offers.
pub(crate) fn threads(configured: usize) -> usize {
    match configured {
        0 => std::thread::available_parallelism().map_or(1, Into::into),
        count => count,
    }
}

fn job(settings: &LearnerSettings) -> JobConfig {
    JobConfig {
        steps: settings.steps,
        epochs: settings.epochs,
        batch_sequences: settings.batch_sequences as usize,
        batch_tokens: settings.batch_tokens as usize,
        max_sequence_tokens: settings.max_sequence_tokens as usize,
        schedule: Schedule {
            peak: settings.peak_learning_rate,
            warm_up_fraction: settings.warm_up_fraction,
            final_fraction: settings.final_fraction,
            decay: match settings.schedule {
                config::Schedule::Cosine => Decay::Cosine,
                config::Schedule::Linear => Decay::Linear,
                config::Schedule::Constant => Decay::Constant,
            },
        },
        betas: settings.betas,
        epsilon: settings.epsilon,
        weight_decay: settings.weight_decay,
        decay_embeddings: settings.decay_embeddings,
        clip_norm: settings.clip_norm,
    }
}
