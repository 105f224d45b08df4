//! Words around an answer: those that lead to it, and those that deny it.

use super::{command, group_end};

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
const DENIALS: [&str; 36] = [
    "doubt",
    "doubtful",
    "unsure",
    "maybe",
    "perhaps",
    "possibly",
    "unlikely",
    "suppose",
    "assuming",
    "whether",
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

/// Where the words that lead to an answer end.
pub(super) fn lead_in(text: &str) -> Option<usize> {
    let (command, length) = command(text);
    if matches!(command, "text" | "textbf" | "textit" | "textrm" | "mbox" | "mathrm") {
        let end = group_end(text, length)?;
        let words = text.get(length + 1..end - 1)?;
        let rest = text.get(end..)?;
        if !rest.trim().is_empty() && leads_in(words) && !is_one_of_several(words, rest) {
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
    let before = run.get(..words)?;
    (!rest.trim().is_empty() && leads_in(before) && !is_one_of_several(before, rest)).then_some(words)
}

/// Whether a text names the first of several values: `Tom: 3, Ann: 4`.
fn is_one_of_several(text: &str, rest: &str) -> bool {
    let names_value = |colon: usize| {
        let before = rest.get(..colon).unwrap_or("").trim_end();
        let length = before.chars().rev().take_while(|letter| letter.is_alphabetic()).count();
        length > 1 && before.ends_with(char::is_lowercase)
    };
    !words(text).any(is_known) && rest.match_indices(':').any(|(colon, _)| names_value(colon))
}

fn is_known(word: &str) -> bool {
    LEAD_INS.iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// Whether a text leads to the answer behind it: `The answer is`, `Answer:`, `so`.
pub(crate) fn leads_in(text: &str) -> bool {
    if words(text).any(|word| DENIALS.iter().any(|denial| word.eq_ignore_ascii_case(denial))) {
        return false;
    }
    let text = text.trim_end();
    match text.strip_suffix([':', '：']) {
        Some(before) => {
            words(before).any(is_known) || words(before).last().is_some_and(|word| word.len() > 1)
        }
        None => words(text).last().is_some_and(is_known),
    }
}

/// Whether words of an answer deny it, where the gold has no such words.
pub(crate) fn is_denied(answer: &str, gold: &str) -> bool {
    let Some(last) = words(answer).last() else { return false };
    let is_denial = |word: &str| {
        word.len() >= 3
            && DENIALS.iter().any(|denial| word.eq_ignore_ascii_case(denial))
            && !words(gold).any(|other| other.eq_ignore_ascii_case(word))
    };
    // `all reals not equal to 1` says what it says
    let is_outer = |word: &str| words(answer).next() == Some(word) || word == last;
    let is_refused = last.eq_ignore_ascii_case("no")
        && (words(answer).nth(1).is_some() || answer.starts_with(|first: char| first.is_ascii_digit()))
        && !words(gold).any(|word| word.eq_ignore_ascii_case("no"));
    is_refused
        || words(answer).any(|word| is_denial(word) && (!word.eq_ignore_ascii_case("not") || is_outer(word)))
}

/// The runs of letters of a text, names of commands left out.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
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

#[cfg(test)]
mod tests {
    use super::is_denied;

    #[test]
    fn a_denied_answer_is_told() {
        assert!(is_denied(r"7 \text{ incorrect}", "7"));
        assert!(!is_denied(r"\text{not a function}", r"\text{It is not a function}"));
        assert!(!is_denied(r"\not\in", "7"));
    }
}
