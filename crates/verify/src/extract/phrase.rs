//! Phrases that announce an answer, in several languages.

use std::borrow::Cow;

use super::behind::denied_behind;
use super::formula;
use super::phrasebook::{ANNOUNCEMENTS, COMMENTS, CONTINUATIONS, ENDINGS, FILLERS, OTHER_MENTIONS, REMARKS};
use super::stance::{Stance, is_refusal, sentence, stance_of_announcement};
use super::strip_marks;
use super::table;

/// No more announcements than this are passed over.
const MAXIMUM_PASSED: usize = 4;

/// What the announcements of a text say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Phrase<'a> {
    /// There is none.
    Absent,
    Answer(Cow<'a, str>),
    /// The last one states no answer, and none before it does; its sentence ends at this byte.
    Withdrawn(usize),
}

/// The text after the last announcement, up to the end of its formula or sentence.
///
/// What comments an answer, as `This answer is correct.` does, is passed over where one was announced before; so is a
/// denial of another answer, and a question whether this one is right.
pub(crate) fn find(solution: &str) -> Phrase<'_> {
    let mut end = solution.len();
    let mut last = None;
    let mut withdrawn: Option<(usize, Stance, Option<Cow<'_, str>>)> = None;
    for _ in 0..MAXIMUM_PASSED {
        let Some(announced) = solution.get(..end).and_then(last_announcement) else { break };
        let answer = announced_at(solution, announced);
        let stance = stance_of_announcement(solution, announced);
        let is_comment = answer.as_deref().is_some_and(|answer| is_comment(solution, announced, answer));
        if stance != Stance::Stated && !is_comment {
            let rest = solution.get(announced..).unwrap_or("");
            withdrawn.get_or_insert((announced + sentence(rest).len(), stance, answer));
        } else if let Some(answer) = answer.filter(|_| !is_comment) {
            let Some((position, stance, other)) = withdrawn else { return Phrase::Answer(answer) };
            let is_same = other.as_deref().is_none_or(|other| is_within(&answer, other) || is_refusal(other));
            return match stance {
                Stance::Denied if !is_same => Phrase::Answer(answer),
                Stance::Raised if is_same => Phrase::Answer(answer),
                _ => Phrase::Withdrawn(position),
            };
        } else {
            last.get_or_insert(announced);
        }
        end = announced - 1;
        while !solution.is_char_boundary(end) {
            end -= 1;
        }
    }
    if let Some((position, _, _)) = withdrawn {
        return Phrase::Withdrawn(position);
    }
    last.and_then(|last| announced_at(solution, last)).map_or(Phrase::Absent, Phrase::Answer)
}

/// Whether an answer stands in a text as a whole.
fn is_within(answer: &str, text: &str) -> bool {
    text.match_indices(answer).any(|(start, _)| {
        let before = text.get(..start).unwrap_or("");
        let after = text.get(start + answer.len()..).unwrap_or("");
        !before.ends_with(char::is_alphanumeric) && !after.starts_with(char::is_alphanumeric)
    })
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
    let whole = without_other(text.get(..sentence_end(text, &spans))?.trim());
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

/// `42, not 43` without the other number.
fn without_other(text: &str) -> &str {
    let is_number = |text: &str| {
        text.contains(|c: char| c.is_ascii_digit())
            && text.chars().all(|c| c.is_ascii_digit() || "-.,/%".contains(c))
    };
    [", not ", " and not ", ", no ", " but not ", ", nicht ", ", pas ", ", non ", ", não "]
        .iter()
        .find_map(|denial| text.split_once(denial))
        .filter(|(before, other)| is_number(before) && is_number(other.trim_end_matches(['.', '!'])))
        .map_or(text, |(before, _)| before)
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
