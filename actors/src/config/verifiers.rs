//! The part of `[verifier]` that the actor of that name obeys.

use still_settings::Findings;

/// How many judge at once, and when an operator is warned that judgements fail.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiersConfig {
    /// Judgements at once; 0 takes what the machine has.
    pub workers: usize,
    /// Judgements that the share of errors is taken over, the newest ones.
    pub alarm_window: usize,
    /// Share of errors in a whole window above which the alarm is raised; 1 raises none.
    pub alarm_error_share: f64,
}

impl Default for VerifiersConfig {
    fn default() -> Self {
        Self { workers: 0, alarm_window: 200, alarm_error_share: 0.1 }
    }
}

impl VerifiersConfig {
    /// Notes what cannot be judged with.
    pub fn validate(&self, findings: &mut Findings) {
        findings.require(self.workers <= 1024, "verifier.workers", || {
            format!("{} workers are more than 1024", self.workers)
        });
        findings.require((1..=100_000).contains(&self.alarm_window), "verifier.alarm_window", || {
            format!("{} is not between 1 and 100000 judgements", self.alarm_window)
        });
        let share = self.alarm_error_share;
        findings.require((0.0..=1.0).contains(&share), "verifier.alarm_error_share", || {
            format!("{share} is no share: write a number from 0 to 1")
        });
    }
}
