//! The names of the supervised actors, in start order.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A supervised actor. The order is the order of starting: each may rely on those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorName {
    /// Keeps the newest published policy, and makes promotions durable.
    Publisher,
    /// Oversees the training run.
    Trainer,
    /// Shares attempts out among the generators, and oversees them.
    Sampler,
    /// Judges finished rollouts.
    #[serde(alias = "verifier_pool")]
    Verifiers,
    /// Commits judged rollouts to the store.
    Curator,
    /// Gives out attempts.
    ProblemSupply,
    /// Leads the rounds.
    Conductor,
    /// Scores candidate policies on held-out problems.
    Evaluator,
}

/// No actor has this name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no actor is called `{0}`: name one of {names}", names = ActorName::ALL.map(ActorName::as_str).join(", "))]
pub struct UnknownActor(pub String);

impl ActorName {
    /// Every actor, in start order.
    pub const ALL: [Self; 8] = [
        Self::Publisher,
        Self::Trainer,
        Self::Sampler,
        Self::Verifiers,
        Self::Curator,
        Self::ProblemSupply,
        Self::Conductor,
        Self::Evaluator,
    ];

    /// The name in JSON, in metrics and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Publisher => "publisher",
            Self::Trainer => "trainer",
            Self::Sampler => "sampler",
            Self::Verifiers => "verifiers",
            Self::Curator => "curator",
            Self::ProblemSupply => "problem_supply",
            Self::Conductor => "conductor",
            Self::Evaluator => "evaluator",
        }
    }

    /// Its ordinal in the start order, from 0.
    pub const fn ordinal(self) -> usize {
        self as usize
    }
}

impl fmt::Display for ActorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ActorName {
    type Err = UnknownActor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if matches!(text, "verifier_pool" | "verifier-pool") {
            return Ok(Self::Verifiers); // what earlier versions call it
        }
        let is_meant = |name: &Self| name.as_str() == text || name.as_str().replace('_', "-") == text;
        Self::ALL.into_iter().find(is_meant).ok_or_else(|| UnknownActor(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_actor_is_found_by_its_name_and_has_its_ordinal() {
        for (ordinal, name) in ActorName::ALL.into_iter().enumerate() {
            assert_eq!(name.ordinal(), ordinal);
            assert_eq!(name.as_str().parse(), Ok(name));
        }
        assert_eq!("problem-supply".parse(), Ok(ActorName::ProblemSupply));
        assert_eq!("verifier-pool".parse(), Ok(ActorName::Verifiers));
        let error = "janitor".parse::<ActorName>().unwrap_err().to_string();
        assert!(error.contains("publisher") && error.contains("evaluator"), "{error}");
    }
}
