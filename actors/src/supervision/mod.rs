//! How failures are survived: a policy table, a pure state machine, and the root that acts on it.
//!
//! The tree has one level. A device or server that fails never reaches it: whoever holds it replaces it, alone
//! (`ground::supervised`), and only when the last one has failed too often the program ends. Actors are started in the
//! order of [`crate::ActorName::ALL`]; when one fails, it and all that started after it are stopped and started again
//! (rest for one), because they may hold facts that the failed one reported to them. Waiting grows with every restart of the same actor; too many within a window end
//! the program with an error value. Failures inside the verifiers never reach the supervisor: a panic of
//! the verifier is one judgement.
//!
//! Nothing needs handing over: what an actor knows it reads from the store.

mod restart;
mod roles;
mod root;
mod tree;
mod wiring;

pub use restart::{Reaction, Restarts};
pub use roles::Roles;

pub(crate) use root::{Root, RootArguments};
pub(crate) use wiring::Wiring;
