//! The whole decoder, forward and backward.

use super::{
    ActivationMode, LayerActivations, LayerGradients, LayerPass, Segments, embedding_backward,
    embedding_forward, layer_backward, layer_forward, rms_norm_backward, rms_norm_forward,
    token_log_probabilities, token_log_probabilities_backward, weighted_log_likelihood,
};
use crate::{
    DecoderConfig, DecoderError, DecoderWeights, LayerView, LayerWeights, Matrix, NamedTensor, RopeTable,
    Threads,
};

/// A decoder's parameters as it is trained with them, borrowed as f32 slices.
#[derive(Debug, Clone)]
pub struct ModelView<'a> {
    /// `[vocabulary, hidden]`
    pub embedding: &'a [f32],
    /// The blocks, first to last.
    pub layers: Vec<LayerView<'a>>,
    /// `[hidden]`
    pub final_norm: &'a [f32],
    /// `[vocabulary, hidden]`; none where it is the embedding.
    pub head: Option<&'a [f32]>,
    /// Whether embedding and head get gradients.
    pub trains_tables: bool,
}

/// How a batch goes through a decoder.
#[derive(Clone, Copy)]
pub struct ModelPass<'a> {
    /// The decoder's sizes.
    pub config: &'a DecoderConfig,
    /// What may compute.
    pub threads: &'a Threads,
    /// Whether blocks keep what the backward pass wants.
    pub mode: ActivationMode,
    /// Called when a block has been gone through, forward or backward.
    pub passed: &'a (dyn Fn() + Sync),
}

/// Sequences laid end to end, and the tokens in them whose log-probabilities are wanted.
#[derive(Debug, Clone, Copy)]
pub struct TargetsView<'a> {
    /// Where sequences begin.
    pub segments: &'a Segments,
    /// What the decoder reads, `[tokens]`.
    pub tokens: &'a [u32],
    /// The rows of `tokens` whose next token is a target, ascending.
    pub rows: &'a [usize],
    /// The token that follows each of `rows`.
    pub targets: &'a [u32],
}

/// A loss of the log-probabilities of a batch's targets, `[targets]`, in nats: its value, and its gradient in each.
pub type Loss<'a> = dyn FnMut(&[f32]) -> (f64, Vec<f32>) + 'a;

/// What is made of the log-probabilities of the targets.
pub enum Objective<'a> {
    /// Their sum, times a weight. It is known beforehand, which saves a third of the products at the head.
    Likelihood(f64),
    /// A value, and its gradient in each of them.
    Of(&'a mut Loss<'a>),
}

/// Gradients of every parameter, shaped like [`DecoderWeights`].
#[derive(Debug, Clone, PartialEq)]
pub struct DecoderGradients {
    /// `[vocabulary, hidden]`; holds the head's gradient too when they are tied. Empty where it is not trained.
    pub embedding: Vec<f32>,
    /// The blocks, first to last.
    pub layers: Vec<LayerGradients>,
    /// `[hidden]`
    pub final_norm: Vec<f32>,
    /// `[vocabulary, hidden]`, unless tied.
    pub head: Option<Vec<f32>>,
}

impl DecoderGradients {
    /// The gradients of a decoder that is trained whole, as its parameters are.
    pub fn into_weights(self, config: &DecoderConfig) -> DecoderWeights {
        let hidden = config.hidden_size;
        let table = |values| Matrix::from_f32(config.vocabulary_size, hidden, values);
        let layers = self.layers.into_iter().map(|layer| LayerWeights {
            input_norm: layer.input_norm,
            qkv: Matrix::from_f32(config.qkv_size(), hidden, layer.qkv),
            qkv_bias: layer.qkv_bias,
            query_norm: layer.query_norm,
            key_norm: layer.key_norm,
            output: Matrix::from_f32(hidden, config.query_size(), layer.output),
            post_attention_norm: layer.post_attention_norm,
            gate_up: Matrix::from_f32(2 * config.intermediate_size, hidden, layer.gate_up),
            down: Matrix::from_f32(hidden, config.intermediate_size, layer.down),
        });
        DecoderWeights {
            embedding: table(self.embedding),
            layers: layers.collect(),
            final_norm: self.final_norm,
            head: self.head.map(table),
        }
    }

    /// The same under the parameters' Hugging Face names.
    pub fn into_named(self, config: &DecoderConfig) -> Vec<NamedTensor> {
        self.into_weights(config).to_named(config)
    }
}

impl<'a> ModelView<'a> {
    /// All of a decoder, all of it trained.
    ///
    /// # Errors
    /// When a matrix is stored as bf16.
    pub fn whole(weights: &'a DecoderWeights) -> Result<Self, DecoderError> {
        Ok(Self {
            embedding: table(weights.embedding.as_f32(), "embedding")?,
            layers: weights.layers.iter().map(LayerWeights::view).collect::<Result<_, _>>()?,
            final_norm: &weights.final_norm,
            head: weights.head.as_ref().map(|head| table(head.as_f32(), "head")).transpose()?,
            trains_tables: true,
        })
    }

    fn head(&self) -> &'a [f32] {
        self.head.unwrap_or(self.embedding)
    }
}

/// Normalised hidden states of every token, ready for the head: `[tokens, hidden]`.
pub fn model_hidden_states(
    config: &DecoderConfig,
    weights: &DecoderWeights,
    segments: &Segments,
    tokens: &[u32],
    threads: &Threads,
) -> Result<Vec<f32>, DecoderError> {
    let rope = RopeTable::new(config, segments.longest());
    let pass = LayerPass { config, rope: &rope, segments, threads };
    let table = table(weights.embedding.as_f32(), "embedding")?;
    let mut x = embedding_forward(table, config.hidden_size, tokens, config.embedding_multiplier);
    for layer in &weights.layers {
        x = layer_forward(pass, layer.view()?, &x, ActivationMode::Recompute).0;
    }
    Ok(rms_norm_forward(&x, &weights.final_norm, config.rms_norm_epsilon, threads).0)
}

/// Mean negative log-likelihood of the targets that are there; `targets[i]` is what follows `tokens[i]`.
pub fn model_loss(
    config: &DecoderConfig,
    weights: &DecoderWeights,
    segments: &Segments,
    tokens: &[u32],
    targets: &[Option<u32>],
    threads: &Threads,
) -> Result<f32, DecoderError> {
    let hidden = model_hidden_states(config, weights, segments, tokens, threads)?;
    let (rows, targets) = supervised(targets);
    let hidden = gather(&hidden, config.hidden_size, &rows);
    let head = table(weights.head().as_f32(), "head")?;
    let likelihood = token_log_probabilities(&hidden, head, config.hidden_size, &targets, threads);
    Ok(mean_loss(&likelihood.values))
}

/// Log-probabilities of a batch's targets, in nats, `[targets]`.
pub fn model_log_probabilities(
    pass: ModelPass<'_>,
    model: &ModelView<'_>,
    batch: TargetsView<'_>,
) -> Vec<f32> {
    let ModelPass { config, threads, .. } = pass;
    let forgetful = ModelPass { mode: ActivationMode::Recompute, ..pass };
    let (x, _) = forgetful.through_blocks(model, batch, |_, _| {});
    let (normed, _) = rms_norm_forward(&x, model.final_norm, config.rms_norm_epsilon, threads);
    let hidden = gather(&normed, config.hidden_size, batch.rows);
    token_log_probabilities(&hidden, model.head(), config.hidden_size, batch.targets, threads).values
}

/// The value of an objective, and its gradient in everything that is trained.
pub fn model_gradients(
    pass: ModelPass<'_>,
    model: &ModelView<'_>,
    batch: TargetsView<'_>,
    objective: Objective<'_>,
) -> (f64, DecoderGradients) {
    let ModelPass { config, threads, .. } = pass;
    let (hidden_size, epsilon) = (config.hidden_size, config.rms_norm_epsilon);
    let mut inputs = Vec::with_capacity(model.layers.len());
    let (x, rope) = pass.through_blocks(model, batch, |x, kept| inputs.push((x, kept)));
    let (normed, roots) = rms_norm_forward(&x, model.final_norm, epsilon, threads);

    let hidden = gather(&normed, hidden_size, batch.rows);
    let (value, grad_hidden, grad_head) =
        model.head_gradients(hidden_size, &hidden, batch.targets, objective, threads);
    let mut grad_normed = vec![0.0; normed.len()];
    for (row, grad) in batch.rows.iter().zip(grad_hidden.chunks_exact(hidden_size)) {
        grad_normed[row * hidden_size..][..hidden_size].copy_from_slice(grad);
    }

    let mut grad_x = vec![0.0; x.len()];
    let final_norm = rms_norm_backward(&x, model.final_norm, &roots, &grad_normed, &mut grad_x, threads);
    let layer_pass = LayerPass { config, rope: &rope, segments: batch.segments, threads };
    let mut layers = Vec::with_capacity(model.layers.len());
    for (layer, (x, kept)) in model.layers.iter().zip(inputs).rev() {
        let (grad, gradients) = layer_backward(layer_pass, *layer, &x, kept.as_ref(), &grad_x);
        grad_x = grad;
        layers.push(gradients);
        (pass.passed)();
    }
    layers.reverse();
    let zeros = || if model.trains_tables { vec![0.0; model.embedding.len()] } else { Vec::new() };
    let (mut embedding, head) = match model.head {
        Some(_) => (zeros(), Some(grad_head)),
        None => (grad_head, None),
    };
    if model.trains_tables {
        embedding_backward(&grad_x, batch.tokens, config.embedding_multiplier, &mut embedding);
    }
    (value, DecoderGradients { embedding, layers, final_norm, head })
}

impl ModelPass<'_> {
    /// Takes a batch through all blocks, and each block's input and activations to `keep`; what the last put out, and the
    /// rotations.
    fn through_blocks(
        &self,
        model: &ModelView<'_>,
        batch: TargetsView<'_>,
        mut keep: impl FnMut(Vec<f32>, Option<LayerActivations>),
    ) -> (Vec<f32>, RopeTable) {
        let Self { config, threads, mode, passed } = *self;
        let rope = RopeTable::new(config, batch.segments.longest());
        let pass = LayerPass { config, rope: &rope, segments: batch.segments, threads };
        let mut x =
            embedding_forward(model.embedding, config.hidden_size, batch.tokens, config.embedding_multiplier);
        for layer in &model.layers {
            let (y, kept) = layer_forward(pass, *layer, &x, mode);
            keep(std::mem::replace(&mut x, y), kept);
            passed();
        }
        (x, rope)
    }
}

impl ModelView<'_> {
    /// An objective's value, and its gradients in the hidden states of the targets' rows and in the head.
    fn head_gradients(
        &self,
        hidden_size: usize,
        hidden: &[f32],
        targets: &[u32],
        objective: Objective<'_>,
        threads: &Threads,
    ) -> (f64, Vec<f32>, Vec<f32>) {
        match objective {
            Objective::Likelihood(weight) => {
                let weights = vec![weight as f32; targets.len()];
                let found = weighted_log_likelihood(
                    hidden,
                    self.head(),
                    hidden_size,
                    targets,
                    &weights,
                    self.trains_tables,
                    threads,
                );
                // rounded as logits are: what was recorded of earlier runs stays what it was
                let value = (weight * sum(&found.log_probabilities)) as f32;
                (f64::from(value), found.grad_hidden, found.grad_head)
            }
            Objective::Of(loss) => {
                let found = token_log_probabilities(hidden, self.head(), hidden_size, targets, threads);
                let (value, grad) = loss(&found.values);
                let (grad_hidden, grad_head) = token_log_probabilities_backward(
                    hidden,
                    self.head(),
                    hidden_size,
                    targets,
                    &found.log_normalizers,
                    &grad,
                    self.trains_tables,
                    threads,
                );
                (value, grad_hidden, grad_head)
            }
        }
    }
}

fn table<'a>(values: Option<&'a [f32]>, name: &str) -> Result<&'a [f32], DecoderError> {
    values.ok_or_else(|| DecoderError::NotSinglePrecision { name: name.to_owned() })
}

/// Rows with a target, and the targets.
fn supervised(targets: &[Option<u32>]) -> (Vec<usize>, Vec<u32>) {
    targets.iter().enumerate().filter_map(|(row, target)| target.map(|target| (row, target))).unzip()
}

fn gather(rows: &[f32], width: usize, chosen: &[usize]) -> Vec<f32> {
    chosen.iter().flat_map(|row| &rows[row * width..(row + 1) * width]).copied().collect()
}

fn mean_loss(log_probabilities: &[f32]) -> f32 {
    (-sum(log_probabilities) / log_probabilities.len().max(1) as f64) as f32
}

fn sum(log_probabilities: &[f32]) -> f64 {
    log_probabilities.iter().map(|value| f64::from(*value)).sum()
}
