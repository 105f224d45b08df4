//! What all wings stand on: the messages and the ways they travel, the store as actors see it, and what the program
//! shows of itself. Nothing here knows any actor.
//!
//! | module | what it is |
//! |---|---|
//! | [`protocol`] | one message enum an actor: who may say what to whom |
//! | `routes` | where each actor is at the moment |
//! | [`credit`] | permits that travel inside messages |
//! | [`device_thread`] | a thread of the operating system for each device role |
//! | `ledger` | the store, never on a runtime worker |
//! | `board`, `observe` | what is shown, told (in the words of `still-control`) and measured |
//! | `name`, `error`, `switches`, `clock` | small words that everyone uses |

pub(crate) mod board;
pub(crate) mod clock;
pub mod credit;
pub mod device_thread;
pub(crate) mod error;
pub(crate) mod ledger;
pub(crate) mod name;
pub(crate) mod observe;
pub mod protocol;
pub(crate) mod routes;
pub(crate) mod switches;
