//! What a job trains on, as tokens, whoever takes its steps.
//!
//! | item | noun |
//! |---|---|
//! | [`ExampleEncoder`] | makes tokens of problems and responses, as the policy's sampler does |
//! | [`Examples`] | sequences, or pairs of them, with the tokens that the loss covers |
//! | [`mod@identity`] | what a job is known by from one start of the program to the next |
//! | [`DataOrder`] | which examples make up which step, from the seed alone |
//! | [`JobVersion`] | what a job's steps are made of, so that one of an earlier program goes on as it began |

mod data_order;
mod examples;
pub mod identity;
mod job_version;

pub use data_order::DataOrder;
pub use examples::{
    DataError, EncodedExample, EncodingRules, ExampleEncoder, Examples, Sequence, encode_all, pair_length,
};
pub use job_version::JobVersion;
