//! Saying the same thing over and over: in windows by n-grams, anywhere by the period of a loop.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
    ops::Range,
};

/// Words that n-grams are counted over at once: a loop of a page shows in a thought of a hundred pages.
const WINDOW_WORDS: usize = 512;
/// How often a passage stands in a row before it is a loop.
const MIN_TURNS: usize = 4;
/// The longest passage that loops are searched for, in units: words, numbers and signs.
const MAX_PERIOD: usize = 512;
/// The longest run of letters and digits that is one unit; a longer one is no word, and its characters are units.
const MAX_WORD_CHARACTERS: usize = 32;
/// A row of a table or a list of zeros goes on for longer than a sentence does: the characters of a loop without a
/// letter weigh this much less.
const WORDLESS_WEIGHT: usize = 4;

/// How repetitive a part of a response is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Repetition {
    /// Largest share, over windows of [`WINDOW_WORDS`], of n-grams that occurred before in the window; 0 of a text
    /// shorter than one n-gram.
    pub(super) repeated_ngrams: f64,
    /// Characters that the longest loop covers, wherever it stands.
    pub(super) loop_characters: usize,
}

impl Repetition {
    pub(super) fn measure(text: &str, ngram_words: usize) -> Self {
        Self { repeated_ngrams: repeated_ngrams(text, ngram_words), loop_characters: loop_characters(text) }
    }

    /// The worse of both in each respect.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            repeated_ngrams: self.repeated_ngrams.max(other.repeated_ngrams),
            loop_characters: self.loop_characters.max(other.loop_characters),
        }
    }
}

/// Windows begin a quarter of their length apart, and the last one ends where the text does.
fn repeated_ngrams(text: &str, ngram_words: usize) -> f64 {
    let words = words(text);
    let window = WINDOW_WORDS.max(2 * ngram_words).min(words.len());
    let last = words.len() - window;
    let starts = (0..last).step_by((window / 4).max(1)).chain([last]);
    let windows = starts.filter_map(|start| words.get(start..start + window));
    windows.map(|window| repeated_in_window(window, ngram_words)).fold(0.0, f64::max)
}

/// N-grams without a letter (rows of a table, zeros) are none that repeat: their loops are found by their length.
fn repeated_in_window(words: &[Word], ngram_words: usize) -> f64 {
    let mut seen = HashSet::new();
    let mut total = 0_u32;
    let mut repeated = 0_u32;
    for ngram in words.windows(ngram_words) {
        total += 1;
        let is_new = seen.insert(hash(ngram));
        repeated += u32::from(!is_new && ngram.iter().any(|word| word.has_letter));
    }
    if total == 0 { 0.0 } else { f64::from(repeated) / f64::from(total) }
}

/// Something between white spaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Word {
    hash: u64,
    has_letter: bool,
}

impl From<&str> for Word {
    fn from(text: &str) -> Self {
        Self { hash: hash(text), has_letter: text.chars().any(char::is_alphabetic) }
    }
}

/// Words between white space; in scripts that do not space their words, each character is one.
fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    for word in text.split_whitespace() {
        let mut start = 0;
        for (position, character) in word.char_indices().filter(|(_, character)| is_unspaced(*character)) {
            let end = position + character.len_utf8();
            if start < position {
                words.push(Word::from(&word[start..position]));
            }
            words.push(Word::from(&word[position..end]));
            start = end;
        }
        if start < word.len() {
            words.push(Word::from(&word[start..]));
        }
    }
    words
}

/// Han, Kana, and the scripts of Thailand, Laos, Burma and Cambodia.
pub(super) fn is_unspaced(character: char) -> bool {
    matches!(u32::from(character),
        0x3040..=0x30FF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x3FFFF
        | 0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1780..=0x17FF)
}

/// A word, a number or a sign; white space is none.
#[derive(Debug, Clone)]
struct Unit {
    hash: u64,
    has_letter: bool,
    /// Where it lies, in characters of the text.
    characters: Range<usize>,
}

/// Characters that the longest loop covers: one passage at least [`MIN_TURNS`] times in a row, differences in white
/// space left aside.
///
/// With period `p` a loop shows as a run in which every unit equals the one `p` units before it: `r` such units in
/// a row make a loop of `p + r`.
fn loop_characters(text: &str) -> usize {
    let units = units(text);
    let mut longest = 0;
    for period in 1..=(units.len() / MIN_TURNS).min(MAX_PERIOD) {
        let mut run = 0;
        for position in period..=units.len() {
            let is_same = units.get(position).is_some_and(|unit| units[position - period].hash == unit.hash);
            if is_same {
                run += 1;
                continue;
            }
            if run + period >= MIN_TURNS * period {
                longest = longest.max(weight(&units[position - run - period..position], period));
            }
            run = 0;
        }
    }
    longest
}

/// The characters of a loop with this period.
fn weight(units: &[Unit], period: usize) -> usize {
    let ends = units.first().zip(units.last());
    let characters = ends.map_or(0, |(first, last)| last.characters.end - first.characters.start);
    let has_letter = units.iter().take(period).any(|unit| unit.has_letter);
    if has_letter { characters } else { characters / WORDLESS_WEIGHT }
}

fn units(text: &str) -> Vec<Unit> {
    let characters: Vec<char> = text.chars().collect();
    let mut units = Vec::new();
    let mut start = 0;
    while let Some(&first) = characters.get(start) {
        let is_in_word = |one: &char| one.is_alphanumeric() && !is_unspaced(*one);
        let word = characters
            .iter()
            .skip(start)
            .take(MAX_WORD_CHARACTERS + 1)
            .take_while(|one| is_in_word(one))
            .count();
        let length = if word > MAX_WORD_CHARACTERS { 1 } else { word.max(1) };
        if !first.is_whitespace() {
            let range = start..start + length;
            let content = &characters[range.clone()];
            let has_letter = content.iter().any(|one| one.is_alphabetic());
            units.push(Unit { hash: hash(content), has_letter, characters: range });
        }
        start += length;
    }
    units
}

fn hash(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n_grams_count_once_they_come_again() {
        assert!(repeated_ngrams("a b c d e f", 2).abs() < 1e-12);
        assert!((repeated_ngrams("a b a b a b", 2) - 3.0 / 5.0).abs() < 1e-12);
        assert!(repeated_ngrams("a", 2).abs() < 1e-12);
        assert!(repeated_ngrams("", 2).abs() < 1e-12);
        assert!((repeated_ngrams("我们我们我们", 2) - 3.0 / 5.0).abs() < 1e-12);
    }

    #[test]
    fn a_page_that_repeats_shows_in_a_long_text() {
        let varied = |from: u32| (from..from + 6_000).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" ");
        let page = "we try the next case and find that it fails as the one before did ".repeat(40);
        let text = format!("{} {page}{}", varied(0), varied(6_000));
        assert!(repeated_ngrams(&text, 10) > 0.9);
        assert!(repeated_ngrams(&varied(0), 10).abs() < 1e-12);
    }

    #[test]
    fn a_loop_is_measured_in_characters_wherever_it_stands() {
        let waiting = "wait, ".repeat(10);
        assert_eq!(loop_characters(&format!("So the answer is {waiting}")), waiting.trim_end().len());
        assert_eq!(loop_characters("abc abc abc"), 0, "three turns are no loop");
        assert_eq!(loop_characters("x abc abc abc abc"), 15);
        assert_eq!(loop_characters(&"a".repeat(10_032)), 10_000, "the last of it passes for a word");
        assert_eq!(loop_characters(""), 0);
        let inside = format!("{}and then it ended well.", "again ".repeat(50));
        assert_eq!(loop_characters(&inside), 50 * 6 - 1);
        let spaced = "one two\nthree ".to_owned() + "one  two three\n\n" + "one two three " + "one two three";
        assert_eq!(loop_characters(&spaced), spaced.len(), "white space does not hide it");
        let sentence = "Let me check this again, since the last step did not add up. ";
        assert_eq!(loop_characters(&sentence.repeat(6)), 6 * sentence.len() - 1);
    }

    #[test]
    fn lists_without_a_word_weigh_less() {
        let zeros = "0, ".repeat(100);
        assert_eq!(loop_characters(&zeros), (zeros.len() - 1) / WORDLESS_WEIGHT);
    }
}
