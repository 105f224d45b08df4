//! The alarm of the verifiers: how many of the newest judgements failed, and whether that is too many.
//!
//! Pure: it is fed judgements and says when the alarm changes. A few judgements raise no alarm over
//! its first error: errors are held against the whole window, however much of it is filled. The alarm falls
//! at half of what raised it, so that a share at the limit does not ring again and again.

use std::collections::VecDeque;

/// The newest judgements.
#[derive(Debug)]
pub(crate) struct ErrorAlarm {
    /// How many of the newest judgements are looked at.
    window: usize,
    /// Share of errors in a whole window above which the alarm is raised.
    error_share: f64,
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

impl ErrorAlarm {
    /// An alarm that looks at the newest `window` judgements, at least one, and is raised when more than
    /// `error_share` of a whole window are errors.
    pub(crate) const fn new(window: usize, error_share: f64) -> Self {
        Self { window, error_share, newest: VecDeque::new(), errors: 0, is_raised: false }
    }

    /// Takes in a judgement; says whether the alarm changed.
    pub(crate) fn record(&mut self, is_error: bool) -> Option<AlarmChange> {
        self.newest.push_back(is_error);
        self.errors += usize::from(is_error);
        if self.newest.len() > self.window && self.newest.pop_front() == Some(true) {
            self.errors -= 1;
        }
        let (errors, bound) = (self.errors as f64, self.error_share * self.window as f64);
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

    #[test]
    fn it_rises_once_when_the_share_jumps_and_falls_at_half_of_it() {
        let mut alarm = ErrorAlarm::new(20, 0.2);
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
        let mut never = ErrorAlarm::new(3, 1.0);
        assert!((0..10).all(|_| never.record(true).is_none()));
        assert_eq!(ErrorAlarm::new(3, 0.0).record(true), Some(AlarmChange::Raised));
        assert!(ErrorAlarm::new(3, 0.0).record(false).is_none());
    }

    proptest! {
        #[test]
        fn errors_are_those_of_the_window(judgements in prop::collection::vec(any::<bool>(), 0..60), window in 1_usize..9) {
            let mut alarm = ErrorAlarm::new(window, 0.5);
            for (number, is_error) in judgements.iter().enumerate() {
                alarm.record(*is_error);
                let newest = &judgements[(number + 1).saturating_sub(window)..=number];
                let errors = newest.iter().filter(|is_error| **is_error).count();
                prop_assert_eq!(alarm.counted(), (errors, newest.len()));
            }
        }
    }
}
