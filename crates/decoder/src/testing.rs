//! What this crate's unit tests share.

use crate::{Architecture, DecoderConfig, RopeConfig, SpecialTokens};

/// The quick start's model.
pub(crate) fn quick_start() -> DecoderConfig {
    DecoderConfig {
        architecture: Architecture::Llama,
        vocabulary_size: 26,
        hidden_size: 64,
        intermediate_size: 176,
        layer_count: 3,
        attention_head_count: 4,
        key_value_head_count: 4,
        head_dim: 16,
        rms_norm_epsilon: 1e-5,
        rope: RopeConfig { theta: 10_000.0, scaling: None },
        tied_embeddings: true,
        attention_bias: false,
        query_key_norm: false,
        embedding_multiplier: 8.0,
        max_position_count: 1024,
        special_tokens: SpecialTokens::default(),
    }
}
