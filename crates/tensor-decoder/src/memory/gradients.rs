//! What gradients by operators of burn take on their device.
//!
//! With `e` bytes to a number of the chosen precision, a part of `T` tokens through `L` blocks of hidden size `H`, inner
//! size `I`, `q` queries and `k` keys over `h` heads of `d` takes the inputs of the blocks, `T * L * H * e`, and the most
//! of what follows, one after the other:
//!
//! ```text
//! head          3 f32 buffers of a chunk's logits; from the second chunk on beside the f32 gradient of the head
//! head's sum    that gradient, one of a chunk in e bytes, and where e is less, that in f32
//! feed-forward  T * ((8 + 5 e) I + (24 + 2 e) H + (2 q + 3 k) e + 8 d)
//! attention     T * ((12 + 2 e) H + (4 q + 6 k) e + 8 d), and (8 + e) h for a block's queries times what they see
//! ```
//!
//! The last two stand beside the gradient of the head, and beside those of one block. Adapters of rank `r` on `n`
//! projections keep what is between their two factors, `T * 2 r n` numbers of f32. The factors were found by counting
//! what is allocated on the CPU, where a test of `still-learning` holds the whole to it within a tenth.

use still_decoder::DecoderConfig;

use crate::{LoraConfig, TensorPrecision};

/// Logits held at once.
pub(crate) const CHUNK_LOGITS: usize = 32 << 20;
/// Queries of a head that are worked on at once.
pub(crate) const QUERY_BLOCK: usize = 512;
/// Bytes of an f32.
const FLOAT: usize = size_of::<f32>();
/// f32 buffers of a chunk's logits that are alive at once.
const LIVE_LOGITS: usize = 3;

/// Bytes that a loss and its gradients take beside the parameters, by operators of burn: of a batch of so many tokens, in one sequence at worst. Gradients leave for the host as they come.
pub fn composed_pass_bytes(
    config: &DecoderConfig,
    precision: TensorPrecision,
    lora: Option<&LoraConfig>,
    tokens: usize,
) -> usize {
    let element = precision.bytes();
    let pass = Pass { config, element, lora, tokens };
    pass.inputs() + pass.head().max(pass.head_sum()).max(pass.table(FLOAT) + pass.block())
}

struct Pass<'a> {
    config: &'a DecoderConfig,
    /// Bytes of a matrix's number.
    element: usize,
    lora: Option<&'a LoraConfig>,
    tokens: usize,
}

impl Pass<'_> {
    /// What the blocks and the head read.
    fn inputs(&self) -> usize {
        self.tokens * (self.config.layer_count + 1) * self.config.hidden_size * self.element
    }

    /// A gradient of the head in numbers of so many bytes; beside adapters there is none.
    fn table(&self, number: usize) -> usize {
        if self.lora.is_some() { 0 } else { number * self.config.vocabulary_size * self.config.hidden_size }
    }

    fn head(&self) -> usize {
        let all_logits = self.tokens * self.config.vocabulary_size;
        let summed = if all_logits > CHUNK_LOGITS { self.table(FLOAT) } else { 0 };
        // the gradient of the last block's output is begun
        let grad = self.tokens * self.config.hidden_size * self.element;
        grad + summed + LIVE_LOGITS * FLOAT * all_logits.min(CHUNK_LOGITS)
    }

    fn head_sum(&self) -> usize {
        let cast = if self.element < FLOAT { self.table(FLOAT) } else { 0 };
        self.table(FLOAT) + self.table(self.element) + cast
    }

    /// The way back through a block.
    fn block(&self) -> usize {
        let (config, element) = (self.config, self.element);
        let (hidden, queries, keys) = (config.hidden_size, config.query_size(), config.key_value_size());
        let angles = 2 * FLOAT * config.head_dim;
        let feed_forward = (2 * FLOAT + 5 * element) * config.intermediate_size
            + (6 * FLOAT + 2 * element) * hidden
            + (2 * queries + 3 * keys) * element;
        let attention = (3 * FLOAT + 2 * element) * hidden + (4 * queries + 6 * keys) * element;
        let attention = self.tokens * attention + (2 * FLOAT + element) * self.scores();
        attention.max(self.tokens * feed_forward) + self.tokens * angles + self.gradients()
    }

    /// Scores of all heads at once, where they are most: of the last whole block of queries or of what follows it.
    fn scores(&self) -> usize {
        let rest = self.tokens % QUERY_BLOCK;
        let whole = self.tokens - rest;
        self.config.attention_head_count * (rest * self.tokens).max(QUERY_BLOCK * whole)
    }

    /// Gradients of one block's matrices; of its adapters where they are trained, and what is between their factors.
    fn gradients(&self) -> usize {
        let config = self.config;
        self.lora.map_or_else(
            || self.element * config.layer_matrices_count(),
            |lora| {
                let between = 2 * self.tokens * lora.rank * lora.targets.len();
                FLOAT * (lora.parameter_count(config) / config.layer_count + between)
            },
        )
    }
}
