//! What became of each candidate, and what the whole selection brought.

use std::{collections::BTreeMap, fmt};

use still_domain::{AttemptId, Outcome, Rejection};

/// What became of a candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Was in the previous set and is in this one.
    Kept,
    /// Joins the set.
    Selected,
    /// The verifier did not find the answer right.
    NotCorrect(Outcome),
    /// Hygiene is against it.
    Unhygienic(Rejection),
    /// Several policies drew it.
    MixedVersions,
    /// Prompt and response are longer than the learner takes.
    TooLongToTrain,
    /// It stands word for word under more problems than may share a text.
    CommonText,
    /// Its perplexity exceeds the largest allowed.
    TooPerplexing,
    /// Its length lies outside the allowed quantiles of the pool's.
    OutsideLengths,
    /// Its perplexity lies outside the allowed quantiles of the pool's, or is unknown where they are asked for.
    OutsidePerplexities,
    /// Says the same as this one, which is in the set.
    Duplicate(AttemptId),
    /// Its problem's quota went to preferred ones.
    QuotaFull,
    /// A budget is used up.
    OverBudget(Budget),
}

/// A limit of the set as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// Trajectories of the set.
    Total,
    /// Trajectories of the problem's level.
    Level,
    /// Trajectories of the problem's source.
    Source,
    /// Trajectories that leave the demonstrations their share.
    DemonstrationShare,
}

impl Decision {
    /// The name used in records and as a metric label.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Selected => "selected",
            Self::NotCorrect(_) => "not_correct",
            Self::Unhygienic(rejection) => rejection.name(),
            Self::MixedVersions => "mixed_versions",
            Self::TooLongToTrain => "too_long_to_train",
            Self::CommonText => "common_text",
            Self::TooPerplexing => "too_perplexing",
            Self::OutsideLengths => "outside_lengths",
            Self::OutsidePerplexities => "outside_perplexities",
            Self::Duplicate(_) => "duplicate",
            Self::QuotaFull => "no_place",
            Self::OverBudget(budget) => budget.name(),
        }
    }
}

impl Budget {
    /// The name used in records and as a metric label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Total => "over_total_budget",
            Self::Level => "over_level_budget",
            Self::Source => "over_source_budget",
            Self::DemonstrationShare => "over_demonstration_share",
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept => f.write_str("stays in the set"),
            Self::Selected => f.write_str("joins the set"),
            Self::NotCorrect(outcome) => write!(f, "left out: the answer was judged `{outcome}`"),
            Self::Unhygienic(rejection) => write!(f, "left out: hygiene found it `{rejection}`"),
            Self::MixedVersions => f.write_str("left out: several policies drew it"),
            Self::TooLongToTrain => f.write_str("left out: longer than the learner takes"),
            Self::CommonText => {
                f.write_str("left out: more problems than `max_problems_per_text` have it word for word")
            }
            Self::TooPerplexing => f.write_str("left out: more perplexing than `max_perplexity`"),
            Self::OutsideLengths => f.write_str("left out: its length lies outside `length_quantiles`"),
            Self::OutsidePerplexities => {
                f.write_str("left out: its perplexity is unknown or lies outside `perplexity_quantiles`")
            }
            Self::Duplicate(twin) => write!(f, "left out: says the same as {twin}"),
            Self::QuotaFull => f.write_str("left out: its problem's quota went to preferred ones"),
            Self::OverBudget(Budget::Total) => f.write_str("left out: the set holds `max_trajectories`"),
            Self::OverBudget(Budget::Level) => f.write_str("left out: its level's budget is used up"),
            Self::OverBudget(Budget::Source) => f.write_str("left out: its source's budget is used up"),
            Self::OverBudget(Budget::DemonstrationShare) => {
                f.write_str("left out: the demonstrations keep their share")
            }
        }
    }
}

/// What a selection brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// The trajectories of `D_t`, sorted.
    pub members: Vec<AttemptId>,
    /// Those that were not in the previous set, sorted.
    pub selected: Vec<AttemptId>,
    /// Those of the previous set that are not in this one, sorted: their decisions say why, but for those that
    /// are gone from the pool.
    pub left: Vec<AttemptId>,
    /// What became of each candidate.
    pub decisions: BTreeMap<AttemptId, Decision>,
}

impl Selection {
    /// Decisions by name, for records and metrics.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for decision in self.decisions.values() {
            *counts.entry(decision.name()).or_default() += 1;
        }
        counts
    }
}
