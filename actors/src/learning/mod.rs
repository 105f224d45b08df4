//! From a sealed set to a candidate policy.
//!
//! | module | what it is |
//! |---|---|
//! | [`trainer`] | the training run and the orders given to it |
//! | `sealed_examples` | what a job trains on, read from the store one by one |
//! | `round_checkpoints` | where its checkpoints are, and what makes them exist |

mod round_checkpoints;
mod sealed_examples;
pub mod trainer;
