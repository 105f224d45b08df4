//! What only decorates an answer: styles, colours, quotation marks, ticks, and words that lead to it.
//!
//! The answer of `\textcolor{red}{x = 3, y = 4}`, `"5"`, `5 \checkmark` or `\text{The answer is } 601` is what
//! is left without them. Golds and answers are unwrapped alike, and nothing is taken away that could change a
//! value: where a brace holds a power or an argument together it stays.

mod gloss;
mod lead_in;
mod style;
mod typesetting;

use std::borrow::Cow;
use std::ops::Range;

use gloss::{GLOSSES, gloss, may_hold_gloss};
pub(crate) use lead_in::is_denied;
use lead_in::lead_in;
use style::{COLOURS, HIDING, without_inner};
pub(crate) use typesetting::is_same_typesetting;

/// No more wrappings than this are taken off.
const MAXIMUM_WRAPPINGS: usize = 12;

/// Commands that show their argument as it is, whatever it holds.
const TRANSPARENT: [&str; 14] = [
    "boxed",
    "fbox",
    "framebox",
    "displaystyle",
    "textstyle",
    "ensuremath",
    "smash",
    "mathtt",
    "underline",
    "large",
    "Large",
    "bf",
    "mathbin",
    "mathop",
];

/// Alphabets, which may tell one symbol from another, but not one number or date.
const ALPHABETS: [&str; 7] = ["mathbf", "mathit", "mathsf", "boldsymbol", "bm", "pmb", "textbf"];

/// Styles are looked for in no more layers than this.
const MAXIMUM_LAYERS: usize = 4;

/// Commands and signs that may stand in front of an answer.
const LEADING: [&str; 16] = [
    "\\therefore",
    "\\implies",
    "\\Rightarrow",
    "\\Longrightarrow",
    "\\rightarrow",
    "\\to",
    "\\approx",
    "\\simeq",
    "\\quad",
    "\\,",
    "\\ ",
    "∴",
    "⇒",
    "→",
    "≈",
    "=",
];

/// Marks of approval and of an end behind an answer.
const TRAILING: [&str; 21] = [
    "\\checkmark",
    "\\blacksquare",
    "\\qed",
    "\\square",
    "\\Box",
    "\\quad",
    "\\hfill",
    "\\,",
    "\\;",
    "\\ ",
    "✓",
    "✔",
    "✅",
    "■",
    "∎",
    "\\text{✓}",
    "\\text{ ✓}",
    "\\\\",
    "_{}",
    "^{}",
    "{}",
];

/// An answer without what only decorates it.
pub(crate) fn unwrapped(text: &str) -> Cow<'_, str> {
    if !is_suspicious(text) {
        return Cow::Borrowed(text);
    }
    let mut plain = Cow::Borrowed(text);
    for _ in 0..MAXIMUM_LAYERS {
        let Some(shown) = without_inner(&plain) else { break };
        plain = Cow::Owned(shown);
    }
    for _ in 0..MAXIMUM_WRAPPINGS {
        let Some(range) = inside(&plain) else { break };
        plain = match plain {
            Cow::Borrowed(text) => Cow::Borrowed(text.get(range).unwrap_or("")),
            Cow::Owned(text) => Cow::Owned(text.get(range).unwrap_or("").to_owned()),
        };
    }
    // `\sqrt2 \,(\approx 1.414)` says what `\sqrt2 \approx 1.414` says
    match gloss(&plain) {
        Some(chained) => Cow::Owned(chained),
        None if plain.is_empty() => Cow::Borrowed(text),
        None => plain,
    }
}

/// Whether an answer may have a wrapping at all: most have none, and are not looked at twice.
fn is_suspicious(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    if matches!(first, b'{' | b'"' | b'_' | b'*' | b'`' | b'\'' | b'=' | b' ')
        || matches!(last, b'"' | b'_' | b'}' | b' ' | b')') && text.len() > 1 && !is_plain_end(text)
        || (*first >= 0x80 || *last >= 0x80 || *last == b'\\')
    {
        return true;
    }
    if first.is_ascii_alphabetic()
        && bytes.contains(&b' ')
        && bytes.iter().any(|byte| matches!(byte, b':' | b's' | b'e'))
    {
        return true;
    }
    memchr::memchr_iter(b'\\', bytes).any(|index| {
        let (command, _) = command(text.get(index..).unwrap_or(""));
        if matches!(
            command,
            "" | "frac" | "sqrt" | "pi" | "dfrac" | "left" | "right" | "cdot" | "infty" | "cup"
        ) {
            return false;
        }
        is_wrapping(command) || (index == 0 && !matches!(command, "frac" | "dfrac" | "sqrt"))
    })
}

/// Whether the end of a text is the usual one of a fraction or a bracket.
fn is_plain_end(text: &str) -> bool {
    match text.as_bytes().last() {
        Some(b'}') => !text.ends_with("{}"),
        Some(b')') => !may_hold_gloss(text) || !GLOSSES.iter().any(|gloss| text.contains(gloss)),
        _ => false,
    }
}

fn is_wrapping(command: &str) -> bool {
    TRANSPARENT.contains(&command)
        || COLOURS.contains(&command)
        || HIDING.contains(&command)
        || ALPHABETS.contains(&command)
        || matches!(command, "checkmark" | "blacksquare" | "qed" | "approx" | "therefore" | "text")
}

/// The range inside an outermost wrapping.
fn inside(text: &str) -> Option<Range<usize>> {
    let start = text.len() - text.trim_start().len();
    let end = text.trim_end().len();
    if start > 0 || end < text.len() {
        return Some(start..end.max(start));
    }
    for mark in ["**", "*", "__", "_", "'", "\"", "``", "`", "''"] {
        let inner = text.strip_prefix(mark).and_then(|rest| rest.strip_suffix(mark));
        if inner.is_some_and(|inner| !inner.is_empty() && !inner.contains(mark)) {
            return Some(mark.len()..text.len() - mark.len());
        }
    }
    for (open, close) in [("“", "”"), ("``", "''"), ("「", "」"), ("«", "»")] {
        if text.len() > open.len() + close.len() && text.starts_with(open) && text.ends_with(close) {
            return Some(open.len()..text.len() - close.len());
        }
    }
    if let Some(mark) = LEADING.iter().find(|mark| starts_with_mark(text, mark)) {
        return Some(mark.len()..text.len());
    }
    if let Some(mark) = TRAILING.iter().find(|mark| text.ends_with(**mark) && text.len() > mark.len()) {
        return Some(0..text.len() - mark.len());
    }
    // `\checkmark.`
    if text.ends_with('.')
        && TRAILING.iter().any(|mark| text.get(..text.len() - 1).is_some_and(|text| text.ends_with(mark)))
    {
        return Some(0..text.len() - 1);
    }
    if text.starts_with('{') {
        // an empty group first, `{}^{3}`, holds a place
        if text.starts_with("{}")
            && text.get(2..3).is_some_and(|next| next.trim_start_matches(char::is_alphanumeric).is_empty())
        {
            return Some(2..text.len());
        }
        let holds = text.contains("\\over") || text.contains("\\choose") || text.contains("\\atop");
        let is_whole = group_end(text, 0)? == text.len() && text.len() > 2;
        return (is_whole && !holds).then(|| 1..text.len() - 1);
    }
    if let Some(end) = lead_in(text) {
        return Some(end..text.len());
    }
    if let Some(range) = single_row(text) {
        return Some(range);
    }
    let (command, length) = command(text);
    if length == 0 {
        return None;
    }
    let argument = length + text.get(length..)?.len() - text.get(length..)?.trim_start().len();
    let is_braced = text.get(argument..)?.starts_with('{');
    if matches!(command, "color") && is_braced {
        return Some(group_end(text, argument)?..text.len());
    }
    if matches!(command, "textcolor" | "colorbox") && is_braced {
        let content = group_end(text, argument)?;
        let end = group_end(text, content)?;
        return (end == text.len()).then(|| content + 1..end - 1);
    }
    let is_whole = is_braced && group_end(text, argument) == Some(text.len());
    if TRANSPARENT.contains(&command) {
        let is_switch = matches!(command, "displaystyle" | "textstyle" | "large" | "Large" | "bf");
        return match (is_whole, is_switch) {
            (true, _) => Some(argument + 1..text.len() - 1),
            (false, true) => Some(length..text.len()),
            (false, false) => None,
        };
    }
    let content = text.get(argument + 1..text.len() - 1).unwrap_or("");
    let is_many = content.contains(|c: char| c.is_ascii_digit() || c == ' ' || c == ',');
    if is_whole && ALPHABETS.contains(&command) && is_many {
        return Some(argument + 1..text.len() - 1);
    }
    // `\text{The answer is 601}`
    if is_whole && command == "text" {
        let inner = lead_in(content)?;
        return Some(argument + 1 + inner..text.len() - 1);
    }
    None
}

/// What stands in an environment of a single row.
fn single_row(text: &str) -> Option<Range<usize>> {
    let inner = text.strip_prefix("\\begin{")?;
    let (name, _) = inner.split_once('}')?;
    let end = text.strip_suffix('}')?.strip_suffix(name)?.strip_suffix("\\end{")?.len();
    let mut start = "\\begin{}".len() + name.len();
    match name.trim_end_matches('*') {
        "aligned" | "align" | "gathered" | "gather" | "split" | "equation" => {}
        // a table of one cell
        "array" => start = group_end(text, start)?,
        _ => return None,
    }
    let row = text.get(start..end)?;
    let is_cell = !row.contains('&') && !row.trim().trim_end_matches("\\\\").contains("\\\\");
    is_cell.then_some(start..end)
}

fn starts_with_mark(text: &str, mark: &str) -> bool {
    let is_word = mark.ends_with(|last: char| last.is_ascii_alphabetic());
    text.strip_prefix(mark).is_some_and(|rest| {
        let goes_on = is_word && rest.starts_with(|next: char| next.is_ascii_alphabetic());
        !rest.is_empty() && !goes_on
    })
}

/// The end of the group that starts at a byte.
fn group_end(text: &str, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    if bytes.get(start) != Some(&b'{') {
        return None;
    }
    let (mut depth, mut position) = (0_usize, start);
    while let Some(byte) = bytes.get(position) {
        match byte {
            b'\\' => position += 1,
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(position + 1);
                }
            }
            _ => {}
        }
        position += 1;
    }
    None
}

/// The name of the command at the start of a text, and its length with the backslash.
fn command(text: &str) -> (&str, usize) {
    let Some(tail) = text.strip_prefix('\\') else { return ("", 0) };
    let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
    (tail.get(..letters).unwrap_or(""), if letters == 0 { 0 } else { letters + 1 })
}

#[cfg(test)]
mod tests {
    use super::unwrapped;

    #[test]
    fn decorations_go() {
        for (wrapped, plain) in [
            (r"\color{blue}{x=3, y=-4}", "x=3, y=-4"),
            (r"\textcolor{red}{x=3, y=-4}", "x=3, y=-4"),
            (r"\color{red} 5", "5"),
            (r"\displaystyle{x=\pm1,\pm2}", r"x=\pm1,\pm2"),
            (r"{\displaystyle \frac{1}{2}}", r"\frac{1}{2}"),
            ("{4 July 2024}", "4 July 2024"),
            (r"\mathbf{4 July 2024}", "4 July 2024"),
            (r"\therefore x = 5", "x = 5"),
            (r"5 \checkmark", "5"),
            (r"\text{The answer is } 5.", "5."),
            (r"\text{The answer is 5}", "5"),
            (r"\text{ANSWER: } \$460", r"\$460"),
            ("The answer is 601", "601"),
            (r"\vphantom{A}5", "5"),
            (r"\smash{5}", "{5}"),
            ("__5__", "5"),
            ("\"5\"", "5"),
            ("5_{}", "5"),
            (r"\framebox{5}", "{5}"),
            (r"\sqrt2 \,(\approx 1.414)", r"\sqrt2 \approx 1.414"),
            (r"x=\textcolor{red}{3}", "x={3}"),
            (r"\textcolor{red}{x=3}, y=4", "x=3, y=4"),
        ] {
            let found = unwrapped(wrapped);
            assert!(found == plain || found == plain.trim_matches(['{', '}']), "{wrapped} is {found}");
        }
    }

    #[test]
    fn what_may_change_a_value_stays() {
        for text in [
            r"\frac{1}{2}",
            r"{}^{3}",
            r"{1}{2}",
            r"\mathbf{v}",
            r"2^\mathbf{10}",
            r"\text{not } 5",
            r"\text{The answer is not } 5",
            "x = 3",
            "f(x) = (x+1)",
            r"\text{Evelyn}",
            "is",
        ] {
            assert_eq!(unwrapped(text), text);
        }
    }
}
