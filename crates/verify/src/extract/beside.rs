//! What stands beside a box and belongs to the answer, or makes it ambiguous.
//!
//! `-\boxed{5}` is -5, `\boxed{5}\text{ cm}` a length, `\$\boxed{5}` an amount, `\boxed{25} million` a number of
//! millions: a sign or a currency before the box and a unit, a percent sign, a degree or a scale behind it are
//! read with it. Of `2\boxed{5}`, `\boxed{5}!`, `\frac{\boxed{5}}{3}` and `(3, \boxed{5})` nobody knows what the
//! answer is. Relations, words, punctuation and the ends of a formula stand between the answer and the rest.
//! Outside of formulas only what touches the box counts.

use std::borrow::Cow;

use super::boxes::Span;
use super::surroundings::{Position, position};
use crate::units::Unit;

/// What stands beside a box makes the answer ambiguous.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ambiguous;

/// Only this many bytes before and behind a box are looked at.
const MAXIMUM_REACH: usize = 400;
/// Commands and signs that say nothing about the answer between them.
const SPACES: [&str; 29] = [
    " ",
    "\t",
    "\n",
    "\r",
    "~",
    "\\,",
    "\\;",
    "\\:",
    "\\!",
    "\\ ",
    "\\>",
    "\u{a0}",
    "\\quad",
    "\\qquad",
    "\\displaystyle",
    "\\textstyle",
    "\\bf",
    "\\bfseries",
    "\\rm",
    "\\it",
    "\\large",
    "\\Large",
    "\\LARGE",
    "\\huge",
    "\\Huge",
    "\\left",
    "\\right",
    "\\big",
    "\\Big",
];
/// Commands whose argument is shown as it is.
const STYLES: [&str; 17] = [
    "text",
    "textbf",
    "textit",
    "textrm",
    "mathbf",
    "mathrm",
    "boldsymbol",
    "bm",
    "color",
    "textcolor",
    "colorbox",
    "underline",
    "mathbin",
    "mathop",
    "mathord",
    "ensuremath",
    "mbox",
];
/// Commands with an argument that is no factor of what follows.
const NO_FACTORS: [&str; 18] = [
    "text", "textbf", "textit", "textrm", "textsf", "mbox", "hbox", "begin", "end", "tag", "label", "color",
    "hspace", "vspace", "boxed", "fbox", "framebox", "phantom",
];
/// Commands that stand between two statements, or start one.
const SEPARATORS: [&str; 45] = [
    "approx",
    "simeq",
    "equiv",
    "cong",
    "sim",
    "in",
    "ni",
    "le",
    "leq",
    "leqslant",
    "ge",
    "geq",
    "geqslant",
    "implies",
    "impliedby",
    "iff",
    "to",
    "rightarrow",
    "Rightarrow",
    "longrightarrow",
    "Longrightarrow",
    "leadsto",
    "mapsto",
    "Leftrightarrow",
    "Longleftrightarrow",
    "therefore",
    "because",
    "colon",
    "item",
    "bullet",
    "centering",
    "hline",
    "doteq",
    "triangleq",
    "coloneqq",
    "mid",
    "subset",
    "subseteq",
    "propto",
    "square",
    "blacksquare",
    "Box",
    "qed",
    "checkmark",
    "tag",
];
/// Words behind a number that multiply it.
const SCALES: [&str; 12] = [
    "hundred",
    "thousand",
    "million",
    "billion",
    "trillion",
    "dozen",
    "percent",
    "hundreds",
    "thousands",
    "millions",
    "billions",
    "dozens",
];
/// Names of units that are more often other words.
const WORDS_LIKE_UNITS: [&str; 9] = ["in", "won", "second", "degree", "a", "as", "at", "C", "A"];
/// Words that deny what they stand by.
const DENIALS: [&str; 9] =
    ["not", "n't", "never", "incorrect", "wrong", "excluded", "rejected", "invalid", "extraneous"];

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

/// What was found before a box.
struct Before {
    /// A sign, a currency or both.
    prefix: String,
    /// The bracket that stands right before the box.
    opened: Option<char>,
}

impl Before {
    /// Walks from the box towards the start of its formula, as far as what stands there belongs to the answer.
    fn of(text: &str, position: Position) -> Result<Self, Ambiguous> {
        let mut rest = reach_back(text);
        let mut found = Self { prefix: String::new(), opened: None };
        let mut touches = true;
        loop {
            let trimmed = trim_spaces_back(rest);
            touches &= trimmed.len() == rest.len();
            rest = trimmed;
            let counts = position.is_formula() || touches;
            let Some(last) = rest.chars().next_back() else { return Ok(found) };
            let shorter = rest.get(..rest.len() - last.len_utf8()).unwrap_or("");
            if let Some((command, start)) = command_back(rest) {
                let earlier = rest.get(..start).unwrap_or("");
                match command {
                    "pm" | "mp" if found.prefix.is_empty() => found.prefix.insert_str(0, "\\pm "),
                    _ if SEPARATORS.contains(&command) => return Ok(found),
                    _ => return Err(Ambiguous),
                }
                rest = earlier;
                continue;
            }
            match last {
                '$' if shorter.ends_with('\\') => {
                    found.prefix.insert_str(0, "\\$");
                    rest = shorter.get(..shorter.len() - 1).unwrap_or("");
                }
                '€' | '£' | '¥' | '₹' | '₩' => {
                    found.prefix.insert(0, last);
                    rest = shorter;
                }
                '-' | '−' | '+' | '±' => {
                    let earlier = trim_spaces_back(shorter);
                    // a dash between words, or in front of an item
                    if !position.is_formula() && !touches && !ends_with_relation(earlier) {
                        return Ok(found);
                    }
                    if !is_boundary(earlier, position) || found.prefix.starts_with(['-', '+', '\\']) {
                        return Err(Ambiguous);
                    }
                    found.prefix.insert_str(
                        0,
                        if last == '−' { "-" } else { rest.get(shorter.len()..).unwrap_or("") },
                    );
                    return Ok(found);
                }
                '{' if shorter.ends_with('\\') => {
                    found.opened = Some(last);
                    return Ok(found);
                }
                '{' if shorter.ends_with(']') => {
                    // `\bbox[5px]{`
                    let open = shorter.rfind('[').unwrap_or(0);
                    match command_back(shorter.get(..open).unwrap_or("")) {
                        Some(("bbox" | "color" | "colorbox", start)) => {
                            rest = rest.get(..start).unwrap_or("");
                        }
                        _ => return Err(Ambiguous),
                    }
                }
                '{' => {
                    let (command, start) = command_back(shorter).unwrap_or(("", shorter.len()));
                    if shorter.ends_with(['}', '^', '_', ']']) && !is_style_group(shorter) {
                        return Err(Ambiguous);
                    }
                    let is_style = command.is_empty() || STYLES.contains(&command);
                    if !is_style {
                        return Err(Ambiguous);
                    }
                    rest = shorter.get(..start).unwrap_or("");
                    if shorter.ends_with('}') {
                        rest =
                            before_group(shorter).map_or("", |(_, start)| shorter.get(..start).unwrap_or(""));
                    }
                }
                '}' => {
                    return match before_group(rest) {
                        Some(("color", start)) => {
                            rest = rest.get(..start).unwrap_or("");
                            continue;
                        }
                        Some(("text" | "textrm" | "mathrm", start))
                            if currency(rest.get(start..).unwrap_or("")).is_some() =>
                        {
                            found
                                .prefix
                                .insert_str(0, currency(rest.get(start..).unwrap_or("")).unwrap_or(""));
                            rest = rest.get(..start).unwrap_or("");
                            continue;
                        }
                        Some(("text" | "textrm" | "mathrm" | "mbox", start))
                            if denies(rest.get(start..).unwrap_or("")) =>
                        {
                            Err(Ambiguous)
                        }
                        Some((command, _)) if NO_FACTORS.contains(&command) => Ok(found),
                        _ if counts => Err(Ambiguous),
                        _ => Ok(found),
                    };
                }
                '(' | '[' if counts => {
                    // `\(`, `\[` open a formula
                    if !shorter.ends_with('\\') && position.is_formula() {
                        // `-(\boxed{5})`, `f(\boxed{5})`
                        if !is_boundary(trim_spaces_back(shorter), position) {
                            return Err(Ambiguous);
                        }
                        found.opened = Some(last);
                    }
                    return Ok(found);
                }
                '|' if counts && position.is_formula() => return Err(Ambiguous),
                ']' => return Ok(found),
                ')' if shorter.ends_with('\\') => return Ok(found),
                '=' => {
                    // `x != 5` is a denial, `2!=2` a factorial
                    let denied =
                        shorter.ends_with(" !") || shorter.ends_with('/') || shorter.ends_with("\\not");
                    return if denied { Err(Ambiguous) } else { Ok(found) };
                }
                '≠' => return Err(Ambiguous),
                '<' | '>' if position.is_formula() && !shorter.ends_with(['-', '=']) => {
                    return Err(Ambiguous);
                }
                // `0.\boxed{5}`, and thousands
                '.' if touches
                    && (position.is_formula() || shorter.ends_with(|c: char| c.is_ascii_digit())) =>
                {
                    return Err(Ambiguous);
                }
                ',' if position.is_formula() && shorter.ends_with(|c: char| c.is_ascii_digit()) => {
                    // `x = 1,\ y = 2` has a name for each; `3, \boxed{5}` has none
                    return Err(Ambiguous);
                }
                '*' | '`' if !position.is_formula() => rest = shorter,
                '*' | '/' | '^' | '_' | '!' | ')' | '·' | '×' | '÷' | '√' | '%' if counts => {
                    return Err(Ambiguous);
                }
                last if last.is_alphanumeric() => {
                    let word = last_word(rest);
                    if denies(word) {
                        return Err(Ambiguous);
                    }
                    // words of a sentence, also of one in a formula
                    let is_word =
                        word.chars().nth(1).is_some() && !word.contains(|c: char| c.is_ascii_digit());
                    let foreign = !last.is_ascii();
                    return if counts && !is_word && !foreign { Err(Ambiguous) } else { Ok(found) };
                }
                _ => return Ok(found),
            }
        }
    }
}

/// What stands behind a box and belongs to its answer.
fn behind(text: &str, position: Position, opened: Option<char>) -> Result<String, Ambiguous> {
    let whole = reach(text);
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
            '%' => return Ok("\\%".to_owned()),
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
            '!' | '<' | '>' | '≠' if !is_closed => return Err(Ambiguous),
            '+' | '-' | '*' | '/' | '|' | '\'' if !is_closed => return Err(Ambiguous),
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
                    "ne" | "neq" | "lt" | "gt" | "not" | "ldots" | "dots" | "bmod" if counts => {
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
    if braced {
        let after = text.get(text.find('}').map_or(text.len(), |end| end + 1)..).unwrap_or("");
        let goes_on = matches!(word, "and" | "or" | "to")
            && starts_with_number(trim_spaces(if more.is_empty() { after } else { more }));
        // `\mathrm{i}` and `\mathrm{e}` are numbers
        let is_number = counts && matches!(word, "i" | "e") && more.is_empty();
        if goes_on || is_number {
            return Err(Ambiguous);
        }
    }
    let is_scale = SCALES.contains(&word.to_lowercase().as_str());
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

/// Whether words behind an answer deny it: `is incorrect`, `is not the answer`, `excluded`.
fn is_denied(text: &str) -> bool {
    let mut words = text.split(|c: char| !c.is_alphabetic() && c != '\'').filter(|word| !word.is_empty());
    let Some(first) = words.next() else { return false };
    if first != "not" && denies(first) {
        return true;
    }
    if !matches!(first, "is" | "was" | "are" | "would" | "not" | "cannot" | "can" | "isn't") {
        return false;
    }
    let next: Vec<&str> = words.take(3).collect();
    let denied = |word: &str| word != "not" && denies(word);
    match next.as_slice() {
        ["be", word, ..] | [word, ..] if first != "not" && denied(word) => true,
        ["not", "be", ..]
        | ["not", "the", "answer" | "correct" | "right" | "solution"]
        | ["not", "correct" | "right" | "valid" | "possible", ..] => true,
        ["the", "wrong", ..] => true,
        ["the", "answer" | "correct" | "right", ..] => matches!(first, "isn't" | "not"),
        _ => false,
    }
}

/// Whether a word, or the last of a text, denies.
fn denies(text: &str) -> bool {
    let word = last_word(text.trim_end_matches(|c: char| !c.is_alphabetic())).to_lowercase();
    DENIALS.iter().any(|denial| {
        word.strip_suffix(denial)
            .is_some_and(|before| *denial == "n't" || !before.ends_with(char::is_alphabetic))
    })
}

/// The currency that is all of a `\text{...}`.
fn currency(text: &str) -> Option<&str> {
    let inside = text.split_once('{')?.1.strip_suffix('}')?.trim();
    matches!(inside, "€" | "£" | "¥" | "₹" | "₩" | "\\$").then_some(inside)
}

/// Whether a formula's side starts behind this text.
fn is_boundary(text: &str, position: Position) -> bool {
    if text.is_empty() || ends_with_relation(text) {
        return true;
    }
    if let Some((command, _)) = command_back(text) {
        return SEPARATORS.contains(&command);
    }
    if text.ends_with('}') {
        return before_group(text).is_some_and(|(command, _)| NO_FACTORS.contains(&command));
    }
    if text.ends_with("\\(") || text.ends_with("\\[") || text.ends_with("\\\\") {
        return true;
    }
    let last = text.chars().next_back().unwrap_or(' ');
    matches!(last, '$' | '&' | ':' | ',' | ';' | '{' | ']')
        || (!position.is_formula() && !last.is_ascii_digit())
}

fn ends_with_relation(text: &str) -> bool {
    text.ends_with(['=', '<', '>', '≈', '≡', '∈', ':', '⇒', '→'])
        || command_back(text).is_some_and(|(command, _)| SEPARATORS.contains(&command))
}

/// Whether a closed group before a brace is the first argument of a style: `\textcolor{red}{`.
fn is_style_group(text: &str) -> bool {
    before_group(text).is_some_and(|(command, _)| matches!(command, "textcolor" | "colorbox" | "color"))
}

/// The command to which the groups at the end of a text belong, and where it starts.
fn before_group(text: &str) -> Option<(&str, usize)> {
    let bytes = text.as_bytes();
    let mut end = bytes.len();
    while matches!(bytes.get(end.checked_sub(1)?), Some(b'}')) {
        let mut depth = 0_usize;
        loop {
            end = end.checked_sub(1)?;
            match bytes.get(end) {
                Some(b'}') => depth += 1,
                Some(b'{') => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                }
                _ => {}
            }
        }
    }
    command_back(text.get(..end)?)
}

/// The command at the end of a text and where it starts.
fn command_back(text: &str) -> Option<(&str, usize)> {
    let letters = text.bytes().rev().take_while(u8::is_ascii_alphabetic).count();
    let name = text.len() - letters;
    let before = text.get(..name)?;
    (letters > 0 && before.ends_with('\\') && !before.ends_with("\\\\"))
        .then(|| (text.get(name..).unwrap_or(""), name - 1))
}

/// The command at the start of a text, a single sign for `\%` and the like, and what follows.
fn command_at(text: &str) -> (&str, &str) {
    let tail = text.get(1..).unwrap_or("");
    let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
    let length = if letters > 0 { letters } else { tail.chars().next().map_or(0, char::len_utf8) };
    tail.split_at_checked(length).unwrap_or(("", ""))
}

/// Whether a text starts with a number or another formula's part.
fn starts_with_number(text: &str) -> bool {
    let text = text.trim_start_matches(['-', '+', '{']);
    text.starts_with(|next: char| next.is_ascii_digit())
        || ["\\frac", "\\sqrt", "\\pi", "\\boxed", "\\dfrac"].iter().any(|start| text.starts_with(start))
}

fn first_word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric()).unwrap_or(text.len());
    text.get(..end).unwrap_or("")
}

fn last_word(text: &str) -> &str {
    let start = text.rfind(|c: char| !c.is_alphanumeric() && c != '\'' && c != '’');
    text.get(
        start.map_or(0, |start| {
            start + text.get(start..).and_then(|t| t.chars().next()).map_or(1, char::len_utf8)
        })..,
    )
    .unwrap_or("")
}

fn trim_spaces(mut text: &str) -> &str {
    // most texts have no space of a kind that only LaTeX has
    text = text.trim_start();
    if !text.starts_with(['\\', '~']) {
        return text;
    }
    while let Some(rest) = SPACES.iter().find_map(|space| after_space(text, space)) {
        text = rest;
    }
    text
}

fn after_space<'a>(text: &'a str, space: &str) -> Option<&'a str> {
    let rest = text.strip_prefix(space)?;
    let is_word = space.ends_with(|last: char| last.is_ascii_alphabetic());
    (!is_word || !rest.starts_with(|next: char| next.is_ascii_alphabetic())).then_some(rest)
}

fn trim_spaces_back(mut text: &str) -> &str {
    if text.ends_with(|last: char| matches!(last, '$' | '=' | '&' | '{' | '}' | '(' | ')' | '-' | '0'..='9'))
    {
        return text;
    }
    while let Some(rest) = SPACES.iter().find_map(|space| text.strip_suffix(space)) {
        // `\\` and a space is a row's end
        if rest.ends_with('\\') && !text.ends_with("\\ ") {
            return rest;
        }
        text = rest;
    }
    text
}

/// The end of a text, as far as it is looked at.
fn reach_back(text: &str) -> &str {
    let mut start = text.len().saturating_sub(MAXIMUM_REACH);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text.get(start..).unwrap_or("")
}

/// The start of a text, as far as it is looked at.
fn reach(text: &str) -> &str {
    let mut end = text.len().min(MAXIMUM_REACH);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or("")
}
