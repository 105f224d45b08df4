//! One rollout with everything needed to judge it, train on it and trace it.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{AttemptId, PolicyVersion, ProvenanceId},
    policy::PolicyName,
};

/// How tokens are drawn. The defaults sample from the unmodified distribution.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SamplingSettings {
    /// Divides the logits; 0 takes the most likely token.
    pub temperature: f32,
    /// Keeps the most likely `top_k` tokens; 0 keeps all.
    pub top_k: u32,
    /// Keeps the smallest set of tokens whose probability reaches `top_p`; 1 keeps all.
    pub top_p: f32,
    /// Keeps tokens at least `min_p` times as likely as the likeliest; 0 keeps all.
    pub min_p: f32,
    /// Divides the logits of tokens seen before (Keskar et al. 2019, arXiv 1909.05858); 1 changes nothing.
    pub repetition_penalty: f32,
    /// The longest response, in tokens.
    pub max_new_tokens: u32,
}

impl Default for SamplingSettings {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            max_new_tokens: 1024,
        }
    }
}

impl SamplingSettings {
    /// Whether tokens are drawn from the model's own distribution: then their log-probabilities under either are the
    /// same.
    pub fn is_unmodified(&self) -> bool {
        let Self { temperature, top_k, top_p, min_p, repetition_penalty, max_new_tokens: _ } = *self;
        let neutral = Self::default();
        (temperature, top_p, min_p, repetition_penalty)
            == (neutral.temperature, neutral.top_p, neutral.min_p, neutral.repetition_penalty)
            && top_k == neutral.top_k
    }
}

/// Why generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// A stop token was drawn.
    Stop,
    /// A stop string was completed.
    StopString,
    /// The token limit was reached: the response is truncated.
    Length,
    /// The request was withdrawn.
    Cancelled,
    /// A server saw it repeat itself and ended it: the response is truncated.
    Repetition,
}

/// The policy that drew a run of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionSpan {
    /// The policy; its field is called as it was when only published ones drew tokens.
    #[serde(rename = "version")]
    pub policy: PolicyName,
    /// Index of its first token in the response.
    pub start: u32,
    /// Index after its last token.
    pub end: u32,
}

/// One rollout.
///
/// `tokens`, `log_probabilities` and the union of `versions` cover the same positions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trajectory {
    /// The attempt that this rollout is.
    pub id: AttemptId,
    /// Number of prompt tokens.
    pub prompt_token_count: u32,
    /// Token ids of the response, the stop token included when one was drawn.
    pub tokens: Vec<u32>,
    /// Log-probability of each token under the unmodified distribution, in nats.
    pub log_probabilities: Vec<f32>,
    /// Log-probability of each token under the distribution that it was drawn from, in nats; empty where that is the
    /// unmodified one ([`SamplingSettings::is_unmodified`]), in the trajectories of earlier programs, and where the engine
    /// does not tell them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sampling_log_probabilities: Vec<f32>,
    /// The response as text, stop token left out.
    pub text: String,
    /// How the tokens were drawn.
    pub sampling: SamplingSettings,
    /// Seed of the draw: a hash of run seed, problem and attempt.
    pub seed: u64,
    /// Why generation ended.
    pub finish: FinishReason,
    /// Which policy drew which tokens, in order; more than one when weights changed mid-rollout.
    pub versions: Vec<VersionSpan>,
    /// Names the [`Provenance`](crate::Provenance): which engine drew it, after which kind of prompt. `None` in the
    /// trajectories of earlier programs, and in those that no engine drew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<ProvenanceId>,
}

impl Trajectory {
    /// The published policy that drew the first token: the oldest one in the trajectory. The base model's version
    /// where none drew it, which no trajectory of the pool is.
    pub fn policy_version(&self) -> PolicyVersion {
        self.versions.first().and_then(|span| span.policy.version()).unwrap_or_default()
    }

    /// Whether several policies drew its tokens: then it is of none of them, and neither is its perplexity.
    pub fn is_mixed(&self) -> bool {
        self.versions.windows(2).any(|spans| matches!(spans, [one, two] if one.policy != two.policy))
    }
}
