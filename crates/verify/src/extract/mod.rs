//! From a completion to the text of its answer, and the rule that found it.
//!
//! The strict profile reads boxes only. The lenient one goes on with answer elements, phrases, a bare answer,
//! bold text and the last formula. A box that was opened and never closed ends the search: what stands
//! elsewhere is not the answer.

mod before;
mod behind;
mod beside;
mod boxes;
mod edge;
mod formula;
mod phrase;
mod phrasebook;
mod region;
mod stance;
mod surroundings;
mod table;

use std::borrow::Cow;

pub use region::solution;
use stance::{Stance, stance};

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
    /// The contents of boxes that stand together, which may be one answer given several times.
    pub(crate) parts: Vec<Cow<'a, str>>,
}

impl<'a> Found<'a> {
    fn new(text: Cow<'a, str>, rule: Rule) -> Self {
        Self { text, rule, parts: Vec::new() }
    }
}

/// Why nothing was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The thought never ended.
    UnfinishedThought,
    /// The last box never ended.
    UnfinishedBox,
    /// Nobody knows whether what stands beside the last box belongs to it.
    BesideBox,
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
        return Ok(Found::new(Cow::Borrowed(text), Rule::AnswerElement));
    }
    // what stands before an announcement that was taken back is no answer either
    let solution = match phrase::find(solution) {
        phrase::Phrase::Answer(text) => return Ok(Found::new(text, Rule::Phrase)),
        phrase::Phrase::Withdrawn(end) => solution.get(end..).unwrap_or(""),
        phrase::Phrase::Absent => solution,
    };
    // `**42** is the answer` has lost half of its marks
    let is_whole = whole.len() == solution.trim().len() || !whole.contains("**");
    if !whole.is_empty() && is_whole && bare(whole) {
        return Ok(Found::new(Cow::Borrowed(whole), Rule::Bare));
    }
    if let Some(text) = bold(solution) {
        return Ok(Found::new(Cow::Borrowed(text), Rule::Bold));
    }
    if let Some(text) = formula::last(solution) {
        return Ok(Found::new(Cow::Owned(text), Rule::LastFormula));
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
    let mut boxes = boxes::find(solution);
    if boxes.unfinished {
        return Err(Missing::UnfinishedBox);
    }
    // boxes that are only mentioned are none
    boxes.closed.retain(|span| !boxes::is_placeholder(span.content(solution)));
    // `\boxed{5}, not \boxed{6}`
    if boxes.closed.len() > 1 {
        let is_denied = |span: &boxes::Span| {
            let before = beside::reach_back(solution.get(..span.start).unwrap_or(""));
            edge::said(before) == edge::Said::Denied
        };
        if !boxes.closed.iter().all(is_denied) {
            boxes.closed.retain(|span| !is_denied(span));
        }
    }
    let Some(last) = boxes.closed.last().copied() else { return Ok(None) };
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
    let spans = boxes.closed.get(first..).unwrap_or(&[]);
    let mut texts = beside::with_surroundings(solution, spans).map_err(|_| Missing::BesideBox)?;
    if texts.len() > 1 {
        let mut seen: Vec<Cow<'_, str>> = Vec::with_capacity(texts.len());
        for text in texts {
            if !seen.contains(&text) {
                seen.push(text);
            }
        }
        texts = seen;
    }
    let rest = solution.get(last.end..).unwrap_or("");
    let before = solution.get(..spans.first().map_or(0, |span| span.start)).unwrap_or("");
    let hedge = formula::alternative_after(rest).or_else(|| formula::alternative_before(before));
    if let Some(other) = hedge.filter(|other| !texts.iter().any(|text| text == other)) {
        let text = format!("{} or {other}", texts.join(" or "));
        return Ok(Some(Found::new(Cow::Owned(text), Rule::Boxes)));
    }
    if texts.len() == 1 {
        return Ok(texts.pop().map(|only| Found::new(only, Rule::Box)));
    }
    let text = Cow::Owned(texts.join(if alternative { " or " } else { ", " }));
    Ok(Some(Found { text, rule: Rule::Boxes, parts: texts }))
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
        match stance(solution, start, end + 2) {
            Stance::Stated => {}
            Stance::Denied => {
                rest = before.get(..start)?;
                continue;
            }
            Stance::Doubted | Stance::Raised => return None,
        }
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
