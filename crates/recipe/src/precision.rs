//! Number formats of weights.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Number format of weights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 32-bit floating point.
    #[default]
    F32,
    /// bfloat16: half the memory; norms, softmax and logits stay in 32 bits.
    Bf16,
}
