//! Answers compared sign by sign, whichever of them stand in `\text`.

use super::command;
use super::lead_in::words;

/// Longer texts are not compared sign by sign.
const MAXIMUM_TYPESET: usize = 2_000;

/// Whether two answers are set as the same signs, whichever of them stand in `\text`: `\text{odd } n`, `odd $n$`.
pub(crate) fn is_same_typesetting(gold: &str, answer: &str) -> bool {
    let has_word = |text: &str| words(text).any(|word| word.len() > 1) || text.contains("\\text");
    if gold.len() > MAXIMUM_TYPESET || answer.len() > MAXIMUM_TYPESET || !has_word(gold) {
        return false;
    }
    let signs = signs(gold);
    !signs.is_empty() && signs == self::signs(answer)
}

/// The signs of an answer: no spaces but those between digits, no dollars, no alphabets.
fn signs(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // braces that hold an alphabet's argument go with it
    let mut braces: Vec<bool> = Vec::new();
    let mut is_spaced = false;
    let mut rest = text.trim().trim_end_matches('.');
    while let Some(character) = rest.chars().next() {
        let (name, length) = command(rest);
        let is_alphabet = matches!(name, "text" | "textrm" | "mathrm" | "mbox" | "textnormal");
        if is_alphabet && rest.get(length..).is_some_and(|tail| tail.starts_with('{')) {
            braces.push(false);
            rest = rest.get(length + 1..).unwrap_or("");
            continue;
        }
        if let Some(tail) = ["\\ ", "\\,", "\\;", "~"].iter().find_map(|space| rest.strip_prefix(space)) {
            is_spaced = true;
            rest = tail;
            continue;
        }
        rest = rest.get(character.len_utf8()..).unwrap_or("");
        match character {
            '$' => continue,
            '{' => braces.push(true),
            '}' if braces.pop() == Some(false) => continue,
            _ if character.is_whitespace() => {
                is_spaced = true;
                continue;
            }
            _ => {}
        }
        if is_spaced && character.is_alphanumeric() && out.ends_with(char::is_numeric) {
            out.push(' ');
        }
        is_spaced = false;
        out.push(character);
    }
    out
}
