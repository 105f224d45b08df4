//! Keys and values of past tokens, in panels, a fixed capacity for each slot.
//!
//! Grouped heads are stored once. Keys lie in panels of 32 positions and values in panels of 32 columns, so that scores
//! and weighted sums are the same kernel as every other product.

use super::pages::Pages;
use super::panels::{LINE, PANEL, padded};
use crate::DecoderConfig;

/// Keys and values of every layer, slot and head.
#[derive(Debug)]
pub struct KeyValueCache {
    layer_count: usize,
    head_count: usize,
    head_dim: usize,
    capacity_tokens: usize,
    padded_tokens: usize,
    lengths: Vec<usize>,
    /// `[layer][slot][head][position / 32][head_dim][32]`
    keys: Pages,
    /// `[layer][slot][head][head_dim / 32][position][32]`
    values: Pages,
}

impl KeyValueCache {
    /// Empty slots of `capacity_tokens` each.
    pub fn new(config: &DecoderConfig, slots: usize, capacity_tokens: usize) -> Self {
        let padded_tokens = padded(capacity_tokens);
        let regions = config.layer_count * slots * config.key_value_head_count * padded_tokens;
        Self {
            layer_count: config.layer_count,
            head_count: config.key_value_head_count,
            head_dim: config.head_dim,
            capacity_tokens,
            padded_tokens,
            lengths: vec![0; slots],
            keys: Pages::zeroed((regions * config.head_dim).div_ceil(LINE)),
            values: Pages::zeroed((regions * padded(config.head_dim)).div_ceil(LINE)),
        }
    }

    /// Bytes that a cache of this size takes.
    pub fn memory_bytes(config: &DecoderConfig, slots: usize, capacity_tokens: usize) -> usize {
        let regions = config.layer_count * slots * config.key_value_head_count * padded(capacity_tokens);
        regions * (config.head_dim + padded(config.head_dim)) * size_of::<f32>()
    }

    /// How many slots there are.
    pub fn slot_count(&self) -> usize {
        self.lengths.len()
    }

    /// Tokens that a slot can hold.
    pub fn capacity_tokens(&self) -> usize {
        self.capacity_tokens
    }

    /// Tokens that a slot holds.
    pub fn length(&self, slot: usize) -> usize {
        self.lengths[slot]
    }

    /// Forgets the tokens of a slot from position `length` on.
    pub fn truncate(&mut self, slot: usize, length: usize) {
        self.lengths[slot] = self.lengths[slot].min(length);
    }

    /// Makes the first `tokens` of `to_slot` those of `from_slot`.
    pub fn copy_prefix(&mut self, from_slot: usize, to_slot: usize, tokens: usize) {
        assert!(tokens <= self.lengths[from_slot], "a prefix that the slot holds");
        self.lengths[to_slot] = tokens;
        if from_slot == to_slot {
            return;
        }
        let (key_region, value_region) = (self.key_region(), self.value_region());
        let (head_dim, padded_tokens) = (self.head_dim, self.padded_tokens);
        for layer in 0..self.layer_count {
            for head in 0..self.head_count {
                let (from, to) = (self.region(layer, from_slot, head), self.region(layer, to_slot, head));
                let keys: &mut [f32] = self.keys.numbers_mut();
                let panels = padded(tokens) * head_dim;
                keys.copy_within(from * key_region..from * key_region + panels, to * key_region);
                let values: &mut [f32] = self.values.numbers_mut();
                for panel in 0..head_dim.div_ceil(PANEL) {
                    let offset = panel * padded_tokens * PANEL;
                    let start = from * value_region + offset;
                    values.copy_within(start..start + tokens * PANEL, to * value_region + offset);
                }
            }
        }
    }

    pub(super) fn set_length(&mut self, slot: usize, length: usize) {
        self.lengths[slot] = length;
    }

    /// Stores one token's key and value of one head.
    pub(super) fn write(
        &mut self,
        layer: usize,
        slot: usize,
        head: usize,
        position: usize,
        key: &[f32],
        value: &[f32],
    ) {
        let region = self.region(layer, slot, head);
        let start = region * self.key_region() + position / PANEL * PANEL * self.head_dim + position % PANEL;
        let keys: &mut [f32] = self.keys.numbers_mut();
        for (target, key) in keys[start..].iter_mut().step_by(PANEL).zip(key) {
            *target = *key;
        }
        let start = region * self.value_region() + position * PANEL;
        let values: &mut [f32] = self.values.numbers_mut();
        for (panel, value) in value.chunks(PANEL).enumerate() {
            let start = start + panel * self.padded_tokens * PANEL;
            values[start..start + value.len()].copy_from_slice(value);
        }
    }

    /// The key panels of one head, `[position / 32][head_dim][32]`.
    pub(super) fn keys(&self, layer: usize, slot: usize, head: usize) -> &[f32] {
        let (region, size) = (self.region(layer, slot, head), self.key_region());
        &self.keys.numbers()[region * size..(region + 1) * size]
    }

    /// The value panels of one head, `[head_dim / 32][position][32]`.
    pub(super) fn values(&self, layer: usize, slot: usize, head: usize) -> &[f32] {
        let (region, size) = (self.region(layer, slot, head), self.value_region());
        &self.values.numbers()[region * size..(region + 1) * size]
    }

    /// Distance of value panels.
    pub(super) fn value_panel_stride(&self) -> usize {
        self.padded_tokens * PANEL
    }

    fn region(&self, layer: usize, slot: usize, head: usize) -> usize {
        (layer * self.lengths.len() + slot) * self.head_count + head
    }

    fn key_region(&self) -> usize {
        self.padded_tokens * self.head_dim
    }

    fn value_region(&self) -> usize {
        self.padded_tokens * padded(self.head_dim)
    }
}
