//! From a problem to a durable, judged trajectory.
//!
//! | module | what it is |
//! |---|---|
//! | [`problem_supply`], `hand_out` | which attempt is next, and whether one may be given out |
//! | [`sampler`], `generation` | the generators and the attempts given to them |
//! | [`verifier_pool`], `error_alarm` | judgements, and how many of them fail |
//! | [`curator`] | group commits |

pub mod curator;
pub(crate) mod error_alarm;
pub(crate) mod generation;
mod hand_out;
pub mod problem_supply;
pub mod sampler;
pub mod verifier_pool;
