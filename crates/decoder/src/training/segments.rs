//! Where each sequence of a concatenated batch begins.

use std::ops::Range;

/// The starts of consecutive sequences; none is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segments {
    /// Starts, and the end of the last: one more than there are sequences.
    boundaries: Vec<usize>,
}

impl Segments {
    /// Sequences of these lengths, one after another; empty ones are left out.
    pub fn from_lengths(lengths: impl IntoIterator<Item = usize>) -> Self {
        let mut boundaries = vec![0];
        let mut end = 0;
        for length in lengths.into_iter().filter(|length| *length > 0) {
            end += length;
            boundaries.push(end);
        }
        Self { boundaries }
    }

    /// Sequences between these offsets (`cu_seqlens`): 0 first, the number of tokens last, never falling.
    pub fn from_offsets(offsets: &[usize]) -> Self {
        assert_eq!(offsets.first(), Some(&0), "the first segment starts at 0");
        assert!(offsets.is_sorted(), "segments follow one another");
        Self::from_lengths(offsets.windows(2).map(|pair| pair[1] - pair[0]))
    }

    /// How many sequences there are.
    pub fn count(&self) -> usize {
        self.boundaries.len() - 1
    }

    /// How many tokens they have together.
    pub fn token_count(&self) -> usize {
        self.boundaries.last().copied().unwrap_or_default()
    }

    /// The longest sequence, in tokens.
    pub fn longest(&self) -> usize {
        self.lengths().max().unwrap_or_default()
    }

    /// The lengths, in tokens.
    pub fn lengths(&self) -> impl Iterator<Item = usize> + '_ {
        self.ranges().map(|range| range.len())
    }

    /// The tokens of each sequence.
    pub fn ranges(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.boundaries.windows(2).map(|pair| pair[0]..pair[1])
    }

    /// The sequences `run`, as a batch of their own, and the tokens they take in this one.
    pub(crate) fn part(&self, run: Range<usize>) -> (Self, Range<usize>) {
        let tokens = self.boundaries[run.start]..self.boundaries[run.end];
        let boundaries = self.boundaries[run.start..=run.end].iter().map(|edge| edge - tokens.start);
        (Self { boundaries: boundaries.collect() }, tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_and_lengths_agree() {
        let segments = Segments::from_lengths([3, 0, 5, 1]);
        assert_eq!(segments, Segments::from_offsets(&[0, 3, 8, 8, 9]));
        assert_eq!((segments.count(), segments.token_count(), segments.longest()), (3, 9, 5));
        assert_eq!(segments.ranges().collect::<Vec<_>>(), vec![0..3, 3..8, 8..9]);
        assert_eq!(segments.part(1..3), (Segments::from_lengths([5, 1]), 3..9));
    }
}
