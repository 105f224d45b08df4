//! Rollouts and scores by inference servers: a fleet of them, behind the generator's role and the scorer's.
//!
//! | module | noun |
//! |---|---|
//! | [`EngineSection`] | `[[engines]]`: which servers, and how much they are trusted with |
//! | [`Fleet`] | the servers of a run: what is asked of them, and what comes of it |
//! | [`schedule`] | which request goes where, and which server is left out: a machine without input or output |
//! | `generator` | the role that the sampler and the evaluator hold |
//! | [`FleetScorer`] | the role that the conductor has a pool scored by |
//! | `protocol` | what every kind of server is asked, in which order |
//! | `vllm`, `sglang`, `completions` | that in the words of a kind of server |
//! | [`Launcher`] | servers that the daemon starts, watches and ends itself, in turns with a trainer or beside it |
//! | `beginning` | what a process of theirs began with, and how another is begun in its place |
//! | [`TextServers`], [`TeacherSection`] | servers that take text and no weights: a teacher |
//! | `publication` | a policy as a folder that servers read |
//! | `probe` | what a server serves, told by what it thinks of a fixed text |
//! | `endpoint`, `http`, `connections`, `tls`, `metrics` | one server, questions to it, and its numbers |
//!
//! Nothing here computes: what texts and policies are it asks of [`Texts`] and [`Policies`]. Requests are tasks of one
//! runtime, not threads. What is said to servers and heard of them is docs/engines.md.

mod beginning;
mod completions;
mod connections;
mod dispatcher;
mod endpoint;
mod engine;
mod fleet;
mod generator;
mod http;
mod launch;
mod metrics;
mod openai;
mod probe;
mod protocol;
mod publication;
pub mod schedule;
mod scorer;
mod seams;
mod settings;
mod sglang;
mod status;
mod teacher;
mod tls;
mod vllm;

pub use beginning::Renewal;
pub use engine::{Fault, Load};
pub use fleet::{Fleet, FleetRefusal, FleetSeams};
pub use launch::{LaunchPlan, LaunchSeams, Launcher, Placement};
pub use openai::{TextAnswer, TextFault, TextQuestion, TextServers};
pub use scorer::FleetScorer;
pub use seams::{Policies, ReadResponse, Texts};
pub use settings::{EngineKind, EngineSection, expected_tokens_per_second, is_remote, validate};
pub use teacher::{TeacherSection, TextApi};

#[cfg(test)]
mod conformance;
#[cfg(test)]
#[allow(clippy::print_stdout)]
mod throughput;
