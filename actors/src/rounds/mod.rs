//! The rounds: what is sealed and when, how candidates are scored, and which policy is in force.
//!
//! | module | what it is |
//! |---|---|
//! | [`conductor`], `round_machine`, `judged_pool`, `rescoring`, `log_probability_gap`, `sealing` | what happens next in a round |
//! | [`evaluator`] | scores of candidates on held-out problems |
//! | [`publisher`] | the policy in force |

pub mod conductor;
pub mod evaluator;
mod judged_pool;
pub(crate) mod log_probability_gap;
pub mod publisher;
pub(crate) mod rescoring;
pub(crate) mod round_config;
mod round_machine;
pub(crate) mod sealing;
