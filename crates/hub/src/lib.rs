//! Models by name: a folder on this machine, or a repository of the Hugging Face hub.
//!
//! ```
//! use still_hub::ModelSource;
//! let source: ModelSource = "hf:Qwen/Qwen2.5-0.5B-Instruct@main".parse()?;
//! assert_eq!(source.to_string(), "hf:Qwen/Qwen2.5-0.5B-Instruct@main");
//! assert!(matches!("models/mine".parse()?, ModelSource::Folder(_)));
//! # Ok::<(), still_hub::HubError>(())
//! ```
//!
//! A branch is resolved to a commit first, and every file is taken from that commit, so that a push in the
//! middle of a download cannot mix two versions. What is in the cache is not asked for again; offline,
//! nothing but the cache is used.

mod fetch;
mod source;

pub use fetch::{Hub, HubConfig};
pub use source::{HubError, ModelSource};
