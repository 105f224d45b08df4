//! The configuration's sections as the learner and the decoders want them.

use still_daemon::config::{self, Config, LearnerSettings, Precision};
use still_learning::{Decay, DpoConfig, DpoSpan, JobConfig, LearnerConfig, Schedule};
use still_policy::{LoraConfig, Projection, TensorPrecision};

/// What the learner needs to know.
pub fn learner(config: &Config) -> LearnerConfig {
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
pub const fn precision(configured: Precision) -> TensorPrecision {
    match configured {
        Precision::F32 => TensorPrecision::F32,
        Precision::Bf16 => TensorPrecision::Bf16,
    }
}

/// How many threads a setting means: 0 is as many as the machine offers.
pub fn threads(configured: usize) -> usize {
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
