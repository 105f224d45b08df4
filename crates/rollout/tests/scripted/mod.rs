//! A model whose logits are a hash of the row's tokens and of the weights that cached them: any mistake in
//! positions, slots or shared prefixes gives other tokens. It checks its contract as it goes.

use std::collections::HashSet;

use still_rollout::{Span, StepError, StepModel};

pub(crate) struct ScriptedModel {
    vocabulary_size: usize,
    capacity: usize,
    /// For each slot, the hash of its tokens up to each position.
    slots: Vec<Vec<u64>>,
    weights: u64,
    /// Tokens in one step above which memory runs out.
    pub max_tokens_per_step: usize,
    /// Steps taken, in tokens for each span.
    pub steps: Vec<Vec<usize>>,
    /// Logits are NaN for rows that end with this token.
    pub poison: Option<u32>,
    /// The next step fails.
    pub fails_next: bool,
    /// Slots that were cleared.
    pub cleared: Vec<usize>,
    /// The next steps that run out of memory whatever their size.
    pub starved_steps: usize,
    /// The next clearing fails.
    pub fails_to_clear: bool,
}

impl ScriptedModel {
    pub(crate) fn new(vocabulary_size: usize, slots: usize, capacity: usize) -> Self {
        Self {
            vocabulary_size,
            capacity,
            slots: vec![Vec::new(); slots],
            weights: 0,
            max_tokens_per_step: usize::MAX,
            steps: Vec::new(),
            poison: None,
            fails_next: false,
            cleared: Vec::new(),
            starved_steps: 0,
            fails_to_clear: false,
        }
    }
}

impl StepModel for ScriptedModel {
    type Weights = u64;

    fn vocabulary_size(&self) -> usize {
        self.vocabulary_size
    }

    fn slot_count(&self) -> usize {
        self.slots.len()
    }

    fn slot_capacity_tokens(&self) -> usize {
        self.capacity
    }

    fn step(&mut self, spans: &[Span<'_>], logits: &mut Vec<f32>) -> Result<(), StepError> {
        assert!(!spans.is_empty());
        if std::mem::take(&mut self.fails_next) {
            return Err(StepError::Device("unplugged".to_owned()));
        }
        if spans.iter().map(|span| span.tokens.len()).sum::<usize>() > self.max_tokens_per_step {
            return Err(StepError::OutOfMemory("scripted".to_owned()));
        }
        if self.starved_steps > 0 {
            self.starved_steps -= 1;
            return Err(StepError::OutOfMemory("scripted".to_owned()));
        }
        let mut used = HashSet::new();
        logits.clear();
        for span in spans {
            assert!(used.insert(span.slot), "slot {} has two spans", span.slot);
            assert!(!span.tokens.is_empty());
            assert!(span.start + span.tokens.len() <= self.capacity, "beyond the slot");
            let slot = &mut self.slots[span.slot];
            assert!(span.start <= slot.len(), "positions {}..{} were never run", slot.len(), span.start);
            slot.truncate(span.start);
            for &token in span.tokens {
                assert!((token as usize) < self.vocabulary_size);
                let before = slot.last().copied().unwrap_or(0);
                slot.push(hash(before, u64::from(token) + 1, self.weights));
            }
            if span.wants_logits {
                let state = slot.last().copied().unwrap();
                let poisoned = self.poison.is_some() && span.tokens.last().copied() == self.poison;
                logits.extend((0..self.vocabulary_size as u64).map(|token| {
                    let bits = hash(state, token, self.weights) >> 40;
                    if poisoned { f32::NAN } else { bits as f32 / (1 << 22) as f32 }
                }));
            }
        }
        self.steps.push(spans.iter().map(|span| span.tokens.len()).collect());
        Ok(())
    }

    fn copy_prefix(&mut self, from: usize, to: usize, tokens: usize) -> Result<(), StepError> {
        assert!(from != to && tokens > 0);
        let prefix = self.slots[from][..tokens].to_vec();
        self.slots[to] = prefix;
        Ok(())
    }

    fn clear(&mut self, slot: usize) -> Result<(), StepError> {
        if std::mem::take(&mut self.fails_to_clear) {
            return Err(StepError::Device("unplugged".to_owned()));
        }
        self.slots[slot].clear();
        self.cleared.push(slot);
        Ok(())
    }

    fn set_weights(&mut self, weights: u64) -> Result<(), StepError> {
        self.weights = weights;
        Ok(())
    }
}

fn hash(a: u64, b: u64, c: u64) -> u64 {
    let mut value = a.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ b.wrapping_add(0x632b_e59b_d9b4_e019).rotate_left(31)
        ^ c.wrapping_mul(0xd6e8_feb8_6659_fd93);
    for _ in 0..2 {
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^= value >> 31;
    }
    value
}
