//! The ends of a text beside a box: the words, commands and spaces at its start or its end.

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

/// Commands that stand between two statements, or start one.
pub(super) const SEPARATORS: [&str; 45] = [
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

/// Words that deny what they stand by.
const DENIALS: [&str; 12] = [
    "not",
    "cannot",
    "n't",
    "never",
    "incorrect",
    "wrong",
    "excluded",
    "rejected",
    "invalid",
    "extraneous",
    "nicht",
    "keineswegs",
];

/// Whether a word, or the last of a text, denies.
pub(super) fn denies(text: &str) -> bool {
    let word = last_word(text.trim_end_matches(|c: char| !c.is_alphabetic())).to_lowercase();
    DENIALS.iter().any(|denial| {
        word.strip_suffix(denial)
            .is_some_and(|before| *denial == "n't" || !before.ends_with(char::is_alphabetic))
    })
}

/// Words that change the value behind them.
const TURNS: [&str; 8] = ["minus", "negative", "half", "twice", "thrice", "double", "triple", "unlike"];
/// Words before `than`, and before `of`, that make another value of the one behind them, or none.
const BEFORE_THAN: [&str; 9] =
    ["more", "less", "greater", "fewer", "larger", "smaller", "bigger", "other", "rather"];
const BEFORE_OF: [&str; 5] = ["half", "third", "quarter", "double", "instead"];

/// The same without spaces between words.
const DENYING_ENDS: [&str; 9] = ["不是", "不等于", "不等於", "而非", "并非", "並非", " не", "不为", "不為"];
const TURNING_ENDS: [&str; 9] = ["负", "負", "大于", "小于", "大於", "小於", "超过", "マイナス", "минус"];

/// What a text leaves of the value that follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    Itself,
    /// `twice`, `more than`: another value.
    Another,
    /// `not`, `rather than`: that it is not the answer.
    Denied,
}

/// What the words at the end of a text, and of the marks of a formula, say of what follows.
pub(super) fn said(before: &str) -> Said {
    let text = before.trim_end_matches(|c: char| {
        c.is_whitespace() || matches!(c, '$' | '*' | '`' | '\\' | '(' | '[' | '"' | '“' | '_')
    });
    if !text.ends_with(char::is_alphabetic) {
        return Said::Itself;
    }
    if !text.is_ascii() {
        if DENYING_ENDS.iter().any(|end| text.ends_with(end)) {
            return Said::Denied;
        }
        if TURNING_ENDS.iter().any(|end| text.ends_with(end)) {
            return Said::Another;
        }
    }
    let mut words = text
        .rsplit(|c: char| !c.is_alphanumeric() && c != '\'' && c != '’')
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase);
    let (last, earlier) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    match (earlier.as_str(), last.as_str()) {
        (word, "than") if BEFORE_THAN.contains(&word) => Said::Another,
        (word, "of") if BEFORE_OF.contains(&word) => Said::Another,
        ("equal", "to") if words.next().is_some_and(|word| denies(&word)) => Said::Denied,
        (word, "be" | "equal") if denies(word) => Said::Denied,
        ("rather" | "other", "than")
        | ("instead", "of")
        | ("ruled" | "rule" | "ruling", "out")
        | (_, "nor" | "neither" | "reject" | "rejecting" | "discard") => Said::Denied,
        (_, word) if denies(word) => Said::Denied,
        (word, "get" | "have" | "obtain" | "find" | "equals") if denies(word) => Said::Denied,
        ("differs" | "different" | "far" | "away", "from") | (_, "exceeds" | "exceed") => Said::Another,
        (_, word) if TURNS.contains(&word) => Said::Another,
        _ => Said::Itself,
    }
}

/// Whether a text starts with a number or another formula's part.
pub(super) fn starts_with_number(text: &str) -> bool {
    let text = text.trim_start_matches(['-', '+', '{']);
    text.starts_with(|next: char| next.is_ascii_digit())
        || ["\\frac", "\\sqrt", "\\pi", "\\boxed", "\\dfrac"].iter().any(|start| text.starts_with(start))
}

pub(super) fn first_word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric()).unwrap_or(text.len());
    text.get(..end).unwrap_or("")
}

pub(super) fn last_word(text: &str) -> &str {
    let start = text.rfind(|c: char| !c.is_alphanumeric() && c != '\'' && c != '’');
    text.get(
        start.map_or(0, |start| {
            start + text.get(start..).and_then(|t| t.chars().next()).map_or(1, char::len_utf8)
        })..,
    )
    .unwrap_or("")
}

/// The command at the end of a text and where it starts.
pub(super) fn command_back(text: &str) -> Option<(&str, usize)> {
    let letters = text.bytes().rev().take_while(u8::is_ascii_alphabetic).count();
    let name = text.len() - letters;
    let before = text.get(..name)?;
    (letters > 0 && before.ends_with('\\') && !before.ends_with("\\\\"))
        .then(|| (text.get(name..).unwrap_or(""), name - 1))
}

/// The command at the start of a text, a single sign for `\%` and the like, and what follows.
pub(super) fn command_at(text: &str) -> (&str, &str) {
    let tail = text.get(1..).unwrap_or("");
    let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
    let length = if letters > 0 { letters } else { tail.chars().next().map_or(0, char::len_utf8) };
    tail.split_at_checked(length).unwrap_or(("", ""))
}

pub(super) fn trim_spaces(mut text: &str) -> &str {
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

pub(super) fn trim_spaces_back(mut text: &str) -> &str {
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
