//! How fast tokens go.

use metrics::gauge;

use crate::names::{LEARNER_TOKENS_PER_SECOND, ROLLOUT_TOKENS_PER_SECOND};

/// Rates were measured. They fall while nothing happens, so they are measured when the page is rendered, not
/// when tokens come.
#[derive(Debug, Clone, Copy)]
pub struct RatesMeasured {
    /// Tokens drawn a second for the pool, over the last seconds.
    pub rollout_tokens_per_second: f64,
    /// Tokens trained on a second, over the last seconds.
    pub training_tokens_per_second: f64,
}

impl RatesMeasured {
    /// Shows them.
    pub fn emit(self) {
        gauge!(ROLLOUT_TOKENS_PER_SECOND).set(self.rollout_tokens_per_second);
        gauge!(LEARNER_TOKENS_PER_SECOND).set(self.training_tokens_per_second);
    }
}
