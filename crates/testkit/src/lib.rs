//! Doubles for tests: scripted roles, temporary stores, the whole program in memory.
//!
//! The scripted model has one parameter, its skill. A generator answers a problem rightly the more often the
//! more its skill exceeds the problem's level; a learner makes the skill grow with the number of examples
//! that it is given. So the loop of the program does improve the policy, in microseconds, and the same seed
//! gives the same answers.
//!
//! | module | what it is |
//! |---|---|
//! | [`world`] | problems, demonstrations and the one-parameter model |
//! | [`script`] | what goes wrong, what waits, and what was seen |
//! | [`generator`], [`learner`], [`scorer`], [`verifier`] | the scripted roles |
//! | [`harness`] | a store, checkpoints and roles; starts the program on them |
//!
//! Nothing here is meant to survive a failure gracefully: a double that cannot do its work panics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod generator;
pub mod harness;
pub mod learner;
pub mod scorer;
pub mod script;
pub mod verifier;
pub mod world;

pub use generator::ScriptedGenerator;
pub use harness::Harness;
pub use learner::ScriptedLearner;
pub use script::{Gate, Job, Script};
pub use verifier::ScriptedVerifier;
pub use world::World;
