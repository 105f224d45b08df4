//! `[selection]`: which correct trajectories enter a training set, and which pairs are made.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::findings::Findings;

/// Which correct trajectories enter a training set, and which preference pairs are made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SelectionSection {
    /// Trajectories of one problem in a training set.
    pub max_per_problem: u32,
    /// Which perplexity of the response is preferred.
    pub perplexity: Preference,
    /// Which length of the response is preferred, where perplexity does not decide.
    pub length: LengthPreference,
    /// Leave out a response that equals one already selected for its problem.
    pub distinct: bool,
    /// Take correct trajectories only; false trains on every finished one, right or wrong: the ablation
    /// that shows what verification is worth.
    pub verified: bool,
    /// Keep the demonstrations in every round's set.
    pub keep_demonstrations: bool,
    /// Preference pairs of one problem, for DPO.
    pub pairs_per_problem: u32,
}

/// Which perplexity is preferred.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Preference {
    /// The highest: what surprises the policy teaches it most.
    High,
    /// The lowest.
    Low,
    /// None: in attempt order.
    #[default]
    None,
}

/// Which length is preferred.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LengthPreference {
    /// The longest.
    Long,
    /// The shortest.
    Short,
    /// None: in attempt order.
    #[default]
    None,
}

impl Default for SelectionSection {
    fn default() -> Self {
        Self {
            max_per_problem: 2,
            perplexity: Preference::High,
            length: LengthPreference::None,
            distinct: true,
            verified: true,
            keep_demonstrations: true,
            pairs_per_problem: 2,
        }
    }
}

impl SelectionSection {
    /// Notes what cannot be selected.
    pub fn validate(&self, findings: &mut Findings) {
        for (key, count) in [
            ("selection.max_per_problem", self.max_per_problem),
            ("selection.pairs_per_problem", self.pairs_per_problem),
        ] {
            findings.require(count > 0, key, || "must be at least 1".to_owned());
        }
    }
}
