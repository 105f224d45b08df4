//! What stands behind a box and belongs to its answer: a unit, a scale, a degree, a percent sign.

use super::beside::{Ambiguous, reach};
use super::edge::{SEPARATORS, command_at, denies, first_word, starts_with_number, trim_spaces};
use super::surroundings::Position;
use crate::reader::scales;
use crate::units::Unit;

/// Words that scale a number in its box, and may be other words in a sentence.
const WORDS_LIKE_SCALES: [&str; 16] = [
    "score",
    "gross",
    "half",
    "third",
    "quarter",
    "quarters",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "hundredth",
    "thousandth",
    "scores",
];
/// Signs that scale a number they stand behind.
const SCALING_SIGNS: [char; 10] = ['万', '萬', '亿', '億', '만', '억', '千', '천', '百', '백'];
/// Words behind `or` that make a bound of the number before it.
const BOUNDS: [&str; 7] = ["more", "less", "fewer", "greater", "larger", "higher", "above"];
/// Words behind a number in other languages that deny it or make a bound of it.
const REMARKS: [&str; 10] =
    ["以上", "以下", "이상", "이하", "未満", "未满", "不对", "不是", "是错", "가아니"];
/// What an answer is or does, unless that is denied.
const FITTING: [&str; 17] = [
    "be",
    "correct",
    "right",
    "true",
    "valid",
    "possible",
    "answer",
    "solution",
    "it",
    "work",
    "satisfy",
    "hold",
    "fit",
    "count",
    "happen",
    "root",
    "acceptable",
];
/// Units of one letter that are read in a sentence where it ends.
const LETTERS: [&str; 9] = ["m", "g", "s", "L", "h", "N", "J", "W", "V"];

/// Names of units that are more often other words.
const WORDS_LIKE_UNITS: [&str; 9] = ["in", "won", "second", "degree", "a", "as", "at", "C", "A"];

/// What stands behind a box and belongs to its answer.
pub(super) fn behind(text: &str, position: Position, opened: Option<char>) -> Result<String, Ambiguous> {
    let whole = reach(text);
    if denied_behind(whole) {
        return Err(Ambiguous);
    }
    let mut rest = whole;
    let mut is_closed = !position.is_formula();
    loop {
        let trimmed = trim_spaces(rest);
        let touches = trimmed.len() == whole.len();
        rest = trimmed;
        let counts = !is_closed || touches;
        let Some(first) = rest.chars().next() else { break };
        let longer = rest.get(first.len_utf8()..).unwrap_or("");
        if opened.is_some() && !is_closed && !matches!(first, ')' | ']' | '}') && !rest.starts_with("\\}") {
            return Err(Ambiguous);
        }
        match first {
            '}' | '*' | '`' if is_closed || first == '}' => rest = longer,
            '$' => {
                is_closed = true;
                rest = longer;
            }
            '.' | ',' if longer.starts_with(|next: char| next.is_ascii_digit()) => return Err(Ambiguous),
            // a list goes on, and a ratio
            ',' if !is_closed && starts_with_number(trim_spaces(longer)) => return Err(Ambiguous),
            ':' if counts && starts_with_number(trim_spaces(longer)) => return Err(Ambiguous),
            '.' if !is_closed && longer.starts_with("..") => return Err(Ambiguous),
            '–' | '—' if starts_with_number(trim_spaces(longer.trim_start_matches('$'))) => {
                return Err(Ambiguous);
            }
            '%' | '％' => return Ok("\\%".to_owned()),
            '¢' => return Ok("\\text{ cents}".to_owned()),
            '‰' | '‱' => return Err(Ambiguous),
            '(' if !counts && is_denied(longer) => return Err(Ambiguous),
            first if first.is_numeric() && !first.is_ascii() => return Err(Ambiguous),
            '°' => return Ok("^\\circ".to_owned()),
            ')' | ']' if !is_closed => {
                let is_pair = matches!((opened, first), (Some('('), ')') | (Some('['), ']'));
                return if is_pair { Ok(String::new()) } else { Err(Ambiguous) };
            }
            '^' if counts => {
                let power = longer.trim_start_matches(['{', ' ']);
                let degree = power.starts_with("\\circ") || power.starts_with('°');
                return if degree { Ok("^\\circ".to_owned()) } else { Err(Ambiguous) };
            }
            '_' if counts && longer.starts_with(|next: char| next.is_ascii_digit() || next == '{') => {
                let length =
                    if longer.starts_with('{') { longer.find('}').map_or(0, |end| end + 1) } else { 1 };
                let base = longer.get(..length).unwrap_or("");
                // numbers are in base ten anyway
                return Ok(if base == "{10}" { String::new() } else { format!("_{base}") });
            }
            '!' | '<' | '>' | '≠' | '≤' | '≥' | '+' | '-' | '*' | '/' | '|' | '\'' if !is_closed => {
                return Err(Ambiguous);
            }
            '+' | '-' | '/'
                if touches && longer.starts_with(|next: char| next.is_ascii_digit() || next == '\\') =>
            {
                return Err(Ambiguous);
            }
            '(' if counts => {
                let inside = trim_spaces(longer);
                let is_remark = inside.starts_with("\\text")
                    || inside.starts_with("\\mathrm")
                    || inside.starts_with("\\approx")
                    || inside.starts_with('≈')
                    || first_word(inside).chars().nth(1).is_some();
                return if is_remark { Ok(String::new()) } else { Err(Ambiguous) };
            }
            '\\' => {
                let (command, after) = command_at(rest);
                match command {
                    ")" | "]" => {
                        is_closed = true;
                        rest = after;
                    }
                    "%" => return Ok("\\%".to_owned()),
                    "circ" | "degree" => return Ok("^\\circ".to_owned()),
                    "text" | "textrm" | "mathrm" | "mbox" | "hbox" | "textbf" | "textit" | "operatorname"
                    | "rm" => return words_behind(after, true, counts),
                    // also the end of a range, and a divisor
                    "ne" | "neq" | "lt" | "gt" | "not" | "ldots" | "dots" | "bmod" | "le" | "leq"
                    | "leqslant" | "ge" | "geq" | "geqslant" | "mid"
                        if counts =>
                    {
                        return Err(Ambiguous);
                    }
                    "}" if opened == Some('{') => break,
                    "\\" | "pmod" | "mod" | "pod" | "end" | "hfill" | "newline" | "label" | "par"
                    | "land" | "lor" | "wedge" | "vee" => break,
                    _ if SEPARATORS.contains(&command) => break,
                    _ if counts => return Err(Ambiguous),
                    _ => break,
                }
            }
            first if first.is_alphanumeric() => {
                let word = first_word(rest);
                if is_closed && !touches && is_lone_unit(word, rest) {
                    return Ok(format!("\\text{{ {word}}}"));
                }
                let is_word = word.chars().nth(1).is_some() && !word.contains(|c: char| c.is_ascii_digit());
                if is_word || !first.is_ascii() {
                    return words_behind(rest, false, counts);
                }
                // `25x`, and `5 m` in a sentence
                return if counts && (!is_closed || touches) { Err(Ambiguous) } else { Ok(String::new()) };
            }
            _ => break,
        }
    }
    Ok(String::new())
}

/// Whether a letter that ends a sentence, or a part of one, is a unit: `$\boxed{5}$ m.`
fn is_lone_unit(word: &str, text: &str) -> bool {
    let after = text.get(word.len()..).unwrap_or("").trim_start_matches(' ');
    LETTERS.contains(&word) && (after.is_empty() || after.starts_with(['.', ',', ';', '\n']))
}

/// Words behind an answer: a unit or a scale belongs to it, a denial makes it none.
fn words_behind(text: &str, braced: bool, counts: bool) -> Result<String, Ambiguous> {
    let inside = if braced {
        let inside = text.trim_start().strip_prefix('{').unwrap_or(text);
        inside.get(..inside.find('}').unwrap_or(inside.len())).unwrap_or("")
    } else {
        text
    };
    let inside = inside.trim_start();
    let word = first_word(inside);
    if is_denied(inside) {
        return Err(Ambiguous);
    }
    let more = inside.get(word.len()..).unwrap_or("").trim();
    let is_bound = word == "or" && BOUNDS.contains(&first_word(more));
    if is_bound || (!word.is_ascii() && REMARKS.iter().any(|remark| word.starts_with(remark))) {
        return Err(Ambiguous);
    }
    if let Some(sign) = word.chars().next().filter(|first| SCALING_SIGNS.contains(first)) {
        return Ok(format!("\\text{{{sign}}}"));
    }
    if word == "to" && starts_with_number(trim_spaces(more.trim_start_matches('$'))) {
        return Err(Ambiguous);
    }
    if braced && more.starts_with(['/', '^']) && Unit::named(word).is_some() {
        // `\text{ km/h}`
        return Ok(format!("\\text{{ {}}}", inside.trim_end_matches(['.', ' '])));
    }
    if braced {
        let after = text.get(text.find('}').map_or(text.len(), |end| end + 1)..).unwrap_or("");
        let goes_on = matches!(word, "and" | "or" | "to")
            && starts_with_number(trim_spaces(if more.is_empty() { after } else { more }));
        // `\mathrm{i}` and `\mathrm{e}` are numbers
        let is_number = counts && matches!(word, "i" | "e" | "k" | "M" | "B") && more.is_empty();
        if goes_on || is_number {
            return Err(Ambiguous);
        }
    }
    let lower = word.to_lowercase();
    let is_scale =
        lower == "percent" || (scales(&lower) && (braced || !WORDS_LIKE_SCALES.contains(&lower.as_str())));
    // a text that goes on is a sentence: `\text{ m from the wall}`
    let is_unit = (!braced || more.is_empty() || more == ".")
        && (braced || word.len() > 1)
        && !WORDS_LIKE_UNITS.contains(&word)
        && Unit::named(word).is_some();
    if !is_scale && !is_unit {
        return Ok(String::new());
    }
    let mut suffix = format!("\\text{{ {word}}}");
    let after =
        if braced { text.get(text.find('}').map_or(text.len(), |end| end + 1)..) } else { Some(more) };
    let power = after.unwrap_or("").trim_start().strip_prefix('^').map(|power| power.trim_start_matches('{'));
    if let Some(digit) = power.and_then(|power| power.chars().next()).filter(char::is_ascii_digit) {
        suffix.push('^');
        suffix.push(digit);
    } else if is_unit && after.unwrap_or("").trim_start().starts_with(['/', '\\']) {
        // a compound unit is left to its reader
        return Ok(compound(text, braced));
    }
    Ok(suffix)
}

/// `\text{km}/\text{h}`: the unit up to the end of its formula.
fn compound(text: &str, braced: bool) -> String {
    let end = text.find(['$', ',', '=', '\n', '(', ';']).unwrap_or(text.len());
    let unit = text.get(..end).unwrap_or("").trim_end_matches(['.', '\\', ' ', ']', ')']);
    let is_balanced = unit.matches('{').count() == unit.matches('}').count();
    match (is_balanced, braced) {
        (true, true) => format!("\\text{unit}"),
        (true, false) => format!(" {unit}"),
        _ => String::new(),
    }
}

/// Whether a clause behind an answer denies it: `$5$, which is wrong`.
pub(super) fn denied_behind(text: &str) -> bool {
    let closed = text.trim_start_matches(|c: char| c.is_whitespace() || "$)]*\\".contains(c));
    closed
        .strip_prefix(',')
        .map(str::trim_start)
        .and_then(|clause| {
            ["which ", "but this ", "but that ", "but it "]
                .iter()
                .find_map(|start| clause.strip_prefix(start))
        })
        .is_some_and(is_denied)
}

/// Whether words behind an answer deny it: `is incorrect`, `is not the answer`, `excluded`.
pub(super) fn is_denied(text: &str) -> bool {
    let mut words =
        text.split(|c: char| !c.is_alphabetic() && c != '\'' && c != '’').filter(|word| !word.is_empty());
    let Some(first) = words.next() else { return false };
    let is_verb = matches!(
        first,
        "is" | "was"
            | "are"
            | "would"
            | "not"
            | "cannot"
            | "can"
            | "can't"
            | "does"
            | "doesn't"
            | "must"
            | "isn't"
            | "wasn't"
    );
    if !is_verb {
        return denies(first) || matches!(first, "fails" | "impossible");
    }
    let next: Vec<&str> = words.take(3).collect();
    let is_negated = denies(first);
    let denied = |word: &str| word != "not" && (denies(word) || word == "impossible");
    match next.as_slice() {
        // `which cannot be reduced` denies nothing
        ["be", word, ..] | [word, ..] if is_negated => {
            FITTING.contains(word)
                || ["the", "a"].contains(word) && next.iter().any(|word| FITTING.contains(word))
        }
        ["be", word, ..] | [word, ..] if denied(word) => true,
        ["not", word, ..] if FITTING.contains(word) => true,
        ["not", "the" | "a", word] if FITTING.contains(word) => true,
        ["the", "wrong", ..]
        | ["ruled", "out", ..]
        | ["not", "be", "the" | "a" | "correct" | "right" | "true" | "valid" | "it"] => true,
        _ => false,
    }
}
