//! How much memory training takes, before it takes it.
//!
//! All sizes are counted from the decoder's; a test holds them to what is allocated, and the bench `memory` to what a
//! process takes. On GPUs [`composed_pass_bytes`] tells of a part's way through the decoder and back. On the CPU, with
//! `L` blocks of hidden size `H`, inner size `I`, fused projections `Q` wide of which queries `q`, and `h` heads, a part
//! of `T` tokens takes these numbers of 4 bytes:
//!
//! ```text
//! T * L * H                            inputs of the blocks
//! T * L * (Q + q + H + 2 I + h + 2)    what they keep for the backward pass; recomputed: of one block
//! T * (3 I + 2 H)                      buffers of the backward pass of one block, where attention takes less
//! T * 4 H                              what the head reads, and its gradient
//! ```
//!
//! and a block of logits when the head is at work, from the second step on: the decoder keeps buffers for the next
//! step. When the backward pass ends there are all gradients beside such buffers instead; the larger of the two counts.

use still_decoder::{DecoderConfig, MAX_IDLE_NUMBERS, most_logits};
use still_recipe::LearnerSettings;
use still_tensor_decoder::composed_pass_bytes;

use crate::config::LearnerConfig;

/// Bytes of a number.
const FLOAT_BYTES: usize = 4;
/// Queries of a head that are worked on at once.
const QUERY_BLOCK: usize = 64;

/// What training takes, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
    /// Masters and both moments of what is trained, on the host, of which Muon has fewer; where adapters are trained, the
    /// base too.
    pub state: usize,
    /// The state to go back to when training diverges, which is also the checkpoint being written.
    pub last_good: usize,
    /// One gradient of all that is trained.
    pub gradient: usize,
    /// Parameters on every GPU where gradients are made, and adapters beside them; the processor has no copy of its own.
    pub device: usize,
    /// Gradients, activations and logits of a step's largest part, on every such device, where they are most together.
    pub pass: usize,
}

/// Where gradients are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On the host, where the masters are.
    Processor,
    /// On devices that have parameters of their own.
    Gpus,
}

/// How a job's steps are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepParts {
    /// Most tokens that go through a device at once.
    pub tokens: usize,
    /// Whether a step may take more than one part, whose gradients are then added up.
    pub several: bool,
}

impl Footprint {
    /// Of one job with parts of at most `tokens` tokens at once on each device.
    pub fn new(decoder: &DecoderConfig, learner: &LearnerConfig, tokens: usize, place: Place) -> Self {
        let parameters = decoder.parameter_count();
        let lora = learner.lora();
        let lora = lora.as_ref();
        let trained = lora.map_or(parameters, |lora| lora.parameter_count(decoder));
        let base = lora.map_or(0, |_| parameters);
        let keeps_back = trained <= learner.training.max_kept_parameters;
        let (device, pass) = match place {
            Place::Processor => {
                let pass = FusedPass { decoder, learner, tokens, trained };
                // the kernels read the masters where they are
                (0, FLOAT_BYTES * pass.numbers())
            }
            Place::Gpus => {
                let pass = composed_pass_bytes(decoder, learner.precision(), lora, tokens);
                let adapters = lora.map_or(0, |_| FLOAT_BYTES * trained);
                (parameters * learner.precision().bytes() + adapters, pass)
            }
        };
        Self {
            state: FLOAT_BYTES * (3 * trained + base),
            last_good: FLOAT_BYTES * if keeps_back { 3 * trained } else { 0 },
            gradient: FLOAT_BYTES * trained,
            device,
            pass,
        }
    }

    /// Gradients on the host while the parts of a step are added up: the sum, and one that waits for each GPU; of the
    /// only part of a step, one. On the CPU they are where they were made, and that of one device is the sum.
    pub const fn summed(&self, replicas: usize, several_parts: bool, place: Place) -> usize {
        match (place, replicas) {
            (Place::Processor, 0 | 1) if !several_parts => 0,
            (Place::Processor, _) => self.gradient,
            (Place::Gpus, _) if !several_parts => self.gradient,
            (Place::Gpus, _) => self.gradient * (1 + replicas),
        }
    }

    /// All of it, with one device and steps of one part.
    pub const fn total(&self) -> usize {
        self.state + self.last_good + self.device + self.pass
    }
}

impl StepParts {
    /// Of a job on a decoder that takes sequences of up to `context_tokens`; an example is one sequence or a pair of
    /// them, which goes through a device as a whole.
    pub fn of(
        job: &LearnerSettings,
        learner: &LearnerConfig,
        context_tokens: usize,
        sequences_per_example: usize,
    ) -> Self {
        let longest = match job.max_sequence_tokens {
            0 => context_tokens,
            limit => context_tokens.min(limit as usize),
        };
        let longest = longest * sequences_per_example;
        let step = match job.batch_sequences {
            // the mean of a pass, to which a step has at most one example more
            0 => job.batch_tokens as usize + longest,
            sequences => sequences as usize * longest,
        };
        let tokens = step.min(learner.micro_batch_tokens()).max(longest);
        Self { tokens, several: step > tokens }
    }

    /// Of two jobs, one after the other: whatever is more.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { tokens: self.tokens.max(other.tokens), several: self.several || other.several }
    }
}

/// What a part's way through the decoder and back takes by the fused operators of the CPU, in numbers.
struct FusedPass<'a> {
    decoder: &'a DecoderConfig,
    learner: &'a LearnerConfig,
    tokens: usize,
    trained: usize,
}

impl FusedPass<'_> {
    /// Where they are most.
    fn numbers(&self) -> usize {
        let Self { decoder, tokens, trained, .. } = *self;
        let hidden = decoder.hidden_size;
        let layers = if self.learner.training.recompute_activations { 1 } else { decoder.layer_count };
        let (kept, inputs) = (layers * self.block(), decoder.layer_count * hidden);
        // its input before and after the norm, the rows of that with a target, and their gradient; the buffers that the
        // last step went back with are idle
        let head = tokens * (kept + inputs + 4 * hidden + self.block_backward()) + self.logits();
        // the gradient of a block's output, and of what attention left
        let last_block =
            tokens * (kept + inputs + 2 * hidden + self.block_backward()) + self.block_gradients();
        let begin = self.table() + head.max(last_block);
        // buffers of the other blocks are idle now, and kept up to a limit
        let first_block = tokens * (self.block() + self.block_backward());
        let idle = MAX_IDLE_NUMBERS.min(tokens * (kept + self.block_backward()));
        let end = trained + tokens * 3 * hidden + first_block.max(idle);
        begin.max(end)
    }

    /// What a block keeps of a token.
    fn block(&self) -> usize {
        let decoder = self.decoder;
        let (queries, heads) = (decoder.query_size(), decoder.attention_head_count);
        let plain_heads = if decoder.query_key_norm {
            queries + decoder.key_value_size() + heads + decoder.key_value_head_count
        } else {
            0
        };
        decoder.qkv_size()
            + plain_heads
            + queries
            + decoder.hidden_size
            + 2 * decoder.intermediate_size
            + heads
            + 2
    }

    /// What a block takes of a token on the way back: `silu(gate) * up`, the gradient of gate and up, the normed input
    /// and its gradient; then, in the same buffers, the gradients of attention's output, of `qkv`, and of every head
    /// that is worked on at once. Each thread has two blocks of scores.
    fn block_backward(&self) -> usize {
        let (decoder, threads) = (self.decoder, self.learner.threads.max(1));
        let heads = if threads > 1 { decoder.attention_head_count } else { 1 };
        let feed_forward = 3 * decoder.intermediate_size + 2 * decoder.hidden_size;
        let attention = decoder.query_size() + decoder.qkv_size() + 3 * heads * decoder.head_dim;
        feed_forward.max(attention) + 2 * QUERY_BLOCK * threads
    }

    /// Gradients of one block's matrices, or of the adapters beside them: every thread has its own where sequences are
    /// dealt out to them.
    fn block_gradients(&self) -> usize {
        let of_block = match self.learner.training.lora.rank {
            0 => self.decoder.layer_matrices_count(),
            _ => self.trained / self.decoder.layer_count,
        };
        self.learner.threads.max(1) * of_block
    }

    /// The gradient of the head; beside adapters there is none.
    fn table(&self) -> usize {
        if self.learner.training.lora.rank > 0 {
            0
        } else {
            self.decoder.vocabulary_size * self.decoder.hidden_size
        }
    }

    /// Logits held at once.
    fn logits(&self) -> usize {
        let vocabulary = self.decoder.vocabulary_size;
        most_logits(vocabulary).min(self.tokens * vocabulary)
    }
}

#[cfg(test)]
mod tests {
    use still_recipe::{LoraSettings, Precision, TrainingSection};

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

    /// Of whole numbers, where nothing else is asked for.
    fn learner(change: impl FnOnce(&mut TrainingSection)) -> LearnerConfig {
        let mut training = TrainingSection { precision: Precision::F32, ..TrainingSection::default() };
        change(&mut training);
        LearnerConfig { training, threads: 1 }
    }

    #[test]
    fn parts_are_as_long_as_the_micro_batch_or_the_longest_sequence() {
        let learner = learner(|training| training.micro_batch_tokens = 1_000);
        let job = |batch_sequences, max_sequence_tokens| LearnerSettings {
            batch_sequences,
            batch_tokens: 700,
            max_sequence_tokens,
            ..LearnerSettings::default()
        };
        let parts = |job, context| {
            let StepParts { tokens, several } = StepParts::of(&job, &learner, context, 1);
            (tokens, several)
        };
        assert_eq!(parts(job(4, 100), 256), (400, false));
        assert_eq!(parts(job(40, 100), 256), (1_000, true));
        assert_eq!(parts(job(0, 100), 256), (800, false), "a step may have one example more than the mean");
        assert_eq!(parts(job(1, 0), 4_096), (4_096, false));
        assert_eq!(parts(job(2, 0), 4_096), (4_096, true));
        let pairs = StepParts::of(&job(1, 0), &learner, 4_096, 2);
        assert_eq!(pairs, StepParts { tokens: 8_192, several: false });
        assert_eq!(
            pairs.or(StepParts { tokens: 3, several: true }),
            StepParts { tokens: 8_192, several: true }
        );
    }

    #[test]
    fn a_pass_grows_in_a_straight_line_and_adapters_have_no_moments_of_the_base() {
        let config = learner(|_| {});
        let of = |tokens| Footprint::new(&decoder(), &config, tokens, Place::Processor).pass;
        assert_eq!(of(12_000_000) - of(8_000_000), of(8_000_000) - of(4_000_000));
        let lora = LoraSettings { rank: 4, alpha: 8.0, targets: vec!["q_proj".to_owned()] };
        let adapted = learner(|training| training.lora = lora);
        let (whole, adapted) = [&config, &adapted]
            .map(|config| Footprint::new(&decoder(), config, 100, Place::Processor))
            .into();
        let trained = 3 * 4 * (64 + 64);
        assert_eq!(adapted.last_good, FLOAT_BYTES * 3 * trained);
        assert!(adapted.state < whole.state && adapted.pass < whole.pass);
        assert_eq!((adapted.device, whole.device), (0, 0));
    }

    #[test]
    fn only_composed_operators_hold_matrices_of_half_precision() {
        let halved = learner(|training| training.precision = Precision::Bf16);
        let of = |config: &LearnerConfig, place| Footprint::new(&decoder(), config, 100, place);
        let whole = learner(|_| {});
        assert_eq!(of(&halved, Place::Processor), of(&whole, Place::Processor));
        assert_eq!(2 * of(&halved, Place::Gpus).device, of(&whole, Place::Gpus).device);
        assert!(of(&halved, Place::Gpus).pass < of(&whole, Place::Gpus).pass);
        assert_eq!(of(&halved, Place::Gpus).state, of(&whole, Place::Gpus).state);
    }

    #[test]
    fn gradients_are_summed_up_beside_a_pass_where_there_are_several_parts_or_devices() {
        let footprint = Footprint::new(&decoder(), &learner(|_| {}), 100, Place::Processor);
        let one = footprint.gradient;
        assert_eq!(
            [(1, false), (1, true), (2, false)]
                .map(|(replicas, several)| { footprint.summed(replicas, several, Place::Processor) / one }),
            [0, 1, 1]
        );
        assert_eq!([false, true].map(|several| footprint.summed(2, several, Place::Gpus) / one), [1, 3]);
    }
}
