//! What selection knows of a rollout: small enough to keep one for every trajectory of the pool in memory.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_domain::{
    AttemptFact, AttemptId, JudgedTrajectory, Outcome, PolicyVersion, Rejection, Score, fingerprint::of_words,
};

use crate::curriculum::AttemptResult;

/// The part of a response that a measure is taken over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Span {
    /// The thought; the whole response where the thought was not measured.
    #[default]
    Thought,
    /// The whole response.
    Response,
}

/// A judged trajectory without its tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The attempt.
    pub id: AttemptId,
    /// The verifier's finding.
    pub outcome: Outcome,
    /// What hygiene has against it.
    pub rejection: Option<Rejection>,
    /// Equal for texts that differ in nothing but white space.
    pub fingerprint: u128,
    /// The policy that drew its first token.
    pub version: PolicyVersion,
    /// Whether several policies drew its tokens.
    pub is_mixed: bool,
    /// Length of the prompt in tokens; 0 in the facts of earlier programs.
    pub prompt_tokens: u32,
    /// Length of the response in tokens.
    pub response_tokens: u32,
    /// Length of the thought in tokens.
    pub thought_tokens: u32,
    /// Perplexity of the response.
    pub perplexity: f32,
    /// Perplexity of the thought.
    pub thought_perplexity: Option<f32>,
}

impl Candidate {
    /// The perplexity over `span`; `None` when it is not a finite number.
    pub fn perplexity_over(&self, span: Span) -> Option<f32> {
        let perplexity = match span {
            Span::Thought => self.thought_perplexity.unwrap_or(self.perplexity),
            Span::Response => self.perplexity,
        };
        Some(perplexity).filter(|value| value.is_finite())
    }

    /// The same with its perplexities under another policy; unknown where there is no score.
    #[must_use]
    pub fn scored(&self, score: Option<&Score>) -> Self {
        Self {
            perplexity: score.map_or(f32::NAN, |score| score.perplexity),
            thought_perplexity: score.and_then(|score| score.thought_perplexity),
            ..self.clone()
        }
    }

    /// Whether the answer is right and hygiene has nothing against the response.
    pub fn is_eligible(&self) -> bool {
        self.outcome == Outcome::Correct && self.rejection.is_none()
    }

    /// Length of prompt and response together: what the learner must take, in tokens.
    pub fn sequence_tokens(&self) -> u64 {
        u64::from(self.prompt_tokens) + u64::from(self.response_tokens)
    }

    /// What the curriculum must know of the attempt. Hygiene names what was cut off before anything else.
    pub fn result(&self) -> AttemptResult {
        let is_truncated = self.rejection == Some(Rejection::Truncated);
        AttemptResult { outcome: self.outcome, version: self.version, is_truncated }
    }

    /// The length over `span`, in tokens.
    pub const fn tokens_over(&self, span: Span) -> u32 {
        match span {
            Span::Thought if self.thought_tokens > 0 => self.thought_tokens,
            Span::Thought | Span::Response => self.response_tokens,
        }
    }
}

impl From<&JudgedTrajectory> for Candidate {
    fn from(judged: &JudgedTrajectory) -> Self {
        Self {
            id: judged.trajectory.id.clone(),
            outcome: judged.verdict.outcome,
            rejection: judged.rejection,
            fingerprint: of_words(&judged.trajectory.text),
            version: judged.trajectory.policy_version(),
            is_mixed: judged.trajectory.is_mixed(),
            prompt_tokens: judged.trajectory.prompt_token_count,
            response_tokens: u32::try_from(judged.trajectory.tokens.len()).unwrap_or(u32::MAX),
            thought_tokens: judged.measures.thought_tokens,
            perplexity: judged.measures.perplexity,
            thought_perplexity: judged.measures.thought_perplexity,
        }
    }
}

impl From<AttemptFact> for Candidate {
    fn from(fact: AttemptFact) -> Self {
        Self {
            id: fact.id,
            outcome: fact.outcome,
            rejection: fact.rejection,
            fingerprint: fact.fingerprint,
            version: fact.policy_version,
            is_mixed: fact.is_mixed,
            prompt_tokens: fact.prompt_tokens,
            response_tokens: fact.response_tokens,
            thought_tokens: fact.measures.thought_tokens,
            perplexity: fact.measures.perplexity,
            thought_perplexity: fact.measures.thought_perplexity,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A candidate of 100 tokens whose fingerprint is its own.
    pub(crate) fn candidate(id: &str, outcome: Outcome, perplexity: f32) -> Candidate {
        Candidate {
            id: id.parse().unwrap(),
            outcome,
            rejection: None,
            fingerprint: of_words(id),
            version: PolicyVersion(1),
            is_mixed: false,
            prompt_tokens: 20,
            response_tokens: 100,
            thought_tokens: 80,
            perplexity,
            thought_perplexity: Some(perplexity),
        }
    }

    #[test]
    fn what_was_cut_off_is_told_to_the_curriculum() {
        let mut one = candidate("p#0", Outcome::NoAnswer, 2.0);
        assert!(!one.result().is_truncated);
        one.rejection = Some(Rejection::Truncated);
        let result =
            AttemptResult { outcome: Outcome::NoAnswer, version: PolicyVersion(1), is_truncated: true };
        assert_eq!(one.result(), result);
    }

    #[test]
    fn the_thought_falls_back_on_the_response_and_infinity_is_no_perplexity() {
        let mut one = candidate("p#0", Outcome::Correct, 2.0);
        one.thought_perplexity = None;
        one.thought_tokens = 0;
        assert_eq!(one.perplexity_over(Span::Thought), Some(2.0));
        assert_eq!(one.tokens_over(Span::Thought), 100);
        one.perplexity = f32::NAN;
        assert_eq!(one.perplexity_over(Span::Response), None);
    }
}
