//! What counting and selecting need of a trajectory, without its tokens.
//!
//! A fact is written in the same batch as its trajectory, under the place of its arrival. So a start reads
//! a few hundred bytes an attempt instead of the whole pool, and a watcher reads what has come since it last
//! looked. Facts are an index, not a second truth: every field is taken from the trajectory.

use serde::{Deserialize, Serialize};
use still_domain::{AttemptId, JudgedTrajectory, Measures, Outcome, PolicyVersion, Rejection};

use crate::{
    engine::Change,
    error::StoreError,
    key::{Key, Kind},
    scan::Records,
    store::Store,
};

/// A committed trajectory without its tokens and text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttemptFact {
    /// Place in the order of arrival, from 1. Never given twice.
    pub sequence: u64,
    /// The attempt.
    pub id: AttemptId,
    /// The verifier's finding.
    pub outcome: Outcome,
    /// What hygiene has against it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejection: Option<Rejection>,
    /// The policy that drew its first token.
    pub policy_version: PolicyVersion,
    /// Length of the prompt in tokens; 0 in the facts of earlier programs.
    #[serde(default)]
    pub prompt_tokens: u32,
    /// Length of the response in tokens.
    pub response_tokens: u32,
    /// Lengths and perplexities.
    pub measures: Measures,
    /// Equal for texts that differ in nothing but white space: the first 128 bits of BLAKE3 over the words,
    /// each followed by a space, little-endian.
    pub fingerprint: u128,
}

impl AttemptFact {
    /// The fact of a trajectory that arrives as the `sequence`-th.
    pub(crate) fn of(judged: &JudgedTrajectory, sequence: u64) -> Self {
        Self {
            sequence,
            id: judged.id().clone(),
            outcome: judged.verdict.outcome,
            rejection: judged.rejection,
            policy_version: judged.trajectory.policy_version(),
            prompt_tokens: judged.trajectory.prompt_token_count,
            response_tokens: u32::try_from(judged.trajectory.tokens.len()).unwrap_or(u32::MAX),
            measures: judged.measures,
            fingerprint: fingerprint(&judged.trajectory.text),
        }
    }

    /// Whether the answer is right and hygiene has nothing against the response.
    pub fn is_eligible(&self) -> bool {
        self.outcome == Outcome::Correct && self.rejection.is_none()
    }
}

impl Store {
    /// The facts of every trajectory, by problem and attempt.
    pub fn facts(&self) -> Result<Vec<AttemptFact>, StoreError> {
        let mut facts: Vec<AttemptFact> = self.facts_since(0).collect::<Result<_, _>>()?;
        facts.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(facts)
    }

    /// The facts that arrived after `sequence`, in the order of arrival; 0 gives all.
    pub fn facts_since(&self, sequence: u64) -> Records<AttemptFact> {
        Records::new(self.clone(), Key::of(Kind::AttemptFact), Some(fact_key(sequence)))
    }

    /// The place of the trajectory that arrived last; 0 before the first. Also how many there are.
    pub fn last_sequence(&self) -> Result<u64, StoreError> {
        let last = self.engine().last_key(Key::of(Kind::AttemptFact).as_bytes())?;
        Ok(last.and_then(|key| Key::last_number(&key)).unwrap_or(0))
    }

    pub(crate) fn put_fact(&self, fact: &AttemptFact) -> Result<Change, StoreError> {
        self.put(&fact_key(fact.sequence), fact)
    }
}

fn fact_key(sequence: u64) -> Key {
    Key::of(Kind::AttemptFact).number(sequence)
}

fn fingerprint(text: &str) -> u128 {
    let mut hasher = blake3::Hasher::new();
    for word in text.split_whitespace() {
        hasher.update(word.as_bytes()).update(b" ");
    }
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    u128::from_le_bytes(bytes)
}
