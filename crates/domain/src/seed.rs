//! Seeds derived from names: a restart draws the numbers that it would have drawn before.

use crate::ids::AttemptId;

/// Derives a seed from the run's seed and a list of names, by BLAKE3 over length-prefixed parts.
///
/// ```
/// use still_domain::seed::derive;
/// assert_eq!(derive(1, &["shuffle", "2"]), derive(1, &["shuffle", "2"]));
/// assert_ne!(derive(1, &["shuffle", "2"]), derive(1, &["shuff", "le2"]));
/// ```
pub fn derive(run_seed: u64, names: &[&str]) -> u64 {
    let mut hasher = blake3::Hasher::new_derive_key("still seed 1");
    hasher.update(&run_seed.to_le_bytes());
    for name in names {
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
    }
    let mut seed = [0; 8];
    hasher.finalize_xof().fill(&mut seed);
    u64::from_le_bytes(seed)
}

/// The seed of an attempt: the same attempt of the same run draws the same tokens from the same policy.
pub fn of_attempt(run_seed: u64, attempt: &AttemptId) -> u64 {
    derive(run_seed, &["attempt", attempt.problem.as_str(), &attempt.number.to_string()])
}
