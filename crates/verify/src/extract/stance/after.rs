//! What follows an answer and takes it back, or makes it a question.

use super::super::behind::{denied_behind, is_denied};
use super::super::formula::find_closing;
use super::is_negation;
use super::words::{INTERJECTIONS, LINKING, RIGHT, WRONG};

/// Only this many bytes behind an answer are looked at.
const MAXIMUM_REACH_BYTES: usize = 300;

/// Whether the sentence that an answer stands in is a question.
pub(super) fn is_asked(text: &str) -> bool {
    matches!(sentence_end(text), Some((_, '?' | '？')))
}

/// The rest of the sentence that a text starts in.
pub(in super::super) fn sentence(text: &str) -> &str {
    let end = sentence_end(text).map_or(text.len().min(MAXIMUM_REACH_BYTES), |(end, _)| end);
    let boundary = (end..=text.len()).find(|end| text.is_char_boundary(*end)).unwrap_or(text.len());
    text.get(..boundary).unwrap_or("")
}

/// Where a sentence ends, formulas skipped, and the sign that ends it.
fn sentence_end(text: &str) -> Option<(usize, char)> {
    let bytes = text.as_bytes();
    let mut index =
        text.len() - text.trim_start_matches(|c: char| c.is_whitespace() || "*:：".contains(c)).len();
    loop {
        // signs that end a sentence or open a formula; those of wide scripts start with the last two bytes
        index += bytes
            .get(index..)?
            .iter()
            .position(|byte| matches!(byte, b'$' | b'\\' | b'?' | b'.' | b'!' | b'\n' | 0xe3 | 0xef))?;
        if index > MAXIMUM_REACH_BYTES {
            return None;
        }
        let next = text.get(index..)?.chars().next()?;
        let length = next.len_utf8();
        let rest = text.get(index + length..).unwrap_or("");
        match next {
            '$' | '\\' => {
                let opening = if next == '$' { "$" } else { "\\" };
                let (skip, closing) = match (opening, rest.chars().next()) {
                    ("$", Some('$')) => (2, "$$"),
                    ("$", _) => (1, "$"),
                    (_, Some('(')) => (2, "\\)"),
                    (_, Some('[')) => (2, "\\]"),
                    _ => (0, ""),
                };
                let end = if skip == 0 { None } else { find_closing(text, index + skip, closing) };
                index = end.map_or(index + length, |end| end + closing.len());
            }
            '?' | '？' | '。' | '！' | '\n' => return Some((index, next)),
            '.' | '!'
                if rest.is_empty()
                    || rest.starts_with(|c: char| c.is_whitespace() || "*)\"'”".contains(c)) =>
            {
                return Some((index, next));
            }
            _ => index += length,
        }
    }
}

/// Whether what follows an answer takes it back: `, which is wrong`, `is not the answer`, `. Wait, that is wrong.`
pub(in super::super) fn is_retracted(after: &str) -> bool {
    let after = super::super::beside::reach(after);
    if after.trim_start().is_empty() {
        return false;
    }
    if denied_behind(after) {
        return true;
    }
    let closed = after.trim_start_matches(|c: char| c.is_whitespace() || "$)]*\\`\"”".contains(c));
    if closed.len() < after.len() && is_denied(closed) {
        return true;
    }
    let Some((end, _)) = sentence_end(closed) else { return false };
    let next = closed.get(end..).unwrap_or("").trim_start_matches(|c: char| !c.is_alphanumeric());
    takes_back(next)
}

/// Whether a text only refuses what was said before: `incorrect`, `not right`.
pub(in super::super) fn is_refusal(text: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '\'' && c != '’')
        .filter(|word| !word.is_empty())
        .all(|word| WRONG.has(word) || RIGHT.has(word) || is_negation(word) || LINKING.has(word))
}

/// Whether a sentence says of what stands before it that it is wrong.
fn takes_back(sentence: &str) -> bool {
    let end = sentence.find(['.', '\n', '?', ';', ':']).unwrap_or(sentence.len());
    let mut words = sentence
        .get(..end)
        .unwrap_or("")
        .split(|c: char| !c.is_alphanumeric() && c != '\'' && c != '’')
        .filter(|word| !word.is_empty())
        .skip_while(|word| INTERJECTIONS.has(word));
    let Some(subject) = words.next() else { return false };
    let (subject, is_verb) = match subject.split_once(['\'', '’']) {
        Some((subject, _)) => (subject, true),
        None => (subject, false),
    };
    if !["that", "this", "it"].iter().any(|known| subject.eq_ignore_ascii_case(known)) {
        return false;
    }
    let mut negated = false;
    let mut verb = is_verb;
    while let Some(word) = words.next() {
        if is_negation(word) {
            negated = true;
            verb = true;
        } else if WRONG.has(word) {
            // `It is wrong to think …` speaks of something else
            return verb
                && !negated
                && !words.next().is_some_and(|next| matches!(next, "to" | "that" | "for"));
        } else if RIGHT.has(word) {
            return verb && negated;
        } else if LINKING.has(word) {
            verb = true;
        } else {
            return false;
        }
    }
    false
}
