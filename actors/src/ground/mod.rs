//! What all wings stand on: the messages and the ways they travel, the store as actors see it, and what the program
//! shows of itself. Nothing here knows any actor.
//!
//! | module | what it is |
//! |---|---|
//! | [`protocol`] | one message enum an actor: who may say what to whom |
//! | `routes` | where each actor is at the moment |
//! | [`credit`] | permits that travel inside messages |
//! | `supervised`, `restart`, `pulse` | a role with its device: replaced when it fails, given up when it hangs |
//! | `store_access` | the store, never on a runtime worker |
//! | `status_board`, `observe` | what is shown, reported and measured |
//! | `waits` | who waits for whom |
//! | `name`, `error`, `finish`, `switches`, `clock` | small words that everyone uses |

pub(crate) mod clock;
pub mod credit;
pub(crate) mod error;
pub(crate) mod finish;
pub(crate) mod name;
pub(crate) mod observe;
pub mod protocol;
pub(crate) mod pulse;
pub(crate) mod restart;
pub(crate) mod routes;
pub(crate) mod status_board;
pub(crate) mod store_access;
pub(crate) mod supervised;
pub(crate) mod switches;
pub(crate) mod waits;
