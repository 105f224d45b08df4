//! What a decoder that generates takes on a device.

use still_decoder::DecoderConfig;

use crate::TensorPrecision;

/// Scores of a step's queries that are held at once.
pub(crate) const MAX_SCORES: usize = 64 << 20;
/// Attention reads cached positions in multiples of this.
pub(crate) const EXTENT_STEP: usize = 256;
/// Buffers of the size of a layer's widest output that are alive at once in a step.
const LIVE_BUFFERS: usize = 4;
/// f32 buffers of the size of the scores that are alive at once: scores, masked scores, shares.
const LIVE_SCORES: usize = 3;

/// How many rows a cache holds, and how long they may get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheSize {
    /// Rows at once.
    pub slots: usize,
    /// Positions of each.
    pub slot_capacity_tokens: usize,
}

/// Bytes that a decoder takes on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecoderMemory {
    /// Parameters: matrices in the chosen precision, head and vectors in f32.
    pub weights_bytes: usize,
    /// Keys and values.
    pub cache_bytes: usize,
    /// An estimate of what a step takes at most, beside the two.
    pub step_bytes: usize,
}

impl DecoderMemory {
    /// What a decoder with a cache of this size takes, when a step runs at most `step_tokens` prompt tokens.
    pub fn of(
        config: &DecoderConfig,
        precision: TensorPrecision,
        cache: CacheSize,
        step_tokens: usize,
    ) -> Self {
        let element = precision.bytes();
        let float = size_of::<f32>();
        let (hidden, slots) = (config.hidden_size, cache.slots);
        // short spans are padded to a power of two, and so is the number of those of one length
        let rows = slots + 4 * step_tokens;
        let widest = (2 * config.intermediate_size).max(config.qkv_size());
        let kept = config.layer_count * rows * (2 * config.qkv_size()) * element;
        let stream = LIVE_BUFFERS * rows * (widest * element + hidden * float);
        let positions = cache.slot_capacity_tokens + step_tokens;
        let scores = MAX_SCORES.min(config.attention_head_count * rows * positions);
        let logits = slots.next_power_of_two() * config.vocabulary_size * float;
        Self {
            weights_bytes: weights_bytes(config, element),
            cache_bytes: cache_bytes(config, cache, element),
            step_bytes: kept + stream + LIVE_SCORES * scores * float + logits,
        }
    }
}

/// Positions that a slot of this capacity takes: one more, for what nobody reads, and then rounded up.
pub(crate) const fn padded(capacity_tokens: usize) -> usize {
    (capacity_tokens + 1).next_multiple_of(EXTENT_STEP)
}

/// Bytes that a decoder's parameters take, each stored in `element_bytes` but for head and vectors.
pub(crate) fn weights_bytes(config: &DecoderConfig, element_bytes: usize) -> usize {
    let table = config.vocabulary_size * config.hidden_size;
    let vectors = vector_count(config);
    let tables = if config.tied_embeddings { table } else { 2 * table };
    let matrices = config.parameter_count() - vectors - tables;
    let embedding = if config.tied_embeddings { 0 } else { table * element_bytes };
    matrices * element_bytes + embedding + (table + vectors) * size_of::<f32>()
}

/// Bytes that a cache of this size takes.
pub(crate) fn cache_bytes(config: &DecoderConfig, cache: CacheSize, element_bytes: usize) -> usize {
    let positions = config.layer_count * cache.slots * padded(cache.slot_capacity_tokens);
    2 * positions * config.key_value_size() * element_bytes
}

/// Numbers of norms and biases.
const fn vector_count(config: &DecoderConfig) -> usize {
    let biases = if config.attention_bias {
        (config.attention_head_count + 2 * config.key_value_head_count) * config.head_dim
    } else {
        0
    };
    let head_norms = if config.query_key_norm { 2 * config.head_dim } else { 0 };
    config.layer_count * (2 * config.hidden_size + biases + head_norms) + config.hidden_size
}

#[cfg(test)]
#[cfg(feature = "tensors")]
mod tests {
    use burn::tensor::Device;
    use serde_json::json;
    use still_decoder::DecoderWeights;

    use super::*;
    use crate::DeviceDecoder;

    /// Every architecture's switches, tied and untied heads.
    fn configs() -> Vec<DecoderConfig> {
        let model = |kind: &str, class: &str, tied: bool| {
            let json = json!({
                "architectures": [class], "model_type": kind, "hidden_size": 16, "intermediate_size": 24,
                "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 4,
                "vocab_size": 19, "rms_norm_eps": 1e-5, "max_position_embeddings": 64, "hidden_act": "silu",
                "rope_theta": 10000.0, "tie_word_embeddings": tied
            });
            DecoderConfig::from_hugging_face(&json).unwrap()
        };
        vec![
            model("llama", "LlamaForCausalLM", true),
            model("qwen2", "Qwen2ForCausalLM", false),
            model("qwen3", "Qwen3ForCausalLM", true),
        ]
    }

    #[test]
    fn weights_and_cache_take_what_was_foretold() {
        for config in configs() {
            for precision in [TensorPrecision::F32, TensorPrecision::Bf16] {
                let weights = DecoderWeights::random(&config, 3);
                let size = CacheSize { slots: 3, slot_capacity_tokens: 300 };
                let estimated = DecoderMemory::of(&config, precision, size, 64);
                let decoder =
                    DeviceDecoder::new(config.clone(), &weights, &Device::flex(), precision, size).unwrap();
                let expected = [estimated.weights_bytes, estimated.cache_bytes];
                assert_eq!(decoder.allocated_bytes(), expected, "{:?} {precision:?}", config.architecture);
            }
        }
    }
}
