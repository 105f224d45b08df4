//! One rollout asked for, and one rollout ended.

use std::sync::Arc;

use still_domain::{FinishReason, SamplingSettings, VersionSpan};
use thiserror::Error;

use crate::sampling::SettingsError;

/// One rollout asked for. `K` names it among those the engine holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Request<K> {
    /// Its name.
    pub id: K,
    /// The prompt. Requests with equal prompts share its prefill.
    pub prompt: Arc<[u32]>,
    /// How tokens are drawn, and how many at most (`max_new_tokens`).
    pub settings: SamplingSettings,
    /// Seed of the draw.
    pub seed: u64,
    /// Tokens that end the response; the token drawn is its last.
    pub stop_ids: Arc<[u32]>,
    /// Strings that end the response once its text holds one; the token that completes it is its last. The prompt's
    /// text is no part of it, as in vLLM; transformers counts a string that begins there.
    pub stop_strings: Arc<[String]>,
}

/// One rollout ended. `tokens`, both log-probabilities and the union of `versions` cover the same positions.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished<K> {
    /// The request's name.
    pub id: K,
    /// The response, its stop token included when one was drawn.
    pub tokens: Vec<u32>,
    /// Log-probability of each token under the unmodified distribution, in nats.
    pub log_probabilities: Vec<f32>,
    /// Log-probability of each token under the distribution it was drawn from, in nats.
    pub sampling_log_probabilities: Vec<f32>,
    /// Why it ended.
    pub finish: FinishReason,
    /// Which policy drew which tokens, in order.
    pub versions: Vec<VersionSpan>,
}

/// A request that was taken in but cannot be served; the others go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abandoned<K> {
    /// The request's name.
    pub id: K,
    /// What stood in the way.
    pub reason: String,
}

/// How far a rollout is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress<'a> {
    /// Tokens drawn so far.
    pub tokens: &'a [u32],
    /// Their log-probabilities under the unmodified distribution.
    pub log_probabilities: &'a [f32],
    /// Whether it holds a slot; otherwise it waits for one.
    pub is_active: bool,
}

/// Why a request is not taken in.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum SubmitError {
    /// A request of this name is waiting or active.
    #[error("a request of this name is under way already; finish or cancel it first")]
    Duplicate,
    /// There is no token to begin with.
    #[error("the prompt is empty; begin it with at least one token")]
    EmptyPrompt,
    /// No room for even one new token.
    #[error(
        "the prompt has {tokens} tokens, but a slot holds {capacity}; shorten it or raise the slot capacity"
    )]
    PromptTooLong {
        /// Tokens of the prompt.
        tokens: usize,
        /// Tokens of a slot.
        capacity: usize,
    },
    /// The prompt holds a token that the model has no embedding for.
    #[error(
        "the prompt holds token {token}, but the model knows {vocabulary_size}; use the model's own tokenizer"
    )]
    UnknownToken {
        /// The token.
        token: u32,
        /// Size of the model's vocabulary.
        vocabulary_size: usize,
    },
    /// Stop strings need to know the text of tokens.
    #[error("stop strings are asked for, but the engine was given no token text")]
    NoTokenText,
    /// A sampling setting is out of its range.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}
