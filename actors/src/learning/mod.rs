//! From a sealed set to a candidate policy.
//!
//! | module | what it is |
//! |---|---|
//! | [`trainer`] | the training run and the orders given to it |
//! | `order` | what an order leads to: a job, or training that is done already |
//! | `sealed_examples` | what a job trains on, read from the store one by one |
//! | `round_checkpoints` | where its checkpoints are, and what makes them exist |

mod order;
mod round_checkpoints;
mod sealed_examples;
pub mod trainer;
