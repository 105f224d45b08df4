//! The losses, as functions of the log-probabilities of a batch's targets.

mod rounded;

use still_recipe::{DpoSettings, PreferenceLoss};
use still_roles::PreferenceMetrics;
use still_tensor_decoder::{BatchError, ForwardSettings, Parameters, TokenBatch, TrainableDecoder};
use still_training_data::{JobVersion, Sequence};

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
    sum.chosen_drift += more.chosen_drift;
    sum.kl += more.kl;
}

/// Negative log-likelihood of a part of a step's targets, over `step_targets`, those of the whole step: so
/// the parts of a step add up to its mean over tokens, however it is cut.
pub(crate) fn sft(
    decoder: &dyn TrainableDecoder,
    sequences: &[&Sequence],
    step_targets: usize,
    settings: &ForwardSettings,
) -> Result<LossAndGradients, BatchError> {
    let batch = batch_of(sequences, settings)?;
    let share = -1.0 / step_targets as f64;
    let (loss, gradients) = decoder.weighted_likelihood_and_gradients(&batch, settings, share);
    Ok(LossAndGradients { loss, gradients })
}

/// The [loss](PreferenceLoss) of a part of a step's pairs over `step_pairs`, those of the whole step, plus the SFT term
/// on the chosen ones. The metrics are shares of the step's as well.
pub(crate) fn preference(
    decoder: &dyn TrainableDecoder,
    pairs: &[&(Sequence, Sequence)],
    reference: &[PairSums],
    step_pairs: usize,
    config: &DpoSettings,
    version: JobVersion,
    settings: &ForwardSettings,
) -> Result<(LossAndGradients, PreferenceMetrics), BatchError> {
    let sequences: Vec<&Sequence> = pairs.iter().flat_map(|(chosen, rejected)| [chosen, rejected]).collect();
    let batch = batch_of(&sequences, settings)?;
    let reference: Vec<f32> = reference.iter().flat_map(|(chosen, rejected)| [*chosen, *rejected]).collect();
    let mut sums = Vec::new();
    let (loss, gradients) = decoder.loss_and_gradients(&batch, settings, &mut |found| {
        let counts = &batch.target_counts;
        let loss_and_slopes = if version.rounds_preference_losses() && config.loss == PreferenceLoss::Sigmoid
        {
            sums = sums_by_sequence(found, counts, rounded::sum);
            rounded::sigmoid_loss(&sums, &reference, counts, step_pairs, config)
        } else {
            sums = sums_by_sequence(found, counts, sum);
            preference_loss(&sums, &reference, counts, step_pairs, config)
        };
        let (loss, of_sums) = loss_and_slopes;
        let of_targets = of_sums.iter().zip(&batch.target_counts);
        (loss, of_targets.flat_map(|(grad, count)| std::iter::repeat_n(*grad as f32, *count)).collect())
    });
    let metrics = part_metrics(&sums, &reference, &batch.target_counts, step_pairs, config);
    Ok((LossAndGradients { loss, gradients }, metrics))
}

/// Summed log-probabilities of a pair's targets, without gradients.
pub(crate) fn pair_sums(
    decoder: &dyn TrainableDecoder,
    (chosen, rejected): &(Sequence, Sequence),
    settings: &ForwardSettings,
) -> Result<PairSums, BatchError> {
    let batch = batch_of(&[chosen, rejected], settings)?;
    let found = decoder.target_log_probabilities(&batch, settings);
    let sums = sums_by_sequence(&found, &batch.target_counts, sum);
    Ok((sums.first().copied().unwrap_or_default(), sums.get(1).copied().unwrap_or_default()))
}

/// A part's share of the step's metrics, from the summed log-probabilities of both policies, chosen and
/// rejected by turns.
fn part_metrics(
    sums: &[f32],
    reference: &[f32],
    target_counts: &[usize],
    step_pairs: usize,
    config: &DpoSettings,
) -> PreferenceMetrics {
    let mut metrics = PreferenceMetrics::default();
    let share = 1.0 / step_pairs as f64;
    let pairs = sums.as_chunks::<2>().0.iter().zip(reference.as_chunks::<2>().0);
    for ((sums, reference), counts) in pairs.zip(target_counts.as_chunks::<2>().0) {
        let gain = |at: usize| f64::from(sums[at]) - f64::from(reference[at]);
        let by_token = |at: usize| gain(at) / counts[at].max(1) as f64;
        let compared = |at: usize| if config.loss.is_by_token() { by_token(at) } else { gain(at) };
        let margin = config.beta * (compared(0) - compared(1));
        metrics.margin += share * margin;
        metrics.accuracy += if margin > 0.0 { share } else { 0.0 };
        metrics.chosen_log_probability += share * f64::from(sums[0]);
        metrics.rejected_log_probability += share * f64::from(sums[1]);
        metrics.chosen_drift += share * by_token(0);
        for at in [0, 1] {
            let ratio = -by_token(at);
            metrics.kl += share / 2.0 * (ratio.exp() - 1.0 - ratio);
        }
    }
    metrics
}

fn batch_of(sequences: &[&Sequence], settings: &ForwardSettings) -> Result<TokenBatch, BatchError> {
    let spans = sequences.iter().map(|sequence| (sequence.tokens.as_slice(), sequence.target.clone()));
    TokenBatch::new(spans, settings.config.vocabulary_size)
}

/// The summed log-probabilities of each sequence's targets: chosen and rejected by turns.
fn sums_by_sequence(found: &[f32], target_counts: &[usize], sum: fn(&[f32]) -> f32) -> Vec<f32> {
    let mut rest = found;
    let of_sequence = |count: &usize| {
        let (targets, more) = rest.split_at(*count);
        rest = more;
        sum(targets)
    };
    target_counts.iter().map(of_sequence).collect()
}

fn sum(values: &[f32]) -> f32 {
    values.iter().map(|value| f64::from(*value)).sum::<f64>() as f32
}

/// The loss, and its gradient in the summed log-probabilities of each sequence.
fn preference_loss(
    sums: &[f32],
    reference: &[f32],
    target_counts: &[usize],
    step_pairs: usize,
    config: &DpoSettings,
) -> (f64, Vec<f64>) {
    let share = 1.0 / step_pairs as f64;
    let (mut loss, mut gradients) = (0.0, Vec::with_capacity(sums.len()));
    let pairs = sums.as_chunks::<2>().0.iter().zip(reference.as_chunks::<2>().0);
    for ((sums, reference), counts) in pairs.zip(target_counts.as_chunks::<2>().0) {
        let tokens = counts.map(|count| count.max(1) as f64);
        let lengths = if config.loss.is_by_token() { tokens } else { [1.0; 2] };
        let gain = |at: usize| (f64::from(sums[at]) - f64::from(reference[at])) / lengths[at];
        let lead = gain(0) - gain(1);
        let (value, slope) = match config.loss {
            PreferenceLoss::Sigmoid | PreferenceLoss::SigmoidNorm => {
                let margin = config.beta * lead;
                // log(1 + exp(-margin)), and its slope
                ((-margin).max(0.0) + (-margin.abs()).exp().ln_1p(), -config.beta / (1.0 + margin.exp()))
            }
            PreferenceLoss::Ipo => {
                let off = lead - 0.5 / config.beta;
                (off * off, 2.0 * off)
            }
        };
        let imitation = config.sft_coefficient / tokens[0];
        loss += share * (value - imitation * f64::from(sums[0]));
        gradients.extend([share * (slope / lengths[0] - imitation), -share * slope / lengths[1]]);
    }
    (loss, gradients)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two pairs: what the policy and the reference make of each response, and its tokens.
    const SUMS: [f32; 4] = [-12.5, -20.25, -30.0, -7.0];
    const REFERENCE: [f32; 4] = [-14.0, -18.5, -29.0, -9.5];
    const TOKENS: [usize; 4] = [10, 16, 8, 4];

    /// Loss, mean margin and gradients of the sums, worked out in decimals of forty digits from the formulas, as TRL 1.x
    /// has them in `DPOTrainer` (`loss_type`).
    const EXPECTED: [(PreferenceLoss, f64, f64, f64, [f64; 4]); 3] = [
        (
            PreferenceLoss::Sigmoid,
            0.1,
            0.713_587_379_698,
            -0.0125,
            [-0.020_972_884_759, 0.020_972_884_759, -0.029_330_878_946, 0.029_330_878_946],
        ),
        (
            PreferenceLoss::SigmoidNorm,
            5.0,
            2.007_462_003_071,
            -1.226_562_5,
            [-0.053_672_854_778, 0.033_545_534_236, -0.305_319_571_903, 0.610_639_143_806],
        ),
        (
            PreferenceLoss::Ipo,
            0.1,
            27.768_012_695_313,
            -0.024_531_25,
            [-0.474_062_5, 0.296_289_062_5, -0.718_75, 1.437_5],
        ),
    ];

    #[track_caller]
    fn assert_close(found: f64, expected: f64) {
        assert!((found - expected).abs() <= 2e-6 * expected.abs().max(0.1), "{found} is not {expected}");
    }

    #[test]
    fn losses_margins_and_gradients_are_those_of_the_formulas() {
        for (loss, beta, expected, margin, gradients) in EXPECTED {
            let config = DpoSettings { loss, beta, ..DpoSettings::default() };
            let (found, of_sums) = preference_loss(&SUMS, &REFERENCE, &TOKENS, 2, &config);
            assert_close(found, expected);
            for (found, expected) in of_sums.into_iter().zip(gradients) {
                assert_close(found, expected);
            }
            let metrics = part_metrics(&SUMS, &REFERENCE, &TOKENS, 2, &config);
            assert_close(metrics.margin, margin);
            assert_close(metrics.accuracy, 0.5);
            assert_close(metrics.chosen_drift, (0.15 - 0.125) / 2.0);
        }
    }

    #[test]
    fn the_term_of_imitation_pulls_at_the_chosen_response_alone_by_its_tokens() {
        let config = DpoSettings { sft_coefficient: 2.0, ..DpoSettings::default() };
        let gradients = |config: &DpoSettings| preference_loss(&SUMS, &REFERENCE, &TOKENS, 2, config).1;
        let (with, without) = (gradients(&config), gradients(&DpoSettings::default()));
        let term: Vec<f64> = with.iter().zip(&without).map(|(with, without)| with - without).collect();
        for (found, expected) in term.into_iter().zip([-2.0 / 2.0 / 10.0, 0.0, -2.0 / 2.0 / 8.0, 0.0]) {
            assert_close(found, expected);
        }
    }
}
