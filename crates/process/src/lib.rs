//! Programs that the daemon starts and ends: a trainer, servers.
//!
//! | module | noun |
//! |---|---|
//! | [`ProcessTree`] | a command and everything that it starts, as one |
//! | [`ProcessLog`] | what it prints, kept in a file with a bound |
//! | [`Turns`], [`TurnsGiver`] | whose turn it is on devices that several of them use |

mod log;
mod tree;
mod turns;

pub use log::ProcessLog;
pub use tree::{Heard, ProcessTree, sweep};
pub use turns::{Ask, GivenBack, Turn, Turns, TurnsGiver};
