//! From a problem to a durable, judged trajectory.
//!
//! | module | what it is |
//! |---|---|
//! | [`problem_supply`], `hand_out` | which attempt is next, and whether one may be given out |
//! | [`sampler`], `dispatch` | the generators, and which attempt is on which |
//! | [`verifier_pool`], `error_alarm` | judgements, and how many of them fail |
//! | [`curator`] | group commits |

pub mod curator;
mod dispatch;
pub(crate) mod error_alarm;
mod hand_out;
pub mod problem_supply;
pub mod sampler;
pub mod verifier_pool;
