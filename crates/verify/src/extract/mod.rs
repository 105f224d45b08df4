//! From a completion to the text of its answer, and the rule that found it.
//!
//! The strict profile reads boxes only. The lenient one goes on with answer elements, phrases, a bare answer,
//! bold text and the last formula. A box that was opened and never closed ends the search: what stands
//! elsewhere is not the answer.

mod boxes;
mod formula;
mod phrase;
mod region;
mod table;

use std::borrow::Cow;

pub use region::solution;

use crate::outcome::{Profile, Rule};

/// Beyond boxes, only this many bytes at the end of a solution are searched.
const MAXIMUM_SEARCHED: usize = 1 << 16;
/// More boxes or formulas than this are not joined into one answer.
const MAXIMUM_JOINED: usize = 64;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found<'a> {
    pub(crate) text: Cow<'a, str>,
    pub(crate) rule: Rule,
}

/// Why nothing was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The thought never ended.
    UnfinishedThought,
    /// The last box never ended.
    UnfinishedBox,
    /// Nothing that the profile accepts.
    NoAnswer,
}

/// Finds the answer. `bare` says whether the whole solution may be taken for one.
pub(crate) fn extract<'a>(
    completion: &'a str,
    profile: Profile,
    bare: &mut dyn FnMut(&str) -> bool,
) -> Result<Found<'a>, Missing> {
    let solution = region::solution(completion).ok_or(Missing::UnfinishedThought)?;
    if let Some(found) = boxed(solution)? {
        return Ok(found);
    }
    if profile == Profile::Strict {
        return Err(Missing::NoAnswer);
    }
    let whole = strip_marks(solution);
    let solution = tail(solution);
    if let Some(text) = answer_element(solution) {
        return Ok(Found { text: Cow::Borrowed(text), rule: Rule::AnswerElement });
    }
    if let Some(text) = phrase::find(solution) {
        return Ok(Found { text, rule: Rule::Phrase });
    }
    if !whole.is_empty() && bare(whole) {
        return Ok(Found { text: Cow::Borrowed(whole), rule: Rule::Bare });
    }
    if let Some(text) = bold(solution) {
        return Ok(Found { text: Cow::Borrowed(text), rule: Rule::Bold });
    }
    if let Some(text) = formula::last(solution) {
        return Ok(Found { text: Cow::Owned(text), rule: Rule::LastFormula });
    }
    Err(Missing::NoAnswer)
}

/// The end of a solution, in which its answer is announced.
fn tail(solution: &str) -> &str {
    let mut start = solution.len().saturating_sub(MAXIMUM_SEARCHED);
    while !solution.is_char_boundary(start) {
        start += 1;
    }
    solution.get(start..).unwrap_or(solution)
}

/// White space, bold marks and back-ticks around a text.
pub(crate) fn strip_marks(text: &str) -> &str {
    text.trim_matches(|character: char| character.is_whitespace() || matches!(character, '*' | '`'))
}

fn boxed(solution: &str) -> Result<Option<Found<'_>>, Missing> {
    let boxes = boxes::find(solution);
    if boxes.unfinished {
        return Err(Missing::UnfinishedBox);
    }
    let Some(last) = boxes.closed.last().copied() else { return Ok(None) };
    let content =
        |span: &boxes::Span| solution.get(span.content_start..span.content_end).unwrap_or("").trim();
    // boxes with nothing but a conjunction between them are one answer
    let mut first = boxes.closed.len() - 1;
    let mut alternative = false;
    while first > 0 && boxes.closed.len() - first <= MAXIMUM_JOINED {
        let (Some(before), Some(after)) = (boxes.closed.get(first - 1), boxes.closed.get(first)) else {
            break;
        };
        let gap = solution.get(before.end..after.start).unwrap_or("");
        let Some(joint) = formula::joint(gap) else { break };
        alternative |= joint == formula::Joint::Or;
        first -= 1;
    }
    let mut texts: Vec<&str> = Vec::new();
    for span in boxes.closed.get(first..).unwrap_or(&[]) {
        let text = content(span);
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    let rest = solution.get(last.end..).unwrap_or("");
    let before = solution.get(..boxes.closed.get(first).map_or(0, |span| span.start)).unwrap_or("");
    let hedge = formula::alternative_after(rest).or_else(|| formula::alternative_before(before));
    if let Some(other) = hedge.filter(|other| !texts.contains(&other.as_str())) {
        let text = format!("{} or {other}", texts.join(" or "));
        return Ok(Some(Found { text: Cow::Owned(text), rule: Rule::Boxes }));
    }
    Ok(Some(if let [only] = texts.as_slice() {
        Found { text: Cow::Borrowed(*only), rule: Rule::Box }
    } else {
        Found { text: Cow::Owned(texts.join(if alternative { " or " } else { ", " })), rule: Rule::Boxes }
    }))
}

fn answer_element(solution: &str) -> Option<&str> {
    // most solutions have no such sign at all
    memchr::memchr(b'<', solution.as_bytes())?;
    let start = solution.rfind("<answer>")? + "<answer>".len();
    let rest = solution.get(start..)?;
    let end = rest.find("</answer>")?;
    rest.get(..end).map(str::trim)
}

/// The last bold text that can be an answer.
fn bold(solution: &str) -> Option<&str> {
    let mut rest = solution;
    for _ in 0..16 {
        let end = rest.rfind("**")?;
        let before = rest.get(..end)?;
        let start = before.rfind("**")?;
        let content = before.get(start + 2..)?.trim();
        let heading = content.ends_with(':') || content.starts_with("Step") || content.contains('\n');
        if !content.is_empty()
            && content.len() <= 200
            && !heading
            && content.ends_with(|last: char| last != '.')
        {
            return Some(content);
        }
        rest = before.get(..start)?;
    }
    None
}
