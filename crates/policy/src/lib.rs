//! The policy as a burn module: fused operators, GPU decoding.
