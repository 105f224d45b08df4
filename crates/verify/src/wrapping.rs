//! What only decorates an answer: styles, colours, quotation marks, ticks, and words that lead to it.
//!
//! The answer of `\textcolor{red}{x = 3, y = 4}`, `"5"`, `5 \checkmark` or `\text{The answer is } 601` is what
//! is left without them. Golds and answers are unwrapped alike, and nothing is taken away that could change a
//! value: where a brace holds a power or an argument together it stays.

use std::borrow::Cow;

/// What another form of an answer, in brackets behind it, starts with.
const GLOSSES: [&str; 8] = ["approx", "≈", "(=", "(or", "(i.e", "answer)", "final)", "(exact"];
/// No more wrappings than this are taken off.
const MAXIMUM_WRAPPINGS: usize = 12;
/// Longer texts are not compared sign by sign.
const MAXIMUM_TYPESET: usize = 2_000;
/// Commands that show their argument as it is, whatever it holds.
const TRANSPARENT: [&str; 14] = [
    "boxed",
    "fbox",
    "framebox",
    "displaystyle",
    "textstyle",
    "ensuremath",
    "smash",
    "mathtt",
    "underline",
    "large",
    "Large",
    "bf",
    "mathbin",
    "mathop",
];
/// Alphabets, which may tell one symbol from another, but not one number or date.
const ALPHABETS: [&str; 7] = ["mathbf", "mathit", "mathsf", "boldsymbol", "bm", "pmb", "textbf"];
/// Commands whose first argument is a colour.
const COLOURS: [&str; 4] = ["color", "textcolor", "colorbox", "enclose"];
/// Commands with an argument that is not seen.
const HIDING: [&str; 5] = ["vphantom", "phantom", "hphantom", "label", "rule"];
/// Commands around a part that is shown as it is.
const FRAMES: [&str; 6] = ["smash", "mathtt", "framebox", "fbox", "bbox", "textcircled"];
/// Styles are looked for in no more layers than this.
const MAXIMUM_LAYERS: usize = 4;
/// Commands and signs that may stand in front of an answer.
const LEADING: [&str; 16] = [
    "\\therefore",
    "\\implies",
    "\\Rightarrow",
    "\\Longrightarrow",
    "\\rightarrow",
    "\\to",
    "\\approx",
    "\\simeq",
    "\\quad",
    "\\,",
    "\\ ",
    "∴",
    "⇒",
    "→",
    "≈",
    "=",
];
/// Marks of approval and of an end behind an answer.
const TRAILING: [&str; 21] = [
    "\\checkmark",
    "\\blacksquare",
    "\\qed",
    "\\square",
    "\\Box",
    "\\quad",
    "\\hfill",
    "\\,",
    "\\;",
    "\\ ",
    "✓",
    "✔",
    "✅",
    "■",
    "∎",
    "\\text{✓}",
    "\\text{ ✓}",
    "\\\\",
    "_{}",
    "^{}",
    "{}",
];
/// Words that lead to an answer when they stand last, or alone.
const LEAD_INS: [&str; 16] = [
    "is",
    "are",
    "equals",
    "ans",
    "so",
    "thus",
    "hence",
    "therefore",
    "answer",
    "answers",
    "be",
    "then",
    "get",
    "result",
    "solution",
    "solutions",
];
/// Words that deny what they stand by.
const DENIALS: [&str; 26] = [
    "omitted",
    "removed",
    "eliminated",
    "failed",
    "fails",
    "inadmissible",
    "unacceptable",
    "disregarded",
    "ignored",
    "contradiction",
    "refuted",
    "cancelled",
    "not",
    "never",
    "incorrect",
    "wrong",
    "excluded",
    "rejected",
    "reject",
    "discarded",
    "invalid",
    "extraneous",
    "false",
    "impossible",
    "isn",
    "disallowed",
];

/// An answer without what only decorates it.
pub(crate) fn unwrapped(text: &str) -> Cow<'_, str> {
    if !is_suspicious(text) {
        return Cow::Borrowed(text);
    }
    let mut plain = Cow::Borrowed(text);
    for _ in 0..MAXIMUM_LAYERS {
        let Some(shown) = without_inner(&plain) else { break };
        plain = Cow::Owned(shown);
    }
    for _ in 0..MAXIMUM_WRAPPINGS {
        let Some(range) = inside(&plain) else { break };
        plain = match plain {
            Cow::Borrowed(text) => Cow::Borrowed(text.get(range).unwrap_or("")),
            Cow::Owned(text) => Cow::Owned(text.get(range).unwrap_or("").to_owned()),
        };
    }
    // `\sqrt2 \,(\approx 1.414)` says what `\sqrt2 \approx 1.414` says
    match gloss(&plain) {
        Some(chained) => Cow::Owned(chained),
        None if plain.is_empty() => Cow::Borrowed(text),
        None => plain,
    }
}

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

/// Whether words of an answer deny it, where the gold has no such words.
pub(crate) fn is_denied(answer: &str, gold: &str) -> bool {
    let is_denial = |word: &str| {
        word.len() >= 3
            && DENIALS.iter().any(|denial| word.eq_ignore_ascii_case(denial))
            && !words(gold).any(|other| other.eq_ignore_ascii_case(word))
    };
    // `all reals not equal to 1` says what it says
    let is_outer = |word: &str| words(answer).next() == Some(word) || words(answer).last() == Some(word);
    let ends_in_no =
        words(answer).nth(1).is_some() || answer.starts_with(|first: char| first.is_ascii_digit());
    let is_refused = words(answer).last().is_some_and(|word| word.eq_ignore_ascii_case("no"))
        && ends_in_no
        && !words(gold).any(|word| word.eq_ignore_ascii_case("no"));
    is_refused
        || words(answer).any(|word| is_denial(word) && (!word.eq_ignore_ascii_case("not") || is_outer(word)))
}

/// Whether a text leads to the answer behind it: `The answer is`, `Answer:`, `so`.
pub(crate) fn leads_in(text: &str) -> bool {
    if words(text).any(|word| DENIALS.iter().any(|denial| word.eq_ignore_ascii_case(denial))) {
        return false;
    }
    let text = text.trim_end();
    let is_known = |word: &str| LEAD_INS.iter().any(|known| word.eq_ignore_ascii_case(known));
    match text.strip_suffix([':', '：']) {
        Some(before) => {
            words(before).any(is_known) || words(before).last().is_some_and(|word| word.len() > 1)
        }
        None => words(text).last().is_some_and(is_known),
    }
}

/// The runs of letters of a text, names of commands left out.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let start = rest.find(char::is_alphabetic)?;
            let is_command = rest.get(..start)?.ends_with('\\');
            let tail = rest.get(start..)?;
            let length = tail.find(|c: char| !c.is_alphabetic()).unwrap_or(tail.len());
            rest = tail.get(length..)?;
            if !is_command {
                return tail.get(..length);
            }
        }
    })
}

/// Whether an answer may have a wrapping at all: most have none, and are not looked at twice.
fn is_suspicious(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    if matches!(first, b'{' | b'"' | b'_' | b'*' | b'`' | b'\'' | b'=' | b' ')
        || matches!(last, b'"' | b'_' | b'}' | b' ' | b')') && text.len() > 1 && !is_plain_end(text)
        || (*first >= 0x80 || *last >= 0x80 || *last == b'\\')
    {
        return true;
    }
    if first.is_ascii_alphabetic()
        && bytes.contains(&b' ')
        && bytes.iter().any(|byte| matches!(byte, b':' | b's' | b'e'))
    {
        return true;
    }
    memchr::memchr_iter(b'\\', bytes).any(|index| {
        let (command, _) = command(text.get(index..).unwrap_or(""));
        if matches!(
            command,
            "" | "frac" | "sqrt" | "pi" | "dfrac" | "left" | "right" | "cdot" | "infty" | "cup"
        ) {
            return false;
        }
        is_wrapping(command) || (index == 0 && !matches!(command, "frac" | "dfrac" | "sqrt"))
    })
}

/// Whether the end of a text is the usual one of a fraction or a bracket.
fn is_plain_end(text: &str) -> bool {
    match text.as_bytes().last() {
        Some(b'}') => !text.ends_with("{}"),
        Some(b')') => !GLOSSES.iter().any(|gloss| text.contains(gloss)),
        _ => false,
    }
}

fn is_wrapping(command: &str) -> bool {
    TRANSPARENT.contains(&command)
        || COLOURS.contains(&command)
        || HIDING.contains(&command)
        || ALPHABETS.contains(&command)
        || matches!(command, "checkmark" | "blacksquare" | "qed" | "approx" | "therefore" | "text")
}

/// The range inside an outermost wrapping.
fn inside(text: &str) -> Option<std::ops::Range<usize>> {
    let start = text.len() - text.trim_start().len();
    let end = text.trim_end().len();
    if start > 0 || end < text.len() {
        return Some(start..end.max(start));
    }
    for mark in ["**", "*", "__", "_", "'", "\"", "``", "`", "''"] {
        let inner = text.strip_prefix(mark).and_then(|rest| rest.strip_suffix(mark));
        if inner.is_some_and(|inner| !inner.is_empty() && !inner.contains(mark)) {
            return Some(mark.len()..text.len() - mark.len());
        }
    }
    for (open, close) in [("“", "”"), ("``", "''"), ("「", "」"), ("«", "»")] {
        if text.len() > open.len() + close.len() && text.starts_with(open) && text.ends_with(close) {
            return Some(open.len()..text.len() - close.len());
        }
    }
    if let Some(mark) = LEADING.iter().find(|mark| starts_with_mark(text, mark)) {
        return Some(mark.len()..text.len());
    }
    if let Some(mark) = TRAILING.iter().find(|mark| text.ends_with(**mark) && text.len() > mark.len()) {
        return Some(0..text.len() - mark.len());
    }
    // `\checkmark.`
    if text.ends_with('.')
        && TRAILING.iter().any(|mark| text.get(..text.len() - 1).is_some_and(|text| text.ends_with(mark)))
    {
        return Some(0..text.len() - 1);
    }
    if text.starts_with('{') {
        // an empty group first, `{}^{3}`, holds a place
        if text.starts_with("{}")
            && text.get(2..3).is_some_and(|next| next.trim_start_matches(char::is_alphanumeric).is_empty())
        {
            return Some(2..text.len());
        }
        let holds = text.contains("\\over") || text.contains("\\choose") || text.contains("\\atop");
        let is_whole = group_end(text, 0)? == text.len() && text.len() > 2;
        return (is_whole && !holds).then(|| 1..text.len() - 1);
    }
    if let Some(end) = lead_in(text) {
        return Some(end..text.len());
    }
    if let Some(range) = single_row(text) {
        return Some(range);
    }
    let (command, length) = command(text);
    if length == 0 {
        return None;
    }
    let argument = length + text.get(length..)?.len() - text.get(length..)?.trim_start().len();
    let is_braced = text.get(argument..)?.starts_with('{');
    if matches!(command, "color") && is_braced {
        return Some(group_end(text, argument)?..text.len());
    }
    if matches!(command, "textcolor" | "colorbox") && is_braced {
        let content = group_end(text, argument)?;
        let end = group_end(text, content)?;
        return (end == text.len()).then(|| content + 1..end - 1);
    }
    let is_whole = is_braced && group_end(text, argument) == Some(text.len());
    if TRANSPARENT.contains(&command) {
        let is_switch = matches!(command, "displaystyle" | "textstyle" | "large" | "Large" | "bf");
        return match (is_whole, is_switch) {
            (true, _) => Some(argument + 1..text.len() - 1),
            (false, true) => Some(length..text.len()),
            (false, false) => None,
        };
    }
    let content = text.get(argument + 1..text.len() - 1).unwrap_or("");
    let is_many = content.contains(|c: char| c.is_ascii_digit() || c == ' ' || c == ',');
    if is_whole && ALPHABETS.contains(&command) && is_many {
        return Some(argument + 1..text.len() - 1);
    }
    // `\text{The answer is 601}`
    if is_whole && command == "text" {
        let inner = lead_in(content)?;
        return Some(argument + 1 + inner..text.len() - 1);
    }
    None
}

/// What stands in an environment of a single row.
fn single_row(text: &str) -> Option<std::ops::Range<usize>> {
    let inner = text.strip_prefix("\\begin{")?;
    let (name, _) = inner.split_once('}')?;
    let end = text.strip_suffix('}')?.strip_suffix(name)?.strip_suffix("\\end{")?.len();
    let mut start = "\\begin{}".len() + name.len();
    match name.trim_end_matches('*') {
        "aligned" | "align" | "gathered" | "gather" | "split" | "equation" => {}
        // a table of one cell
        "array" => start = group_end(text, start)?,
        _ => return None,
    }
    let row = text.get(start..end)?;
    let is_cell = !row.contains('&') && !row.trim().trim_end_matches("\\\\").contains("\\\\");
    is_cell.then_some(start..end)
}

fn starts_with_mark(text: &str, mark: &str) -> bool {
    let is_word = mark.ends_with(|last: char| last.is_ascii_alphabetic());
    text.strip_prefix(mark).is_some_and(|rest| {
        let goes_on = is_word && rest.starts_with(|next: char| next.is_ascii_alphabetic());
        !rest.is_empty() && !goes_on
    })
}

/// Where the words that lead to an answer end.
fn lead_in(text: &str) -> Option<usize> {
    let (command, length) = command(text);
    if matches!(command, "text" | "textbf" | "textit" | "textrm" | "mbox" | "mathrm") {
        let end = group_end(text, length)?;
        let words = text.get(length + 1..end - 1)?;
        let rest = text.get(end..)?;
        if !rest.trim().is_empty() && leads_in(words) {
            return Some(end);
        }
        // `\text{The value of } x \text{ is } 5`
        return ["\\text{ is }", "\\text{ equals }", "\\text{ is: }"]
            .iter()
            .find_map(|verb| rest.rfind(verb).map(|start| end + start + verb.len()))
            .filter(|verb| {
                text.get(*verb..)
                    .is_some_and(|value| !value.trim().is_empty() && !value.contains("\\text{ is"))
            })
            .filter(|verb| text.get(..*verb).is_some_and(|before| !is_denied(before, "")));
    }
    if !text.starts_with(|first: char| first.is_alphabetic()) {
        return None;
    }
    // plain words, as far as there are only words
    let end =
        text.find(|c: char| !(c.is_alphabetic() || matches!(c, ' ' | ':' | '\''))).unwrap_or(text.len());
    let run = text.get(..end)?;
    let words = match run.rfind(':') {
        Some(colon) if run.get(..colon)?.contains(' ') || run.get(..colon)?.len() > 2 => colon + 1,
        Some(_) => return None,
        None => {
            if !run.contains(' ') {
                return None;
            }
            let found = [" is ", " are ", " equals "]
                .iter()
                .filter_map(|word| run.rfind(word).map(|at| at + word.len()));
            found.max()?
        }
    };
    let rest = text.get(words..)?;
    (!rest.trim().is_empty() && leads_in(run.get(..words)?)).then_some(words)
}

/// The end of the group that starts at a byte.
fn group_end(text: &str, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    if bytes.get(start) != Some(&b'{') {
        return None;
    }
    let (mut depth, mut position) = (0_usize, start);
    while let Some(byte) = bytes.get(position) {
        match byte {
            b'\\' => position += 1,
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(position + 1);
                }
            }
            _ => {}
        }
        position += 1;
    }
    None
}

/// The name of the command at the start of a text, and its length with the backslash.
fn command(text: &str) -> (&str, usize) {
    let Some(tail) = text.strip_prefix('\\') else { return ("", 0) };
    let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
    (tail.get(..letters).unwrap_or(""), if letters == 0 { 0 } else { letters + 1 })
}

/// A text without the outermost styles and unseen things inside it; `None` if it has none.
fn without_inner(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut copied = 0;
    let mut position = 0;
    while let Some(skipped) = memchr::memchr(b'\\', text.as_bytes().get(position..)?) {
        position += skipped;
        let rest = text.get(position..)?;
        let (name, length) = command(rest);
        if !(COLOURS.contains(&name) || HIDING.contains(&name) || FRAMES.contains(&name)) {
            position += length.max(2);
            continue;
        }
        // braces that never close are no answer
        let (end, kept) = {
            let before = text.get(..position)?;
            let after_digit = before.ends_with(|last: char| last.is_ascii_digit());
            replaced(rest, name, length, is_list_place(before), after_digit)?
        };
        out.push_str(text.get(copied..position)?);
        if kept.is_empty() {
            // what is not seen still keeps apart
            out.push(' ');
        }
        out.push_str(rest.get(kept)?);
        position += end;
        copied = position;
    }
    out.push_str(text.get(copied..)?);
    (copied > 0).then_some(out)
}

/// Whether a member of a list may start at a byte: nothing before it holds on to a single argument.
fn is_list_place(before: &str) -> bool {
    let before = before.trim_end();
    before.is_empty() || before.ends_with([',', ';', '=', '<', '>', '(', '['])
}

/// What is left of a styled part, as a range, and where the part ends.
fn replaced(
    text: &str,
    name: &str,
    length: usize,
    in_list: bool,
    after_digit: bool,
) -> Option<(usize, std::ops::Range<usize>)> {
    // `\color[rgb]{1,0,0}`, `\bbox[5px]{5}`
    let length = match text.get(length..).and_then(|rest| rest.strip_prefix('[')) {
        Some(rest) => length + rest.find(']')? + 2,
        None => length,
    };
    if HIDING.contains(&name) {
        let end = group_end(text, length)?;
        let end = if name == "rule" { group_end(text, end)? } else { end };
        return Some((end, 0..0));
    }
    let (content, end) = if COLOURS.contains(&name) {
        let content = group_end(text, length)?;
        let Some(end) = group_end(text, content) else { return Some((content, 0..0)) };
        (content, end)
    } else {
        (length, group_end(text, length)?)
    };
    // a list in the colour of a part is a list of the whole
    let inner = text.get(content + 1..end - 1)?;
    let is_list = in_list && inner.contains([',', '=', '<', '>']);
    // a digit in another colour is a digit of the same number
    let is_digits =
        COLOURS.contains(&name) && !inner.is_empty() && inner.bytes().all(|byte| byte.is_ascii_digit());
    let is_list = is_list || (is_digits && after_digit);
    Some((end, if is_list { content + 1..end - 1 } else { content..end }))
}

/// Words that join another form of an answer to it, and the signs that say the same.
const JOINTS: [(&str, &str); 9] = [
    ("\\approx", "\\approx"),
    ("≈", "\\approx"),
    ("approximately", "\\approx"),
    ("approx.", "\\approx"),
    ("about", "\\approx"),
    ("roughly", "\\approx"),
    ("=", "="),
    ("i.e.", "="),
    ("or", "\\text{ or }"),
];

/// An answer with another form of it in brackets behind it, as a chain of both; with a remark, without it.
fn gloss(text: &str) -> Option<String> {
    let before = text.trim_end_matches('}').strip_suffix(')')?;
    let open = before.rfind('(')?;
    let inner: String = before.get(open + 1..)?.replace("\\text{", " ").replace(['{', '}'], " ");
    // braces that hold something together are not taken apart
    let inner = if before.get(open + 1..)?.contains('{') && !before.contains("\\text{") {
        before.get(open + 1..)?.to_owned()
    } else {
        inner
    };
    let inner = inner.trim();
    let exact = before.get(..open)?;
    let exact = exact.trim_end_matches("\\left").trim_end();
    let exact = ["\\text{", "\\textrm{", "\\mathrm{"]
        .iter()
        .find_map(|style| exact.strip_suffix(style))
        .unwrap_or(exact);
    let exact = exact.trim_end_matches(['\\', ',', ';', ' ', '~', '!']);
    if exact.is_empty() || exact.matches('{').count() != exact.matches('}').count() {
        return None;
    }
    if matches!(inner, "answer" | "final answer" | "final" | "exact" | "exactly" | "the answer") {
        return Some(exact.to_owned());
    }
    let (joint, value) = JOINTS.iter().find_map(|(word, joint)| Some((*joint, inner.strip_prefix(word)?)))?;
    let value = value.trim_start_matches(',').trim_end_matches("\\right").trim();
    value.starts_with(|first: char| !first.is_ascii_alphabetic()).then(|| format!("{exact} {joint} {value}"))
}

#[cfg(test)]
mod tests {
    use super::{is_denied, unwrapped};

    #[test]
    fn decorations_go() {
        for (wrapped, plain) in [
            (r"\color{blue}{x=3, y=-4}", "x=3, y=-4"),
            (r"\textcolor{red}{x=3, y=-4}", "x=3, y=-4"),
            (r"\color{red} 5", "5"),
            (r"\displaystyle{x=\pm1,\pm2}", r"x=\pm1,\pm2"),
            (r"{\displaystyle \frac{1}{2}}", r"\frac{1}{2}"),
            ("{4 July 2024}", "4 July 2024"),
            (r"\mathbf{4 July 2024}", "4 July 2024"),
            (r"\therefore x = 5", "x = 5"),
            (r"5 \checkmark", "5"),
            (r"\text{The answer is } 5.", "5."),
            (r"\text{The answer is 5}", "5"),
            (r"\text{ANSWER: } \$460", r"\$460"),
            ("The answer is 601", "601"),
            (r"\vphantom{A}5", "5"),
            (r"\smash{5}", "{5}"),
            ("__5__", "5"),
            ("\"5\"", "5"),
            ("5_{}", "5"),
            (r"\framebox{5}", "{5}"),
            (r"\sqrt2 \,(\approx 1.414)", r"\sqrt2 \approx 1.414"),
            (r"x=\textcolor{red}{3}", "x={3}"),
            (r"\textcolor{red}{x=3}, y=4", "x=3, y=4"),
        ] {
            let found = unwrapped(wrapped);
            assert!(found == plain || found == plain.trim_matches(['{', '}']), "{wrapped} is {found}");
        }
    }

    #[test]
    fn what_may_change_a_value_stays() {
        for text in [
            r"\frac{1}{2}",
            r"{}^{3}",
            r"{1}{2}",
            r"\mathbf{v}",
            r"2^\mathbf{10}",
            r"\text{not } 5",
            r"\text{The answer is not } 5",
            "x = 3",
            "f(x) = (x+1)",
            r"\text{Evelyn}",
            "is",
        ] {
            assert_eq!(unwrapped(text), text);
        }
    }

    #[test]
    fn a_denied_answer_is_told() {
        assert!(is_denied(r"7 \text{ incorrect}", "7"));
        assert!(!is_denied(r"\text{not a function}", r"\text{It is not a function}"));
        assert!(!is_denied(r"\not\in", "7"));
    }
}
