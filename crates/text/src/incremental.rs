//! Token ids to text as they come.
//!
//! Invariant: what [`IncrementalDecoder::push`] and [`IncrementalDecoder::finish`] give, joined, equals the
//! decoding of all ids at once; no piece ends inside a character.

use crate::{error::TokenizerError, tokenizer::Tokenizer};

const REPLACEMENT: char = '\u{fffd}';

/// Token ids to text as they come.
#[derive(Debug, Clone)]
pub struct IncrementalDecoder {
    tokenizer: Tokenizer,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    /// Bytes of a character that is not complete yet.
    Bytes(Vec<u8>),
    /// All ids so far, and the text that has been given out; for tokenizers whose tokens have no bytes of
    /// their own.
    Window(Box<Window>),
}

#[derive(Debug, Clone, Default)]
struct Window {
    all: Vec<u32>,
    /// The run of bytes at the end: whether it forms characters is decided for all of it.
    run: Vec<u32>,
    emitted: String,
    recent: Vec<u32>,
    prefix: String,
    prefix_index: usize,
}

impl IncrementalDecoder {
    pub(crate) fn new(tokenizer: Tokenizer) -> Self {
        let state = if tokenizer.bytes_are_exact() {
            State::Bytes(Vec::new())
        } else {
            State::Window(Box::default())
        };
        Self { tokenizer, state }
    }

    /// Takes the next token and appends to `text` what has become certain.
    pub fn push(&mut self, id: u32, text: &mut String) -> Result<(), TokenizerError> {
        match &mut self.state {
            State::Bytes(pending) => {
                pending.extend_from_slice(self.tokenizer.token_bytes(id));
                drain_complete(pending, text);
            }
            State::Window(window) => {
                window.all.push(id);
                window.run.push(id);
                if self.tokenizer.is_byte(id) {
                    return Ok(());
                }
                let piece = tokenizers::tokenizer::step_decode_stream(
                    self.tokenizer.inner(),
                    std::mem::take(&mut window.run),
                    false,
                    &mut window.recent,
                    &mut window.prefix,
                    &mut window.prefix_index,
                );
                if let Some(piece) = piece.map_err(|error| decode_error(&error))? {
                    window.emitted.push_str(&piece);
                    text.push_str(&piece);
                }
            }
        }
        Ok(())
    }

    /// Ends the row: appends what was held back, broken characters as U+FFFD, and starts afresh.
    pub fn finish(&mut self, text: &mut String) -> Result<(), TokenizerError> {
        match &mut self.state {
            State::Bytes(pending) => {
                text.push_str(&String::from_utf8_lossy(pending));
                pending.clear();
            }
            State::Window(window) => {
                let window = std::mem::take(&mut **window);
                let whole = self.tokenizer.decode(&window.all)?;
                let rest = whole
                    .strip_prefix(window.emitted.as_str())
                    .ok_or_else(|| decode_error("the text so far is no beginning of the whole"))?;
                text.push_str(rest);
            }
        }
        Ok(())
    }
}

/// The text of a row of tokens and where each token's text ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodedTokens {
    /// The text of all tokens.
    pub text: String,
    /// For each token, the length of `text` in bytes up to and including what it completed. A token that
    /// only begins a character ends where it starts.
    pub ends: Vec<usize>,
}

impl DecodedTokens {
    pub(crate) fn new(tokenizer: &Tokenizer, ids: &[u32]) -> Result<Self, TokenizerError> {
        let mut decoder = tokenizer.incremental_decoder();
        let mut decoded = Self { text: String::new(), ends: Vec::with_capacity(ids.len()) };
        for &id in ids {
            decoder.push(id, &mut decoded.text)?;
            decoded.ends.push(decoded.text.len());
        }
        decoder.finish(&mut decoded.text)?;
        if let Some(last) = decoded.ends.last_mut() {
            *last = decoded.text.len();
        }
        Ok(decoded)
    }

    /// The tokens that make up the bytes `span` of the text: every token with a share in it, tokens that
    /// begin its first character included.
    pub fn tokens_of(&self, span: std::ops::Range<usize>) -> std::ops::Range<usize> {
        if span.is_empty() {
            let at = self.ends.partition_point(|&end| end <= span.start);
            return at..at;
        }
        let mut first = self.ends.partition_point(|&end| end <= span.start);
        let start_of = |token: usize| token.checked_sub(1).and_then(|before| self.ends.get(before)).copied();
        while first > 0
            && self.ends.get(first - 1) == Some(&span.start)
            && start_of(first - 1).unwrap_or(0) == span.start
        {
            first -= 1;
        }
        let last = self.ends.partition_point(|&end| end < span.end);
        first..(last + 1).min(self.ends.len()).max(first)
    }
}

/// Moves every decided character from `pending` to `text`; keeps an unfinished one.
fn drain_complete(pending: &mut Vec<u8>, text: &mut String) {
    let mut decided = 0;
    for chunk in pending.utf8_chunks() {
        text.push_str(chunk.valid());
        decided += chunk.valid().len();
        let invalid = chunk.invalid();
        let is_last = decided + invalid.len() == pending.len();
        let is_open = is_last && may_still_complete(invalid);
        if !invalid.is_empty() && !is_open {
            text.push(REPLACEMENT);
            decided += invalid.len();
        }
    }
    pending.drain(..decided);
}

/// Whether `bytes`, a maximal invalid piece at the end of the input, is the beginning of a character.
fn may_still_complete(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
}

fn decode_error(error: &(impl ToString + ?Sized)) -> TokenizerError {
    TokenizerError::Refused { action: "decode the tokens", reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_cut_of_any_bytes_gives_the_lossy_text(
            bytes in proptest::collection::vec(
                prop_oneof![any::<u8>(), Just(0xe2), Just(0x98), Just(0x95), Just(0xf0), Just(0x9f)], 0..40),
            cut in 1_usize..5,
        ) {
            let (mut pending, mut text) = (Vec::new(), String::new());
            for piece in bytes.chunks(cut) {
                pending.extend_from_slice(piece);
                drain_complete(&mut pending, &mut text);
                prop_assert!(pending.len() < 4);
            }
            text.push_str(&String::from_utf8_lossy(&pending));
            prop_assert_eq!(text, String::from_utf8_lossy(&bytes).into_owned());
        }
    }

    #[test]
    fn a_span_takes_every_token_with_a_share_in_it() {
        // "ab", "é" in two tokens, "cd"
        let decoded = DecodedTokens { text: "abécd".to_owned(), ends: vec![2, 2, 4, 6] };
        assert_eq!(decoded.tokens_of(2..4), 1..3);
        assert_eq!(decoded.tokens_of(0..2), 0..1);
        assert_eq!(decoded.tokens_of(1..5), 0..4);
        assert_eq!(decoded.tokens_of(4..6), 3..4);
        assert_eq!(decoded.tokens_of(4..4), 3..3);
    }
}
