//! Newtypes for everything that is named or counted across the program.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use thiserror::Error;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps `text` unchanged.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text of the id.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// The number that follows.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

text_id! {
    /// Names a problem: the importer's `id`, or a hash of the problem's text.
    ProblemId
}
text_id! {
    /// Names a demonstration: the importer's `id`, or a hash of its text.
    DemonstrationId
}
text_id! {
    /// Names a sealed training set by the hash of its content (64 hexadecimal digits).
    TrainingSetId
}
text_id! {
    /// Names a checkpoint: `round-<round>-step-<step>`.
    CheckpointId
}
text_id! {
    /// Names how a trajectory was drawn by a hash of what is known of that (32 hexadecimal digits).
    ProvenanceId
}
number_id! {
    /// Counts the attempts at one problem, from 0.
    AttemptNumber(u32)
}
number_id! {
    /// Counts published policies: 0 is the base model, 1 the imitated one.
    PolicyVersion(u64)
}
number_id! {
    /// Counts rounds: 0 is imitation, exploration starts with 1.
    RoundNumber(u32)
}

impl RoundNumber {
    /// The round that imitates demonstrations; all later ones explore first.
    pub const IMITATION: Self = Self(0);
}

impl PolicyVersion {
    /// How many versions `self` lies behind `newest`; zero when it does not.
    #[must_use]
    pub const fn lag_behind(self, newest: Self) -> u64 {
        newest.0.saturating_sub(self.0)
    }
}

/// Names one attempt at one problem, and the trajectory that comes of it: exactly one for ever.
///
/// Written `problem#number`; the number follows the last `#`, so problem ids may hold one too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId {
    /// The problem attempted.
    pub problem: ProblemId,
    /// Which attempt at it, from 0.
    pub number: AttemptNumber,
}

/// Why a text names no attempt.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` names no attempt: write `problem#number`, for example `algebra-17#3`")]
pub struct AttemptIdError(pub String);

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.problem, self.number)
    }
}

impl FromStr for AttemptId {
    type Err = AttemptIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || AttemptIdError(text.to_owned());
        let (problem, number) = text.rsplit_once('#').ok_or_else(error)?;
        let number = number.parse().map_err(|_| error())?;
        Ok(Self { problem: ProblemId::new(problem), number: AttemptNumber(number) })
    }
}

impl Serialize for AttemptId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AttemptId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_id_survives_its_text_form_even_with_a_hash_in_the_problem() {
        let id = AttemptId { problem: ProblemId::new("set#7"), number: AttemptNumber(12) };
        assert_eq!(id.to_string(), "set#7#12");
        assert_eq!("set#7#12".parse::<AttemptId>().unwrap(), id);
        assert_eq!(serde_json::from_str::<AttemptId>("\"set#7#12\"").unwrap(), id);
    }

    #[test]
    fn a_text_without_a_number_is_refused_with_the_remedy() {
        let error = "algebra-17".parse::<AttemptId>().unwrap_err();
        assert!(error.to_string().contains("problem#number"), "{error}");
        assert!("algebra-17#x".parse::<AttemptId>().is_err());
    }

    #[test]
    fn lag_never_goes_below_zero() {
        assert_eq!(PolicyVersion(3).lag_behind(PolicyVersion(5)), 2);
        assert_eq!(PolicyVersion(5).lag_behind(PolicyVersion(3)), 0);
    }
}
