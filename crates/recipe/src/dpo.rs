//! Preference optimisation: what is minimised, and how far training may go.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_settings::Findings;

/// Share of a bound at which an alarm is raised.
const ALARM_SHARE: f64 = 0.5;

/// Direct preference optimisation and its variants. With the gain `g(y) = log p(y|x) - log ref(y|x)` of a response over
/// the reference policy, summed over the tokens compared, the reward margin of a pair is `beta * (g(chosen) -
/// g(rejected))`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DpoSettings {
    /// What is minimised.
    pub loss: PreferenceLoss,
    /// How strongly the policy is held to the reference: 0.1 for `sigmoid` and `ipo`; a loss of gains a token wants more,
    /// Tulu 3 takes 5 for `sigmoid_norm`.
    pub beta: f64,
    /// The tokens compared; the paper's best is the thought alone. Where one response of a pair has no thought, both are
    /// compared as a whole.
    pub span: DpoSpan,
    /// Weight of the negative log-likelihood of the chosen response added to the loss; 0 adds none.
    pub sft_coefficient: f64,
    /// Mean reward margin of a step's pairs beyond which training ends without a policy: the pairs are told apart long
    /// since, and what changes still is all else. An alarm is raised at half of it. 0 sets no bound.
    pub max_margin: f64,
    /// How far the chosen responses may fall below their log-probability under the reference, in nats a token, mean over a
    /// step's pairs, before training ends without a policy. An alarm is raised at half of it. 0 sets no bound.
    pub max_chosen_drop: f64,
}

/// What preference optimisation minimises, by the names that TRL gives. `m` is the reward margin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PreferenceLoss {
    /// `-log sigmoid(m)`: DPO (Rafailov et al. 2023, arXiv 2305.18290, equation 7).
    #[default]
    Sigmoid,
    /// `-log sigmoid(m)` with every gain divided by its tokens: length-normalised DPO (Lambert et al. 2024, arXiv
    /// 2411.15124, equation 6).
    SigmoidNorm,
    /// `(m / beta - 1 / (2 beta))^2` with every gain divided by its tokens: IPO (Azar et al. 2023, arXiv 2310.12036,
    /// equation 17), whose margin stops growing where it is 1/2.
    Ipo,
}

/// The tokens that preference optimisation compares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DpoSpan {
    /// The thought.
    #[default]
    Thought,
    /// The whole response.
    Full,
}

/// A bound of preference optimisation, with what came near it or beyond.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoundReached {
    /// Which.
    pub bound: PreferenceBound,
    /// What was found, in the bound's unit.
    pub found: f64,
    /// The most that is allowed.
    pub most: f64,
}

/// What preference optimisation is bounded by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreferenceBound {
    /// `training.dpo.max_margin`.
    Margin,
    /// `training.dpo.max_chosen_drop`, nats a token.
    ChosenDrop,
}

impl PreferenceLoss {
    /// The name in configurations and in a job's name, which is durable.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sigmoid => "sigmoid",
            Self::SigmoidNorm => "sigmoid_norm",
            Self::Ipo => "ipo",
        }
    }

    /// Whether gains are means over tokens instead of sums.
    pub const fn is_by_token(self) -> bool {
        matches!(self, Self::SigmoidNorm | Self::Ipo)
    }
}

impl PreferenceBound {
    /// The key that sets it.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Margin => "training.dpo.max_margin",
            Self::ChosenDrop => "training.dpo.max_chosen_drop",
        }
    }
}

impl Default for DpoSettings {
    fn default() -> Self {
        Self {
            loss: PreferenceLoss::Sigmoid,
            beta: 0.1,
            span: DpoSpan::Thought,
            sft_coefficient: 0.0,
            max_margin: 10.0,
            max_chosen_drop: 0.5,
        }
    }
}

impl DpoSettings {
    /// The bound that a step came closest to, once it is at half of one: `margin` is the mean reward margin, `chosen_drift`
    /// the mean gain of the chosen responses, in nats a token.
    pub fn reached(&self, margin: f64, chosen_drift: f64) -> Option<BoundReached> {
        let share = |reached: &BoundReached| reached.found / reached.most;
        [
            BoundReached { bound: PreferenceBound::Margin, found: margin, most: self.max_margin },
            BoundReached {
                bound: PreferenceBound::ChosenDrop,
                found: -chosen_drift,
                most: self.max_chosen_drop,
            },
        ]
        .into_iter()
        .filter(|reached| reached.most > 0.0 && share(reached) >= ALARM_SHARE)
        .max_by(|one, other| share(one).total_cmp(&share(other)))
    }

    /// Notes what cannot be optimised.
    pub fn validate(&self, findings: &mut Findings) {
        let beta = self.beta;
        findings.require(beta > 0.0 && beta.is_finite(), "training.dpo.beta", || {
            format!("must be above 0, not {beta}")
        });
        for (value, key) in [
            (self.sft_coefficient, "training.dpo.sft_coefficient"),
            (self.max_margin, PreferenceBound::Margin.key()),
            (self.max_chosen_drop, PreferenceBound::ChosenDrop.key()),
        ] {
            findings.require(value >= 0.0 && value.is_finite(), key, || {
                format!("must be 0 or above, not {value}")
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_that_is_nearest_is_reached_from_its_half_on() {
        let settings = DpoSettings { max_margin: 10.0, max_chosen_drop: 0.2, ..DpoSettings::default() };
        let bound = |margin, drift| {
            settings.reached(margin, drift).map(|reached| (reached.bound, reached.found > reached.most))
        };
        assert_eq!(bound(4.9, 1.0), None);
        assert_eq!(bound(5.0, 0.0), Some((PreferenceBound::Margin, false)));
        assert_eq!(bound(5.0, -0.15), Some((PreferenceBound::ChosenDrop, false)));
        assert_eq!(bound(11.0, -0.15), Some((PreferenceBound::Margin, true)));
        let unbounded = DpoSettings { max_margin: 0.0, max_chosen_drop: 0.0, ..settings };
        assert_eq!(unbounded.reached(1e9, -1e9), None);
        let broken = DpoSettings { max_margin: -1.0, beta: 0.0, ..unbounded };
        assert!(!still_settings::accepts(|findings| broken.validate(findings)));
    }
}
