//! An option's letter with its value in one answer: `\textbf{(C) }12`, `(C)\ 12`, `C. 12`.

/// Alphabets that options are set in.
const STYLES: [&str; 8] = ["textbf", "text", "textrm", "mathrm", "mathbf", "textit", "mbox", "textsf"];

/// Whether an option may be called so.
pub(crate) const fn is_letter(character: char) -> bool {
    matches!(character, 'A'..='J')
}

/// An answer that gives an option's letter and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lettered<'a> {
    pub(crate) letter: char,
    pub(crate) value: &'a str,
}

impl<'a> Lettered<'a> {
    /// Splits an answer; `None` if it is anything but one letter and one value.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim();
        if let Some((value, letter)) = trailing(text) {
            return Some(Self { letter, value });
        }
        let (letter, value) = match styled(text) {
            Some((inside, behind)) if behind.trim().is_empty() => label(inside)?,
            Some((inside, behind)) => {
                let (letter, rest) = label(inside)?;
                (letter, rest.trim().is_empty().then_some(behind)?)
            }
            None => label(text)?,
        };
        let value = trim_spaces(value);
        let is_listing = value.match_indices('(').any(|(index, _)| {
            value.get(index..).is_some_and(|rest| label(rest).is_some_and(|(other, _)| other != letter))
        });
        (!value.is_empty() && !is_listing).then_some(Self { letter, value })
    }
}

/// The value and the option behind it: `12\ \textbf{(C)}`, `12 \text{ (C)}`.
fn trailing(text: &str) -> Option<(&str, char)> {
    let before = text.trim_end_matches('}').strip_suffix(')')?;
    let (before, letter) = before.rsplit_once('(')?;
    let letter = option(letter).filter(|_| before.ends_with(['{', ' ', '~']))?;
    let value = before.trim_end().trim_end_matches('{').trim_end();
    let value =
        STYLES.iter().find_map(|style| value.strip_suffix(style)?.strip_suffix('\\')).unwrap_or(value);
    let value = value.trim_end_matches(['\\', ' ', '~', ',', ';']);
    let is_value = value.ends_with(|last: char| last.is_ascii_digit() || last == '}');
    (is_value && value.matches('{').count() == value.matches('}').count()).then_some((value, letter))
}

/// The option that a text names, and nothing else: `C`, `(C)`, `\text{(C)}`, `\textbf{C}`.
pub(crate) fn option(text: &str) -> Option<char> {
    let text = text.trim();
    let text = match styled(text) {
        Some((inside, behind)) if behind.trim().is_empty() => inside.trim(),
        Some(_) => return None,
        None => text,
    };
    let text = ["Option ", "Choice ", "option ", "choice "]
        .iter()
        .find_map(|word| text.strip_prefix(word))
        .unwrap_or(text);
    let bare = text.strip_prefix('(').map_or(text, |inner| inner.strip_suffix(')').unwrap_or(text));
    let mut characters = bare.chars();
    characters.next().filter(|letter| characters.next().is_none() && is_letter(*letter))
}

/// What stands in the style at the start of a text, and what stands behind it.
fn styled(text: &str) -> Option<(&str, &str)> {
    let tail = text.strip_prefix('\\').or_else(|| text.strip_prefix("{\\"))?;
    if let Some(inside) = text.strip_prefix("{\\").and_then(|_| tail.strip_prefix("bf")) {
        return inside.trim_start().split_once('}');
    }
    let style = STYLES.iter().find_map(|style| tail.strip_prefix(style)?.strip_prefix('{'))?;
    style.split_once('}').filter(|(inside, _)| !inside.contains(['{', '\\']))
}

/// The letter at the start of a text, with the mark that makes it an option, and what follows.
fn label(text: &str) -> Option<(char, &str)> {
    let text = text.trim_start();
    let bracketed = text.strip_prefix('(');
    let inner = bracketed.unwrap_or(text);
    // `(\text{C})`
    let inner = match styled(inner).filter(|_| bracketed.is_some()) {
        Some((letter, behind)) if letter.len() == 1 => {
            let letter = letter.chars().next().filter(|letter| is_letter(*letter))?;
            return behind.strip_prefix(')').map(|rest| (letter, rest));
        }
        _ => inner,
    };
    let letter = inner.chars().next().filter(|letter| is_letter(*letter))?;
    let rest = inner.get(1..)?;
    if bracketed.is_some() {
        return rest.strip_prefix(')').map(|rest| (letter, rest));
    }
    // `C.5` is no option
    let behind = rest.strip_prefix([')', '.', ':'])?;
    (behind.is_empty() || behind.starts_with([' ', '\\', '~'])).then_some((letter, behind))
}

fn trim_spaces(text: &str) -> &str {
    let mut rest = text.trim();
    while let Some(shorter) =
        ["\\ ", "\\,", "\\;", "\\:", "~", "\\quad", ":"].iter().find_map(|space| rest.strip_prefix(space))
    {
        rest = shorter.trim_start();
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::{Lettered, option};

    #[test]
    fn letter_and_value_are_split() {
        for text in [
            r"\textbf{(C) }12",
            r"\textbf{(C)}\ 12",
            r"\textbf{(C) 12}",
            r"(C)\ 12",
            r"\mathrm{(C)}~12",
            "C. 12",
            "(C) 12",
            "C) 12",
            r"{\bf (C)} 12",
        ] {
            assert_eq!(Lettered::parse(text), Some(Lettered { letter: 'C', value: "12" }), "{text}");
        }
        for text in ["(C)", "C.5", "(C) 1 (D) 2", "(C)(D)", "Cx", "C(1,2)", "f(C) 5", "(x) 5"] {
            assert_eq!(Lettered::parse(text), None, "{text}");
        }
    }

    #[test]
    fn options_are_letters_alone() {
        for text in ["C", "(C)", r"\text{(C)}", r"\textbf{C}"] {
            assert_eq!(option(text), Some('C'), "{text}");
        }
        for text in ["c", "C1", "(C", r"\text{C} 1", "Z"] {
            assert_eq!(option(text), None, "{text}");
        }
    }
}
