//! Who asks the fleet for something, and what is theirs of it.

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Rounds' rollouts.
    Exploration,
    /// Held-out problems, for which the round waits.
    Evaluation,
    /// What a round's set could be chosen from, read and not drawn; the round waits for it too.
    Scoring,
}

impl Lane {
    /// All, in the order in which they are served where servers are too few for all.
    pub const ALL: [Self; 3] = [Self::Evaluation, Self::Scoring, Self::Exploration];

    pub(super) const fn index(self) -> usize {
        match self {
            Self::Exploration => 0,
            Self::Evaluation => 1,
            Self::Scoring => 2,
        }
    }
}

/// What lanes take of the fleet while exploration goes on beside them. Exploration has the rest, and whoever is alone all of it.
#[derive(Debug, Clone, Copy)]
pub struct Shares {
    /// Evaluation's, from 0 to 1.
    pub evaluation: f64,
    /// Scoring's.
    pub scoring: f64,
}

impl Default for Shares {
    fn default() -> Self {
        Self { evaluation: 0.25, scoring: 0.25 }
    }
}
