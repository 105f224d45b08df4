//! Servers that the daemon starts, watches, starts again and ends itself.
//!
//! | module | noun |
//! |---|---|
//! | [`LaunchPlan`] | the servers of a section as commands: which devices, which arguments |
//! | `server` | one of them: its process, its port, its log, and how often it failed |
//! | [`Launcher`] | the thread that does what is due: it starts, watches, ends, and lets a trainer have the devices |
//! | `nap` | what a server is asked beside the fleet's questions: whether it is up, to sleep, to wake |
//!
//! A server that is up is the fleet's, as one is that an operator added; one that is gone is taken out. So nothing that
//! draws knows who started what it draws with.

mod launcher;
mod nap;
mod plan;
mod server;

pub use launcher::{LaunchSeams, Launcher};
pub(crate) use plan::validate;
pub use plan::{LaunchPlan, Placement};
