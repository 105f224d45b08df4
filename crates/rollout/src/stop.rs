//! Stop strings, found in the bytes of the tokens as they come.

use std::{fmt, sync::Arc};

/// The text of tokens, as bytes: a token may end inside a character.
///
/// Any `Fn(u32, &mut Vec<u8>)` that appends a token's bytes is one.
pub trait TokenText: Send + Sync {
    /// Appends the bytes of `token`.
    fn append(&self, token: u32, text: &mut Vec<u8>);
}

impl<F: Fn(u32, &mut Vec<u8>) + Send + Sync> TokenText for F {
    fn append(&self, token: u32, text: &mut Vec<u8>) {
        self(token, text);
    }
}

/// Looks for stop strings in one response.
#[derive(Clone)]
pub(crate) struct StopStrings {
    text: Arc<dyn TokenText>,
    strings: Arc<[String]>,
    /// The last bytes of the response: as many as a stop string that is still incomplete may have.
    tail: Vec<u8>,
    longest: usize,
}

impl StopStrings {
    pub(crate) fn new(text: Arc<dyn TokenText>, strings: Arc<[String]>) -> Self {
        let longest = strings.iter().map(String::len).max().unwrap_or(0);
        Self { text, strings, tail: Vec::with_capacity(2 * longest + 16), longest }
    }

    /// Takes the next token; whether a stop string is complete.
    pub(crate) fn push(&mut self, token: u32) -> bool {
        self.text.append(token, &mut self.tail);
        let is_complete = self.strings.iter().any(|string| contains(&self.tail, string.as_bytes()));
        let kept = self.longest.saturating_sub(1);
        let surplus = self.tail.len().saturating_sub(kept);
        self.tail.drain(..surplus);
        is_complete
    }
}

impl fmt::Debug for StopStrings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StopStrings").field("strings", &self.strings).finish_non_exhaustive()
    }
}

/// An empty string is in nothing: it would stop every response at once.
fn contains(text: &[u8], string: &[u8]) -> bool {
    !string.is_empty() && text.windows(string.len()).any(|window| window == string)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stop_strings(strings: &[&str]) -> StopStrings {
        let text: Arc<dyn TokenText> = Arc::new(|token: u32, text: &mut Vec<u8>| {
            text.extend_from_slice(["<|", "end", "|>", "é!", ""][token as usize].as_bytes());
        });
        StopStrings::new(text, strings.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_string_is_found_across_tokens_and_inside_one() {
        let mut stop = stop_strings(&["<|end|>", "!"]);
        assert_eq!([0, 0, 1, 4].map(|token| stop.push(token)), [false; 4]);
        assert!(stop.push(2));
        assert!(stop_strings(&["\u{e9}"]).push(3));
        let mut stop = stop_strings(&["|>é"]);
        assert_eq!([2, 1, 2, 3].map(|token| stop.push(token)), [false, false, false, true]);
    }

    #[test]
    fn an_empty_string_stops_nothing() {
        assert!(!stop_strings(&[""]).push(1));
        assert!(!stop_strings(&[]).push(1));
    }
}
