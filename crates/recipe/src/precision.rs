//! Number formats: of weights, and of what they are multiplied in.

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

/// What a processor multiplies weights in while it makes gradients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CpuArithmetic {
    /// 32-bit floating point.
    #[default]
    F32,
    /// Both factors rounded to bfloat16, and sums in 32 bits: up to twice as fast, on a processor with AVX512-BF16.
    /// Elsewhere 32 bits.
    Bf16,
}
