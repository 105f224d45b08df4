//! What a held-out set can show, before any work is done.

use super::GateConfig;

/// Share of the problems that two equally good policies are taken to answer differently, where nothing is
/// measured yet. Policies of neighbouring rounds differ on about a quarter of the problems.
pub const USUAL_DISCORDANCE: f64 = 0.25;

/// How fine a comparison is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resolution {
    /// Standard error of the paired difference of two equally good policies, as a share.
    pub standard_error: f64,
    /// The true difference from which a candidate is more likely than not to pass the run's first comparison.
    pub first_difference: f64,
    /// The same for its last comparison.
    pub last_difference: f64,
    /// Answers (problems times samples) with which an equally good candidate passes the first comparison more
    /// likely than not; `None` where none suffice, because no loss is tolerated.
    pub answers_needed: Option<u64>,
}

impl GateConfig {
    /// What `problems` held-out problems with `samples` answers each resolve in a run of `rounds` rounds; 0 of
    /// either is read as 1.
    ///
    /// The difference is taken as normal, with a variance of [`USUAL_DISCORDANCE`] for each answer: the best
    /// case, in which what the two policies differ in is the luck of the draw and more samples help.
    pub fn resolution(&self, problems: u64, samples: u32, rounds: u32) -> Resolution {
        let answers = problems.max(1) as f64 * f64::from(samples.max(1));
        let standard_error = (USUAL_DISCORDANCE / answers).sqrt();
        let quantiles =
            [1, rounds.max(1)].map(|comparison| self.error_allowed(comparison).map_or(0.0, upper_quantile));
        let [first, last] = quantiles.map(|quantile| quantile * standard_error - self.tolerance);
        let needed = USUAL_DISCORDANCE * (quantiles[0] / self.tolerance).powi(2);
        Resolution {
            standard_error,
            first_difference: first,
            last_difference: last,
            answers_needed: (self.tolerance > 0.0).then(|| needed.ceil() as u64),
        }
    }

    /// A sentence to tell before work begins when the held-out set cannot resolve the tolerance asked for: when
    /// even an equally good candidate is more likely to be rejected than not, or when, where the difference
    /// itself decides, a loss of twice the tolerance is promoted in more than one round of ten.
    pub fn warning(&self, problems: u64, samples: u32, rounds: u32) -> Option<String> {
        if problems == 0 {
            return Some(
                "there is no held-out problem: every candidate will be rejected as not scored".to_owned(),
            );
        }
        let resolution = self.resolution(problems, samples, rounds);
        let error = 100.0 * resolution.standard_error;
        let set = format!("{problems} held-out problems with {samples} answers each");
        if self.error_allowed(1).is_none() {
            // 1.2816: the upper tenth of the normal distribution
            let is_noise = 1.2816 * resolution.standard_error > self.tolerance.abs();
            return is_noise.then(|| {
                format!(
                    "the gate decides on noise: {set} know a difference of two policies to {error:.1} points (one \
                     standard error), and {:.1} points are tolerated; set `gate.evidence = \"test\"`, or score more",
                    100.0 * self.tolerance
                )
            });
        }
        if resolution.first_difference <= 0.0 {
            return None;
        }
        let mut sentence = format!(
            "the gate cannot resolve a tolerance of {:.1} points: {set} know a difference of two policies to \
             {error:.1} points (one standard error), so a candidate must truly gain {:.1} points to be as likely \
             promoted as not in the first comparison",
            100.0 * self.tolerance,
            100.0 * resolution.first_difference,
        );
        if rounds > 1 {
            sentence += &format!(", and {:.1} in the last of {rounds}", 100.0 * resolution.last_difference);
        }
        sentence += &match resolution.answers_needed {
            Some(answers) => {
                format!("; hold {answers} problems out, sample each more often, or tolerate more")
            }
            None => "; hold more problems out, sample each more often, or tolerate a loss".to_owned(),
        };
        Some(sentence)
    }
}

/// The value that a standard normal variable exceeds with probability `tail`, between 0 and one half: Abramowitz
/// & Stegun 1964, 26.2.23, to 0.00045.
fn upper_quantile(tail: f64) -> f64 {
    let t = (-2.0 * tail.ln()).sqrt();
    let numerator = t.mul_add(t.mul_add(0.010_328, 0.802_853), 2.515_517);
    let denominator = t.mul_add(t.mul_add(t.mul_add(0.001_308, 0.189_269), 1.432_788), 1.0);
    t - numerator / denominator
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::Evidence;

    #[test]
    fn quantiles_agree_with_the_table() {
        for (tail, expected) in [(0.05, 1.6449), (0.025, 1.9600), (0.0304, 1.8750), (0.001, 3.0902)] {
            assert!((upper_quantile(tail) - expected).abs() < 1e-3, "{tail}: {}", upper_quantile(tail));
        }
    }

    #[test]
    fn a_small_set_is_warned_about_with_what_it_would_take() {
        let gate = GateConfig::default();
        let sentence = gate.warning(30, 1, 10).unwrap();
        assert!(sentence.contains("9.1 points (one standard error)"), "{sentence}");
        assert!(sentence.contains("truly gain 15.1 points"), "{sentence}");
        assert!(sentence.contains("hold 2199 problems out"), "{sentence}");
        assert_eq!(gate.warning(2_200, 1, 10), None);
        assert_eq!(gate.warning(550, 4, 10), None, "samples count like problems in the best case");
        assert!(gate.warning(0, 4, 10).unwrap().contains("no held-out problem"));
    }

    #[test]
    fn no_set_resolves_a_tolerance_of_nothing_and_the_difference_alone_is_noise() {
        let strict = GateConfig { tolerance: 0.0, ..Default::default() };
        assert!(strict.warning(5_000, 8, 1).unwrap().ends_with("or tolerate a loss"));
        let loose = GateConfig { evidence: Evidence::Difference, ..Default::default() };
        assert!(loose.warning(500, 1, 5).unwrap().contains("decides on noise"));
        assert_eq!(loose.warning(1_100, 1, 5), None);
    }
}
