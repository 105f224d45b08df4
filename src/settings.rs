//! The configuration's sections as the rooms of the house want them.

use still_actors::{
    ErrorAlarmConfig, EvaluationConfig, ExplorationConfig, RoundConfig, SupervisionConfig, SystemConfig,
    TrainerConfig, TrainingStart, VerifierPoolConfig,
};
use still_daemon::config::{self, Config, LearnerSettings, Precision};
use still_domain::Algorithm;
use still_learning::{Decay, DpoConfig, DpoSpan, JobConfig, LearnerConfig, Schedule};
use still_policy::{LoraConfig, Projection, TensorPrecision};
use still_store::Retention;

/// What the actors need to know.
pub(crate) fn system(config: &Config) -> SystemConfig {
    let (exploration, round, evaluation) = (&config.exploration, &config.round, &config.evaluation);
    let supervision = &config.supervision;
    SystemConfig {
        seed: config.run.seed,
        rounds: config.run.rounds,
        lockstep: config.run.lockstep,
        exploration: ExplorationConfig {
            enabled: exploration.enabled,
            curriculum: exploration.curriculum(),
            in_flight_attempts: exploration.in_flight_attempts,
            max_policy_lag: exploration.max_policy_lag,
            max_ahead_attempts: exploration.max_ahead_attempts,
            sampling: exploration.sampling.settings(),
        },
        round: RoundConfig {
            quota_attempts: round.quota_attempts(exploration.attempts_per_visit),
            enough_eligible: round.enough_eligible,
            min_eligible: round.min_eligible,
            max_exploration_seconds: round.max_exploration_seconds,
            max_sequence_tokens: config.training.improvement.max_sequence_tokens,
            init: match round.init {
                config::Initialisation::Base => TrainingStart::Base,
                config::Initialisation::Previous => TrainingStart::Previous,
            },
            algorithm: match round.algorithm {
                config::RoundAlgorithm::Sft => Algorithm::Sft,
                config::RoundAlgorithm::Dpo => Algorithm::Dpo,
            },
        },
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
        evaluation: EvaluationConfig {
            hard_levels: evaluation.hard_levels.iter().copied().collect(),
            samples_per_problem: evaluation.samples_per_problem,
            in_flight_answers: evaluation.in_flight_answers,
            sampling: evaluation.sampling.settings(),
        },
        gate: config.gate.clone(),
        verifier_pool: VerifierPoolConfig {
            workers: config.verifier.workers,
            alarm: ErrorAlarmConfig {
                window: config.verifier.alarm_window,
                share: config.verifier.alarm_error_share,
            },
        },
        supervision: SupervisionConfig {
            first_backoff_ms: supervision.first_backoff_ms,
            max_backoff_ms: supervision.max_backoff_ms,
            max_restarts: supervision.max_restarts,
            window_seconds: supervision.window_seconds,
            stop_deadline_seconds: supervision.stop_deadline_seconds,
            drain_deadline_seconds: supervision.drain_deadline_seconds,
        },
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
