//! The parameters of a decoder on the host, as the arithmetic wants them: query, key and value projections in one
//! matrix, gate and up projections in another. [`DecoderWeights::to_named`] and [`DecoderWeights::from_named`] cut and
//! join them into Hugging Face's tensors.

mod named;

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub use named::{LayerMatrix, LayerNorm, NamedParameter, NamedTensor, ParameterLocation};

use crate::{DecoderConfig, DecoderError, Matrix};

/// The parameters of one block; matrices are `[out, in]`, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerWeights {
    /// Scale of the norm before attention, `[hidden]`.
    pub input_norm: Vec<f32>,
    /// Rows of the query, then the key, then the value projection, `[qkv, hidden]`.
    pub qkv: Matrix,
    /// Bias of the same, `[qkv]` (Qwen2).
    pub qkv_bias: Option<Vec<f32>>,
    /// Scale of the norm of each query head, `[head_dim]` (Qwen3).
    pub query_norm: Option<Vec<f32>>,
    /// Scale of the norm of each key head, `[head_dim]` (Qwen3).
    pub key_norm: Option<Vec<f32>>,
    /// Output projection of attention, `[hidden, query]`.
    pub output: Matrix,
    /// Scale of the norm before the feed-forward layer, `[hidden]`.
    pub post_attention_norm: Vec<f32>,
    /// Rows of the gate, then the up projection, `[2 * intermediate, hidden]`.
    pub gate_up: Matrix,
    /// Down projection, `[hidden, intermediate]`.
    pub down: Matrix,
}

/// The parameters of a decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct DecoderWeights {
    /// One row a token, `[vocabulary, hidden]`.
    pub embedding: Matrix,
    /// The blocks, first to last.
    pub layers: Vec<LayerWeights>,
    /// Scale of the norm before the head, `[hidden]`.
    pub final_norm: Vec<f32>,
    /// The output head, `[vocabulary, hidden]`; none when it is the embedding.
    pub head: Option<Matrix>,
}

/// A projection `[out, in]` as a block is trained with it.
#[derive(Debug, Clone, Copy)]
pub struct ProjectionView<'a> {
    /// `[out, in]`
    pub weight: &'a [f32],
    /// What gets a gradient.
    pub trained: Trained<'a>,
}

/// What is trained of a projection.
#[derive(Debug, Clone, Copy)]
pub enum Trained<'a> {
    /// The projection itself.
    Weight,
    /// Changes beside it, perhaps none; it stays as it is.
    Changes(&'a [LowRankView<'a>]),
}

/// A low-rank change of consecutive rows of a projection, `scale * B A`, which is computed beside it (Hu et al. 2021,
/// arXiv 2106.09685).
#[derive(Debug, Clone, Copy)]
pub struct LowRankView<'a> {
    /// `A`, `[rank, in]`.
    pub down: &'a [f32],
    /// `B`, `[rows, rank]`.
    pub up: &'a [f32],
    /// Rows of `A`.
    pub rank: usize,
    /// The first of the projection's rows that it changes.
    pub first_row: usize,
    /// What it is scaled by.
    pub scale: f32,
}

impl<'a> ProjectionView<'a> {
    /// A projection that is trained itself.
    pub const fn whole(weight: &'a [f32]) -> Self {
        Self { weight, trained: Trained::Weight }
    }

    /// The changes beside it.
    pub(crate) const fn changes(&self) -> &'a [LowRankView<'a>] {
        match self.trained {
            Trained::Weight => &[],
            Trained::Changes(changes) => changes,
        }
    }
}

impl LowRankView<'_> {
    /// Rows that are changed.
    pub(crate) const fn rows(&self) -> usize {
        self.up.len() / self.rank
    }

    /// Numbers of both factors.
    pub(crate) const fn len(&self) -> usize {
        self.down.len() + self.up.len()
    }
}

/// One block's parameters, borrowed as f32 slices; see [`LayerWeights`] for shapes.
#[derive(Debug, Clone, Copy)]
pub struct LayerView<'a> {
    /// `[hidden]`
    pub input_norm: &'a [f32],
    /// `[qkv, hidden]`
    pub qkv: ProjectionView<'a>,
    /// `[qkv]`
    pub qkv_bias: Option<&'a [f32]>,
    /// `[head_dim]`
    pub query_norm: Option<&'a [f32]>,
    /// `[head_dim]`
    pub key_norm: Option<&'a [f32]>,
    /// `[hidden, query]`
    pub output: ProjectionView<'a>,
    /// `[hidden]`
    pub post_attention_norm: &'a [f32],
    /// `[2 * intermediate, hidden]`
    pub gate_up: ProjectionView<'a>,
    /// `[hidden, intermediate]`
    pub down: ProjectionView<'a>,
}

impl LayerWeights {
    /// The block's parameters as slices.
    ///
    /// # Errors
    /// When a matrix is stored as bf16.
    pub fn view(&self) -> Result<LayerView<'_>, DecoderError> {
        Ok(LayerView {
            input_norm: &self.input_norm,
            qkv: ProjectionView::whole(single_precision(&self.qkv, "qkv")?),
            qkv_bias: self.qkv_bias.as_deref(),
            query_norm: self.query_norm.as_deref(),
            key_norm: self.key_norm.as_deref(),
            output: ProjectionView::whole(single_precision(&self.output, "output")?),
            post_attention_norm: &self.post_attention_norm,
            gate_up: ProjectionView::whole(single_precision(&self.gate_up, "gate_up")?),
            down: ProjectionView::whole(single_precision(&self.down, "down")?),
        })
    }

    fn map_matrices(&self, change: impl Fn(&Matrix) -> Matrix) -> Self {
        Self {
            qkv: change(&self.qkv),
            output: change(&self.output),
            gate_up: change(&self.gate_up),
            down: change(&self.down),
            ..self.clone()
        }
    }
}

impl DecoderWeights {
    /// Fresh weights: normal with standard deviation 1/sqrt(hidden), half of it for the two output projections of a
    /// block; norms one, biases zero. The same seed gives the same weights everywhere.
    pub fn random(config: &DecoderConfig, seed: u64) -> Self {
        let mut normal = Normal { generator: ChaCha8Rng::seed_from_u64(seed), spare: None };
        let deviation = 1.0 / (config.hidden_size as f32).sqrt();
        let hidden = config.hidden_size;
        let embedding = normal.matrix(config.vocabulary_size, hidden, deviation);
        let layers = (0..config.layer_count)
            .map(|_| LayerWeights {
                input_norm: vec![1.0; hidden],
                qkv: normal.matrix(config.qkv_size(), hidden, deviation),
                qkv_bias: config.attention_bias.then(|| vec![0.0; config.qkv_size()]),
                query_norm: config.query_key_norm.then(|| vec![1.0; config.head_dim]),
                key_norm: config.query_key_norm.then(|| vec![1.0; config.head_dim]),
                output: normal.matrix(hidden, config.query_size(), deviation / 2.0),
                post_attention_norm: vec![1.0; hidden],
                gate_up: normal.matrix(2 * config.intermediate_size, hidden, deviation),
                down: normal.matrix(hidden, config.intermediate_size, deviation / 2.0),
            })
            .collect();
        let head =
            (!config.tied_embeddings).then(|| normal.matrix(config.vocabulary_size, hidden, deviation));
        Self { embedding, layers, final_norm: vec![1.0; hidden], head }
    }

    /// The matrix that turns hidden states into logits.
    pub fn head(&self) -> &Matrix {
        self.head.as_ref().unwrap_or(&self.embedding)
    }

    /// Whether every matrix is f32.
    pub fn is_single_precision(&self) -> bool {
        let of_blocks =
            self.layers.iter().flat_map(|layer| [&layer.qkv, &layer.output, &layer.gate_up, &layer.down]);
        of_blocks.chain([&self.embedding]).chain(&self.head).all(|matrix| matrix.as_f32().is_some())
    }

    /// The same weights with every matrix as f32; what already is stays shared.
    #[must_use]
    pub fn to_f32(&self) -> Self {
        self.map_matrices(Matrix::to_f32)
    }

    /// The same weights with every matrix rounded to bf16; norms and biases stay f32.
    #[must_use]
    pub fn to_bf16(&self) -> Self {
        self.map_matrices(Matrix::to_bf16)
    }

    /// Bytes that all parameters take.
    pub fn memory_bytes(&self) -> usize {
        let matrices = [Some(&self.embedding), self.head.as_ref()].into_iter().flatten();
        let in_layers = self.layers.iter().flat_map(|layer| {
            [&layer.qkv, &layer.output, &layer.gate_up, &layer.down].map(Matrix::memory_bytes)
        });
        let vectors = self.layers.iter().map(|layer| {
            let optional = [&layer.qkv_bias, &layer.query_norm, &layer.key_norm];
            let optional: usize = optional.into_iter().flatten().map(Vec::len).sum();
            optional + layer.input_norm.len() + layer.post_attention_norm.len()
        });
        matrices.map(Matrix::memory_bytes).sum::<usize>()
            + in_layers.sum::<usize>()
            + (vectors.sum::<usize>() + self.final_norm.len()) * size_of::<f32>()
    }

    /// Shows all parameters as f32, whatever they are stored as, in one order and a piece at a time.
    pub fn visit(&self, mut visit: impl FnMut(&[f32])) {
        let mut matrix = |matrix: &Matrix| {
            for row in 0..matrix.rows() {
                visit(&matrix.rows_to_f32(row, 1));
            }
        };
        matrix(&self.embedding);
        self.head.iter().for_each(&mut matrix);
        for layer in &self.layers {
            [&layer.qkv, &layer.output, &layer.gate_up, &layer.down].into_iter().for_each(&mut matrix);
        }
        visit(&self.final_norm);
        for layer in &self.layers {
            let optional = [&layer.qkv_bias, &layer.query_norm, &layer.key_norm].into_iter().flatten();
            [&layer.input_norm, &layer.post_attention_norm]
                .into_iter()
                .chain(optional)
                .for_each(|values| visit(values));
        }
    }

    fn map_matrices(&self, change: impl Fn(&Matrix) -> Matrix + Copy) -> Self {
        Self {
            embedding: change(&self.embedding),
            layers: self.layers.iter().map(|layer| layer.map_matrices(change)).collect(),
            final_norm: self.final_norm.clone(),
            head: self.head.as_ref().map(change),
        }
    }
}

/// Normal draws by the polar-free Box-Muller transform, in pairs.
struct Normal {
    generator: ChaCha8Rng,
    spare: Option<f32>,
}

impl Normal {
    fn matrix(&mut self, rows: usize, columns: usize, deviation: f32) -> Matrix {
        let values = (0..rows * columns).map(|_| self.draw() * deviation).collect();
        Matrix::from_f32(rows, columns, values)
    }

    fn draw(&mut self) -> f32 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let unit = |bits: u64| (bits >> 11) as f64 / (1_u64 << 53) as f64;
        let radius = (-2.0 * (1.0 - unit(self.generator.next_u64())).ln()).sqrt();
        let angle = std::f64::consts::TAU * unit(self.generator.next_u64());
        self.spare = Some((radius * angle.sin()) as f32);
        (radius * angle.cos()) as f32
    }
}

fn single_precision<'a>(matrix: &'a Matrix, name: &str) -> Result<&'a [f32], DecoderError> {
    matrix.as_f32().ok_or_else(|| DecoderError::NotSinglePrecision { name: name.to_owned() })
}
