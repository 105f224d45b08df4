//! The rows of a step: spans in groups of equal padded length, so that a group's attention is one product.
//!
//! A group is a block of `lanes x tokens_per_lane` rows. Decoding spans, of one token, make one group, whose
//! lanes are all slots in order where that costs no more than copying the slots in question together. Pure
//! arithmetic: no tensor is touched here.

use std::collections::BTreeMap;

use still_rollout::{Span, StepError};

use crate::memory::EXTENT_STEP;

/// Spans up to this length are padded to a power of two and share groups; longer ones to a multiple of it,
/// a group each.
const SHORT_SPAN_TOKENS: usize = 64;
/// Copying a slot's keys and values together costs a read, a write and a read instead of one read.
const COPY_COST: usize = 3;

/// The slots of a group's lanes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lanes {
    /// Lane `i` is slot `i`; lanes without a span run a token that nobody reads.
    Every,
    /// These slots; a padding lane repeats one.
    Some(Vec<usize>),
}

/// Spans of equal padded length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) lanes: Lanes,
    /// Cached positions that each lane sees.
    pub(super) starts: Vec<usize>,
    pub(super) tokens_per_lane: usize,
    /// Its first row in the step.
    pub(super) first_row: usize,
    /// Cached positions that attention reads, a multiple of [`EXTENT_STEP`].
    pub(super) extent: usize,
}

/// The rows of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StepLayout {
    pub(super) groups: Vec<Group>,
    /// Of every row; padding runs token 0.
    pub(super) tokens: Vec<u32>,
    /// Of every row.
    pub(super) positions: Vec<usize>,
    /// Where each row's key and value go; nowhere for padding.
    pub(super) targets: Vec<Option<CachePosition>>,
    /// The rows whose logits are wanted, in the order of the spans.
    pub(super) wanted_rows: Vec<usize>,
}

/// Where a token is in the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CachePosition {
    pub(super) slot: usize,
    pub(super) position: usize,
}

impl Group {
    pub(super) const fn lane_count(&self) -> usize {
        self.starts.len()
    }

    pub(super) const fn row_count(&self) -> usize {
        self.lane_count() * self.tokens_per_lane
    }
}

impl StepLayout {
    /// Lays the spans of a step out for a cache whose slots hold `lengths` tokens and have room for
    /// `capacity_tokens`.
    ///
    /// # Errors
    /// When a span names a slot that is not there, is empty, leaves a gap or exceeds the capacity.
    pub(super) fn new(
        spans: &[Span<'_>],
        lengths: &[usize],
        capacity_tokens: usize,
    ) -> Result<Self, StepError> {
        for span in spans {
            check(span, lengths, capacity_tokens).map_err(StepError::Device)?;
        }
        let mut by_length: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (index, span) in spans.iter().enumerate() {
            by_length.entry(padded_length(span.tokens.len())).or_default().push(index);
        }
        let mut layout = Self {
            groups: Vec::new(),
            tokens: Vec::new(),
            positions: Vec::new(),
            targets: Vec::new(),
            wanted_rows: Vec::new(),
        };
        let mut last_rows = vec![0; spans.len()];
        for (length, members) in by_length {
            let groups =
                if length > SHORT_SPAN_TOKENS { members.chunks(1) } else { members.chunks(spans.len()) };
            for members in groups {
                layout.add_group(spans, members, length, lengths.len(), &mut last_rows);
            }
        }
        let wanted = spans.iter().zip(last_rows).filter(|(span, _)| span.wants_logits);
        layout.wanted_rows = wanted.map(|(_, row)| row).collect();
        Ok(layout)
    }

    pub(super) const fn row_count(&self) -> usize {
        self.tokens.len()
    }

    /// Adds the spans `members` as one group.
    fn add_group(
        &mut self,
        spans: &[Span<'_>],
        members: &[usize],
        tokens_per_lane: usize,
        slot_count: usize,
        last_rows: &mut [usize],
    ) {
        let padded = members.len().next_power_of_two();
        let every = tokens_per_lane == 1 && COPY_COST * padded >= slot_count;
        let lane_count = if every { slot_count } else { padded };
        let first_row = self.row_count();
        let row_count = lane_count * tokens_per_lane;
        self.tokens.resize(first_row + row_count, 0);
        self.positions.resize(first_row + row_count, 0);
        self.targets.resize(first_row + row_count, None);
        let mut starts = vec![0; lane_count];
        let mut slots = vec![0; lane_count];
        for (index, &member) in members.iter().enumerate() {
            let Some(span) = spans.get(member) else { continue };
            let lane = if every { span.slot } else { index };
            let row = first_row + lane * tokens_per_lane;
            for (offset, &token) in span.tokens.iter().enumerate() {
                let position = span.start + offset;
                self.tokens[row + offset] = token;
                self.positions[row + offset] = position;
                self.targets[row + offset] = Some(CachePosition { slot: span.slot, position });
            }
            starts[lane] = span.start;
            slots[lane] = span.slot;
            last_rows[member] = row + span.tokens.len() - 1;
        }
        let seen = starts.iter().max().copied().unwrap_or_default();
        let lanes = if every { Lanes::Every } else { Lanes::Some(slots) };
        let extent = seen.next_multiple_of(EXTENT_STEP);
        self.groups.push(Group { lanes, starts, tokens_per_lane, first_row, extent });
    }
}

/// The length that a span is padded to.
const fn padded_length(tokens: usize) -> usize {
    if tokens <= SHORT_SPAN_TOKENS {
        tokens.next_power_of_two()
    } else {
        tokens.next_multiple_of(SHORT_SPAN_TOKENS)
    }
}

fn check(span: &Span<'_>, lengths: &[usize], capacity_tokens: usize) -> Result<(), String> {
    let slot = span.slot;
    let Some(&length) = lengths.get(slot) else {
        return Err(format!("slot {slot} is not among the cache's {}", lengths.len()));
    };
    if span.tokens.is_empty() {
        return Err(format!("a span of slot {slot} has no tokens"));
    }
    if span.start > length {
        return Err(format!("slot {slot} holds {length} tokens, a span begins at {}", span.start));
    }
    if span.start + span.tokens.len() > capacity_tokens {
        return Err(format!("slot {slot} has room for {capacity_tokens} tokens only"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn span(slot: usize, start: usize, tokens: &[u32]) -> Span<'_> {
        Span { slot, start, tokens, wants_logits: true }
    }

    #[test]
    fn decoding_rows_take_every_slot_or_copies_of_a_few() {
        let lengths = [300; 16];
        let layout = StepLayout::new(&[span(5, 300, &[7]), span(2, 100, &[8])], &lengths, 512).unwrap();
        let group = &layout.groups[0];
        assert_eq!((&group.lanes, group.extent), (&Lanes::Some(vec![5, 2]), 512));
        assert_eq!(layout.wanted_rows, [0, 1]);

        let spans: Vec<_> = (0..6).map(|slot| span(2 * slot, 10, &[9])).collect();
        let layout = StepLayout::new(&spans, &lengths, 512).unwrap();
        let group = &layout.groups[0];
        assert_eq!((&group.lanes, group.lane_count(), group.extent), (&Lanes::Every, 16, 256));
        assert_eq!(layout.wanted_rows, [0, 2, 4, 6, 8, 10]);
        assert_eq!(layout.targets.iter().flatten().count(), 6);
    }

    #[test]
    fn what_does_not_fit_the_cache_is_an_error() {
        for (wrong, word) in [
            (span(4, 0, &[1]), "not among"),
            (span(0, 0, &[]), "no tokens"),
            (span(0, 4, &[1]), "begins at 4"),
            (span(0, 3, &[1; 6]), "room for 8"),
        ] {
            let error = StepLayout::new(&[wrong], &[3, 3], 8).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    proptest! {
        #[test]
        fn every_token_has_one_row_and_shapes_are_few(
            lengths in prop::collection::vec((0_usize..400, 1_usize..300), 1..12),
            wanted in any::<u16>(),
        ) {
            let tokens: Vec<u32> = (0..300).collect();
            let spans: Vec<_> = lengths
                .iter()
                .enumerate()
                .map(|(slot, &(start, count))| Span {
                    slot,
                    start,
                    tokens: &tokens[..if slot % 2 == 0 { 1 } else { count }],
                    wants_logits: wanted >> slot & 1 == 1,
                })
                .collect();
            let held: Vec<_> = lengths.iter().map(|(start, _)| *start).collect();
            let layout = StepLayout::new(&spans, &held, 1000).unwrap();
            let total: usize = spans.iter().map(|span| span.tokens.len()).sum();
            prop_assert_eq!(layout.targets.iter().flatten().count(), total);
            prop_assert_eq!(layout.row_count(), layout.groups.iter().map(Group::row_count).sum::<usize>());
            let wanting: Vec<_> = spans.iter().filter(|span| span.wants_logits).collect();
            prop_assert_eq!(layout.wanted_rows.len(), wanting.len());
            for (&row, span) in layout.wanted_rows.iter().zip(wanting) {
                let last = span.start + span.tokens.len() - 1;
                prop_assert_eq!(layout.targets[row], Some(CachePosition { slot: span.slot, position: last }));
                prop_assert_eq!(layout.tokens[row], *span.tokens.last().unwrap());
            }
            for group in &layout.groups {
                let length = group.tokens_per_lane;
                prop_assert!(length.is_power_of_two() || length % SHORT_SPAN_TOKENS == 0);
                prop_assert!(group.lanes == Lanes::Every || group.lane_count().is_power_of_two());
                prop_assert!(group.extent % EXTENT_STEP == 0);
                prop_assert!(group.starts.iter().all(|start| *start <= group.extent));
            }
        }
    }
}
