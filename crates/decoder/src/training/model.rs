//! The whole decoder, forward and backward, for tests and for callers that want no graph of their own.

use super::{
    ActivationMode, LayerGradients, LayerPass, Segments, embedding_backward, embedding_forward,
    layer_backward, layer_forward, rms_norm_backward, rms_norm_forward, token_log_probabilities,
    weighted_log_likelihood,
};
use crate::{
    DecoderConfig, DecoderError, DecoderWeights, LayerWeights, Matrix, NamedTensor, RopeTable, Threads,
};

/// Gradients of every parameter, shaped like [`DecoderWeights`].
#[derive(Debug, Clone, PartialEq)]
pub struct DecoderGradients {
    /// `[vocabulary, hidden]`; holds the head's gradient too when they are tied.
    pub embedding: Vec<f32>,
    /// The blocks, first to last.
    pub layers: Vec<LayerGradients>,
    /// `[hidden]`
    pub final_norm: Vec<f32>,
    /// `[vocabulary, hidden]`, unless tied.
    pub head: Option<Vec<f32>>,
}

impl DecoderGradients {
    /// The gradients under their parameters' Hugging Face names.
    pub fn into_named(self, config: &DecoderConfig) -> Vec<NamedTensor> {
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
        let weights = DecoderWeights {
            embedding: table(self.embedding),
            layers: layers.collect(),
            final_norm: self.final_norm,
            head: self.head.map(table),
        };
        weights.to_named(config)
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

/// [`model_loss`] and the gradient of every parameter.
pub fn model_gradients(
    config: &DecoderConfig,
    weights: &DecoderWeights,
    segments: &Segments,
    tokens: &[u32],
    targets: &[Option<u32>],
    mode: ActivationMode,
    threads: &Threads,
) -> Result<(f32, DecoderGradients), DecoderError> {
    let (hidden_size, epsilon) = (config.hidden_size, config.rms_norm_epsilon);
    let rope = RopeTable::new(config, segments.longest());
    let pass = LayerPass { config, rope: &rope, segments, threads };
    let table_values = table(weights.embedding.as_f32(), "embedding")?;
    let mut x = embedding_forward(table_values, hidden_size, tokens, config.embedding_multiplier);
    let mut inputs = Vec::with_capacity(weights.layers.len());
    for layer in &weights.layers {
        let (y, kept) = layer_forward(pass, layer.view()?, &x, mode);
        inputs.push((std::mem::replace(&mut x, y), kept));
    }
    let (normed, roots) = rms_norm_forward(&x, &weights.final_norm, epsilon, threads);

    let (rows, targets) = supervised(targets);
    let hidden = gather(&normed, hidden_size, &rows);
    let head = table(weights.head().as_f32(), "head")?;
    let share = vec![-1.0 / targets.len().max(1) as f32; targets.len()];
    let likelihood = weighted_log_likelihood(&hidden, head, hidden_size, &targets, &share, true, threads);
    let mut grad_normed = vec![0.0; normed.len()];
    for (row, grad) in rows.iter().zip(likelihood.grad_hidden.chunks_exact(hidden_size)) {
        grad_normed[row * hidden_size..][..hidden_size].copy_from_slice(grad);
    }

    let mut grad_x = vec![0.0; x.len()];
    let final_norm = rms_norm_backward(&x, &weights.final_norm, &roots, &grad_normed, &mut grad_x, threads);
    let mut layers = Vec::with_capacity(weights.layers.len());
    for (layer, (x, kept)) in weights.layers.iter().zip(inputs).rev() {
        let (grad, gradients) = layer_backward(pass, layer.view()?, &x, kept.as_ref(), &grad_x);
        grad_x = grad;
        layers.push(gradients);
    }
    layers.reverse();
    let (mut embedding, head) = match &weights.head {
        Some(_) => (vec![0.0; table_values.len()], Some(likelihood.grad_head)),
        None => (likelihood.grad_head, None),
    };
    embedding_backward(&grad_x, tokens, config.embedding_multiplier, &mut embedding);
    let loss = mean_loss(&likelihood.log_probabilities);
    Ok((loss, DecoderGradients { embedding, layers, final_norm, head }))
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
    let total: f64 = log_probabilities.iter().map(|value| f64::from(*value)).sum();
    (-total / log_probabilities.len().max(1) as f64) as f32
}
