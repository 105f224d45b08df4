//! Requests in, finished rollouts out.
//!
//! A step runs one token of every decoding sequence and, within a budget, a piece of the prompts that wait;
//! draws a token for every sequence whose context is complete; ends sequences and, at the next step, refills their
//! slots. Nothing blocks, nothing spawns (but for sampling on several threads), no clock is read.

mod config;
mod report;

use std::{
    collections::{HashSet, VecDeque},
    hash::Hash,
    sync::Arc,
};

use still_domain::{FinishReason, PolicyName};

use crate::{
    budget::Budget,
    request::{Abandoned, Finished, Progress, Request, SubmitError},
    sampling::{Draw, DrawRow, Sampler, SamplingError, draw_rows, validate},
    sequence::Sequence,
    slots::{Prefix, Slots},
    step_model::{Span, StepError, StepModel},
    stop::TokenText,
};

pub use config::EngineConfig;
pub use report::{EngineError, StepReport};

/// Steps without room for a sequence alone after which it is abandoned.
const MAX_STALLS: u32 = 60;

/// Many rollouts at once on one model. `K` names requests.
pub struct Engine<M: StepModel, K> {
    model: M,
    policy: PolicyName,
    config: EngineConfig,
    token_text: Option<Arc<dyn TokenText>>,
    names: HashSet<K>,
    queue: VecDeque<Sequence<K>>,
    slots: Slots<K>,
    budget: Budget,
    /// What the next report tells.
    ended: Vec<Finished<K>>,
    abandoned: Vec<Abandoned<K>>,
    plan: Vec<Planned>,
    logits: Vec<f32>,
    samplers: Vec<Sampler>,
    draws: Vec<Result<Draw, SamplingError>>,
}

/// What a sequence runs in a step.
#[derive(Debug, Clone, Copy)]
struct Planned {
    slot: usize,
    tokens: usize,
    wants_logits: bool,
}

impl<M: StepModel, K: Clone + Eq + Hash> Engine<M, K> {
    /// An engine on `model`, whose present weights are those of `policy`.
    pub fn new(model: M, policy: impl Into<PolicyName>, config: EngineConfig) -> Self {
        let slot_count = model.slot_count();
        Self {
            policy: policy.into(),
            config,
            token_text: None,
            names: HashSet::new(),
            queue: VecDeque::new(),
            slots: Slots::new(slot_count, config.min_shared_tokens),
            budget: Budget::new(config.max_sequences.min(slot_count), config.prefill_tokens_per_step),
            ended: Vec::new(),
            abandoned: Vec::new(),
            plan: Vec::with_capacity(slot_count),
            logits: Vec::new(),
            samplers: vec![Sampler::new(); config.sampling_threads.max(1)],
            draws: Vec::with_capacity(slot_count),
            model,
        }
    }

    /// Gives the engine the text of tokens, which stop strings need.
    #[must_use]
    pub fn with_token_text(mut self, token_text: Arc<dyn TokenText>) -> Self {
        self.token_text = Some(token_text);
        self
    }

    /// Takes a request in; it may wait for a slot.
    pub fn submit(&mut self, request: Request<K>) -> Result<(), SubmitError> {
        self.check(&request)?;
        self.names.insert(request.id.clone());
        let sequence = Sequence::new(
            request,
            self.model.slot_capacity_tokens(),
            self.model.vocabulary_size(),
            self.token_text.as_ref(),
        );
        if sequence.is_over_before_it_began() {
            self.ended.push(sequence.finish(FinishReason::Length).0);
        } else {
            self.queue.push_back(sequence);
        }
        Ok(())
    }

    /// Withdraws a request: the next step reports it as [`FinishReason::Cancelled`], with the tokens drawn
    /// so far. Whether it was there.
    pub fn cancel(&mut self, id: &K) -> bool {
        if let Some(index) = self.queue.iter().position(|sequence| sequence.id == *id) {
            let cancelled = self.queue.remove(index);
            self.ended.extend(cancelled.map(|sequence| sequence.finish(FinishReason::Cancelled).0));
            return true;
        }
        let found = self.slots.sequences().find(|(_, sequence)| sequence.id == *id).map(|(slot, _)| slot);
        found.and_then(|slot| self.end(slot, FinishReason::Cancelled)).is_some_and(|finished| {
            self.ended.push(finished);
            true
        })
    }

    /// Puts newer weights in force for every token drawn from now on. What running rows have cached is computed again:
    /// on keys and values of the weights before, the new ones would give a distribution that no policy has.
    pub fn publish(&mut self, policy: impl Into<PolicyName>, weights: M::Weights) -> Result<(), EngineError> {
        self.model.set_weights(weights)?;
        self.policy = policy.into();
        self.slots.forget_caches();
        Ok(())
    }

    /// Runs one step: at most one new token for every active sequence.
    pub fn step(&mut self) -> Result<StepReport<K>, EngineError> {
        let mut report = StepReport::default();
        self.admit();
        while !self.slots.held().is_empty() {
            self.share_prefixes(&mut report)?;
            self.make_plan();
            match self.run_plan() {
                Ok(()) => {
                    self.budget.step_went_well();
                    self.take_tokens(&mut report)?;
                    break;
                }
                Err(EngineError::Model(StepError::OutOfMemory(reason))) => {
                    self.give_way(&reason, &mut report);
                    if report.is_stalled {
                        break;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        report.finished.append(&mut self.ended);
        report.abandoned.append(&mut self.abandoned);
        for id in
            report.finished.iter().map(|ended| &ended.id).chain(report.abandoned.iter().map(|lost| &lost.id))
        {
            self.names.remove(id);
        }
        report.active = self.slots.held().len();
        report.waiting = self.queue.len();
        Ok(report)
    }

    /// Requests that could be taken in and hold a slot at the next step.
    pub fn free_slots(&self) -> usize {
        self.budget.sequences().saturating_sub(self.slots.held().len() + self.queue.len())
    }

    /// Whether nothing is active, waiting or still to be reported.
    pub fn is_idle(&self) -> bool {
        self.names.is_empty()
    }

    /// How far a rollout is; `None` if it is not here.
    pub fn progress(&self, id: &K) -> Option<Progress<'_>> {
        let active = self.slots.sequences().map(|(_, sequence)| (sequence, true));
        let waiting = self.queue.iter().map(|sequence| (sequence, false));
        active
            .chain(waiting)
            .find(|(sequence, _)| sequence.id == *id)
            .map(|(sequence, is_active)| sequence.progress(is_active))
    }

    /// The policy whose weights are in force.
    pub const fn policy(&self) -> PolicyName {
        self.policy
    }

    /// The model.
    pub const fn model(&self) -> &M {
        &self.model
    }

    fn check(&self, request: &Request<K>) -> Result<(), SubmitError> {
        validate(&request.settings)?;
        let capacity = self.model.slot_capacity_tokens();
        let vocabulary_size = self.model.vocabulary_size();
        if self.names.contains(&request.id) {
            return Err(SubmitError::Duplicate);
        }
        if request.prompt.is_empty() {
            return Err(SubmitError::EmptyPrompt);
        }
        if request.prompt.len() >= capacity {
            return Err(SubmitError::PromptTooLong { tokens: request.prompt.len(), capacity });
        }
        if let Some(&token) = request.prompt.iter().find(|&&token| token as usize >= vocabulary_size) {
            return Err(SubmitError::UnknownToken { token, vocabulary_size });
        }
        if !request.stop_strings.is_empty() && self.token_text.is_none() {
            return Err(SubmitError::NoTokenText);
        }
        Ok(())
    }

    /// Gives waiting rollouts their slots, first come first served, as far as the budget, slots and cache positions go.
    fn admit(&mut self) {
        let mut needed: usize = self.slots.sequences().map(|(_, sequence)| sequence.max_tokens()).sum();
        while self.slots.held().len() < self.budget.sequences() {
            let Some(next) = self.queue.front() else { return };
            needed = needed.saturating_add(next.max_tokens());
            if needed > self.config.cache_tokens && !self.slots.held().is_empty() {
                return;
            }
            let Some(free) = self.slots.find_free(next) else { return };
            let Some(next) = self.queue.pop_front() else { return };
            self.slots.admit(free, next);
        }
    }

    /// Lets sequences that have not started take their beginning over from another slot's cache.
    fn share_prefixes(&mut self, report: &mut StepReport<K>) -> Result<(), EngineError> {
        for index in 0..self.slots.held().len() {
            let Some(&slot) = self.slots.held().get(index) else { break };
            if self.slots.sequence(slot).is_none_or(|sequence| sequence.has_started) {
                continue;
            }
            let copied = match self.slots.find_prefix(slot) {
                Prefix::Coming => continue,
                Prefix::Here => None,
                Prefix::Cached { slot: from, tokens } => match self.model.copy_prefix(from, slot, tokens) {
                    Ok(()) => Some(tokens),
                    // what was cached here before may be gone by half
                    Err(StepError::OutOfMemory(_)) => Some(0),
                    Err(error) => return Err(error.into()),
                },
            };
            if let Some(sequence) = self.slots.sequence_mut(slot) {
                if let Some(tokens) = copied {
                    sequence.set_cached(tokens);
                }
                sequence.has_started = true;
                report.shared_tokens += sequence.cached();
            }
        }
        Ok(())
    }

    /// Every decoding sequence runs its token; those with more to run get pieces of the prefill budget, the
    /// longest admitted first.
    fn make_plan(&mut self) {
        self.plan.clear();
        let mut prefill = self.budget.prefill_tokens();
        for (slot, sequence) in self.slots.sequences() {
            let pending = sequence.pending_tokens().len();
            let tokens = if pending == 1 { 1 } else { pending.min(prefill) };
            if tokens == 0 || !sequence.has_started {
                continue;
            }
            if pending > 1 {
                prefill -= tokens;
            }
            self.plan.push(Planned { slot, tokens, wants_logits: tokens == pending });
        }
    }

    fn run_plan(&mut self) -> Result<(), EngineError> {
        let slots = &self.slots;
        let spans: Vec<Span<'_>> = self
            .plan
            .iter()
            .filter_map(|planned| {
                let sequence = slots.sequence(planned.slot)?;
                let tokens = sequence.pending_tokens().get(..planned.tokens)?;
                Some(Span {
                    slot: planned.slot,
                    start: sequence.cached(),
                    tokens,
                    wants_logits: planned.wants_logits,
                })
            })
            .collect();
        self.model.step(&spans, &mut self.logits)?;
        let expected = spans.iter().filter(|span| span.wants_logits).count() * self.model.vocabulary_size();
        if self.logits.len() != expected {
            return Err(EngineError::WrongLogits { given: self.logits.len(), expected });
        }
        Ok(())
    }

    /// Draws a token for every sequence whose logits are there.
    fn take_tokens(&mut self, report: &mut StepReport<K>) -> Result<(), StepError> {
        for planned in &self.plan {
            let Some(sequence) = self.slots.sequence_mut(planned.slot) else { continue };
            if planned.tokens > 1 || !planned.wants_logits {
                report.prefill_tokens += planned.tokens;
            }
            sequence.advance(planned.tokens);
        }
        self.draw_all();
        let drawn = std::mem::take(&mut self.draws);
        let plan = std::mem::take(&mut self.plan);
        let mut broken = Vec::new();
        for (planned, draw) in plan.iter().filter(|planned| planned.wants_logits).zip(&drawn) {
            let Some(sequence) = self.slots.sequence_mut(planned.slot) else { continue };
            match draw {
                Ok(draw) => {
                    report.tokens += 1;
                    if let Some(reason) = sequence.push(*draw, self.policy) {
                        let ended = self.end(planned.slot, reason);
                        self.ended.extend(ended);
                    }
                }
                Err(error) => {
                    self.abandon(planned.slot, error.to_string());
                    broken.push(planned.slot);
                }
            }
        }
        self.draws = drawn;
        self.plan = plan;
        broken.into_iter().try_for_each(|slot| self.model.clear(slot))
    }

    /// Fills `draws`, one for each planned sequence that wants logits, in order.
    fn draw_all(&mut self) {
        let vocabulary_size = self.model.vocabulary_size();
        let rows: Vec<_> = self
            .plan
            .iter()
            .filter(|planned| planned.wants_logits)
            .filter_map(|planned| self.slots.sequence(planned.slot))
            .zip(self.logits.chunks_exact_mut(vocabulary_size.max(1)))
            .map(|(sequence, logits)| DrawRow {
                logits,
                settings: &sequence.settings,
                seen: sequence.seen(),
                seed: sequence.seed,
                index: sequence.length() as u64,
            })
            .collect();
        draw_rows(&mut self.samplers, rows, &mut self.draws);
    }

    fn end(&mut self, slot: usize, reason: FinishReason) -> Option<Finished<K>> {
        let (finished, resident) = self.slots.release(slot)?.finish(reason);
        self.slots.keep_resident(slot, resident);
        Some(finished)
    }

    fn abandon(&mut self, slot: usize, reason: String) {
        let sequence = self.slots.release(slot);
        self.abandoned.extend(sequence.map(|sequence| Abandoned { id: sequence.id, reason }));
    }

    /// Memory ran out: shrinks the budget and puts the sequences that came last back into the queue. Where nothing smaller
    /// is left, the step is over; one that does not fit alone for many steps is abandoned.
    fn give_way(&mut self, reason: &str, report: &mut StepReport<K>) {
        let sequences = self.plan.len();
        let prefill = self.plan.iter().map(|planned| planned.tokens).filter(|&tokens| tokens > 1).sum();
        if !self.budget.lower(sequences, prefill)
            && let Some(slot) = self.plan.first().map(|planned| planned.slot)
        {
            report.is_stalled = true;
            if self.slots.sequence_mut(slot).is_some_and(|sequence| sequence.stall() >= MAX_STALLS) {
                self.abandon(slot, format!("it does not fit the device's memory even alone: {reason}"));
            }
        }
        while self.slots.held().len() > self.budget.sequences() {
            let Some(&slot) = self.slots.held().last() else { break };
            let Some(mut sequence) = self.slots.release(slot) else { break };
            sequence.forget_cache();
            self.queue.push_front(sequence);
            report.put_back += 1;
        }
    }
}
