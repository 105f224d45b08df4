//! Sequences laid end to end, with the tokens whose log-probabilities are wanted.

use still_decoder::Segments;
use thiserror::Error;

/// Sequences laid end to end. Attention stays inside a sequence and positions restart with each, so a batch
/// needs no padding and a sequence's numbers do not depend on its neighbours.
#[derive(Debug, Clone)]
pub struct TokenBatch {
    /// What the decoder reads, `[tokens]`.
    pub tokens: Vec<u32>,
    /// Where sequences begin.
    pub segments: Segments,
    /// The rows of `tokens` whose next token is a target, ascending.
    pub rows: Vec<usize>,
    /// The token that follows each of `rows`.
    pub targets: Vec<u32>,
    /// How many targets each sequence has, in order.
    pub target_counts: Vec<usize>,
}

/// Why sequences make no batch.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BatchError {
    /// There is nothing to predict.
    #[error("the batch has no target token")]
    NoTargets,
    /// A token is beyond the vocabulary.
    #[error("token {token} is beyond the vocabulary of {vocabulary_size}: use the model's own tokenizer")]
    UnknownToken {
        /// The token.
        token: u32,
        /// Size of the vocabulary.
        vocabulary_size: usize,
    },
}

impl TokenBatch {
    /// Lays sequences end to end. Of each, the whole tokens and which of them are targets; the first token
    /// of a sequence follows nothing and cannot be one. The last token is only a target, never read.
    ///
    /// # Errors
    /// When nothing is a target, or a token is beyond the vocabulary.
    pub fn new<'a>(
        sequences: impl IntoIterator<Item = (&'a [u32], std::ops::Range<usize>)>,
        vocabulary_size: usize,
    ) -> Result<Self, BatchError> {
        let (mut tokens, mut rows, mut targets) = (Vec::new(), Vec::new(), Vec::new());
        let (mut lengths, mut target_counts) = (Vec::new(), Vec::new());
        for (sequence, span) in sequences {
            if let Some(&token) = sequence.iter().find(|token| **token as usize >= vocabulary_size) {
                return Err(BatchError::UnknownToken { token, vocabulary_size });
            }
            let read = sequence.get(..sequence.len().saturating_sub(1)).unwrap_or_default();
            let first = span.start.max(1);
            let wanted = sequence.get(first..span.end.min(sequence.len())).unwrap_or_default();
            target_counts.push(wanted.len());
            if read.is_empty() {
                continue;
            }
            let start = tokens.len();
            rows.extend((0..wanted.len()).map(|index| start + first - 1 + index));
            targets.extend_from_slice(wanted);
            tokens.extend_from_slice(read);
            lengths.push(read.len());
        }
        if targets.is_empty() {
            return Err(BatchError::NoTargets);
        }
        Ok(Self { tokens, segments: Segments::from_lengths(lengths), rows, targets, target_counts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_follow_their_rows_across_sequences() {
        let (one, two) = ([5, 6, 7, 8], [9, 4, 3]);
        let batch = TokenBatch::new([(&one[..], 2..4), (&two[..], 0..3)], 10).unwrap();
        assert_eq!(batch.tokens, [5, 6, 7, 9, 4]);
        assert_eq!(batch.rows, [1, 2, 3, 4]);
        assert_eq!(batch.targets, [7, 8, 4, 3]);
        assert_eq!(batch.target_counts, [2, 2]);
        assert_eq!(batch.segments.lengths().collect::<Vec<_>>(), [3, 2]);
    }

    #[test]
    fn nothing_to_predict_and_unknown_tokens_are_refused() {
        assert_eq!(TokenBatch::new([(&[1][..], 0..1)], 10).unwrap_err(), BatchError::NoTargets);
        let error = TokenBatch::new([(&[1, 10][..], 0..2)], 10).unwrap_err();
        assert!(matches!(error, BatchError::UnknownToken { token: 10, .. }));
    }
}
