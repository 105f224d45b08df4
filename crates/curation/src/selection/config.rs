//! What is selected, as it is configured.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_settings::Findings;

use crate::candidate::Span;

/// Which perplexity is preferred.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PerplexityPreference {
    /// High: what the policy finds hard teaches more.
    High,
    /// Low: what the policy finds natural disturbs it less.
    Low,
    /// Perplexity does not matter.
    #[default]
    None,
}

/// Which length is preferred.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LengthPreference {
    /// Long thoughts.
    Long,
    /// Short thoughts.
    Short,
    /// Length does not matter.
    #[default]
    None,
}

/// Which of the right and clean trajectories come first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The preferred ones, by perplexity and length.
    #[default]
    Preferred,
    /// Any, the same ones every time: the ablation that shows what preferring is worth.
    Random,
}

/// What of the previous round's set stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// Every trajectory, whatever is known of it today.
    Members,
    /// Every problem that still has a right and clean trajectory: its first place goes before budgets, and which
    /// trajectory takes it is chosen anew.
    #[default]
    Problems,
    /// Nothing: the set is chosen anew from the whole pool.
    None,
}

/// Whose perplexities a set or a pair is chosen by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScoredBy {
    /// Each response's own sampler's, at no cost. Those of different policies, and at temperatures other than 1, are not
    /// quite comparable.
    #[default]
    Sampler,
    /// The policy's that explored the round: one pass over what could be chosen, before every sealing.
    Current,
    /// The imitated policy's, which preference optimisation starts from: what is scored stays scored.
    Imitated,
}

/// What becomes of responses that several policies drew, because one was published while they were under way: no policy
/// has their distribution, and their perplexities are of none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MixedVersions {
    /// They stay in the pool, and out of sets and pairs.
    #[default]
    Reject,
    /// They are chosen like all others.
    Allow,
}

/// What is selected. The defaults take two different right trajectories of a problem, the newest policy's first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SelectionConfig {
    /// What of the previous round's set stays. Default: `problems`.
    pub keep: Keep,
    /// Whether preferences count. Default: `preferred`.
    pub order: Order,
    /// Preferred perplexity. Default: `none`.
    pub perplexity: PerplexityPreference,
    /// Preferred length. Default: `none`.
    pub length: LengthPreference,
    /// What both are measured over. Default: `thought`.
    pub span: Span,
    /// Whose perplexities are preferred and bounded, in sets and in pairs; those of one policy are measured by whoever
    /// draws, this process or the servers of `[[engines]]`. Default: `sampler`.
    pub scored_by: ScoredBy,
    /// Trajectories of one problem in the set. Default: 2.
    pub max_per_problem: u32,
    /// Largest perplexity selected. Default: none.
    pub max_perplexity: Option<f32>,
    /// The quantiles of the right and clean trajectories' lengths between which a length must lie, as shares;
    /// `[0.05, 1.0]` leaves the shortest twentieth out. Default: `[0.0, 1.0]`.
    pub length_quantiles: [f64; 2],
    /// The same for perplexities. Default: `[0.0, 1.0]`.
    pub perplexity_quantiles: [f64; 2],
    /// Trajectories in the set, at most; 0 sets no limit. Default: 0.
    pub max_trajectories: u64,
    /// Trajectories of problems of a level, at most; levels that are not named have no limit. Default: none.
    pub level_budgets: BTreeMap<u8, u64>,
    /// Trajectories of problems of a source, at most; sources that are not named have no limit. Default: none.
    pub source_budgets: BTreeMap<String, u64>,
    /// Share of the set's examples that demonstrations keep: trajectories beyond it are left out. 0 keeps none.
    /// Default: 0.
    pub min_demonstration_share: f64,
    /// Share of demonstrations below which every sealing warns: what imitation taught is then a small part of
    /// what is trained on. Default: 0.1.
    pub warn_demonstration_share: f64,
    /// What becomes of responses that several policies drew, in sets and in pairs: see `exploration.on_publish`.
    /// Default: `reject`.
    pub mixed_versions: MixedVersions,
    /// Problems under which one text of 32 tokens or more may stand, word for word, in the whole pool; a text of more
    /// has thought about none of them, and is kept out of sets and of the right sides of pairs. 0 sets no limit.
    /// Default: 3.
    pub max_problems_per_text: u32,
    /// Whether only verified answers count; false is the ablation that shows what the verifier is worth.
    /// Default: true.
    pub verified_only: bool,
}

impl Default for SelectionConfig {
    fn default() -> Self {
        Self {
            keep: Keep::Problems,
            order: Order::Preferred,
            perplexity: PerplexityPreference::None,
            length: LengthPreference::None,
            span: Span::Thought,
            scored_by: ScoredBy::Sampler,
            max_per_problem: 2,
            max_perplexity: None,
            length_quantiles: [0.0, 1.0],
            perplexity_quantiles: [0.0, 1.0],
            max_trajectories: 0,
            level_budgets: BTreeMap::new(),
            source_budgets: BTreeMap::new(),
            min_demonstration_share: 0.0,
            warn_demonstration_share: 0.1,
            mixed_versions: MixedVersions::Reject,
            max_problems_per_text: 3,
            verified_only: true,
        }
    }
}

impl SelectionConfig {
    /// Notes what no trajectory could ever meet, and shares that are none.
    pub fn validate(&self, findings: &mut Findings) {
        findings.require(self.max_per_problem > 0, "selection.max_per_problem", || {
            "must be at least 1".to_owned()
        });
        for (key, [low, high]) in
            [("length_quantiles", self.length_quantiles), ("perplexity_quantiles", self.perplexity_quantiles)]
        {
            let is_range = 0.0 <= low && low < high && high <= 1.0;
            findings.require(is_range, &format!("selection.{key}"), || {
                "must be two rising shares between 0 and 1".to_owned()
            });
        }
        let (least, warned) = (self.min_demonstration_share, self.warn_demonstration_share);
        findings.require((0.0..1.0).contains(&least), "selection.min_demonstration_share", || {
            "must be at least 0 and below 1".to_owned()
        });
        findings.require((0.0..=1.0).contains(&warned), "selection.warn_demonstration_share", || {
            "must lie between 0 and 1".to_owned()
        });
        findings.require(
            self.max_perplexity.is_none_or(|bound| bound >= 1.0),
            "selection.max_perplexity",
            || "must be at least 1: no perplexity is lower".to_owned(),
        );
    }
}
