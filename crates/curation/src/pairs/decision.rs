//! What became of each response where pairs were made, and what all of it brought.

use std::{collections::BTreeMap, fmt};

use still_domain::{AttemptId, Outcome, PreferencePair, Rejection};

/// Why a clean response with a known perplexity is in no pair, or a problem gave none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unpaired {
    /// A problem with clean wrong responses and no clean right one.
    WithoutRight,
    /// A problem with clean right responses and no clean wrong one.
    WithoutWrong,
    /// A response that several policies drew.
    MixedVersions,
    /// A response that is, with its prompt, longer than the learner takes.
    TooLongToTrain,
    /// A right response that stands word for word under more problems than may share a text.
    CommonText,
    /// A right response that is not more perplexing than any wrong one left, by the margin asked for.
    NotMorePerplexing,
    /// A right response that is more perplexing than a wrong one, but too much longer or shorter than each.
    LengthRatio,
}

impl Unpaired {
    /// The name used in records and as a metric label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::WithoutRight => "without_right",
            Self::WithoutWrong => "without_wrong",
            Self::MixedVersions => "mixed_versions",
            Self::TooLongToTrain => "too_long_to_train",
            Self::CommonText => "common_text",
            Self::NotMorePerplexing => "not_more_perplexing",
            Self::LengthRatio => "length_ratio",
        }
    }
}

/// The pairs of a pool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PairSelection {
    /// The pairs, sorted.
    pub pairs: Vec<PreferencePair>,
    /// What was not paired, by its reason.
    pub unpaired: BTreeMap<Unpaired, u64>,
    /// What became of each response.
    pub decisions: BTreeMap<AttemptId, PairDecision>,
}

/// What became of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PairDecision {
    /// It is preferred to this wrong one.
    Chosen(AttemptId),
    /// This right one is preferred to it.
    Rejected(AttemptId),
    /// No answer was read from it that could be wrong.
    NotAnAnswer(Outcome),
    /// Hygiene is against it.
    Unhygienic(Rejection),
    /// What its perplexity is over the span, is not known.
    UnknownPerplexity,
    /// Something kept it from a pair.
    Unpaired(Unpaired),
    /// Its problem's pairs were made of others.
    NotNeeded,
}

impl PairSelection {
    /// Pairs and what was not paired, by name, for records and metrics.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        let unpaired = self.unpaired.iter().map(|(reason, count)| (reason.name(), *count));
        unpaired.chain([("paired", self.pairs.len() as u64)]).collect()
    }

    pub(super) fn note(&mut self, reason: Unpaired) {
        *self.unpaired.entry(reason).or_default() += 1;
    }

    /// Notes that something kept a response from a pair.
    pub(super) fn leave_out(&mut self, id: &AttemptId, reason: Unpaired) {
        self.note(reason);
        self.decide(id, PairDecision::Unpaired(reason));
    }

    /// Notes what became of a response.
    pub(super) fn decide(&mut self, id: &AttemptId, decision: PairDecision) {
        self.decisions.insert(id.clone(), decision);
    }
}

impl fmt::Display for PairDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chosen(rejected) => write!(f, "preferred to {rejected}"),
            Self::Rejected(chosen) => write!(f, "rejected for {chosen}"),
            Self::NotAnAnswer(outcome) => write!(f, "unpaired: the answer was judged `{outcome}`"),
            Self::Unhygienic(rejection) => write!(f, "unpaired: hygiene found it `{rejection}`"),
            Self::UnknownPerplexity => f.write_str("unpaired: its perplexity is unknown"),
            Self::Unpaired(reason) => write!(f, "unpaired: {reason}"),
            Self::NotNeeded => f.write_str("unpaired: its problem's pairs were made of others"),
        }
    }
}

impl fmt::Display for Unpaired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WithoutRight => "its problem has no clean right response",
            Self::WithoutWrong => "its problem has no clean wrong response",
            Self::MixedVersions => "several policies drew it",
            Self::TooLongToTrain => "longer than the learner takes",
            Self::CommonText => "more problems than `max_problems_per_text` have it word for word",
            Self::NotMorePerplexing => {
                "not more perplexing than any wrong response, by `min_perplexity_margin`"
            }
            Self::LengthRatio => "too much longer or shorter than each wrong response for `max_length_ratio`",
        })
    }
}
