//! The configuration's sections as the learner wants them.

use still_learning::LearnerConfig;
use still_operator::config::Config;

/// What the learner needs to know.
pub fn learner(config: &Config) -> LearnerConfig {
    LearnerConfig { training: config.training.clone(), threads: threads(config.device.learner_threads) }
}

/// How many threads a setting means: 0 is as many as the machine offers.
pub fn threads(configured: usize) -> usize {
    match configured {
        0 => std::thread::available_parallelism().map_or(1, Into::into),
        count => count,
    }
}
