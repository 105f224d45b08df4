//! How much memory training takes, before it takes it.
//!
//! All sizes are counted from the decoder's, in numbers of 4 bytes; the bench `memory` holds them to what a
//! process takes. With `P` parameters, `L` blocks of hidden size `H`, inner size `I`, fused projections `Q`
//! wide of which queries `q`, and `h` heads, a part of `T` tokens keeps on the CPU
//!
//! ```text
//! T * L * (2 H + Q + q + 2 I + h + 2)       activations, where they are kept
//! T * 4 I                                   the backward pass of one block, at its widest
//! ```
//!
//! and without kept activations `T * L * H` and one block's share instead of the first line.

use still_decoder::DecoderConfig;
use still_policy::LoraConfig;

use crate::config::{JobConfig, LearnerConfig};

/// Bytes of a number.
const FLOAT_BYTES: usize = 4;
/// Numbers of a block of logits.
const LOGITS: usize = 8 << 20;

/// What training takes, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
    /// Masters and both moments of what is trained, on the host; where adapters are trained, the base too.
    pub state: usize,
    /// The state to go back to when training diverges, which is also the checkpoint being written.
    pub last_good: usize,
    /// One gradient of all that is trained.
    pub gradient: usize,
    /// Parameters and gradients, on every device where gradients are made.
    pub device: usize,
    /// Activations of a step's largest part, and its logits, on every such device.
    pub activations: usize,
}

impl Footprint {
    /// Of one job with parts of at most `tokens` tokens at once on each device. `fused` is the CPU.
    pub fn new(decoder: &DecoderConfig, learner: &LearnerConfig, tokens: usize, fused: bool) -> Self {
        let parameters = decoder.parameter_count();
        let trained = learner.lora.as_ref().map_or(parameters, |lora| adapter_parameters(decoder, lora));
        // beside adapters: the base on the host, and the projections with their changes on the device
        let beside = if learner.lora.is_some() { parameters } else { 0 };
        let tables = decoder.vocabulary_size * decoder.hidden_size;
        let keeps_back = trained <= learner.max_kept_parameters;
        let activations = activations(decoder, tokens, fused && !learner.recompute_activations);
        Self {
            state: FLOAT_BYTES * (3 * trained + beside),
            last_good: FLOAT_BYTES * if keeps_back { 3 * trained } else { 0 },
            gradient: FLOAT_BYTES * trained,
            // the table's gradient comes in two parts, that of the head and that of the embedding; beside
            // adapters it has none
            device: FLOAT_BYTES * (parameters + trained + if beside > 0 { beside } else { tables }),
            activations: FLOAT_BYTES * activations,
        }
    }

    /// Gradients on the host while the parts of `replicas` devices are added up: the sum, and one that waits
    /// for each GPU. On the CPU those that wait are where they were made, and of one device the sum is too.
    pub const fn summed(&self, replicas: usize, fused: bool) -> usize {
        match (fused, replicas) {
            (true, 0 | 1) => 0,
            (true, _) => self.gradient,
            (false, _) => self.gradient * (1 + replicas),
        }
    }

    /// All of it, with one device.
    pub const fn total(&self) -> usize {
        self.state + self.last_good + self.device + self.activations
    }
}

/// Most tokens that a job takes through the device at once.
pub fn part_tokens(job: &JobConfig, learner: &LearnerConfig, context_tokens: usize) -> usize {
    let longest = match job.max_sequence_tokens {
        0 => context_tokens,
        limit => limit.min(context_tokens),
    };
    let step = if job.batch_sequences > 0 { job.batch_sequences * longest } else { job.batch_tokens };
    step.min(learner.micro_batch_tokens).max(longest)
}

/// Numbers in the adapters of a decoder.
fn adapter_parameters(decoder: &DecoderConfig, lora: &LoraConfig) -> usize {
    let sizes = lora.targets.iter().map(|target| target.shape(decoder).iter().sum::<usize>());
    decoder.layer_count * lora.rank * sizes.sum::<usize>()
}

fn activations(decoder: &DecoderConfig, tokens: usize, keeps: bool) -> usize {
    let (hidden, inner, heads) =
        (decoder.hidden_size, decoder.intermediate_size, decoder.attention_head_count);
    let (queries, fused) = (decoder.query_size(), decoder.qkv_size());
    let plain_heads = if decoder.query_key_norm { queries + decoder.key_value_size() + heads } else { 0 };
    let block = hidden + fused + plain_heads + queries + 2 * inner + heads + 2;
    let kept =
        if keeps { decoder.layer_count * (hidden + block) } else { decoder.layer_count * hidden + block };
    // `silu(gate) * up`, its gradient, and that of gate and up; what comes after takes over their memory
    let widest = 4 * inner;
    tokens * (kept + widest) + LOGITS.min(tokens * decoder.vocabulary_size)
}

#[cfg(test)]
mod tests {
    use still_policy::Projection;

    use super::*;

    fn decoder() -> DecoderConfig {
        let json = serde_json::json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64,
            "intermediate_size": 176, "num_hidden_layers": 3, "num_attention_heads": 4,
            "num_key_value_heads": 4, "vocab_size": 26, "rms_norm_eps": 1e-5,
            "max_position_embeddings": 256, "hidden_act": "silu", "rope_theta": 10000.0,
            "tie_word_embeddings": true
        });
        DecoderConfig::from_hugging_face(&json).unwrap()
    }

    #[test]
    fn parts_are_as_long_as_the_micro_batch_or_the_longest_sequence() {
        let learner = LearnerConfig { micro_batch_tokens: 1_000, ..LearnerConfig::default() };
        let job = |batch_sequences, max_sequence_tokens| JobConfig {
            batch_sequences,
            batch_tokens: 700,
            max_sequence_tokens,
            ..JobConfig::default()
        };
        assert_eq!(part_tokens(&job(4, 100), &learner, 256), 400);
        assert_eq!(part_tokens(&job(40, 100), &learner, 256), 1_000);
        assert_eq!(part_tokens(&job(0, 100), &learner, 256), 700);
        assert_eq!(part_tokens(&job(1, 0), &learner, 4_096), 4_096);
    }

    #[test]
    fn activations_grow_in_a_straight_line_and_adapters_have_no_moments_of_the_base() {
        let config = LearnerConfig::default();
        let of = |tokens| Footprint::new(&decoder(), &config, tokens, true).activations;
        assert_eq!(of(8_000_000) - of(4_000_000), of(4_000_000) - LOGITS * FLOAT_BYTES);
        let lora = LoraConfig { rank: 4, alpha: 8.0, targets: vec![Projection::Query] };
        let adapted = LearnerConfig { lora: Some(lora), ..LearnerConfig::default() };
        let (whole, adapted) =
            (Footprint::new(&decoder(), &config, 100, true), Footprint::new(&decoder(), &adapted, 100, true));
        assert_eq!(adapted.last_good, FLOAT_BYTES * 3 * 3 * 4 * (64 + 64));
        assert!(adapted.state < whole.state && adapted.activations == whole.activations);
    }
}
