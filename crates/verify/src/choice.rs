//! Multiple choice: options by letter, digit or circled digit, alone or with their text.

use std::collections::BTreeSet;

use crate::compare::text;

/// Words that may stand before an option.
const LEADING: [&str; 22] = [
    "the", "correct", "final", "best", "answer", "answers", "option", "options", "choice", "choices",
    "letter", "is", "are", "both", "选项", "选", "選", "选择", "答案", "보기", "réponse", "antwort",
];
/// Words that join options.
const JOINING: [&str; 12] = ["and", "or", "&", "和", "与", "及", "와", "과", "et", "und", "y", "또는"];

/// The options an answer names, and the text it gives with a single one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    options: BTreeSet<char>,
    text: Option<String>,
}

impl Choice {
    /// Reads options: `C`, `(C)`, `C.`, `C) 3.2 eV`, `Option C`, `③`, `3번`, `A, C`, `A and C`.
    pub(crate) fn parse(answer: &str) -> Option<Self> {
        if answer.len() > 2_000 {
            return None;
        }
        let plain = simplify(answer);
        let rest = strip_leading(&plain);
        if rest.is_empty() {
            return None;
        }
        several(rest).or_else(|| with_text(rest))
    }

    /// The gold's reading: options, or only the option's text.
    pub(crate) fn gold(text: &str) -> Self {
        Self::parse(text)
            .or_else(|| {
                // `ACD` names three options
                let plain = simplify(text);
                let letters: BTreeSet<char> = plain.chars().collect();
                let ascending =
                    plain.chars().zip(plain.chars().skip(1)).all(|(before, after)| before < after);
                let all = plain.chars().all(|letter| ('A'..='J').contains(&letter));
                (all && ascending && letters.len() > 1).then_some(Self { options: letters, text: None })
            })
            .unwrap_or(Self { options: BTreeSet::new(), text: Some(text::words(text)) })
    }

    /// Whether an answer names the same options.
    pub(crate) fn is(&self, answer: &str) -> Option<bool> {
        let words = text::words(answer);
        if self.text.as_ref().is_some_and(|text| !text.is_empty() && *text == words) {
            return Some(true);
        }
        if self.options.len() > 1 {
            let other = Self::gold(answer);
            if !other.options.is_empty() {
                return Some(other.options == self.options);
            }
        }
        let other = Self::parse(answer)?;
        Some(!self.options.is_empty() && other.options == self.options)
    }
}

/// Wrappings and marks gone, circled digits plain; case and brackets stay.
fn simplify(answer: &str) -> String {
    let mut out = String::with_capacity(answer.len());
    let mut rest = answer;
    while let Some(character) = rest.chars().next() {
        rest = rest.get(character.len_utf8()..).unwrap_or("");
        match character {
            '\\' => {
                let length = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
                if length == 0 {
                    // `\(`, `\,` and the like
                    rest = rest.chars().next().map_or("", |next| rest.get(next.len_utf8()..).unwrap_or(""));
                    out.push(' ');
                } else {
                    rest = rest.get(length..).unwrap_or("");
                }
            }
            '$' | '*' | '"' | '`' | '{' | '}' | '\u{200b}'..='\u{200f}' | '\u{feff}' | '\u{2060}' => {}
            '①'..='⑨' => {
                out.push(' ');
                out.push(char::from_u32(u32::from(character) - 0x2460 + u32::from('1')).unwrap_or('?'));
                if !rest.starts_with('번') {
                    out.push(' ');
                }
            }
            '（' => out.push('('),
            '）' => out.push(')'),
            '：' => out.push(':'),
            '，' | '、' => out.push(','),
            '。' => out.push('.'),
            '\u{ff21}'..='\u{ff2a}' => {
                out.push(char::from_u32(u32::from(character) - 0xff21 + u32::from('A')).unwrap_or('?'));
            }
            other => out.push(other),
        }
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn strip_leading(text: &str) -> &str {
    let mut rest = text.trim_matches(|character: char| character.is_whitespace() || character == ':');
    for _ in 0..8 {
        let lower = rest.to_lowercase();
        if lower.len() != rest.len() {
            break;
        }
        let Some(word) = LEADING.iter().find(|word| {
            lower.starts_with(**word)
                && (!word.is_ascii()
                    || lower.get(word.len()..).is_some_and(|tail| {
                        !tail.is_empty()
                            && !tail.starts_with(|character: char| character.is_ascii_alphanumeric())
                    }))
        }) else {
            break;
        };
        rest = rest
            .get(word.len()..)
            .unwrap_or("")
            .trim_start_matches(|character: char| character.is_whitespace() || character == ':');
    }
    rest
}

/// The option a whole word names: `C`, `(C)`, `C.`, `3번`.
fn option(word: &str) -> Option<char> {
    let word = word.strip_suffix("번").unwrap_or(word);
    let word = word.trim_end_matches(['.', ':', '!']);
    let word = word.strip_prefix('(').map_or(word, |inner| inner.strip_suffix(')').unwrap_or(inner));
    let word = word.strip_prefix('[').map_or(word, |inner| inner.strip_suffix(']').unwrap_or(inner));
    let word = word.strip_suffix(')').unwrap_or(word);
    let mut characters = word.chars();
    let first = characters.next()?;
    if characters.next().is_some() {
        return None;
    }
    match first {
        'A'..='J' | '1'..='9' => Some(first),
        'a'..='j' => Some(first.to_ascii_uppercase()),
        _ => None,
    }
}

/// Options and nothing else.
fn several(text: &str) -> Option<Choice> {
    let mut options = BTreeSet::new();
    for word in text.split([' ', ',', ';', '/']) {
        if word.is_empty() || word == "." || JOINING.contains(&word.to_lowercase().as_str()) {
            continue;
        }
        options.insert(option(word)?);
    }
    (!options.is_empty()).then_some(Choice { options, text: None })
}

/// One option, a mark that ends its name, and its text.
fn with_text(text: &str) -> Option<Choice> {
    let bracketed = text.starts_with('(');
    let inner = text.strip_prefix('(').unwrap_or(text);
    let letter = inner.chars().next()?;
    let option = option(&letter.to_string())?;
    let rest = inner.get(letter.len_utf8()..)?;
    let rest = if bracketed {
        rest.strip_prefix(')')?
    } else {
        let mark = rest.chars().next()?;
        if !matches!(mark, ')' | '.' | ':') {
            return None;
        }
        let rest = rest.get(1..)?;
        // `3.2` is a number
        if mark == '.' && !rest.starts_with(' ') {
            return None;
        }
        rest
    };
    // another option behind it is hedging
    let words: Vec<&str> = rest.split_whitespace().collect();
    let hedged = words.windows(2).any(|pair| match pair {
        [joining, other] => {
            JOINING.contains(&joining.to_lowercase().as_str())
                && self::option(other).is_some_and(|_| other.len() <= 4)
        }
        _ => false,
    });
    if hedged {
        return None;
    }
    Some(Choice { options: BTreeSet::from([option]), text: Some(text::words(rest)) })
}

#[cfg(test)]
mod tests {
    use super::Choice;

    #[test]
    fn one_option_in_many_spellings() {
        let gold = Choice::gold("\\text{(C)}");
        for answer in [
            "C",
            "(C)",
            "C.",
            "C)",
            "c",
            "Option C",
            "\\text{Option C}",
            "\\textbf{(C)}",
            "**C**",
            "C) 3.2 eV",
            "The correct answer is (C)",
            "$\\boxed{C}$",
            "C: it doubles",
            "Ｃ",
        ] {
            assert_eq!(gold.is(answer), Some(true), "{answer}");
        }
        for answer in ["A", "A) C", "A or C", "A, C", "(D)", "Option B"] {
            assert_eq!(gold.is(answer), Some(false), "{answer}");
        }
        for answer in ["C or maybe not", "unknown", "Cats", "C) it doubles or (D)"] {
            assert_ne!(gold.is(answer), Some(true), "{answer}");
        }
    }

    #[test]
    fn digits_and_circled_digits() {
        for gold in ["3", "③"] {
            let gold = Choice::gold(gold);
            for answer in ["3", "③", "(3)", "3번", "③번"] {
                assert_eq!(gold.is(answer), Some(true), "{answer}");
            }
            assert_eq!(gold.is("②"), Some(false));
            assert_ne!(gold.is("3.2"), Some(true));
        }
    }

    #[test]
    fn several_options_are_a_set() {
        for gold in ["A, C", "AC"] {
            let gold = Choice::gold(gold);
            for answer in ["C, A", "A and C", "(A), (C)", "AC"] {
                assert_eq!(gold.is(answer), Some(true), "{answer}");
            }
            assert_ne!(gold.is("A"), Some(true));
        }
    }

    #[test]
    fn an_option_can_be_named_by_its_text() {
        let gold = Choice::gold("B) the reaction rate doubles");
        assert_eq!(gold.is("The reaction rate doubles."), Some(true));
        assert_eq!(gold.is("B"), Some(true));
    }
}
