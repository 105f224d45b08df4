//! The losses, on burn's autodiff graph.

use burn::tensor::{Device, Tensor, TensorData, activation};
use still_decoder::DecoderWeights;
use still_policy::{BatchError, Decoder, ForwardSettings, TokenBatch};

use crate::{config::DpoConfig, examples::Sequence};

/// A loss with its gradients.
pub(crate) struct LossAndGradients {
    /// The part's share of the step's loss.
    pub(crate) loss: f64,
    /// Gradients of every parameter.
    pub(crate) gradients: DecoderWeights,
}

/// Summed log-probabilities of the reference policy for each pair: chosen and rejected, in nats.
pub(crate) type ReferenceSums = [(f32, f32)];

/// Negative log-likelihood of a part of a step's targets, over `step_targets`, those of the whole step: so
/// the parts of a step add up to its mean over tokens, however it is cut.
pub(crate) fn sft(
    decoder: &Decoder,
    sequences: &[&Sequence],
    step_targets: usize,
    settings: &ForwardSettings,
) -> Result<LossAndGradients, BatchError> {
    let batch = batch_of(sequences, settings)?;
    let log_probabilities = decoder.target_log_probabilities(&batch, settings);
    Ok(differentiate(decoder, &log_probabilities.sum().mul_scalar(-1.0 / step_targets as f32)))
}

/// `-log sigmoid(beta * ((log p(c) - log ref(c)) - (log p(r) - log ref(r))))` of a part of a step's pairs,
/// over `step_pairs`, those of the whole step; plus the SFT term on the chosen ones (Rafailov et al. 2023,
/// arXiv 2305.18290, equation 7).
pub(crate) fn dpo(
    decoder: &Decoder,
    pairs: &[&(Sequence, Sequence)],
    reference: &ReferenceSums,
    step_pairs: usize,
    config: &DpoConfig,
    settings: &ForwardSettings,
) -> Result<LossAndGradients, BatchError> {
    let sequences: Vec<&Sequence> = pairs.iter().flat_map(|(chosen, rejected)| [chosen, rejected]).collect();
    let batch = batch_of(&sequences, settings)?;
    let log_probabilities = decoder.target_log_probabilities(&batch, settings);
    let device = log_probabilities.device();
    let count = pairs.len();

    // row s sums the targets of sequence s
    let total = batch.targets.len();
    let mut place = vec![0.0; sequences.len() * total];
    let mut start = 0;
    for (row, targets) in batch.target_counts.iter().enumerate() {
        place[row * total + start..][..*targets].fill(1.0);
        start += targets;
    }
    let place = Tensor::<2>::from_data(TensorData::new(place, [sequences.len(), total]), &device);
    let sums: Tensor<2> = place.matmul(log_probabilities.unsqueeze_dim(1)).reshape([count, 2]);
    let reference: Vec<f32> = reference.iter().flat_map(|(chosen, rejected)| [*chosen, *rejected]).collect();
    let reference = Tensor::<2>::from_data(TensorData::new(reference, [count, 2]), &device);
    let gains = sums.clone() - reference;
    let margins = (gains.clone().narrow(1, 0, 1) - gains.narrow(1, 1, 1)).mul_scalar(config.beta);
    let mut loss = activation::softplus(margins.neg(), 1.0).sum().div_scalar(step_pairs as f32);
    if config.sft_coefficient > 0.0 {
        let lengths: Vec<f32> =
            batch.target_counts.iter().step_by(2).map(|targets| (*targets).max(1) as f32).collect();
        let lengths = Tensor::<2>::from_data(TensorData::new(lengths, [count, 1]), &device);
        let likelihood = (sums.narrow(1, 0, 1) / lengths).sum().div_scalar(step_pairs as f32);
        loss = loss - likelihood.mul_scalar(config.sft_coefficient);
    }
    Ok(differentiate(decoder, &loss))
}

/// Summed log-probabilities of each sequence's targets, without gradients.
pub(crate) fn target_sums(
    weights: &DecoderWeights,
    sequences: &[&Sequence],
    device: &Device,
    settings: &ForwardSettings,
) -> Result<Vec<f32>, BatchError> {
    let batch = batch_of(sequences, settings)?;
    let decoder = Decoder::from_weights(weights, device);
    let found = decoder.target_log_probabilities(&batch, settings);
    let values: Vec<f32> = found.into_data().convert::<f32>().try_into_vec().unwrap_or_default();
    let mut values = values.into_iter();
    Ok(batch.target_counts.iter().map(|count| values.by_ref().take(*count).sum()).collect())
}

fn batch_of(sequences: &[&Sequence], settings: &ForwardSettings) -> Result<TokenBatch, BatchError> {
    let spans = sequences.iter().map(|sequence| (sequence.tokens.as_slice(), sequence.target.clone()));
    TokenBatch::new(spans, settings.config.vocabulary_size)
}

fn differentiate(decoder: &Decoder, loss: &Tensor<1>) -> LossAndGradients {
    let value = loss.clone().into_data().convert::<f32>().try_into_vec::<f32>().unwrap_or_default();
    let gradients = decoder.gradients(&loss.backward());
    LossAndGradients { loss: f64::from(value.first().copied().unwrap_or(f32::NAN)), gradients }
}
