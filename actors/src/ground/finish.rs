//! Why the program has ended.

use std::fmt;

use serde::{Deserialize, Serialize};
use still_domain::RoundNumber;

/// Why the program has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum FinishReason {
    /// Every round that was wanted is promoted or rejected.
    RoundsDone,
    /// Work in flight was finished on demand.
    Drained,
    /// Work in flight was to be finished on demand, and not all of it could be.
    DrainedInPart {
        /// What kept it from being finished.
        cause: String,
    },
    /// It was stopped on demand, work in flight left behind: it is asked for again at the next start.
    Stopped,
    /// The demonstrations cannot be trained on: exploring with a policy that never saw them would be another run.
    NotImitated {
        /// Why.
        cause: String,
    },
    /// Not one attempt of a round could be drawn and judged: going on would use up the problems for nothing.
    NoResult {
        /// The round.
        round: RoundNumber,
        /// Attempts that came to nothing.
        attempts: u64,
    },
    /// The store failed: going on could lose what would be acknowledged.
    StoreFailed {
        /// What the store says.
        error: String,
    },
    /// An actor failed too often.
    MeltDown {
        /// The actor.
        actor: String,
        /// Its last failure.
        error: String,
        /// Restarts within the window.
        restarts: u32,
    },
}

impl FinishReason {
    /// Whether the program ended as it was told to; whatever it acknowledged is durable.
    pub const fn is_success(&self) -> bool {
        matches!(self, Self::RoundsDone | Self::Drained | Self::DrainedInPart { .. } | Self::Stopped)
    }
}

impl fmt::Display for FinishReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RoundsDone => write!(f, "every round that was wanted is over"),
            Self::Drained => write!(f, "drained: what was in flight is durable"),
            Self::DrainedInPart { cause } => {
                write!(f, "drained in part: {cause}; what was in flight is asked for again at the next start")
            }
            Self::Stopped => write!(f, "stopped: what was in flight is asked for again at the next start"),
            Self::NotImitated { cause } => write!(f, "the demonstrations cannot be imitated: {cause}"),
            Self::NoResult { round, attempts } => write!(
                f,
                "not one of {attempts} attempts of round {round} could be drawn and judged; `stillctl pool list \
                 --verdict error` (or `stilld inspect pool`) says why, each under `rule`"
            ),
            Self::StoreFailed { error } => write!(f, "the store failed: {error}"),
            Self::MeltDown { actor, error, restarts } => {
                write!(f, "the {actor} failed again after {restarts} restarts: {error}")
            }
        }
    }
}
