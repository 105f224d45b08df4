//! A sealed training set: the manifest of a query over the pool, named by its hash.

use serde::{Deserialize, Serialize};

use crate::ids::{AttemptId, DemonstrationId, RoundNumber, TrainingSetId};

/// How a policy is trained on a set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// Supervised fine-tuning on demonstrations and selected trajectories.
    #[default]
    Sft,
    /// Direct preference optimisation on pairs (Rafailov et al. 2023, arXiv 2305.18290).
    Dpo,
}

/// Which settings a training job obeys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recipe {
    /// The first training, on demonstrations alone.
    Imitation,
    /// A later training, on what the rounds brought.
    Improvement,
}

impl Recipe {
    /// Its name in configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Imitation => "imitation",
            Self::Improvement => "improvement",
        }
    }
}

/// A right and a wrong trajectory of the same problem.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PreferencePair {
    /// The trajectory that reached the gold answer.
    pub chosen: AttemptId,
    /// The trajectory that did not.
    pub rejected: AttemptId,
}

/// What a training set holds, by name; the records themselves stay in the pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainingSetContent {
    /// The round whose training uses it.
    pub round: RoundNumber,
    /// What it is for.
    pub algorithm: Algorithm,
    /// The query that chose the members, as configured; kept for the reader.
    pub query: serde_json::Value,
    /// The set that this one grew from.
    pub previous: Option<TrainingSetId>,
    /// Demonstrations, sorted.
    pub demonstrations: Vec<DemonstrationId>,
    /// Selected trajectories, sorted.
    pub trajectories: Vec<AttemptId>,
    /// Preference pairs, sorted; empty for SFT.
    pub pairs: Vec<PreferencePair>,
}

/// A sealed training set: its content never changes, and its name is its content's hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainingSet {
    /// Hash of `content`.
    pub id: TrainingSetId,
    /// What the set holds.
    pub content: TrainingSetContent,
}

impl TrainingSetContent {
    /// Sorts the members, removes doubles and seals the set under the hash of its content.
    ///
    /// The hash is BLAKE3 over length-prefixed fields; two sets are equal exactly when their ids are.
    #[must_use]
    pub fn seal(mut self) -> TrainingSet {
        self.demonstrations.sort();
        self.demonstrations.dedup();
        self.trajectories.sort();
        self.trajectories.dedup();
        self.pairs.sort();
        self.pairs.dedup();
        let id = TrainingSetId::new(self.hash().to_hex().as_str());
        TrainingSet { id, content: self }
    }

    fn hash(&self) -> blake3::Hash {
        let mut hasher = FieldHasher::new();
        hasher.field(&self.round.0.to_le_bytes());
        hasher.field(match self.algorithm {
            Algorithm::Sft => b"sft",
            Algorithm::Dpo => b"dpo",
        });
        hasher.field(self.query.to_string().as_bytes());
        hasher.field(self.previous.as_ref().map_or("", TrainingSetId::as_str).as_bytes());
        hasher.list(self.demonstrations.iter().map(ToString::to_string));
        hasher.list(self.trajectories.iter().map(ToString::to_string));
        hasher.list(self.pairs.iter().map(|pair| format!("{} {}", pair.chosen, pair.rejected)));
        hasher.0.finalize()
    }
}

impl TrainingSet {
    /// Whether the id is the hash of the content: false after damage.
    pub fn is_intact(&self) -> bool {
        self.id.as_str() == self.content.hash().to_hex().as_str()
    }

    /// Number of training examples: demonstrations and trajectories, or pairs.
    pub fn example_count(&self) -> usize {
        match self.content.algorithm {
            Algorithm::Sft => self.content.demonstrations.len() + self.content.trajectories.len(),
            Algorithm::Dpo => self.content.pairs.len(),
        }
    }
}

/// Hashes fields with their lengths, so that no two sequences of fields run together.
struct FieldHasher(blake3::Hasher);

impl FieldHasher {
    fn new() -> Self {
        Self(blake3::Hasher::new_derive_key("still training set 1"))
    }

    fn field(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn list(&mut self, items: impl ExactSizeIterator<Item = String>) {
        self.0.update(&(items.len() as u64).to_le_bytes());
        for item in items {
            self.field(item.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(trajectories: &[&str]) -> TrainingSetContent {
        TrainingSetContent {
            round: RoundNumber(2),
            algorithm: Algorithm::Sft,
            query: serde_json::json!({"max_per_problem": 2}),
            previous: None,
            demonstrations: vec![DemonstrationId::new("d1")],
            trajectories: trajectories.iter().map(|text| text.parse().unwrap()).collect(),
            pairs: Vec::new(),
        }
    }

    #[test]
    fn order_and_doubles_do_not_change_the_name() {
        let one = content(&["b#1", "a#0"]).seal();
        let two = content(&["a#0", "b#1", "a#0"]).seal();
        assert_eq!(one, two);
        assert!(one.is_intact());
        assert_eq!(one.example_count(), 3);
    }

    #[test]
    fn another_member_gives_another_name_and_damage_shows() {
        let one = content(&["a#0"]).seal();
        assert_ne!(one.id, content(&["a#1"]).seal().id);
        let mut damaged = one;
        damaged.content.trajectories.clear();
        assert!(!damaged.is_intact());
    }
}
