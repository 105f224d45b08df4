//! Published policies, and the checkpoints that hold them.

use serde::{Deserialize, Serialize};

use crate::{
    evaluation::Estimate,
    ids::{CheckpointId, PolicyVersion, RoundNumber, TrainingSetId},
};

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
