//! The outer shell of the daemon `stilld`: everything between the operator and the actors.
//!
//! No tensors, no actors and no store here, so that it builds and is tested in seconds; the root package
//! wires it to them.
//!
//! | module | what it holds |
//! |---|---|
//! | [`cli`] | the command line |
//! | [`config`] | the configuration: sections, layers, origins, schema |
//! | [`control`] | the control socket |
//! | [`import`] | problems and demonstrations from JSONL |

pub mod cli;
pub mod config;
pub mod control;
pub mod import;
