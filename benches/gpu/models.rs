//! Models of real shapes with weights that mean nothing.

use half::bf16;
use still_decoder::{
    Architecture, DecoderConfig, DecoderWeights, LayerWeights, Matrix, RopeConfig, SpecialTokens,
};

/// Numbers that are drawn; larger matrices repeat them.
const DRAWN: usize = (1 << 20) + 7;

/// A model's shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// For a trial of this program on the processor.
    Tiny,
    /// Qwen2.5-0.5B.
    Half,
    /// Qwen2.5-7B.
    Seven,
}

impl Shape {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "tiny" => Some(Self::Tiny),
            "0.5b" => Some(Self::Half),
            "7b" => Some(Self::Seven),
            _ => None,
        }
    }

    /// Rollouts at once that speed is measured at.
    pub(crate) const fn batches(self) -> &'static [usize] {
        match self {
            Self::Tiny => &[1, 6],
            Self::Half | Self::Seven => &[1, 8, 32, 64, 128],
        }
    }

    /// Cached tokens of each rollout while it is measured.
    pub(crate) const fn context_tokens(self) -> usize {
        match self {
            Self::Tiny => 40,
            Self::Half | Self::Seven => 1_900,
        }
    }

    /// Lengths of the sequences that a training step is measured at.
    pub(crate) const fn sequence_tokens(self) -> &'static [usize] {
        match self {
            Self::Tiny => &[64],
            Self::Half | Self::Seven => &[2_048, 8_192, 16_384],
        }
    }

    pub(crate) fn config(self) -> DecoderConfig {
        let [hidden, inner, layers, heads, groups, vocabulary] = match self {
            Self::Tiny => [64, 96, 2, 4, 2, 300],
            Self::Half => [896, 4_864, 24, 14, 2, 151_936],
            Self::Seven => [3_584, 18_944, 28, 28, 4, 152_064],
        };
        DecoderConfig {
            architecture: Architecture::Qwen2,
            vocabulary_size: vocabulary,
            hidden_size: hidden,
            intermediate_size: inner,
            layer_count: layers,
            attention_head_count: heads,
            key_value_head_count: groups,
            head_dim: hidden / heads,
            rms_norm_epsilon: 1e-6,
            rope: RopeConfig { theta: 1_000_000.0, scaling: None },
            tied_embeddings: self != Self::Seven,
            attention_bias: true,
            query_key_norm: false,
            embedding_multiplier: 1.0,
            max_position_count: 32_768,
            special_tokens: SpecialTokens::default(),
        }
    }
}

/// Weights of about the right size, in bf16, from a few drawn numbers: drawing them all would take minutes.
pub(crate) fn tiled_weights(config: &DecoderConfig) -> DecoderWeights {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let spread = 1.7 / (config.hidden_size as f32).sqrt();
    let drawn: Vec<bf16> = (0..DRAWN)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bf16::from_f32(((state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0) * spread)
        })
        .collect();
    let matrix = |rows: usize, columns: usize| {
        let values = drawn.iter().copied().cycle().take(rows * columns).collect();
        Matrix::from_bf16(rows, columns, values)
    };
    let hidden = config.hidden_size;
    let layer = || LayerWeights {
        input_norm: vec![1.0; hidden],
        qkv: matrix(config.qkv_size(), hidden),
        qkv_bias: config.attention_bias.then(|| vec![0.01; config.qkv_size()]),
        query_norm: config.query_key_norm.then(|| vec![1.0; config.head_dim]),
        key_norm: config.query_key_norm.then(|| vec![1.0; config.head_dim]),
        output: matrix(hidden, config.query_size()),
        post_attention_norm: vec![1.0; hidden],
        gate_up: matrix(2 * config.intermediate_size, hidden),
        down: matrix(hidden, config.intermediate_size),
    };
    DecoderWeights {
        embedding: matrix(config.vocabulary_size, hidden),
        layers: (0..config.layer_count).map(|_| layer()).collect(),
        final_norm: vec![1.0; hidden],
        head: (!config.tied_embeddings).then(|| matrix(config.vocabulary_size, hidden)),
    }
}
