//! Formulas in running text: `$…$`, `$$…$$`, `\(…\)`, `\[…\]`, and what joins neighbours.

use super::stance::{Stance, stance};

/// No more denied formulas than this are passed over.
const MAXIMUM_DENIED: usize = 16;

/// How two neighbouring formulas are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Joint {
    And,
    Or,
}

/// Words that may stand between two parts of one answer.
const AND_WORDS: [&str; 12] =
    ["and", "also", "as", "well", "&", "y", "et", "und", "和", "与", "및", "그리고"];
const OR_WORDS: [&str; 16] = [
    "or",
    "maybe",
    "possibly",
    "perhaps",
    "alternatively",
    "either",
    "else",
    "equivalently",
    "o",
    "ou",
    "oder",
    "或",
    "或者",
    "또는",
    "혹은",
    "и",
];

/// Words that may stand around one that hedges: `but it could be`.
const SOFT_WORDS: [&str; 16] = [
    "but",
    "it",
    "be",
    "is",
    "the",
    "answer",
    "answers",
    "another",
    "possible",
    "possibility",
    "value",
    "even",
    "could",
    "might",
    "may",
    "other",
];
/// The soft words that hedge by themselves.
const HEDGES: [&str; 3] = ["could", "might", "may"];

/// Whether a gap between two formulas joins them into one answer.
pub(crate) fn joint(gap: &str) -> Option<Joint> {
    if gap.len() > 80 {
        return None;
    }
    let mut joint = Joint::And;
    let mut is_soft = false;
    for word in gap.split(|character: char| {
        character.is_whitespace()
            || matches!(
                character,
                ',' | ';' | '$' | '(' | ')' | '[' | ']' | '\\' | '{' | '}' | '*' | '、' | '，'
            )
    }) {
        let word = word.to_lowercase();
        match word.as_str() {
            "" | "text" | "quad" | "qquad" | "textbf" | "mathrm" | "left" | "right" | "." => {}
            word if AND_WORDS.contains(&word) => {}
            word if OR_WORDS.contains(&word) || HEDGES.contains(&word) => joint = Joint::Or,
            word if SOFT_WORDS.contains(&word) => is_soft = true,
            _ => return None,
        }
    }
    (!is_soft || joint == Joint::Or).then_some(joint)
}

/// A formula or number that "or" adds right after an answer.
pub(crate) fn alternative_after(rest: &str) -> Option<String> {
    let rest = rest.trim_start_matches(|character: char| {
        character.is_whitespace() || matches!(character, '$' | ')' | ']' | '\\' | '*' | ',' | '}' | '(')
    });
    let rest = strip_or(rest)?;
    let rest = rest.trim_start_matches(|character: char| {
        character.is_whitespace() || matches!(character, '$' | '(' | '*')
    });
    let end = rest
        .find(|character: char| character.is_whitespace() || matches!(character, '$' | '*' | ';' | '?'))
        .unwrap_or(rest.len());
    let word = rest.get(..end)?.trim_end_matches(['.', ',', ')', ']']);
    mathematical(word).then(|| word.to_owned())
}

/// A formula or number before "or" right in front of an answer.
pub(crate) fn alternative_before(before: &str) -> Option<String> {
    let before = before.trim_end_matches(|character: char| {
        character.is_whitespace() || matches!(character, '$' | '(' | '[' | '\\' | '*' | '{')
    });
    let before = ["or", "或", "또는", "oder", "ou"].iter().find_map(|word| before.strip_suffix(word))?;
    if before.ends_with(char::is_alphanumeric) {
        return None;
    }
    let before = before.trim_end_matches(|character: char| {
        character.is_whitespace() || matches!(character, '$' | ')' | ']' | '\\' | '*' | ',')
    });
    let start = before.rfind(|character: char| character.is_whitespace() || matches!(character, '$' | '*'));
    let word = before.get(start.map_or(0, |start| start + 1)..)?;
    mathematical(word).then(|| word.to_owned())
}

fn strip_or(text: &str) -> Option<&str> {
    ["or maybe", "or possibly", "or perhaps", "or", "text{ or }", "或者", "或", "또는", "oder", "ou"]
        .iter()
        .find_map(|word| text.strip_prefix(word))
        .filter(|rest| !rest.starts_with(|character: char| character.is_ascii_alphanumeric()))
}

/// A word with a digit, a command or a sign in it is no prose.
fn mathematical(word: &str) -> bool {
    word.contains(|character: char| character.is_ascii_digit() || character == '\\') && word.len() <= 200
}

/// The last formula of a text; neighbours joined by a conjunction come along.
pub(crate) fn last(text: &str) -> Option<String> {
    let spans = spans(text);
    // `$43$, not $42$`
    let stands = |span: &(usize, usize, usize, usize)| stance(text, span.0, span.3);
    let (mut index, found) = spans
        .iter()
        .enumerate()
        .rev()
        .take(MAXIMUM_DENIED)
        .map(|(index, span)| (index, stands(span)))
        .find(|(_, stance)| *stance != Stance::Denied)?;
    if found != Stance::Stated {
        return None;
    }
    let mut parts = vec![text.get(spans.get(index)?.1..spans.get(index)?.2)?.trim()];
    let mut alternative = false;
    while index > 0 && parts.len() <= super::MAXIMUM_JOINED {
        let (before, after) = (spans.get(index - 1)?, spans.get(index)?);
        let Some(joint) = joint(text.get(before.3..after.0)?) else { break };
        alternative |= joint == Joint::Or;
        parts.insert(0, text.get(before.1..before.2)?.trim());
        index -= 1;
    }
    let joined = parts.join(if alternative { " or " } else { ", " });
    (!joined.is_empty()).then_some(joined)
}

/// Formulas as (start, content start, content end, end).
pub(crate) fn spans(text: &str) -> Vec<(usize, usize, usize, usize)> {
    const DELIMITERS: [(&str, &str); 4] = [("$$", "$$"), ("\\[", "\\]"), ("\\(", "\\)"), ("$", "$")];
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut position = 0;
    // a closing mark that was once searched for in vain is not there later either
    let mut missing = [false; DELIMITERS.len()];
    while position < bytes.len() {
        if !matches!(bytes.get(position), Some(b'$' | b'\\')) {
            position += 1;
            continue;
        }
        let Some(rest) = text.get(position..) else {
            position += 1;
            continue;
        };
        if rest.starts_with("\\$") || rest.starts_with("\\\\") {
            position += 2;
            continue;
        }
        let opening = DELIMITERS.iter().enumerate().find(|(_, (opening, _))| rest.starts_with(opening));
        let Some((which, (opening, closing))) = opening else {
            position += 1;
            continue;
        };
        let start = position + opening.len();
        let absent = missing.get(which).copied().unwrap_or(true);
        if let Some(end) = if absent { None } else { find_closing(text, start, closing) } {
            out.push((position, start, end, end + closing.len()));
            position = end + closing.len();
        } else {
            if let Some(flag) = missing.get_mut(which) {
                *flag = true;
            }
            position = start;
        }
    }
    out
}

/// The closing mark, past escaped dollars.
pub(crate) fn find_closing(text: &str, start: usize, closing: &str) -> Option<usize> {
    let mut from = start;
    loop {
        let found = from + text.get(from..)?.find(closing)?;
        let escaped = closing.starts_with('$') && found > 0 && text.as_bytes().get(found - 1) == Some(&b'\\');
        if !escaped {
            return Some(found);
        }
        from = found + closing.len();
    }
}
