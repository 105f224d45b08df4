//! The configuration's sections as the rooms of the house want them.

use still_actors::SystemConfig;
use still_daemon::config::Config;
use still_learning::LearnerConfig;

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
        checkpoints: config.checkpoints,
        evaluation: config.evaluation.clone(),
        gate: config.gate.clone(),
        verifier_pool: config.verifier.pool(),
        supervision: config.supervision.clone(),
    }
}

/// What the learner needs to know.
pub(crate) fn learner(config: &Config) -> LearnerConfig {
    LearnerConfig { training: config.training.clone(), threads: threads(config.device.learner_threads) }
}

/// How many threads a setting means: 0 is as many as the machine offers.
pub(crate) fn threads(configured: usize) -> usize {
    match configured {
        0 => std::thread::available_parallelism().map_or(1, Into::into),
        count => count,
    }
}
