//! The configuration's sections as the actors want them.

use still_actors::SystemConfig;
use still_operator::config::Config;

/// What the actors need to know.
pub(crate) fn system(config: &Config) -> SystemConfig {
    SystemConfig {
        seed: config.run.seed,
        rounds: config.run.rounds,
        lockstep: config.run.lockstep,
        exploration: config.exploration.clone(),
        round: config.round.clone(),
        max_sequence_tokens: config.round_learner().1.max_sequence_tokens,
        selection: config.selection.clone(),
        pairs: config.pairs.clone(),
        hygiene: config.hygiene.clone(),
        checkpoints: config.checkpoints,
        evaluation: config.evaluation.clone(),
        gate: config.gate.clone(),
        verifiers: config.verifier.verifiers(),
        supervision: config.supervision.clone(),
    }
}
