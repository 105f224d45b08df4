//! Shapes of answers for which more can be said than that nothing panics.

/// Whether an answer is a number in exact signs only: nothing that is forgiven on one side.
pub(crate) fn is_exact(answer: &str) -> bool {
    let mut rest = answer;
    while let Some(character) = rest.chars().next() {
        let command =
            ["\\frac", "\\sqrt", "\\pi", "\\cdot"].iter().find(|command| rest.starts_with(**command));
        let length = match command {
            Some(command) => command.len(),
            None if character.is_ascii_digit() || "+-*/^{}() ".contains(character) => 1,
            None => return false,
        };
        rest = rest.get(length..).unwrap_or("");
    }
    answer.contains(|sign: char| sign.is_ascii_digit()) || answer.contains("\\pi")
}

/// Whether braces close, and nothing in the text is a mark for the search of an answer.
pub(crate) fn is_balanced(answer: &str) -> bool {
    let mut depth = 0_i32;
    let mut characters = answer.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' if characters.next().is_none() => return false,
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return false;
        }
    }
    depth == 0 && !answer.contains('<') && !answer.contains("box")
}
