//! Saying the same thing over and over: anywhere by n-grams, at the end by its period.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
};

/// How many characters at the end are searched for a loop.
const TAIL_CHARACTERS: usize = 4096;
/// How often a passage stands in a row before it is a loop.
const MIN_TURNS: usize = 4;

/// How repetitive a text is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Repetition {
    /// Share of n-grams that occurred before; 0 of a text shorter than one.
    pub(super) repeated_ngrams: f64,
    /// Characters at the end that a loop covers; at most [`TAIL_CHARACTERS`].
    pub(super) loop_characters: usize,
}

impl Repetition {
    pub(super) fn measure(text: &str, ngram_words: usize) -> Self {
        Self { repeated_ngrams: repeated_ngrams(text, ngram_words), loop_characters: loop_characters(text) }
    }
}

fn repeated_ngrams(text: &str, ngram_words: usize) -> f64 {
    let words = word_hashes(text);
    let mut seen = HashSet::new();
    let mut total = 0_u32;
    let mut repeated = 0_u32;
    for ngram in words.windows(ngram_words) {
        total += 1;
        repeated += u32::from(!seen.insert(hash(ngram)));
    }
    if total == 0 { 0.0 } else { f64::from(repeated) / f64::from(total) }
}

/// Words between white space; in scripts that do not space their words, each character is one.
fn word_hashes(text: &str) -> Vec<u64> {
    let mut words = Vec::new();
    for word in text.split_whitespace() {
        let mut start = 0;
        for (position, character) in word.char_indices().filter(|(_, character)| is_unspaced(*character)) {
            if start < position {
                words.push(hash(&word[start..position]));
            }
            start = position + character.len_utf8();
            words.push(hash(&character));
        }
        if start < word.len() {
            words.push(hash(&word[start..]));
        }
    }
    words
}

/// Han, Kana, and the scripts of Thailand, Laos, Burma and Cambodia.
fn is_unspaced(character: char) -> bool {
    matches!(u32::from(character),
        0x3040..=0x30FF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x3FFFF
        | 0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1780..=0x17FF)
}

/// The longest end of the text that is one passage at least [`MIN_TURNS`] times.
///
/// On the reversed text, the Z array gives at `p` how far the text agrees with itself shifted by `p`: with
/// period `p`, the end covers `p + z[p]` characters.
fn loop_characters(text: &str) -> usize {
    let reversed: Vec<char> = text.trim_end().chars().rev().take(TAIL_CHARACTERS).collect();
    let agreement = z_array(&reversed);
    (1..=reversed.len() / MIN_TURNS)
        .map(|period| (period, period + agreement.get(period).copied().unwrap_or(0)))
        .filter(|(period, covered)| *covered >= MIN_TURNS * period)
        .map(|(_, covered)| covered)
        .max()
        .unwrap_or(0)
}

/// For every position, the length of the longest common prefix of the text and its suffix from there
/// (Gusfield 1997, algorithm Z), in linear time.
fn z_array(text: &[char]) -> Vec<usize> {
    let mut agreement = vec![0; text.len()];
    let (mut left, mut right) = (0, 0);
    for position in 1..text.len() {
        let mut length = if position < right { agreement[position - left].min(right - position) } else { 0 };
        while position + length < text.len() && text[length] == text[position + length] {
            length += 1;
        }
        if position + length > right {
            (left, right) = (position, position + length);
        }
        agreement[position] = length;
    }
    agreement
}

fn hash(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn n_grams_count_once_they_come_again() {
        assert!(repeated_ngrams("a b c d e f", 2).abs() < 1e-12);
        assert!((repeated_ngrams("a b a b a b", 2) - 3.0 / 5.0).abs() < 1e-12);
        assert!(repeated_ngrams("a", 2).abs() < 1e-12);
        assert!((repeated_ngrams("我们我们我们", 2) - 3.0 / 5.0).abs() < 1e-12);
    }

    #[test]
    fn a_loop_at_the_end_is_measured_in_characters() {
        assert_eq!(
            loop_characters(&format!("So the answer is {}", "wait, ".repeat(10))),
            "wait, ".len() * 10
        );
        assert_eq!(loop_characters("abcabcabc"), 0, "three turns are no loop");
        assert_eq!(loop_characters("xabcabcabcabc"), 12);
        assert_eq!(loop_characters(&"a".repeat(10_000)), TAIL_CHARACTERS);
        assert_eq!(loop_characters(""), 0);
        assert_eq!(loop_characters(&format!("{} and then it ended well.", "again ".repeat(50))), 0);
    }

    proptest! {
        #[test]
        fn the_z_array_agrees_with_its_definition(text in "[ab]{0,40}") {
            let text: Vec<char> = text.chars().collect();
            let agreement = z_array(&text);
            for position in 1..text.len() {
                let common = text.iter().zip(&text[position..]).take_while(|(one, two)| one == two).count();
                prop_assert_eq!(agreement[position], common);
            }
        }
    }
}
