//! The losses, as functions of the log-probabilities of a batch's targets.

use burn::tensor::{Tensor, TensorData, activation};
use still_recipe::DpoSettings;
use still_roles::PreferenceMetrics;
use still_tensor_decoder::{BatchError, Decoder, ForwardSettings, Parameters, TokenBatch};

use crate::examples::Sequence;

/// A loss with its gradients.
pub(crate) struct LossAndGradients {
    /// The part's share of the step's loss.
    pub(crate) loss: f64,
    /// Gradients of every trained parameter.
    pub(crate) gradients: Parameters,
}

/// Summed log-probabilities of a pair's targets, chosen and rejected, in nats.
pub(crate) type PairSums = (f32, f32);

/// Adds the metrics of another part of the same step.
pub(crate) fn add_metrics(sum: &mut PreferenceMetrics, more: &PreferenceMetrics) {
    sum.margin += more.margin;
    sum.accuracy += more.accuracy;
    sum.chosen_log_probability += more.chosen_log_probability;
    sum.rejected_log_probability += more.rejected_log_probability;
    sum.kl += more.kl;
}

/// Negative log-likelihood of a part of a step's targets, over `step_targets`, those of the whole step: so
/// the parts of a step add up to its mean over tokens, however it is cut.
pub(crate) fn sft(
    decoder: &Decoder,
    sequences: &[&Sequence],
    step_targets: usize,
    settings: &ForwardSettings,
) -> Result<LossAndGradients, BatchError> {
    let batch = batch_of(sequences, settings)?;
    let share = -1.0 / step_targets as f64;
    let (loss, gradients) = decoder.weighted_likelihood_and_gradients(&batch, settings, share);
    Ok(LossAndGradients { loss, gradients })
}

/// `-log sigmoid(beta * ((log p(c) - log ref(c)) - (log p(r) - log ref(r))))` of a part of a step's pairs,
/// over `step_pairs`, those of the whole step; plus the SFT term on the chosen ones (Rafailov et al. 2023,
/// arXiv 2305.18290, equation 7). The metrics are shares of the step's as well.
pub(crate) fn dpo(
    decoder: &Decoder,
    pairs: &[&(Sequence, Sequence)],
    reference: &[PairSums],
    step_pairs: usize,
    config: &DpoSettings,
    settings: &ForwardSettings,
) -> Result<(LossAndGradients, PreferenceMetrics), BatchError> {
    let sequences: Vec<&Sequence> = pairs.iter().flat_map(|(chosen, rejected)| [chosen, rejected]).collect();
    let batch = batch_of(&sequences, settings)?;
    let reference: Vec<f32> = reference.iter().flat_map(|(chosen, rejected)| [*chosen, *rejected]).collect();
    let mut sums = Vec::new();
    let (loss, gradients) = decoder.loss_and_gradients(&batch, settings, |found| {
        let by_pair = sums_by_pair(&found, &batch.target_counts);
        sums = host_values(by_pair.clone());
        preference_loss(by_pair, &reference, &batch.target_counts, step_pairs, config)
    });
    let metrics = part_metrics(&sums, &reference, &batch.target_counts, step_pairs, config.beta);
    Ok((LossAndGradients { loss, gradients }, metrics))
}

/// Summed log-probabilities of a pair's targets, without gradients.
pub(crate) fn pair_sums(
    decoder: &Decoder,
    (chosen, rejected): &(Sequence, Sequence),
    settings: &ForwardSettings,
) -> Result<PairSums, BatchError> {
    let batch = batch_of(&[chosen, rejected], settings)?;
    let found = decoder.target_log_probabilities(&batch, settings);
    let sums = host_values(sums_by_pair(&found, &batch.target_counts));
    Ok((sums.first().copied().unwrap_or_default(), sums.get(1).copied().unwrap_or_default()))
}

/// A part's share of the step's metrics, from the summed log-probabilities of both policies, chosen and
/// rejected by turns.
fn part_metrics(
    sums: &[f32],
    reference: &[f32],
    target_counts: &[usize],
    step_pairs: usize,
    beta: f64,
) -> PreferenceMetrics {
    let mut metrics = PreferenceMetrics::default();
    let share = 1.0 / step_pairs as f64;
    let pairs = sums.as_chunks::<2>().0.iter().zip(reference.as_chunks::<2>().0);
    for ((sums, reference), counts) in pairs.zip(target_counts.as_chunks::<2>().0) {
        let gain = |at: usize| f64::from(sums[at]) - f64::from(reference[at]);
        let margin = beta * (gain(0) - gain(1));
        metrics.margin += share * margin;
        metrics.accuracy += if margin > 0.0 { share } else { 0.0 };
        metrics.chosen_log_probability += share * f64::from(sums[0]);
        metrics.rejected_log_probability += share * f64::from(sums[1]);
        for (at, count) in counts.iter().enumerate() {
            let ratio = -gain(at) / (*count).max(1) as f64;
            metrics.kl += share / 2.0 * (ratio.exp() - 1.0 - ratio);
        }
    }
    metrics
}

fn batch_of(sequences: &[&Sequence], settings: &ForwardSettings) -> Result<TokenBatch, BatchError> {
    let spans = sequences.iter().map(|sequence| (sequence.tokens.as_slice(), sequence.target.clone()));
    TokenBatch::new(spans, settings.config.vocabulary_size)
}

/// Sums of the log-probabilities of each sequence's targets, `[pairs, 2]`.
fn sums_by_pair(found: &Tensor<1>, target_counts: &[usize]) -> Tensor<2> {
    let mut start = 0;
    let sums = target_counts.iter().map(|count| {
        let sum = found.clone().narrow(0, start, *count).sum();
        start += count;
        sum
    });
    Tensor::cat(sums.collect(), 0).reshape([target_counts.len() / 2, 2])
}

fn preference_loss(
    sums: Tensor<2>,
    reference: &[f32],
    target_counts: &[usize],
    step_pairs: usize,
    config: &DpoSettings,
) -> Tensor<1> {
    let device = sums.device();
    let count = target_counts.len() / 2;
    let reference = Tensor::<2>::from_data(TensorData::new(reference.to_vec(), [count, 2]), &device);
    let gains = sums.clone() - reference;
    let margins = (gains.clone().narrow(1, 0, 1) - gains.narrow(1, 1, 1)).mul_scalar(config.beta);
    let mut loss = activation::softplus(margins.neg(), 1.0).sum().div_scalar(step_pairs as f64);
    if config.sft_coefficient > 0.0 {
        let lengths: Vec<f32> =
            target_counts.iter().step_by(2).map(|targets| (*targets).max(1) as f32).collect();
        let lengths = Tensor::<2>::from_data(TensorData::new(lengths, [count, 1]), &device);
        let likelihood = (sums.narrow(1, 0, 1) / lengths).sum().div_scalar(step_pairs as f64);
        loss = loss - likelihood.mul_scalar(config.sft_coefficient);
    }
    loss
}

fn host_values(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_into_vec().unwrap_or_default()
}
