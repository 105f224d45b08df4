//! Low-rank adapters on the host (Hu et al. 2021, arXiv 2106.09685): a projection `W` acts as
//! `W + alpha / rank * B A`, and only `A` and `B` are trained.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use still_decoder::{DecoderConfig, DecoderWeights, LayerWeights, LowRankView, Matrix};
use thiserror::Error;

use crate::parameters::{floats, floats_mut, zero_matrix};

/// A projection of a block, in the order in which blocks hold them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Projection {
    /// `q_proj`
    Query,
    /// `k_proj`
    Key,
    /// `v_proj`
    Value,
    /// `o_proj`
    Output,
    /// `gate_proj`
    Gate,
    /// `up_proj`
    Up,
    /// `down_proj`
    Down,
}

/// Rank, strength and targets of adapters.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraConfig {
    /// Rank of the change of a projection.
    pub rank: usize,
    /// The change is scaled by `alpha / rank`.
    pub alpha: f64,
    /// The projections that get an adapter, in every block.
    pub targets: Vec<Projection>,
}

/// The two factors of one projection's change.
#[derive(Debug, Clone, PartialEq)]
pub struct Adapter {
    /// Which projection.
    pub projection: Projection,
    /// `A`, `[rank, in]`.
    pub down: Matrix,
    /// `B`, `[out, rank]`.
    pub up: Matrix,
}

/// The adapters of every block.
#[derive(Debug, Clone, PartialEq)]
pub struct Adapters {
    /// What scales each change: `alpha / rank`.
    pub scale: f32,
    /// By block, then in the order of [`Projection`].
    pub layers: Vec<Vec<Adapter>>,
}

/// Why adapters cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AdapterError {
    /// No rank.
    #[error("the rank of an adapter is 0: give it at least 1")]
    NoRank,
    /// No target.
    #[error("adapters are asked for, but for no projection: name at least one target")]
    NoTargets,
}

impl Projection {
    /// Every projection.
    pub const ALL: [Self; 7] =
        [Self::Query, Self::Key, Self::Value, Self::Output, Self::Gate, Self::Up, Self::Down];

    /// Its module in a Hugging Face block.
    pub const fn module(self) -> &'static str {
        match self {
            Self::Query => "self_attn.q_proj",
            Self::Key => "self_attn.k_proj",
            Self::Value => "self_attn.v_proj",
            Self::Output => "self_attn.o_proj",
            Self::Gate => "mlp.gate_proj",
            Self::Up => "mlp.up_proj",
            Self::Down => "mlp.down_proj",
        }
    }

    /// Its own name in Hugging Face's layout, such as `q_proj`.
    pub fn name(self) -> &'static str {
        self.module().rsplit('.').next().unwrap_or_default()
    }

    /// The projection of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|projection| projection.name() == name)
    }

    /// What it puts out and takes in.
    pub fn shape(self, config: &DecoderConfig) -> [usize; 2] {
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        match self {
            Self::Query => [config.query_size(), hidden],
            Self::Key | Self::Value => [config.key_value_size(), hidden],
            Self::Output => [hidden, config.query_size()],
            Self::Gate | Self::Up => [inner, hidden],
            Self::Down => [hidden, inner],
        }
    }

    /// Its first row in the fused matrix that holds it.
    pub fn first_row(self, config: &DecoderConfig) -> usize {
        match self {
            Self::Query | Self::Output | Self::Gate | Self::Down => 0,
            Self::Key => config.query_size(),
            Self::Value => config.query_size() + config.key_value_size(),
            Self::Up => config.intermediate_size,
        }
    }

    /// The fused matrix that holds it, of the four that a block has.
    pub(crate) const fn fused_index(self) -> usize {
        match self {
            Self::Query | Self::Key | Self::Value => 0,
            Self::Output => 1,
            Self::Gate | Self::Up => 2,
            Self::Down => 3,
        }
    }

    /// That matrix.
    pub(crate) fn fused(self, layer: &mut LayerWeights) -> &mut Matrix {
        let matrices = [&mut layer.qkv, &mut layer.output, &mut layer.gate_up, &mut layer.down];
        matrices
            .into_iter()
            .nth(self.fused_index())
            .unwrap_or_else(|| unreachable!("a block has four matrices"))
    }
}

impl LoraConfig {
    /// Numbers in the adapters of a decoder.
    pub fn parameter_count(&self, config: &DecoderConfig) -> usize {
        let sizes = self.targets.iter().map(|target| target.shape(config).iter().sum::<usize>());
        config.layer_count * self.rank * sizes.sum::<usize>()
    }
}

impl Adapter {
    /// The change as kernels take it.
    pub(crate) fn view(&self, scale: f32, config: &DecoderConfig) -> LowRankView<'_> {
        LowRankView {
            down: floats(&self.down),
            up: floats(&self.up),
            rank: self.down.rows(),
            first_row: self.projection.first_row(config),
            scale,
        }
    }
}

impl Adapters {
    /// Fresh adapters that change nothing yet: `A` uniform within `1 / sqrt(in)` as PEFT draws it, `B` zero.
    ///
    /// # Errors
    /// When the rank is 0 or there is no target.
    pub fn new(lora: &LoraConfig, config: &DecoderConfig, seed: u64) -> Result<Self, AdapterError> {
        if lora.rank == 0 {
            return Err(AdapterError::NoRank);
        }
        let mut targets = lora.targets.clone();
        targets.sort_unstable();
        targets.dedup();
        if targets.is_empty() {
            return Err(AdapterError::NoTargets);
        }
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut adapter = |projection: &Projection| {
            let [output, input] = projection.shape(config);
            let bound = 1.0 / (input as f32).sqrt();
            let values = (0..lora.rank * input).map(|_| random.random_range(-bound..bound)).collect();
            Adapter {
                projection: *projection,
                down: Matrix::from_f32(lora.rank, input, values),
                up: Matrix::from_f32(output, lora.rank, vec![0.0; output * lora.rank]),
            }
        };
        let layers = (0..config.layer_count).map(|_| targets.iter().map(&mut adapter).collect()).collect();
        Ok(Self { scale: (lora.alpha / lora.rank as f64) as f32, layers })
    }

    /// The decoder with the changes added to its projections.
    #[must_use]
    pub fn merge(&self, base: &DecoderWeights, config: &DecoderConfig) -> DecoderWeights {
        let mut merged = base.to_f32();
        for (layer, adapters) in merged.layers.iter_mut().zip(&self.layers) {
            for adapter in adapters {
                let (rank, columns) = (adapter.down.rows(), adapter.down.columns());
                let first = adapter.projection.first_row(config) * columns;
                let target = floats_mut(adapter.projection.fused(layer));
                let rows = target.get_mut(first..).unwrap_or_default().chunks_exact_mut(columns);
                for (row, up) in rows.zip(floats(&adapter.up).chunks_exact(rank)) {
                    for (weight, down) in up.iter().zip(floats(&adapter.down).chunks_exact(columns)) {
                        let weight = self.scale * weight;
                        row.iter_mut().zip(down).for_each(|(row, down)| *row += weight * down);
                    }
                }
            }
        }
        merged
    }

    /// Adapters of the same form, all zero.
    #[must_use]
    pub fn zeros_like(&self) -> Self {
        let zeros = |adapter: &Adapter| Adapter {
            projection: adapter.projection,
            down: zero_matrix(&adapter.down),
            up: zero_matrix(&adapter.up),
        };
        let layers = self.layers.iter().map(|layer| layer.iter().map(zeros).collect()).collect();
        Self { scale: self.scale, layers }
    }

    /// Every factor by its name in PEFT's layout.
    pub(crate) fn factors(&self) -> Vec<(String, &[f32])> {
        let mut list = Vec::new();
        for (index, adapter) in self.enumerate() {
            list.push((factor_name(index, adapter.projection, 'A'), floats(&adapter.down)));
            list.push((factor_name(index, adapter.projection, 'B'), floats(&adapter.up)));
        }
        list
    }

    /// The same list, to change.
    pub(crate) fn factors_mut(&mut self) -> Vec<&mut Matrix> {
        let adapters = self.layers.iter_mut().flatten();
        adapters.flat_map(|adapter| [&mut adapter.down, &mut adapter.up]).collect()
    }

    /// Every adapter with its block's number.
    pub(crate) fn enumerate(&self) -> impl Iterator<Item = (usize, &Adapter)> {
        let layers = self.layers.iter().enumerate();
        layers.flat_map(|(index, layer)| layer.iter().map(move |adapter| (index, adapter)))
    }
}

/// A factor's name in PEFT's layout.
pub(crate) fn factor_name(layer: usize, projection: Projection, factor: char) -> String {
    format!("base_model.model.model.layers.{layer}.{}.lora_{factor}.weight", projection.module())
}
