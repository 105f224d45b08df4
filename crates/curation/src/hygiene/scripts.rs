//! Which scripts a text is written in, and what in it is no text at all.

use super::repetition::is_unspaced;

/// Characters of a script that does not space its words that make about one word.
const UNSPACED_CHARACTERS_PER_WORD: f64 = 1.65;

/// Letters, words and characters that do not belong.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Scripts {
    /// Share of letters in scripts that neither mathematics (Latin, Greek) nor the problem uses.
    pub(super) foreign_letters: f64,
    /// Share of words that begin with such a letter. A word of Latin has five letters and one of Han less than two:
    /// by letters alone a tenth of a text in Han looks like a twentieth.
    pub(super) foreign_words: f64,
    /// Share of replacement, control and private-use characters.
    pub(super) broken_characters: f64,
}

/// Scripts as far as they need telling apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Script {
    /// Latin and Greek, and everything that mathematics writes with them.
    Mathematical,
    /// Han and Kana: Chinese and Japanese share their characters.
    Han,
    Hangul,
    Cyrillic,
    Arabic,
    Hebrew,
    Indic,
    SouthEastAsian,
    Other,
}

impl Scripts {
    pub(super) fn measure(problem: &str, text: &str) -> Self {
        let mut native = vec![Script::Mathematical];
        for script in problem.chars().filter(|character| character.is_alphabetic()).map(script) {
            if !native.contains(&script) {
                native.push(script);
            }
        }
        let (mut characters, mut broken, mut letters, mut foreign) = (0_u32, 0_u32, 0_u32, 0_u32);
        let (mut words, mut foreign_words) = (0.0, 0.0);
        let mut is_in_word = false;
        for character in text.chars() {
            characters += 1;
            broken += u32::from(is_broken(character));
            if !character.is_alphabetic() {
                is_in_word = false;
                continue;
            }
            let is_foreign = !native.contains(&script(character));
            let word = match (is_unspaced(character), is_in_word) {
                (true, _) => 1.0 / UNSPACED_CHARACTERS_PER_WORD,
                (false, true) => 0.0,
                (false, false) => 1.0,
            };
            is_in_word = !is_unspaced(character);
            letters += 1;
            words += word;
            if is_foreign {
                foreign += 1;
                foreign_words += word;
            }
        }
        Self {
            foreign_letters: share(foreign, letters),
            foreign_words: if words > 0.0 { foreign_words / words } else { 0.0 },
            broken_characters: share(broken, characters),
        }
    }

    /// The worse of both in each respect.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            foreign_letters: self.foreign_letters.max(other.foreign_letters),
            foreign_words: self.foreign_words.max(other.foreign_words),
            broken_characters: self.broken_characters.max(other.broken_characters),
        }
    }
}

fn share(part: u32, whole: u32) -> f64 {
    if whole == 0 { 0.0 } else { f64::from(part) / f64::from(whole) }
}

fn script(letter: char) -> Script {
    match u32::from(letter) {
        0x0000..=0x03FF
        | 0x1D00..=0x1FFF
        | 0x2000..=0x2BFF
        | 0xA720..=0xA7FF
        | 0xFB00..=0xFB06
        | 0xFF21..=0xFF5A
        | 0x1D400..=0x1D7FF => Script::Mathematical,
        0x0400..=0x052F | 0x2DE0..=0x2DFF | 0xA640..=0xA69F => Script::Cyrillic,
        0x0590..=0x05FF | 0xFB1D..=0xFB4F => Script::Hebrew,
        0x0600..=0x06FF | 0x0750..=0x077F | 0x08A0..=0x08FF | 0xFB50..=0xFDFF | 0xFE70..=0xFEFE => {
            Script::Arabic
        }
        0x0900..=0x0DFF => Script::Indic,
        0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1780..=0x17FF => Script::SouthEastAsian,
        0x1100..=0x11FF | 0x3130..=0x318F | 0xA960..=0xA97F | 0xAC00..=0xD7FF => Script::Hangul,
        0x2E80..=0x312F | 0x31A0..=0x9FFF | 0xF900..=0xFAFF | 0xFF66..=0xFF9D | 0x20000..=0x3FFFF => {
            Script::Han
        }
        _ => Script::Other,
    }
}

fn is_broken(character: char) -> bool {
    match character {
        '\n' | '\r' | '\t' => false,
        '\u{fffd}' | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}' => true,
        other => other.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn foreign(problem: &str, text: &str) -> f64 {
        Scripts::measure(problem, text).foreign_letters
    }

    #[test]
    fn mathematics_is_never_foreign() {
        for text in ["α + β = γ", "∀ε>0 ∃δ", "𝑥² ∈ ℝ", "déjà vu, Möbius", "x = 3.5 × 10⁴"]
        {
            assert!(foreign("What is x?", text).abs() < 1e-12, "{text}");
        }
    }

    #[test]
    fn letters_of_another_script_are_foreign_unless_the_problem_uses_it() {
        assert!((foreign("What?", "да") - 1.0).abs() < 1e-12);
        assert!((foreign("What?", "ab на") - 0.5).abs() < 1e-12);
        assert!(foreign("Сколько?", "да, x").abs() < 1e-12);
        assert!((foreign("정답은?", "答え") - 1.0).abs() < 1e-12);
        assert!(foreign("", "").abs() < 1e-12);
    }

    #[test]
    fn words_weigh_alike_whatever_their_letters() {
        // 300 words of Han among 2000 of Latin: a twentieth of the letters, an eighth of the words
        let text = "words ".repeat(2000) + &"结果".repeat(248);
        let scripts = Scripts::measure("What?", &text);
        assert!(scripts.foreign_letters < 0.05, "{scripts:?}");
        assert!((scripts.foreign_words - 0.13).abs() < 0.01, "{scripts:?}");
        assert!((Scripts::measure("", "да и нет yes").foreign_words - 0.75).abs() < 1e-12);
    }

    #[test]
    fn broken_characters_are_counted_and_line_breaks_are_not() {
        let broken = |text| Scripts::measure("", text).broken_characters;
        assert!((broken("a\u{fffd}b\u{0}") - 0.5).abs() < 1e-12);
        assert!(broken("a\n\tb\r\n").abs() < 1e-12);
    }
}
