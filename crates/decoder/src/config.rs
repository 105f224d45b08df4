//! What a decoder is: its sizes, and the few switches that tell Llama, Qwen2 and Qwen3 apart.
//!
//! All three are the same stack: RMSNorm, grouped-query attention with half-split rotary positions, RMSNorm, SwiGLU,
//! each half a residual. Qwen2 adds biases to the query, key and value projections; Qwen3 normalises queries and keys
//! head by head. The arithmetic reads the switches, never the name.

mod hugging_face;

use serde::{Deserialize, Serialize};

use crate::DecoderError;

/// The family a checkpoint says it belongs to; it decides only how the configuration is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// `LlamaForCausalLM`
    Llama,
    /// `Qwen2ForCausalLM`
    Qwen2,
    /// `Qwen3ForCausalLM`
    Qwen3,
}

/// The slow-down of rotary frequencies that Llama 3.1 introduced for long contexts (`rope_type` `llama3`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Llama3Scaling {
    /// How much the lowest frequencies are slowed.
    pub factor: f64,
    /// Wavelengths above `original_max_position_count / low_frequency_factor` are slowed in full.
    pub low_frequency_factor: f64,
    /// Wavelengths below `original_max_position_count / high_frequency_factor` stay as they are.
    pub high_frequency_factor: f64,
    /// The context length before the extension, in positions.
    pub original_max_position_count: usize,
}

impl Llama3Scaling {
    /// Checks that every frequency comes out finite and positive.
    fn validate(&self) -> Result<(), DecoderError> {
        let is_positive = |value: f64| value.is_finite() && value > 0.0;
        let refused = |field, reason| Err(DecoderError::configuration(format!("llama3 {field}"), reason));
        if !is_positive(self.factor) {
            return refused("factor", "it must be finite and positive");
        }
        if !is_positive(self.low_frequency_factor) {
            return refused("low_freq_factor", "it must be finite and positive");
        }
        if !(self.high_frequency_factor.is_finite() && self.high_frequency_factor > self.low_frequency_factor)
        {
            return refused("high_freq_factor", "it must be finite and above low_freq_factor");
        }
        if self.original_max_position_count == 0 {
            return refused("original_max_position_embeddings", "it must be at least 1");
        }
        Ok(())
    }
}

/// Rotary position embedding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RopeConfig {
    /// The base of the frequencies.
    pub theta: f64,
    /// The long-context scaling, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<Llama3Scaling>,
}

/// Ids that a checkpoint's configuration names; the arithmetic has no use for them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpecialTokens {
    /// The token that begins a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begin: Option<u32>,
    /// The tokens that end one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub end: Vec<u32>,
    /// The token that pads a batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub padding: Option<u32>,
}

/// The sizes and switches of a decoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecoderConfig {
    /// The family.
    pub architecture: Architecture,
    /// Rows of the embedding.
    pub vocabulary_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the gated feed-forward layer.
    pub intermediate_size: usize,
    /// Blocks.
    pub layer_count: usize,
    /// Query heads.
    pub attention_head_count: usize,
    /// Key and value heads; query heads share them in consecutive groups.
    pub key_value_head_count: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// Added to the mean square before its root is taken.
    pub rms_norm_epsilon: f32,
    /// Rotary positions.
    pub rope: RopeConfig,
    /// Whether the output head is the embedding.
    pub tied_embeddings: bool,
    /// Whether queries, keys and values have a bias (Qwen2).
    pub attention_bias: bool,
    /// Whether queries and keys are normalised head by head before the rotation (Qwen3).
    pub query_key_norm: bool,
    /// Factor on embedded tokens; 1 for every Hugging Face checkpoint.
    #[serde(default = "one")]
    pub embedding_multiplier: f32,
    /// The longest context the model is meant for, in positions.
    pub max_position_count: usize,
    /// Ids named by the checkpoint.
    #[serde(default)]
    pub special_tokens: SpecialTokens,
}

/// More parameters than any memory holds; sums of a few products below it do not overflow.
const MAX_PARAMETERS: usize = usize::MAX >> 8;

impl DecoderConfig {
    /// Checks that the sizes fit each other.
    pub fn validate(&self) -> Result<(), DecoderError> {
        let sizes = [
            ("vocab_size", self.vocabulary_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.layer_count),
            ("num_attention_heads", self.attention_head_count),
            ("num_key_value_heads", self.key_value_head_count),
            ("head_dim", self.head_dim),
            ("max_position_embeddings", self.max_position_count),
        ];
        if let Some((field, _)) = sizes.into_iter().find(|(_, size)| *size == 0) {
            return Err(DecoderError::configuration(field, "it must be at least 1"));
        }
        if !self.attention_head_count.is_multiple_of(self.key_value_head_count) {
            return Err(DecoderError::configuration(
                "num_key_value_heads",
                format!(
                    "{} does not divide the {} query heads",
                    self.key_value_head_count, self.attention_head_count
                ),
            ));
        }
        if !self.head_dim.is_multiple_of(2) {
            return Err(DecoderError::configuration("head_dim", "rotary positions need an even width"));
        }
        let (layers, hidden) = (self.layer_count, self.hidden_size);
        let products = [
            ("vocab_size", [1, hidden, self.vocabulary_size, 1]),
            ("intermediate_size", [layers, hidden, self.intermediate_size, 1]),
            ("num_attention_heads", [layers, hidden, self.attention_head_count, self.head_dim]),
        ];
        let is_countable = |factors: &[usize; 4]| {
            let product = factors.iter().try_fold(1_usize, |product, factor| product.checked_mul(*factor));
            product.is_some_and(|product| product <= MAX_PARAMETERS)
        };
        if let Some((field, _)) = products.iter().find(|(_, factors)| !is_countable(factors)) {
            return Err(DecoderError::configuration(
                *field,
                "with the other sizes it makes more parameters than any memory holds",
            ));
        }
        if !(self.rms_norm_epsilon.is_finite() && self.rms_norm_epsilon >= 0.0) {
            return Err(DecoderError::configuration("rms_norm_eps", "it must be finite and not negative"));
        }
        if !(self.rope.theta.is_finite() && self.rope.theta > 0.0) {
            return Err(DecoderError::configuration("rope_theta", "it must be finite and positive"));
        }
        self.rope.scaling.as_ref().map_or(Ok(()), Llama3Scaling::validate)
    }

    /// Width of all query heads together.
    pub fn query_size(&self) -> usize {
        self.attention_head_count * self.head_dim
    }

    /// Width of all key heads together, which is that of all value heads.
    pub fn key_value_size(&self) -> usize {
        self.key_value_head_count * self.head_dim
    }

    /// Rows of the fused query, key and value projection.
    pub fn qkv_size(&self) -> usize {
        self.query_size() + 2 * self.key_value_size()
    }

    /// Query heads that share one key and value head.
    pub fn heads_per_group(&self) -> usize {
        self.attention_head_count / self.key_value_head_count
    }

    /// Parameters in the matrices of one block.
    pub fn layer_matrices_count(&self) -> usize {
        self.hidden_size * (self.qkv_size() + self.query_size() + 3 * self.intermediate_size)
    }

    /// Parameters of one block.
    pub fn layer_parameter_count(&self) -> usize {
        let biases = if self.attention_bias { self.qkv_size() } else { 0 };
        let head_norms = if self.query_key_norm { 2 * self.head_dim } else { 0 };
        self.layer_matrices_count() + biases + head_norms + 2 * self.hidden_size
    }

    /// Parameters of the whole decoder; a tied head counts once.
    pub fn parameter_count(&self) -> usize {
        let embedding = self.vocabulary_size * self.hidden_size;
        let head = if self.tied_embeddings { 0 } else { embedding };
        embedding + head + self.layer_count * self.layer_parameter_count() + self.hidden_size
    }
}

fn one() -> f32 {
    1.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn the_quick_start_model_has_the_published_number_of_parameters() {
        assert_eq!(testing::quick_start().parameter_count(), 152_640);
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused_by_name() {
        let config = DecoderConfig { key_value_head_count: 3, ..testing::quick_start() };
        assert!(config.validate().unwrap_err().to_string().contains("`num_key_value_heads`"));
        let config = DecoderConfig { head_dim: 15, ..testing::quick_start() };
        assert!(config.validate().unwrap_err().to_string().contains("`head_dim`"));
    }

    #[test]
    fn sizes_whose_products_overflow_are_refused_by_name() {
        let quick_start = testing::quick_start();
        // as many elements as before, modulo 2^64
        let wrapping = DecoderConfig { head_dim: quick_start.head_dim + (1 << 62), ..quick_start.clone() };
        assert!(wrapping.validate().unwrap_err().to_string().contains("`num_attention_heads`"));
        let config = DecoderConfig { vocabulary_size: 1 << 60, ..quick_start.clone() };
        assert!(config.validate().unwrap_err().to_string().contains("`vocab_size`"));
        let config = DecoderConfig { layer_count: 1 << 60, ..quick_start };
        assert!(config.validate().unwrap_err().to_string().contains("`intermediate_size`"));
    }

    #[test]
    fn a_configuration_survives_json() {
        let config = testing::quick_start();
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<DecoderConfig>(&text).unwrap(), config);
    }
}
