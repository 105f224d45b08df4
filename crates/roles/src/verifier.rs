//! What the verifier pool drives: one judgement in bounded time.

use still_domain::{Problem, Verdict};

/// Judges responses. Shared by the workers of the pool.
pub trait Verifier: Send + Sync {
    /// Judges `response` against the gold answer of `problem`. Never blocks for long, and never panics
    /// by design; the pool survives it if it does.
    fn judge(&self, problem: &Problem, response: &str) -> Verdict;

    /// The verifier and its version, as written into verdicts.
    fn version(&self) -> &str;
}
