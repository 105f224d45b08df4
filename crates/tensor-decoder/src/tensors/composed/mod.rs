//! Passes through the decoder, composed of burn's own operators.
//!
//! No graph ever spans more than half a block. The forward pass keeps the input of each block and nothing
//! else; the backward pass computes a block again, half by half, under autodiff, and goes through attention
//! by hand in blocks of queries. The head works in chunks of rows. So memory grows linearly with length.

mod attention;
mod block;

use burn::{
    module::Module,
    tensor::{Device, FloatDType, Gradients, IndexingUpdateOp, Int, Tensor, TensorData, activation},
};

use still_decoder::Loss;

use crate::{
    batch::TokenBatch,
    memory::CHUNK_LOGITS,
    parameters::Parameters,
    tensors::{
        decoder::Decoder,
        gradients::{Collected, LayerGradients, OutsideGradients, host_values},
    },
    trainable::ForwardSettings,
};
use block::Block;
pub(crate) use block::rms_norm;

/// Log-probabilities of a batch's targets, `[targets]`. The decoder has no graph.
pub(crate) fn target_log_probabilities(
    decoder: &Decoder,
    batch: &TokenBatch,
    settings: &ForwardSettings,
) -> Tensor<1> {
    let x = hidden_states(decoder, batch, settings).1;
    all_log_probabilities(decoder, &x, batch, settings)
}

/// A loss of the targets' log-probabilities, and the gradient of every trained parameter.
pub(crate) fn loss_and_gradients(
    decoder: &Decoder,
    batch: &TokenBatch,
    settings: &ForwardSettings,
    loss: &mut Loss<'_>,
) -> (f64, Parameters) {
    let plain = decoder.valid();
    let (inputs, x) = hidden_states(&plain, batch, settings);
    let device = x.device();
    let found = host_values(all_log_probabilities(&plain, &x, batch, settings));
    let (value, grad) = loss(&found);
    let grad = Tensor::<1>::from_data(TensorData::new(grad, [found.len()]), &device);

    let mut outside = OutsideGradients::default();
    let mut grad_x = x.zeros_like();
    let mut seen = 0;
    for chunk in row_chunks(batch, settings) {
        let rows = integers(chunk.rows.iter().map(|row| *row as i64), &device);
        let leaf = x.clone().select(0, rows.clone()).autodiff().require_grad();
        let found = log_probabilities(decoder, leaf.clone(), chunk.targets, settings);
        let grad = grad.clone().narrow(0, seen, chunk.rows.len());
        seen += chunk.rows.len();
        let mut gradients = (found * grad.autodiff()).sum().backward();
        // summed at once: a chunk's gradient of the head is as large as the head
        outside.add(decoder, &mut gradients);
        if let Some(more) = leaf.grad(&gradients) {
            grad_x = grad_x.select_assign(0, rows, more, IndexingUpdateOp::Add);
        }
    }

    let block = Block::new(&settings.config, &batch.segments, &device);
    let mut layers: Vec<LayerGradients> = Vec::with_capacity(decoder.layers.len());
    for (layer, x) in decoder.layers.iter().zip(inputs).rev() {
        let (grad, gradients) = block.backward(layer, x, grad_x);
        grad_x = grad;
        settings.observer.passed();
        layers.push(layer.gradients(&Collected::new(gradients)));
    }
    layers.reverse();
    if decoder.trains_tables() {
        outside.add(decoder, &mut embedding_gradients(decoder, batch, settings, grad_x));
    }
    (value, decoder.gradients_with_layers(layers, outside))
}

/// The input of every block, and the output of the last, `[tokens, hidden]`.
fn hidden_states(
    decoder: &Decoder,
    batch: &TokenBatch,
    settings: &ForwardSettings,
) -> (Vec<Tensor<2>>, Tensor<2>) {
    let mut x = embed(decoder, batch, settings);
    let block = Block::new(&settings.config, &batch.segments, &x.device());
    let mut inputs = Vec::with_capacity(decoder.layers.len());
    for layer in &decoder.layers {
        let y = block.forward(layer, x.clone());
        inputs.push(std::mem::replace(&mut x, y));
        settings.observer.passed();
    }
    (inputs, x)
}

fn embed(decoder: &Decoder, batch: &TokenBatch, settings: &ForwardSettings) -> Tensor<2> {
    let table = decoder.embedding.val();
    let tokens = integers(batch.tokens.iter().map(|token| i64::from(*token)), &table.device());
    table.select(0, tokens).mul_scalar(settings.config.embedding_multiplier)
}

fn embedding_gradients(
    decoder: &Decoder,
    batch: &TokenBatch,
    settings: &ForwardSettings,
    grad: Tensor<2>,
) -> Gradients {
    (embed(decoder, batch, settings) * grad.autodiff()).sum().backward()
}

/// Log-probabilities of all targets from the last block's output, without a graph.
fn all_log_probabilities(
    decoder: &Decoder,
    x: &Tensor<2>,
    batch: &TokenBatch,
    settings: &ForwardSettings,
) -> Tensor<1> {
    let chunks = row_chunks(batch, settings).map(|chunk| {
        let rows = integers(chunk.rows.iter().map(|row| *row as i64), &x.device());
        log_probabilities(decoder, x.clone().select(0, rows), chunk.targets, settings)
    });
    Tensor::cat(chunks.collect(), 0)
}

/// Log-probabilities of targets that follow some rows of the last block's output.
fn log_probabilities(
    decoder: &Decoder,
    x: Tensor<2>,
    targets: &[u32],
    settings: &ForwardSettings,
) -> Tensor<1> {
    let x = rms_norm(x, &decoder.final_norm.val(), settings.config.rms_norm_epsilon);
    let head = decoder.head.as_ref().unwrap_or(&decoder.embedding).val();
    let logits = x.matmul(head.transpose()).cast(FloatDType::F32);
    let targets = integers(targets.iter().map(|target| i64::from(*target)), &logits.device());
    activation::log_softmax(logits, 1).gather(1, targets.unsqueeze_dim(1)).squeeze_dim(1)
}

/// Some of a batch's rows, with what follows them.
struct Chunk<'a> {
    rows: &'a [usize],
    targets: &'a [u32],
}

fn row_chunks<'a>(
    batch: &'a TokenBatch,
    settings: &ForwardSettings,
) -> impl Iterator<Item = Chunk<'a>> + use<'a> {
    let length = (CHUNK_LOGITS / settings.config.vocabulary_size).max(1);
    let chunks = batch.rows.chunks(length).zip(batch.targets.chunks(length));
    chunks.map(|(rows, targets)| Chunk { rows, targets })
}

fn integers(values: impl ExactSizeIterator<Item = i64>, device: &Device) -> Tensor<1, Int> {
    let length = values.len();
    Tensor::from_data(TensorData::new(values.collect::<Vec<_>>(), [length]), device)
}
