//! What stands beside a box and belongs to the answer, or makes it ambiguous.
//!
//! `-\boxed{5}` is -5, `\boxed{5}\text{ cm}` a length, `\$\boxed{5}` an amount, `\boxed{25} million` a number of
//! millions: a sign or a currency before the box and a unit, a percent sign, a degree or a scale behind it are
//! read with it. Of `2\boxed{5}`, `\boxed{5}!`, `\frac{\boxed{5}}{3}` and `(3, \boxed{5})` nobody knows what the
//! answer is. Relations, words, punctuation and the ends of a formula stand between the answer and the rest.
//! Outside of formulas only what touches the box counts.

use std::borrow::Cow;

use super::before::Before;
use super::behind::behind;
use super::boxes::Span;
use super::stance::is_retracted;
use super::surroundings::position;

/// What stands beside a box makes the answer ambiguous.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ambiguous;

/// Only this many bytes before and behind a box are looked at.
const MAXIMUM_REACH: usize = 400;

/// The texts of one answer's boxes, the first with what stands before it, the last with what stands behind it.
pub(super) fn with_surroundings<'a>(
    solution: &'a str,
    spans: &[Span],
) -> Result<Vec<Cow<'a, str>>, Ambiguous> {
    let content = |span: &Span| solution.get(span.content_start..span.content_end).unwrap_or("").trim();
    let mut texts: Vec<Cow<'a, str>> = spans.iter().map(|span| Cow::Borrowed(content(span))).collect();
    let (Some(first), Some(last)) = (spans.first(), spans.last()) else { return Ok(texts) };
    // a word is no factor, and has no sign
    if texts.iter().all(|text| text.starts_with("\\text") && !text.contains(|c: char| c.is_ascii_digit())) {
        return Ok(texts);
    }
    let position = position(solution, first.start);
    if solution.get(..first.start).is_some_and(|before| before.ends_with("~~")) {
        return Err(Ambiguous);
    }
    if is_retracted(solution.get(last.end..).unwrap_or("")) {
        return Err(Ambiguous);
    }
    let before = Before::of(solution.get(..first.start).unwrap_or(""), position)?;
    let suffix = behind(solution.get(last.end..).unwrap_or(""), position, before.opened)?;
    if let Some(text) = texts.first_mut().filter(|_| !before.prefix.is_empty()) {
        let prefixed = prefixed(&before.prefix, text)?;
        *text = Cow::Owned(prefixed);
    }
    if let Some(text) = texts.last_mut().filter(|_| !suffix.is_empty()) {
        // `\boxed{5 \text{ cm}} \text{ cm}`: once is enough
        let is_whole =
            text.trim_end_matches('}').ends_with(|last: char| last.is_ascii_digit() || last == ')');
        if is_whole || !text.contains(suffix.trim_start_matches(['\\', ' '])) {
            *text = Cow::Owned(format!("{text}{suffix}"));
        }
    }
    Ok(texts)
}

/// A sign or a currency in front of an answer.
fn prefixed(prefix: &str, text: &str) -> Result<String, Ambiguous> {
    let parts = text.contains([',', ';', '=', '<', '>']) || text.contains("\\le") || text.contains("\\ge");
    if parts {
        return Err(Ambiguous);
    }
    let sum = text.contains(['+', '-']) || text.contains("\\pm");
    Ok(if sum { format!("{prefix}\\left({text}\\right)") } else { format!("{prefix}{text}") })
}

/// The end of a text, as far as it is looked at.
pub(super) fn reach_back(text: &str) -> &str {
    let mut start = text.len().saturating_sub(MAXIMUM_REACH);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text.get(start..).unwrap_or("")
}

/// The start of a text, as far as it is looked at.
pub(super) fn reach(text: &str) -> &str {
    let mut end = text.len().min(MAXIMUM_REACH);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or("")
}
