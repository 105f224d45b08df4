//! From a problem to a durable, judged trajectory.
//!
//! | module | what it is |
//! |---|---|
//! | [`problem_supply`], `dispatch` | which attempt is next, and whether one may be given out |
//! | [`sampler`], `assignments` | the generators, and which attempt is on which |
//! | [`verifiers`], `error_alarm` | judgements, and how many of them fail |
//! | [`curator`] | group commits |

mod assignments;
pub mod curator;
mod dispatch;
pub(crate) mod error_alarm;
pub mod problem_supply;
pub mod sampler;
pub mod verifiers;
