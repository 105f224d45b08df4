//! The configuration's sections as the actors want them.

use still_actors::{
    ErrorAlarmConfig, EvaluationConfig, ExplorationConfig, RoundConfig, SupervisionConfig, SystemConfig,
    TrainerConfig, TrainingStart, VerifierPoolConfig,
};
use still_daemon::config::{self, Config};
use still_domain::Algorithm;
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
