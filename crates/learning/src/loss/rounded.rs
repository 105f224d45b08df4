//! The loss of pairs in single precision, sum by sum and product by product as burn's graph computed it on a processor with
//! AVX2: jobs that were begun so are gone on with so, to the bit.

use std::array;

use still_recipe::DpoSettings;

/// Numbers of an AVX2 register.
const LANES: usize = 8;
/// Registers that are added to by turns.
const CHAINS: usize = 8;
/// The loss of a pair that lags by more is its lag.
const LINEAR_FROM: f32 = 20.0;

/// The loss that is `PreferenceLoss::Sigmoid`, and its gradient in the summed log-probabilities of each sequence.
pub(super) fn sigmoid_loss(
    sums: &[f32],
    reference: &[f32],
    target_counts: &[usize],
    step_pairs: usize,
    config: &DpoSettings,
) -> (f64, Vec<f64>) {
    let (pairs, beta, coefficient) = (step_pairs as f32, config.beta as f32, config.sft_coefficient as f32);
    let share = 1.0 / pairs;
    let (mut losses, mut likelihoods, mut gradients) = (Vec::new(), Vec::new(), Vec::new());
    let by_pair = sums.as_chunks::<2>().0.iter().zip(reference.as_chunks::<2>().0);
    for ((sums, reference), counts) in by_pair.zip(target_counts.as_chunks::<2>().0) {
        let lead = (sums[0] - reference[0]) - (sums[1] - reference[1]);
        let lag = -(lead * beta);
        let is_linear = lag > LINEAR_FROM;
        let grown = lag.exp();
        losses.push(if is_linear { lag } else { grown.ln_1p() });
        let slope = if is_linear { share } else { share * (1.0 / (grown + 1.0)) * grown };
        let of_lead = -slope * beta;
        let tokens = counts[0].max(1) as f32;
        likelihoods.push(sums[0] / tokens);
        let imitation = if coefficient > 0.0 { -coefficient * share * (1.0 / tokens) } else { 0.0 };
        gradients.extend([f64::from(of_lead + imitation), f64::from(-of_lead)]);
    }
    let mut loss = sum(&losses) / pairs;
    if coefficient > 0.0 {
        loss -= sum(&likelihoods) / pairs * coefficient;
    }
    (f64::from(loss), gradients)
}

/// A sum in as many chains as AVX2 has lanes, eight times over, which are then added by halves.
pub(super) fn sum(values: &[f32]) -> f32 {
    let plus = |one: [f32; LANES], other: [f32; LANES]| array::from_fn(|lane| one[lane] + other[lane]);
    let (vectors, rest) = values.as_chunks::<LANES>();
    let (blocks, vectors) = vectors.as_chunks::<CHAINS>();
    let mut chains = [[0.0; LANES]; CHAINS];
    for block in blocks {
        chains = array::from_fn(|chain| plus(chains[chain], block[chain]));
    }
    let [a, b, c, d, e, f, g, h] = chains;
    let chains = plus(plus(plus(a, b), plus(c, d)), plus(plus(e, f), plus(g, h)));
    let lanes = vectors.iter().fold(chains, |sum, vector| plus(sum, *vector));
    let halves: [f32; LANES / 2] = array::from_fn(|lane| lanes[lane] + lanes[lane + LANES / 2]);
    (halves[0] + halves[2]) + (halves[1] + halves[3]) + rest.iter().sum::<f32>()
}

#[cfg(test)]
mod tests {
    use still_recipe::PreferenceLoss;

    use super::*;

    #[test]
    fn every_number_is_added_once() {
        for count in [0_usize, 1, 7, 8, 63, 64, 65, 200] {
            let values: Vec<f32> = (1..=count).map(|value| value as f32).collect();
            assert_eq!(sum(&values) as usize, count * (count + 1) / 2, "{count}");
        }
    }

    #[test]
    fn loss_and_gradients_are_the_double_ones_but_for_rounding() {
        let (sums, reference) = ([-12.5, -20.25, -30.0, -7.0], [-14.0, -18.5, -29.0, -9.5]);
        let tokens = [10, 16, 8, 4];
        // the last is beyond where the loss is taken for linear
        for (beta, sft_coefficient) in [(0.1, 0.0), (0.1, 2.0), (15.0, 0.0)] {
            let config = DpoSettings {
                loss: PreferenceLoss::Sigmoid,
                beta,
                sft_coefficient,
                ..DpoSettings::default()
            };
            let (loss, gradients) = sigmoid_loss(&sums, &reference, &tokens, 2, &config);
            let (known, known_gradients) =
                super::super::preference_loss(&sums, &reference, &tokens, 2, &config);
            assert!((loss - known).abs() <= 1e-5 * known.abs(), "{loss} is not {known}");
            for (found, known) in gradients.iter().zip(&known_gradients) {
                assert!((found - known).abs() <= 1e-5, "{found} is not {known}");
            }
        }
    }
}
