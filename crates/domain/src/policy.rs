//! Policies by name, published ones, and the checkpoints that hold them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    evaluation::Estimate,
    ids::{CheckpointId, PolicyVersion, RoundNumber, TrainingSetId},
};

/// Name of the folder of checkpoints inside the data directory; a published policy is one of its folders.
pub const CHECKPOINTS_NAME: &str = "checkpoints";

/// A policy by name.
///
/// Written as a number where it is published, and as `{"candidate": round}` where it is not yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PolicyName {
    /// One that is or was in force.
    Published(PolicyVersion),
    /// What the training of a round brought, before the gate has decided.
    Candidate {
        /// The round.
        candidate: RoundNumber,
    },
}

/// A policy by name, with the place of its weights: what messages carry in place of parameters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PolicyRef {
    /// Its name.
    pub name: PolicyName,
    /// The checkpoint that holds its weights; `None` for the configured base model.
    pub checkpoint: Option<CheckpointId>,
}

impl PolicyName {
    /// The version of a published policy.
    pub const fn version(self) -> Option<PolicyVersion> {
        match self {
            Self::Published(version) => Some(version),
            Self::Candidate { .. } => None,
        }
    }
}

impl From<PolicyVersion> for PolicyName {
    fn from(version: PolicyVersion) -> Self {
        Self::Published(version)
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Published(version) => write!(f, "policy {version}"),
            Self::Candidate { candidate } => write!(f, "the candidate of round {candidate}"),
        }
    }
}

impl PolicyName {
    /// The configured base model, published or not.
    pub const BASE: Self = Self::Published(PolicyVersion(0));
}

impl PolicyRef {
    /// The configured base model.
    pub const fn base() -> Self {
        Self { name: PolicyName::BASE, checkpoint: None }
    }

    /// The candidate of a round.
    pub const fn candidate(round: RoundNumber, checkpoint: CheckpointId) -> Self {
        Self { name: PolicyName::Candidate { candidate: round }, checkpoint: Some(checkpoint) }
    }
}

impl fmt::Display for PolicyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.checkpoint {
            Some(checkpoint) => write!(f, "{} (checkpoint {checkpoint})", self.name),
            None => write!(f, "{} (the base model)", self.name),
        }
    }
}

impl From<&PolicyRecord> for PolicyRef {
    fn from(record: &PolicyRecord) -> Self {
        Self { name: record.version.into(), checkpoint: record.checkpoint.clone() }
    }
}

/// One file of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointFile {
    /// Name inside the checkpoint's folder.
    pub name: String,
    /// Size in bytes.
    pub bytes: u64,
    /// BLAKE3 of the content, hexadecimal.
    pub hash: String,
}

/// The record that makes a checkpoint exist: written last, after every file is synced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointManifest {
    /// Its name, and its folder's.
    pub id: CheckpointId,
    /// The round whose training it belongs to.
    pub round: RoundNumber,
    /// Optimizer steps taken.
    pub step: u64,
    /// Whether training is complete.
    pub is_final: bool,
    /// The set trained on.
    pub training_set: TrainingSetId,
    /// The files, in name order.
    pub files: Vec<CheckpointFile>,
    /// When it was committed, milliseconds since the Unix epoch.
    pub created_at_ms: u64,
}

/// Where a policy comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyOrigin {
    /// The base model as configured.
    Base,
    /// Promoted by the gate at the end of a round.
    Round(RoundNumber),
    /// Put in force by hand: a copy of an earlier version.
    Operator(PolicyVersion),
}

impl fmt::Display for PolicyOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base => f.write_str("the base model"),
            Self::Round(round) => write!(f, "round {round}"),
            Self::Operator(version) => write!(f, "version {version}, by hand"),
        }
    }
}

/// A published policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyRecord {
    /// Its version.
    pub version: PolicyVersion,
    /// Where it comes from.
    pub origin: PolicyOrigin,
    /// The checkpoint that holds its weights; `None` for the base model.
    pub checkpoint: Option<CheckpointId>,
    /// Accuracy on the held-out problems when it was promoted.
    pub accuracy: Option<Estimate>,
    /// When it was published, milliseconds since the Unix epoch.
    pub published_at_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_policy_is_written_as_the_number_that_earlier_programs_wrote() {
        let published = PolicyName::from(PolicyVersion(7));
        assert_eq!(serde_json::to_string(&published).unwrap(), "7");
        let candidate = PolicyName::Candidate { candidate: RoundNumber(3) };
        assert_eq!(serde_json::to_string(&candidate).unwrap(), r#"{"candidate":3}"#);
        for name in [published, candidate] {
            let text = serde_json::to_string(&name).unwrap();
            assert_eq!(serde_json::from_str::<PolicyName>(&text).unwrap(), name);
        }
        assert_eq!((published.version(), candidate.version()), (Some(PolicyVersion(7)), None));
    }
}
