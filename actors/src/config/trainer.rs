//! How training is saved.

use still_store::Retention;

/// How training is saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainerConfig {
    /// Optimizer steps between two checkpoints; 0 saves only at the end of training. Default: 100.
    pub checkpoint_every_steps: u64,
    /// Which checkpoints stay, besides those of published policies.
    pub retention: Retention,
}

impl Default for TrainerConfig {
    fn default() -> Self {
        Self { checkpoint_every_steps: 100, retention: Retention::default() }
    }
}
