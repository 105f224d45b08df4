//! What a decoder takes on a device, estimated beforehand.

use still_decoder::DecoderConfig;

use super::{attention::MAX_SCORES, cache::DeviceCache, decoder::CacheSize, weights::DeviceWeights};
use crate::TensorPrecision;

/// Buffers of the size of a layer's widest output that are alive at once in a step.
const LIVE_BUFFERS: usize = 4;
/// f32 buffers of the size of the scores that are alive at once: scores, masked scores, shares.
const LIVE_SCORES: usize = 3;

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
            weights_bytes: DeviceWeights::memory_bytes(config, element),
            cache_bytes: DeviceCache::memory_bytes(config, slots, cache.slot_capacity_tokens, element),
            step_bytes: kept + stream + LIVE_SCORES * scores * float + logits,
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use serde_json::json;
    use still_decoder::DecoderWeights;

    use super::{super::DeviceDecoder, *};

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
