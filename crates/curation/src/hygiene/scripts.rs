//! Which scripts a text is written in, and what in it is no text at all.

/// Letters and characters that do not belong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scripts {
    /// Share of letters in scripts that neither mathematics (Latin, Greek) nor the problem uses.
    pub(super) foreign_letters: f64,
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
        for character in text.chars() {
            characters += 1;
            broken += u32::from(is_broken(character));
            if character.is_alphabetic() {
                letters += 1;
                foreign += u32::from(!native.contains(&script(character)));
            }
        }
        Self { foreign_letters: share(foreign, letters), broken_characters: share(broken, characters) }
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
    fn broken_characters_are_counted_and_line_breaks_are_not() {
        let broken = |text| Scripts::measure("", text).broken_characters;
        assert!((broken("a\u{fffd}b\u{0}") - 0.5).abs() < 1e-12);
        assert!(broken("a\n\tb\r\n").abs() < 1e-12);
    }
}
