//! Text answers: the same words, whatever their case, wrapping and final punctuation.

/// Names that mean there is nothing.
const NOTHING: [&str; 11] = [
    "no solution",
    "no solutions",
    "none",
    "no real solutions",
    "no real solution",
    "empty set",
    "there is no solution",
    "there are no solutions",
    "there are no real solutions",
    "no such solution",
    "the empty set",
];
/// Numbers as words.
const NUMBERS: [&str; 21] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
];

/// The words of an answer: lower case, LaTeX wrappings, quotes and outer punctuation gone.
pub(crate) fn words(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        if character == '\\' {
            let tail = rest.get(1..).unwrap_or("");
            let length = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
            let command = tail.get(..length).unwrap_or("");
            let wrapper = matches!(
                command,
                "text"
                    | "textbf"
                    | "textit"
                    | "textrm"
                    | "texttt"
                    | "mathrm"
                    | "mathbf"
                    | "mathit"
                    | "mathsf"
                    | "mbox"
                    | "hbox"
                    | "boxed"
                    | "operatorname"
                    | "displaystyle"
                    | "left"
                    | "right"
                    | "emph"
                    | "textsf"
                    | "textnormal"
                    | "quad"
                    | "qquad"
            );
            if wrapper {
                rest = tail.get(length..).unwrap_or("");
                plain.push(if matches!(command, "quad" | "qquad") { ' ' } else { '{' });
                continue;
            }
            if length == 0 {
                let skipped = tail.chars().next().map_or(0, char::len_utf8);
                match tail.chars().next() {
                    Some(',' | ';' | ':' | '!' | ' ' | '(' | ')' | '[' | ']') | None => plain.push(' '),
                    Some(kept) => plain.push(kept),
                }
                rest = tail.get(skipped..).unwrap_or("");
                continue;
            }
        }
        rest = rest.get(character.len_utf8()..).unwrap_or("");
        match character {
            '$' | '"' | '`' | '*' | '{' | '}' => plain.push('{'),
            '~' | '_' => plain.push(' '),
            other => plain.extend(other.to_lowercase()),
        }
    }
    // braces held the place of wrappings: they vanish without leaving a space
    let plain: String = plain.chars().filter(|character| *character != '{').collect();
    let joined = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    let trimmed = joined.trim_matches(|character: char| {
        character.is_whitespace() || matches!(character, '.' | ',' | ';' | ':' | '!' | '\'')
    });
    let unbracketed = trimmed
        .strip_prefix('(')
        .and_then(|inner| inner.strip_suffix(')'))
        .filter(|inner| !inner.contains(['(', ')']))
        .unwrap_or(trimmed);
    unbracketed.trim().to_owned()
}

/// Whether two answers are the same words.
pub(crate) fn same_words(gold: &str, answer: &str) -> bool {
    let (gold, answer) = (words(gold), words(answer));
    !gold.is_empty()
        && (gold == answer
            || without_article(&gold) == without_article(&answer)
            || gold.replace('-', " ") == answer.replace('-', " ")
            || (is_nothing(&gold) && is_nothing(&answer))
            || (is_undefined(&gold) && is_undefined(&answer)))
}

/// The number a word stands for.
pub(crate) fn number(word: &str) -> Option<i64> {
    NUMBERS
        .iter()
        .position(|known| word.eq_ignore_ascii_case(known))
        .and_then(|index| i64::try_from(index).ok())
}

/// Whether the words say that there is nothing.
pub(crate) fn means_nothing(text: &str) -> bool {
    is_nothing(&words(text))
}

/// `no solution`, `there are no real solutions`, `no integer solutions exist`.
fn is_nothing(words: &str) -> bool {
    if NOTHING.contains(&words) {
        return true;
    }
    let words = ["there is ", "there are ", "there exist ", "there exists "]
        .iter()
        .find_map(|start| words.strip_prefix(start))
        .unwrap_or(words);
    let words = words.strip_suffix(" exist").or_else(|| words.strip_suffix(" exists")).unwrap_or(words);
    let Some(things) = words.strip_prefix("no ") else { return false };
    let things = ["real ", "such ", "valid ", "possible "]
        .iter()
        .find_map(|adjective| things.strip_prefix(adjective))
        .unwrap_or(things);
    matches!(things, "solution" | "solutions" | "answer" | "answers" | "value" | "values")
}

/// Whether the words say that a value does not exist.
fn is_undefined(words: &str) -> bool {
    matches!(
        words,
        "dne" | "does not exist" | "doesn't exist" | "it does not exist" | "the limit does not exist"
    )
}

fn without_article(words: &str) -> &str {
    ["the ", "a ", "an "].iter().find_map(|article| words.strip_prefix(article)).unwrap_or(words)
}

#[cfg(test)]
mod tests {
    use super::same_words;

    #[test]
    fn wrapping_case_and_final_periods_do_not_matter() {
        for answer in
            ["evelyn", "\\text{Evelyn}", "Evelyn..", "$\\textbf{Evelyn}$", "\\mathrm{Evelyn}", "{Evelyn}"]
        {
            assert!(same_words("\\text{Evelyn}", answer), "{answer}");
        }
        assert!(!same_words("\\text{Evelyn}", "Carla"));
        assert!(same_words("an ellipse", "ellipse"));
        assert!(!same_words("\\text{even}", "not even"));
    }
}
