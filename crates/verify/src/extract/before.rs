//! What stands before a box and belongs to its answer: a sign, a currency, a bracket.

use super::beside::{Ambiguous, reach_back};
use super::edge::{SEPARATORS, Said, command_back, denies, last_word, said, trim_spaces_back};
use super::surroundings::Position;

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

/// What was found before a box.
pub(super) struct Before {
    /// A sign, a currency or both.
    pub(super) prefix: String,
    /// The bracket that stands right before the box.
    pub(super) opened: Option<char>,
}

impl Before {
    /// Walks from the box towards the start of its formula, as far as what stands there belongs to the answer.
    pub(super) fn of(text: &str, position: Position) -> Result<Self, Ambiguous> {
        let mut rest = reach_back(text);
        if said(rest) != Said::Itself {
            return Err(Ambiguous);
        }
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
                    "mid" => return Err(Ambiguous),
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
                ':' if position.is_formula()
                    && shorter.trim_end().ends_with(|c: char| c.is_ascii_digit()) =>
                {
                    return Err(Ambiguous);
                }
                '*' | '`' if !position.is_formula() => rest = shorter,
                '*' | '/' | '^' | '_' | '!' | ')' | '·' | '×' | '÷' | '√' | '%' if counts => {
                    return Err(Ambiguous);
                }
                last if last.is_alphanumeric() => {
                    let word = last_word(rest);
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
