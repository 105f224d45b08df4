//! The outer shell of the daemon `stilld`: everything between the operator and the actors.
//!
//! No tensors and no actors here, so that it builds and is tested in seconds; the root package
//! wires it to them.
//!
//! | module | what it holds |
//! |---|---|
//! | [`admission`] | what may enter the store: the rules of every import |
//! | [`cli`] | the command line |
//! | [`config`] | the configuration: sections, layers, origins, schema |
//! | [`control`] | the control socket |
//! | [`http`] | the read-only page: metrics, health, dashboard |
//! | [`import`] | problems and demonstrations from JSONL |
//! | [`inspect`] | a stopped daemon's records as tables and JSON |
//! | [`maintenance`] | the pool judged and inspected anew |
//! | [`progress`] | bars and tables on a terminal, lines on a pipe |
//! | [`records`] | the store as the control socket, the dashboard and `inspect` see it |
//! | [`serve`] | HTTP within bounds, and the descriptors for it |
//! | [`signals`] | the first signal drains, the second ends at once |
//! | [`suspects`] | problems whose gold answers are suspect |

pub mod admission;
pub mod cli;
pub mod config;
pub mod control;
pub mod http;
pub mod import;
pub mod inspect;
pub mod maintenance;
pub mod progress;
pub mod records;
pub mod serve;
pub mod signals;
pub mod suspects;

mod curriculum;
mod results;
mod round_table;
