//! Phrases that announce an answer, in several languages.

use super::formula;
use super::strip_marks;

/// Announcements in lower case; the last one in the text counts.
const ANNOUNCEMENTS: [&str; 57] = [
    "answer is",
    "answer**:",
    "antwort**:",
    "respuesta**:",
    "答案**：",
    "정답**:",
    "answers are",
    "answer:",
    "answer :",
    "answer=",
    "answer =",
    "answers:",
    "final answer",
    "correct option is",
    "correct choice is",
    "####",
    "答案是",
    "答案为",
    "答案為",
    "答案:",
    "答案：",
    "答案选",
    "答案選",
    "答案应为",
    "故选",
    "应选",
    "정답은",
    "정답:",
    "정답 :",
    "정답：",
    "답은",
    "답:",
    "답 :",
    "답：",
    "réponse est",
    "réponse :",
    "réponse:",
    "réponse finale",
    "réponse correcte est",
    "antwort ist",
    "antwort lautet",
    "antwort:",
    "lösung ist",
    "ergebnis ist",
    "respuesta es",
    "respuesta final",
    "respuesta:",
    "respuesta correcta es",
    "risposta è",
    "risposta:",
    "resposta é",
    "resposta:",
    "ответ:",
    "答えは",
    "答え:",
    "答え：",
    "答案 :",
];
/// What may stand between an announcement and the answer.
const FILLERS: [&str; 32] = [
    "the final answer is",
    "the answer is",
    "is:",
    "is",
    "are",
    "est",
    "ist",
    "lautet",
    "es",
    "therefore",
    "thus",
    "also",
    "donc",
    "por lo tanto",
    "option",
    "indeed",
    "clearly",
    "just",
    "simply",
    "given by",
    "equal to",
    "exactly",
    "the value",
    ":",
    "：",
    "=",
    "**",
    "*",
    "은",
    "는",
    "은:",
    "も",
];
/// Where a sentence goes on after its answer.
const CONTINUATIONS: [&str; 20] = [
    ", since ",
    ", because ",
    " since ",
    " because ",
    ", as ",
    ", which ",
    ", where ",
    " where ",
    ", so ",
    " which ",
    ". ",
    ".\n",
    "\n",
    "。",
    "，因为",
    ", car ",
    ", da ",
    ", weil ",
    ", porque ",
    ", 因为",
];
/// Polite endings.
const ENDINGS: [&str; 14] = [
    "번입니다",
    "번이다",
    "번",
    "입니다",
    "이다",
    "이에요",
    "예요",
    "です",
    "である",
    "だ",
    "。",
    ".",
    "!",
    "i hope it is correct",
];

/// The text after the last announcement, up to the end of its formula or sentence.
pub(crate) fn find(solution: &str) -> Option<String> {
    let start = last_announcement(solution)?;
    let mut rest = solution.get(start..)?;
    loop {
        let trimmed = rest.trim_start();
        let lower: String = trimmed.chars().take(24).flat_map(char::to_lowercase).collect();
        let filler = FILLERS.iter().find(|filler| {
            lower.starts_with(**filler)
                && (!filler.ends_with(char::is_alphabetic)
                    || !filler.is_ascii()
                    || !lower.get(filler.len()..).is_some_and(|tail| tail.starts_with(char::is_alphanumeric)))
        });
        let Some(filler) = filler else {
            rest = trimmed;
            break;
        };
        let characters = filler.chars().count();
        rest = trimmed
            .char_indices()
            .nth(characters)
            .map_or("", |(index, _)| trimmed.get(index..).unwrap_or(""));
    }
    let answer = answer_at(rest)?;
    let answer = strip_marks(&answer);
    (!answer.is_empty()).then(|| answer.to_owned())
}

/// The end of the last announcement, by bytes of the original text.
fn last_announcement(solution: &str) -> Option<usize> {
    if !may_announce(solution) {
        return None;
    }
    let ascii = solution.is_ascii();
    // case folding by ASCII keeps byte positions; the accented letters in the list are lower case in use
    let lower = solution.to_ascii_lowercase();
    ANNOUNCEMENTS
        .iter()
        .filter(|phrase| !ascii || phrase.is_ascii())
        .filter_map(|phrase| lower.rfind(phrase).map(|index| index + phrase.len()))
        .max()
}

/// Whether there is anything that every announcement has: a long word, a letter beyond ASCII, or `#`.
///
/// One pass that spares most bare answers the search for each of them.
fn may_announce(solution: &str) -> bool {
    const SHORTEST_WORD: usize = "answer".len();
    let mut run = 0;
    solution.bytes().any(|byte| {
        run = if byte.is_ascii_alphabetic() { run + 1 } else { 0 };
        run >= SHORTEST_WORD || byte == b'#' || !byte.is_ascii()
    })
}

/// The answer at the start of a text.
fn answer_at(text: &str) -> Option<String> {
    let spans = formula::spans(text);
    if let Some(first) = spans.first()
        && first.0 == 0
    {
        return joined_formulas(text, &spans);
    }
    if let Some(rest) = text.strip_prefix("**") {
        return rest.split("**").next().map(str::to_owned);
    }
    // a sentence: to its end, or to where it goes on; formulas are not cut
    let formula_end = |index: usize| spans.iter().any(|span| span.0 < index && index < span.3);
    let end = CONTINUATIONS
        .iter()
        .filter_map(|continuation| {
            text.match_indices(continuation).map(|(index, _)| index).find(|index| !formula_end(*index))
        })
        .min()
        .unwrap_or(text.len());
    let mut answer = text.get(..end)?.trim();
    loop {
        let shorter = ENDINGS
            .iter()
            .find_map(|ending| {
                let lower = answer.to_ascii_lowercase();
                lower.ends_with(ending).then(|| answer.len() - ending.len())
            })
            .and_then(|length| answer.get(..length));
        match shorter {
            Some(shorter) => answer = shorter.trim_end(),
            None => break,
        }
    }
    Some(answer.to_owned())
}

/// The first formula with those joined to it, an "or" after it, and a unit in words behind it.
fn joined_formulas(text: &str, spans: &[(usize, usize, usize, usize)]) -> Option<String> {
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
    let mut joined = parts.join(if alternative { " or " } else { ", " });
    if let Some(other) = formula::alternative_after(text.get(end..).unwrap_or("")) {
        joined = format!("{joined} or {other}");
    }
    Some(joined)
}
