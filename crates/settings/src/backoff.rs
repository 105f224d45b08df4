//! The wait before what failed is tried again.

use std::time::Duration;

/// Longest wait between two starts.
const LONGEST: Duration = Duration::from_mins(10);

/// The wait before the start that follows so many failures in a row, from 1: it doubles, up to ten minutes.
pub fn backoff(first_seconds: u64, failures: u32) -> Duration {
    let doubled = 1_u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX);
    Duration::from_secs(first_seconds.saturating_mul(doubled)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_ten_minutes() {
        let waits = [1, 2, 3, 6, 7, 200].map(|failures| backoff(10, failures).as_secs());
        assert_eq!(waits, [10, 20, 40, 320, 600, 600]);
        assert_eq!(backoff(0, 70), Duration::ZERO);
    }
}
