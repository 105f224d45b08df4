//! Phrases that announce an answer, in several languages.

use std::borrow::Cow;

use super::behind::denied_behind;
use super::formula;
use super::phrasebook::{ANNOUNCEMENTS, COMMENTS, CONTINUATIONS, ENDINGS, FILLERS, OTHER_MENTIONS, REMARKS};
use super::strip_marks;
use super::table;

/// No more announcements than this are passed over.
const MAXIMUM_PASSED: usize = 4;

/// The text after the last announcement, up to the end of its formula or sentence.
///
/// What comments an answer, as `This answer is correct.` does, is passed over where one was announced before.
pub(crate) fn find(solution: &str) -> Option<Cow<'_, str>> {
    let mut end = solution.len();
    let mut last = None;
    for _ in 0..MAXIMUM_PASSED {
        let Some(announced) = last_announcement(solution.get(..end)?) else { break };
        last.get_or_insert(announced);
        if let Some(answer) =
            announced_at(solution, announced).filter(|answer| !is_comment(solution, announced, answer))
        {
            return Some(answer);
        }
        end = announced - 1;
        while !solution.is_char_boundary(end) {
            end -= 1;
        }
    }
    announced_at(solution, last?)
}

/// Whether what was announced says something about an answer that was given before.
fn is_comment(solution: &str, announced: usize, answer: &str) -> bool {
    let first = answer.bytes().next().unwrap_or_default();
    if COMMENTS.having(first).any(|comment| after_filler(answer, comment).is_some()) {
        return true;
    }
    let line = solution.get(..announced).unwrap_or("");
    let line = line.get(line.rfind('\n').map_or(0, |start| start + 1)..).unwrap_or("");
    let announcement = line.len().min(40);
    let start = (line.len() - announcement..line.len()).find(|start| line.is_char_boundary(*start));
    let near = line.get(start.unwrap_or(0)..).unwrap_or("").to_lowercase();
    OTHER_MENTIONS.iter().any(|mention| near.contains(mention))
}

/// The answer behind the end of an announcement.
fn announced_at(solution: &str, announced: usize) -> Option<Cow<'_, str>> {
    let mut rest = solution.get(announced..)?;
    let mut is_labelled = solution.get(..announced)?.ends_with([':', '：', '=']);
    loop {
        rest = rest.trim_start();
        let Some(first) = rest.bytes().next() else { break };
        match FILLERS.having(first).find_map(|filler| after_filler(rest, filler)) {
            Some(after) => {
                is_labelled = rest.starts_with([':', '：', '='])
                    || (is_labelled && !rest.starts_with(char::is_alphabetic));
                rest = after;
            }
            None => break,
        }
    }
    let answer = match answer_at(rest, is_labelled)? {
        Cow::Borrowed(answer) => Cow::Borrowed(strip_marks(answer)),
        Cow::Owned(answer) => Cow::Owned(strip_marks(&answer).to_owned()),
    };
    (!answer.is_empty()).then_some(answer)
}

/// What stands behind a filler at the start of a text, if it is no part of a longer word.
fn after_filler<'a>(text: &'a str, filler: &str) -> Option<&'a str> {
    if !table::starts_with(text.as_bytes(), filler) {
        return None;
    }
    let after = text.get(filler.len()..)?;
    let word = filler.is_ascii() && filler.ends_with(char::is_alphabetic);
    (!word || !after.starts_with(char::is_alphanumeric)).then_some(after)
}

/// The end of the last announcement, by bytes of the original text.
///
/// Looks at the ends of announcements from the text's end on: the first that is met is the last one.
fn last_announcement(solution: &str) -> Option<usize> {
    let bytes = solution.as_bytes();
    (1..=bytes.len()).rev().find(|end| {
        let text = bytes.get(..*end).unwrap_or(&[]);
        text.last()
            .is_some_and(|last| ANNOUNCEMENTS.having(*last).any(|phrase| table::ends_with(text, phrase)))
    })
}

/// The answer at the start of a text; behind a label, a final `!` is a factorial.
fn answer_at(text: &str, is_labelled: bool) -> Option<Cow<'_, str>> {
    let spans = formula::spans(text);
    if let Some(first) = spans.first()
        && first.0 == 0
    {
        return joined_formulas(text, &spans);
    }
    if let Some(rest) = text.strip_prefix("**") {
        return rest.split("**").next().map(Cow::Borrowed);
    }
    let whole = text.get(..sentence_end(text, &spans))?.trim();
    let mut answer = whole;
    while let Some(last) = answer.bytes().last()
        && let Some(ending) = ENDINGS.having(last).find(|ending| table::ends_with(answer.as_bytes(), ending))
    {
        // `5!.` ends in a factorial and a period
        let is_factorial = ending == "!" && (is_labelled || answer.len() < whole.len());
        if is_factorial
            && answer.get(..answer.len() - 1)?.ends_with(|c: char| c.is_ascii_alphanumeric() || c == ')')
        {
            break;
        }
        answer = answer.get(..answer.len() - ending.len())?.trim_end();
    }
    Some(Cow::Borrowed(without_remark(answer)))
}

/// `42 (see above)` without the remark.
fn without_remark(answer: &str) -> &str {
    let Some((before, remark)) = answer.strip_suffix(')').and_then(|inner| inner.rsplit_once('(')) else {
        return answer;
    };
    let first = remark.bytes().next().unwrap_or_default();
    let is_remark = REMARKS.having(first).any(|start| after_filler(remark, start).is_some());
    let before = before.trim_end();
    if is_remark && !before.is_empty() { before } else { answer }
}

/// Where a sentence ends or goes on; formulas are not cut.
fn sentence_end(text: &str, spans: &[(usize, usize, usize, usize)]) -> usize {
    let in_formula = |index: usize| {
        let next = spans.partition_point(|span| span.3 <= index);
        spans.get(next).is_some_and(|span| span.0 < index)
    };
    let ends = |index: &usize| {
        let rest = text.as_bytes().get(*index..).unwrap_or(&[]);
        let mut continuations = rest.first().into_iter().flat_map(|first| CONTINUATIONS.having(*first));
        continuations.any(|continuation| rest.starts_with(continuation.as_bytes())) && !in_formula(*index)
    };
    (0..text.len()).find(ends).unwrap_or(text.len())
}

/// The first formula with those joined to it, an "or" after it, and a unit in words behind it.
fn joined_formulas<'a>(text: &'a str, spans: &[(usize, usize, usize, usize)]) -> Option<Cow<'a, str>> {
    let content = |span: &(usize, usize, usize, usize)| text.get(span.1..span.2).map(str::trim);
    let mut parts = vec![content(spans.first()?)?];
    let mut alternative = false;
    let mut end = spans.first()?.3;
    for pair in spans.windows(2).take(super::MAXIMUM_JOINED) {
        let [before, after] = pair else { break };
        let Some(joint) = formula::joint(text.get(before.3..after.0)?) else { break };
        alternative |= joint == formula::Joint::Or;
        parts.push(content(after)?);
        end = after.3;
    }
    if denied_behind(text.get(end..).unwrap_or("")) {
        return None;
    }
    let joined = match parts.as_slice() {
        [only] => Cow::Borrowed(*only),
        parts => Cow::Owned(parts.join(if alternative { " or " } else { ", " })),
    };
    Some(match formula::alternative_after(text.get(end..).unwrap_or("")) {
        Some(other) => Cow::Owned(format!("{joined} or {other}")),
        None => joined,
    })
}
