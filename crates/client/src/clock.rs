//! The time of day, in UTC: what the client prints needs no calendar and no time zone.

use std::time::{SystemTime, UNIX_EPOCH};

/// The time of day, `hh:mm:ssZ`.
pub(crate) fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    of_day(since.as_secs())
}

fn of_day(seconds: u64) -> String {
    let (hours, minutes) = (seconds / 3_600 % 24, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}Z", seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_since_the_epoch_are_a_time_of_day() {
        assert_eq!(of_day(1_732_840_591), "00:36:31Z");
        assert_eq!(of_day(86_399), "23:59:59Z");
    }
}
