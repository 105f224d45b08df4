//! One rollout under way: its context, what has been drawn, how much of it the cache holds.
//!
//! Invariant: `cached < context.len()`; the tokens from `cached` on are still to be run, and the logits
//! after the last of them give the next token.

use std::sync::Arc;

use still_domain::{FinishReason, PolicyName, SamplingSettings, VersionSpan};

use crate::{
    penalty::SeenTokens,
    request::{Finished, Progress, Request},
    sampling::{Draw, penalises},
    stop::{StopStrings, TokenText},
};

/// Room for new tokens that is reserved at once.
const FIRST_RESERVE_TOKENS: usize = 256;

#[derive(Debug, Clone)]
pub(crate) struct Sequence<K> {
    pub(crate) id: K,
    pub(crate) settings: SamplingSettings,
    pub(crate) seed: u64,
    stop_ids: Arc<[u32]>,
    stop_strings: Option<StopStrings>,
    seen: Option<SeenTokens>,
    /// Prompt and response.
    context: Vec<u32>,
    prompt_length: usize,
    /// The longest response: what was asked for, cut to what a slot holds.
    limit: usize,
    log_probabilities: Vec<f32>,
    sampling_log_probabilities: Vec<f32>,
    versions: Vec<VersionSpan>,
    cached: usize,
    /// Steps in a row for which there was no room.
    stalls: u32,
    /// Whether it has looked for a prefix to share and begun to run.
    pub(crate) has_started: bool,
}

impl<K> Sequence<K> {
    /// `request` was checked: its prompt has `1..capacity` tokens.
    pub(crate) fn new(
        request: Request<K>,
        capacity: usize,
        vocabulary_size: usize,
        token_text: Option<&Arc<dyn TokenText>>,
    ) -> Self {
        let prompt_length = request.prompt.len();
        let limit = (request.settings.max_new_tokens as usize).min(capacity.saturating_sub(prompt_length));
        let mut context = Vec::with_capacity(prompt_length + limit.min(FIRST_RESERVE_TOKENS));
        context.extend_from_slice(&request.prompt);
        let penalised = penalises(&request.settings);
        let stop_strings = token_text
            .filter(|_| !request.stop_strings.is_empty())
            .map(|text| StopStrings::new(Arc::clone(text), Arc::clone(&request.stop_strings)));
        Self {
            id: request.id,
            settings: request.settings,
            seed: request.seed,
            stop_ids: request.stop_ids,
            stop_strings,
            seen: penalised.then(|| SeenTokens::new(vocabulary_size, &context)),
            context,
            prompt_length,
            limit,
            log_probabilities: Vec::with_capacity(limit.min(FIRST_RESERVE_TOKENS)),
            sampling_log_probabilities: Vec::with_capacity(limit.min(FIRST_RESERVE_TOKENS)),
            versions: Vec::with_capacity(1),
            cached: 0,
            stalls: 0,
            has_started: false,
        }
    }

    /// Whether no token may be drawn at all.
    pub(crate) const fn is_over_before_it_began(&self) -> bool {
        self.limit == 0
    }

    /// Most positions that it will ever take in the cache.
    pub(crate) const fn max_tokens(&self) -> usize {
        self.prompt_length + self.limit
    }

    /// Tokens drawn so far.
    pub(crate) fn length(&self) -> usize {
        self.log_probabilities.len()
    }

    /// The tokens that are still to be run.
    pub(crate) fn pending_tokens(&self) -> &[u32] {
        self.context.get(self.cached..).unwrap_or(&[])
    }

    /// Prompt and response.
    pub(crate) fn context(&self) -> &[u32] {
        &self.context
    }

    /// How many tokens' keys and values are in the cache.
    pub(crate) const fn cached(&self) -> usize {
        self.cached
    }

    pub(crate) const fn seen(&self) -> Option<&SeenTokens> {
        self.seen.as_ref()
    }

    /// `tokens` more are in the cache.
    pub(crate) const fn advance(&mut self, tokens: usize) {
        self.cached += tokens;
        self.stalls = 0;
    }

    /// There was no room for it alone; how many times in a row by now.
    pub(crate) const fn stall(&mut self) -> u32 {
        self.stalls += 1;
        self.stalls
    }

    /// The first `tokens` are in the cache.
    pub(crate) const fn set_cached(&mut self, tokens: usize) {
        self.cached = tokens;
    }

    /// Forgets the cache: everything is to be run again.
    pub(crate) const fn forget_cache(&mut self) {
        self.cached = 0;
        self.has_started = false;
    }

    /// Takes a drawn token; why it was the last, if it was.
    pub(crate) fn push(&mut self, draw: Draw, policy: PolicyName) -> Option<FinishReason> {
        let position = self.length() as u32;
        self.context.push(draw.token);
        self.log_probabilities.push(draw.log_probability);
        self.sampling_log_probabilities.push(draw.sampling_log_probability);
        match self.versions.last_mut() {
            Some(span) if span.policy == policy => span.end = position + 1,
            _ => self.versions.push(VersionSpan { policy, start: position, end: position + 1 }),
        }
        if let Some(seen) = &mut self.seen {
            seen.insert(draw.token);
        }
        let completes_string = self.stop_strings.as_mut().is_some_and(|stop| stop.push(draw.token));
        if self.stop_ids.contains(&draw.token) {
            Some(FinishReason::Stop)
        } else if completes_string {
            Some(FinishReason::StopString)
        } else if self.length() >= self.limit {
            Some(FinishReason::Length)
        } else {
            None
        }
    }

    pub(crate) fn progress(&self, is_active: bool) -> Progress<'_> {
        Progress {
            tokens: self.context.get(self.prompt_length..).unwrap_or(&[]),
            log_probabilities: &self.log_probabilities,
            is_active,
        }
    }

    /// Ends it; the second part is the beginning of the prompt that the cache holds.
    pub(crate) fn finish(mut self, finish: FinishReason) -> (Finished<K>, Vec<u32>) {
        let tokens = self.context.split_off(self.prompt_length);
        self.context.truncate(self.cached);
        let finished = Finished {
            id: self.id,
            tokens,
            log_probabilities: self.log_probabilities,
            sampling_log_probabilities: self.sampling_log_probabilities,
            finish,
            versions: self.versions,
        };
        (finished, self.context)
    }
}
