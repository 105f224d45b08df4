//! The alarm of the verifier pool: how many of the newest judgements failed, and whether that is too many.
//!
//! Pure: it is fed judgements and says when the alarm changes. A pool of few judgements raises no alarm over
//! its first error: errors are held against the whole window, however much of it is filled. The alarm falls
//! at half of what raised it, so that a share at the limit does not ring again and again.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::ground::error::StartError;

/// When the alarm is raised.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ErrorAlarmConfig {
    /// Judgements that the share is taken over, the newest ones; at least 1. Default: 200.
    pub window: usize,
    /// Share of errors in a whole window above which the alarm is raised; 1 raises none. Default: 0.1.
    pub share: f64,
}

/// The newest judgements.
#[derive(Debug)]
pub(crate) struct ErrorAlarm {
    config: ErrorAlarmConfig,
    newest: VecDeque<bool>,
    errors: usize,
    is_raised: bool,
}

/// What a judgement did to the alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AlarmChange {
    /// Too many of the newest judgements are errors.
    Raised,
    /// Few enough are.
    Cleared,
}

impl Default for ErrorAlarmConfig {
    fn default() -> Self {
        Self { window: 200, share: 0.1 }
    }
}

impl ErrorAlarmConfig {
    /// # Errors
    /// When the window is empty or the share is none.
    pub fn validate(&self) -> Result<(), StartError> {
        let refuse = |key, problem: &str| StartError::Setting {
            section: "verifier_pool.alarm",
            key,
            problem: problem.to_owned(),
        };
        if self.window == 0 {
            return Err(refuse("window", "must be at least 1"));
        }
        if !(0.0..=1.0).contains(&self.share) {
            return Err(refuse("share", "must lie between 0 and 1"));
        }
        Ok(())
    }
}

impl ErrorAlarm {
    pub(crate) const fn new(config: ErrorAlarmConfig) -> Self {
        Self { config, newest: VecDeque::new(), errors: 0, is_raised: false }
    }

    /// Takes in a judgement; says whether the alarm changed.
    pub(crate) fn record(&mut self, is_error: bool) -> Option<AlarmChange> {
        self.newest.push_back(is_error);
        self.errors += usize::from(is_error);
        if self.newest.len() > self.config.window && self.newest.pop_front() == Some(true) {
            self.errors -= 1;
        }
        let (errors, bound) = (self.errors as f64, self.config.share * self.config.window as f64);
        let change = match self.is_raised {
            false if errors > bound => AlarmChange::Raised,
            true if errors <= bound / 2.0 => AlarmChange::Cleared,
            _ => return None,
        };
        self.is_raised = change == AlarmChange::Raised;
        Some(change)
    }

    /// Whether too many of the newest judgements are errors.
    pub(crate) const fn is_raised(&self) -> bool {
        self.is_raised
    }

    /// Errors among the newest judgements, and how many these are.
    pub(crate) fn counted(&self) -> (usize, usize) {
        (self.errors, self.newest.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn alarm(window: usize, share: f64) -> ErrorAlarm {
        let config = ErrorAlarmConfig { window, share };
        config.validate().unwrap();
        ErrorAlarm::new(config)
    }

    #[test]
    fn it_rises_once_when_the_share_jumps_and_falls_at_half_of_it() {
        let mut alarm = alarm(20, 0.2);
        let rise: Vec<_> = (0..7).map(|_| alarm.record(true)).collect();
        assert_eq!(rise.iter().position(Option::is_some), Some(4), "four of twenty are the share itself");
        assert_eq!(rise.iter().flatten().collect::<Vec<_>>(), [&AlarmChange::Raised]);
        assert_eq!(alarm.counted(), (7, 7));
        // errors leave the window after thirteen more, and seven to two take five more
        let fall: Vec<_> = (0..30).map(|_| alarm.record(false)).collect();
        assert_eq!(fall.iter().position(Option::is_some), Some(13 + 5 - 1));
        assert_eq!(fall.iter().flatten().collect::<Vec<_>>(), [&AlarmChange::Cleared]);
        assert_eq!((alarm.counted(), alarm.is_raised()), ((0, 20), false));
    }

    #[test]
    fn a_share_of_one_never_rings_and_a_share_of_none_rings_at_the_first_error() {
        let mut never = alarm(3, 1.0);
        assert!((0..10).all(|_| never.record(true).is_none()));
        assert_eq!(alarm(3, 0.0).record(true), Some(AlarmChange::Raised));
        assert!(alarm(3, 0.0).record(false).is_none());
    }

    #[test]
    fn settings_that_make_no_sense_are_named() {
        let refused = |window, share| ErrorAlarmConfig { window, share }.validate().unwrap_err().to_string();
        assert!(refused(0, 0.1).contains("verifier_pool.alarm.window"));
        assert!(refused(1, 1.5).contains("verifier_pool.alarm.share"));
        assert!(refused(1, f64::NAN).contains("verifier_pool.alarm.share"));
    }

    proptest! {
        #[test]
        fn errors_are_those_of_the_window(judgements in prop::collection::vec(any::<bool>(), 0..60), window in 1_usize..9) {
            let mut alarm = alarm(window, 0.5);
            for (number, is_error) in judgements.iter().enumerate() {
                alarm.record(*is_error);
                let newest = &judgements[(number + 1).saturating_sub(window)..=number];
                let errors = newest.iter().filter(|is_error| **is_error).count();
                prop_assert_eq!(alarm.counted(), (errors, newest.len()));
            }
        }
    }
}
