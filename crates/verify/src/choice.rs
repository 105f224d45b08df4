//! Multiple choice: options by letter, digit or circled digit, alone or with their text.

use std::collections::BTreeSet;

use crate::compare::text;

/// Words that may stand before an option.
const LEADING: [&str; 52] = [
    "i think",
    "i believe",
    "i would",
    "i will",
    "i'd",
    "i choose",
    "i pick",
    "i select",
    "i go with",
    "we choose",
    "we pick",
    "my",
    "so",
    "hence",
    "thus",
    "therefore",
    "it",
    "it's",
    "this",
    "that",
    "must",
    "should",
    "would",
    "be",
    "pick",
    "choose",
    "select",
    "go with",
    "say",
    "the",
    "correct",
    "final",
    "best",
    "right",
    "answer",
    "answers",
    "option",
    "options",
    "choice",
    "choices",
    "letter",
    "is",
    "are",
    "both",
    "选项",
    "选",
    "選",
    "选择",
    "答案",
    "보기",
    "réponse",
    "antwort",
];
/// What a text behind an option begins with when it denies the option.
const DENIALS: [&str; 8] =
    ["is wrong", "is incorrect", "is not", "is false", "isn't", "cannot", "can't", "is ruled out"];
/// Words in front of an option that is chosen, or weighed.
const CUES: [&str; 18] = [
    "hence",
    "so",
    "thus",
    "therefore",
    "is",
    "be",
    "answer",
    "answer:",
    "option",
    "choice",
    "pick",
    "choose",
    "choose:",
    "select",
    "with",
    "not",
    "then",
    "actually",
];
/// Words between options of which only one is meant.
const HEDGING: [&str; 5] = ["or", "또는", "ou", "oder", "或"];
/// Stands among options that are joined so.
const UNDECIDED: char = '|';
/// What is said of an option that is chosen.
const CONFIRMATIONS: [&str; 8] = [
    " is correct",
    " is right",
    " is the answer",
    " is the correct answer",
    " is the right answer",
    " is the correct option",
    " is the correct choice",
    " is the best answer",
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
        let rest = without_rejected(rest);
        let end = rest.trim_end_matches(['.', '!']);
        let rest = CONFIRMATIONS.iter().find_map(|said| end.strip_suffix(said)).unwrap_or(rest);
        several(rest).or_else(|| with_text(rest))
    }

    /// `ACD` names three options, in any order.
    fn run(text: &str) -> Option<Self> {
        let plain = simplify(text);
        let plain = plain.trim_end_matches('.');
        let options: BTreeSet<char> = plain.chars().collect();
        let is_run = options.len() == plain.chars().count() && options.len() > 1;
        (is_run && options.iter().all(|letter| ('A'..='J').contains(letter)))
            .then_some(Self { options, text: None })
    }

    /// The gold's reading: options, or only the option's text.
    pub(crate) fn gold(text: &str) -> Self {
        Self::parse(text)
            .or_else(|| {
                let plain = simplify(text);
                let ascending =
                    plain.chars().zip(plain.chars().skip(1)).all(|(before, after)| before < after);
                ascending.then(|| Self::run(text)).flatten()
            })
            .unwrap_or(Self { options: BTreeSet::new(), text: Some(text::words(text)) })
    }

    /// Whether an answer names the same options.
    pub(crate) fn is(&self, answer: &str) -> Option<bool> {
        let words = text::words(answer);
        if self.text.as_ref().is_some_and(|text| !text.is_empty() && *text == words) {
            return Some(true);
        }
        if self.options.len() > 1
            && let Some(other) = Self::run(answer)
        {
            return Some(other.options == self.options);
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
        rest = rest.get(word.len()..).unwrap_or("").trim_start_matches(|character: char| {
            character.is_whitespace() || matches!(character, ':' | ',' | '】' | ']')
        });
    }
    rest
}

/// An answer without the option that it sets aside: `B, not A`.
fn without_rejected(text: &str) -> &str {
    let end = text.trim_end_matches(['.', '!']);
    let Some((before, rejected)) = end.rsplit_once(" not ") else { return text };
    let rejected = strip_leading(rejected);
    let before = before.trim_end_matches([' ', ',', ';', '-', '–', '—', '(']);
    let before = before.strip_suffix(" and").or_else(|| before.strip_suffix(" but")).unwrap_or(before);
    let before = before.trim_end_matches([' ', ',', ';']);
    match (option(before), option(rejected)) {
        (Some(one), Some(other)) if one != other => before,
        _ => text,
    }
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
    let mut is_hedged = false;
    for word in text.split([' ', ',', ';', '/']) {
        let lower = word.to_lowercase();
        if HEDGING.contains(&lower.as_str()) {
            is_hedged = true;
        } else if !word.is_empty()
            && !matches!(word, "." | "-" | "–" | "—")
            && !JOINING.contains(&lower.as_str())
        {
            options.insert(option(word)?);
        }
    }
    // letters and digits are not the options of one question: `C) 5 A`
    let digits = options.iter().filter(|option| option.is_ascii_digit()).count();
    let is_one_kind = !options.is_empty() && (digits == 0 || digits == options.len());
    // `A or C` chooses neither of them
    if is_hedged && options.len() > 1 {
        options.insert(UNDECIDED);
    }
    is_one_kind.then_some(Choice { options, text: None })
}

/// One option, a mark that ends its name, and its text.
fn with_text(text: &str) -> Option<Choice> {
    let bracketed = text.starts_with('(');
    let inner = text.strip_prefix('(').unwrap_or(text);
    let letter = inner.chars().next()?;
    let option = option(&letter.to_string())?;
    let rest = inner.get(letter.len_utf8()..)?;
    let rest = if bracketed { rest.strip_prefix(')')? } else { behind_mark(rest)? };
    if DENIALS.iter().any(|denial| rest.trim_start().starts_with(denial)) || lists(rest, option) {
        return None;
    }
    // another option behind it is hedging; `5 and 7` is none behind a letter
    let words: Vec<&str> = rest.split_whitespace().collect();
    let hedged = words.windows(2).any(|pair| match pair {
        [joining, other] => {
            JOINING.contains(&joining.to_lowercase().as_str())
                && self::option(other).is_some_and(|other| other.is_ascii_digit() == option.is_ascii_digit())
                && other.len() <= 4
        }
        _ => false,
    });
    if hedged {
        return None;
    }
    Some(Choice { options: BTreeSet::from([option]), text: Some(text::words(rest)) })
}

/// What stands behind the mark that ends an option's name: `)`, `.`, `:`, a dash, or a bracket around its text.
fn behind_mark(text: &str) -> Option<&str> {
    for dash in [" - ", " – ", " — ", " = ", " (", " because ", ", because ", " since ", ", since ", ", as "]
    {
        if let Some(rest) = text.strip_prefix(dash) {
            return Some(rest);
        }
    }
    let mark = text.chars().next()?;
    let rest = text.get(mark.len_utf8()..)?;
    // `3.2` is a number
    (matches!(mark, ')' | '.' | ':') && (mark != '.' || rest.starts_with(' '))).then_some(rest)
}

/// Whether a text names further options: `(B) two`, `B) two`, `II. then`, `hence D`.
fn lists(text: &str, own: char) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.iter().enumerate().any(|(index, word)| {
        let (before, is_last) =
            (index.checked_sub(1).and_then(|before| words.get(before)), index + 1 == words.len());
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let is_roman = bare.len() > 1 && bare.chars().all(|c| matches!(c, 'I' | 'V' | 'X'));
        let is_label = word.ends_with(')') || (word.ends_with(['.', ':']) && !is_last);
        if is_roman && is_label {
            return true;
        }
        let Some(other) = option(word).filter(|other| *other != own) else { return false };
        let is_upper = bare.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
        let is_cued = before.is_some_and(|before| CUES.contains(&before.to_lowercase().as_str()));
        // `is a function`, `so 3 of them`
        let is_article = !is_last && !is_label && matches!(other, 'A' | 'I');
        is_upper
            && ((is_label && !(other.is_ascii_digit() && word.ends_with('.')))
                || (is_cued && !is_article && other.is_ascii_uppercase()))
    })
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
