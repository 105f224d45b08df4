//! Which rollout holds which slot of the cache, and which tokens each slot's cache holds.
//!
//! A slot keeps the keys and values of its last prompt after its rollout has ended, so that another rollout
//! with the same beginning takes them over: in place, or by a copy.

use std::{cmp::Reverse, collections::VecDeque};

use crate::sequence::Sequence;

#[derive(Debug)]
pub(crate) struct Slots<K> {
    all: Vec<Slot<K>>,
    /// Free slots, longest free first.
    free: VecDeque<usize>,
    /// Held slots in the order of admission.
    held: Vec<usize>,
    /// A shared beginning shorter than this is run again.
    min_shared_tokens: usize,
}

#[derive(Debug)]
struct Slot<K> {
    sequence: Option<Sequence<K>>,
    /// Of a free slot: the tokens whose keys and values it still holds.
    resident: Vec<u32>,
}

/// A free slot that was found for a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FreeSlot {
    /// Index in the list of free slots.
    index: usize,
    slot: usize,
    /// Tokens of the rollout's beginning that it holds already.
    shared: usize,
}

/// Where a rollout's beginning is to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prefix {
    /// In its own slot, as far as there is any.
    Here,
    /// In another slot, this many tokens of it.
    Cached { slot: usize, tokens: usize },
    /// An earlier rollout is just running it: wait for that.
    Coming,
}

impl<K> Slots<K> {
    pub(crate) fn new(count: usize, min_shared_tokens: usize) -> Self {
        let slot = || Slot { sequence: None, resident: Vec::new() };
        Self {
            all: std::iter::repeat_with(slot).take(count).collect(),
            free: (0..count).collect(),
            held: Vec::with_capacity(count),
            min_shared_tokens: min_shared_tokens.max(1),
        }
    }

    /// Slots that are held, in the order of admission.
    pub(crate) fn held(&self) -> &[usize] {
        &self.held
    }

    pub(crate) fn sequence(&self, slot: usize) -> Option<&Sequence<K>> {
        self.all.get(slot)?.sequence.as_ref()
    }

    pub(crate) fn sequence_mut(&mut self, slot: usize) -> Option<&mut Sequence<K>> {
        self.all.get_mut(slot)?.sequence.as_mut()
    }

    pub(crate) fn sequences(&self) -> impl Iterator<Item = (usize, &Sequence<K>)> {
        self.held.iter().filter_map(|&slot| Some((slot, self.sequence(slot)?)))
    }

    /// The free slot for a rollout: one that holds its beginning already, or else the one free longest.
    pub(crate) fn find_free(&self, sequence: &Sequence<K>) -> Option<FreeSlot> {
        let free = self.free.iter().enumerate().map(|(index, &slot)| {
            let resident = self.all.get(slot).map_or(&[][..], |slot| &slot.resident);
            FreeSlot { index, slot, shared: self.shareable(resident, sequence.context()) }
        });
        free.max_by_key(|free| (free.shared, Reverse(free.index)))
    }

    /// Gives a rollout a slot.
    pub(crate) fn admit(&mut self, free: FreeSlot, mut sequence: Sequence<K>) {
        let Some(slot) = self.all.get_mut(free.slot) else { return };
        self.free.remove(free.index);
        self.held.push(free.slot);
        sequence.set_cached(free.shared);
        slot.resident.clear();
        slot.sequence = Some(sequence);
    }

    /// Takes the rollout out of its slot.
    pub(crate) fn release(&mut self, number: usize) -> Option<Sequence<K>> {
        let slot = self.all.get_mut(number)?;
        let sequence = slot.sequence.take()?;
        self.held.retain(|&held| held != number);
        self.free.push_back(number);
        Some(sequence)
    }

    /// Notes what a freed slot's cache still holds.
    pub(crate) fn keep_resident(&mut self, number: usize, tokens: Vec<u32>) {
        if let Some(slot) = self.all.get_mut(number) {
            slot.resident = tokens;
        }
    }

    /// Where the beginning of the rollout in `number` is to be had.
    pub(crate) fn find_prefix(&self, number: usize) -> Prefix {
        let Some(sequence) = self.sequence(number) else { return Prefix::Here };
        let wanted = sequence.context();
        let most = wanted.len() - 1;
        let (mut best, mut best_slot, mut coming) = (sequence.cached(), number, 0);
        for &other in &self.free {
            let resident = self.all.get(other).map_or(&[][..], |slot| &slot.resident);
            let tokens = self.shareable(resident, wanted);
            if tokens > best {
                (best, best_slot) = (tokens, other);
            }
        }
        let mut is_earlier = true;
        for &other in &self.held {
            if best == most || coming == most {
                break;
            }
            is_earlier &= other != number;
            let Some(slot) = self.all.get(other).filter(|_| other != number) else {
                continue;
            };
            let Some(sequence) = &slot.sequence else { continue };
            let common = self.shareable(sequence.context(), wanted);
            let tokens = common.min(sequence.cached());
            if tokens > best && tokens >= self.min_shared_tokens {
                (best, best_slot) = (tokens, other);
            }
            if is_earlier && common > tokens {
                coming = coming.max(common);
            }
        }
        if coming >= best + self.min_shared_tokens {
            Prefix::Coming
        } else if best_slot == number {
            Prefix::Here
        } else {
            Prefix::Cached { slot: best_slot, tokens: best }
        }
    }

    /// Every rollout's cache is to be filled again.
    pub(crate) fn forget_caches(&mut self) {
        for slot in &mut self.all {
            slot.resident.clear();
            if let Some(sequence) = &mut slot.sequence {
                sequence.forget_cache();
            }
        }
    }

    /// How many tokens of `wanted` may be taken over from a cache of `cached`: all but the last, whose
    /// logits are needed; 0 when it is not worth a copy.
    fn shareable(&self, cached: &[u32], wanted: &[u32]) -> usize {
        let most = wanted.len().saturating_sub(1);
        let common = cached.iter().zip(wanted).take_while(|(a, b)| a == b).count().min(most);
        if common >= self.min_shared_tokens { common } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_the_last_token_may_be_shared_and_short_beginnings_are_not() {
        let slots: Slots<u32> = Slots::new(1, 4);
        let long: Vec<u32> = (0..20).collect();
        assert_eq!(slots.shareable(&long, &long), 19);
        assert_eq!(slots.shareable(&long[..8], &long), 8);
        assert_eq!(slots.shareable(&long, &long[..8]), 7);
        assert_eq!(slots.shareable(&long[..3], &long), 0);
        assert_eq!(slots.shareable(&[1, 2], &[1, 2, 9]), 0);
        assert_eq!(slots.shareable(&[], &[]), 0);
    }
}
