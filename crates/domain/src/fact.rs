//! What counting and selecting need of a trajectory, without its tokens.

use serde::{Deserialize, Serialize};

use crate::{
    fingerprint::of_words,
    ids::{AttemptId, PolicyVersion},
    verdict::{JudgedTrajectory, Measures, Outcome, Rejection},
};

/// A committed trajectory without its tokens and text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttemptFact {
    /// Number in the order of arrival, from 1. Never given twice.
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
    /// Whether several policies drew its tokens.
    #[serde(default)]
    pub is_mixed: bool,
    /// The temperature it was drawn at, which decides what texts its perplexities are of; 1 in the facts of earlier
    /// programs.
    #[serde(default = "neutral")]
    pub temperature: f32,
    /// Length of the prompt in tokens; 0 in the facts of earlier programs.
    #[serde(default)]
    pub prompt_tokens: u32,
    /// Length of the response in tokens.
    pub response_tokens: u32,
    /// Lengths and perplexities.
    pub measures: Measures,
    /// Names the response's words: see [`of_words`].
    pub fingerprint: u128,
}

/// The temperature that changes nothing.
const fn neutral() -> f32 {
    1.0
}

impl AttemptFact {
    /// The fact of a trajectory that arrives as the `sequence`-th.
    pub fn of(judged: &JudgedTrajectory, sequence: u64) -> Self {
        Self {
            sequence,
            id: judged.id().clone(),
            outcome: judged.verdict.outcome,
            rejection: judged.rejection,
            policy_version: judged.trajectory.policy_version(),
            is_mixed: judged.trajectory.is_mixed(),
            temperature: judged.trajectory.sampling.temperature,
            prompt_tokens: judged.trajectory.prompt_token_count,
            response_tokens: u32::try_from(judged.trajectory.tokens.len()).unwrap_or(u32::MAX),
            measures: judged.measures,
            fingerprint: of_words(&judged.trajectory.text),
        }
    }
}
