//! Whether a place of a text stands in a formula.

/// Only this many bytes before the place are looked at.
const MAXIMUM_REACH: usize = 2_000;

/// Where a box stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    /// Between the marks of a formula.
    Formula,
    /// In running text, or in LaTeX without marks.
    Text,
}

impl Position {
    pub(super) fn is_formula(self) -> bool {
        self == Self::Formula
    }
}

/// Where the byte `index` stands, by the marks of its paragraph.
pub(super) fn position(text: &str, index: usize) -> Position {
    let before = text.as_bytes().get(index.saturating_sub(MAXIMUM_REACH)..index).unwrap_or(&[]);
    // a formula does not reach over an empty line
    let start = memchr::memmem::rfind(before, b"\n\n").map_or(0, |start| start + 2);
    let bytes = before.get(start..).unwrap_or(&[]);
    let (mut by_dollar, mut by_bracket, mut by_environment) = (false, false, 0_usize);
    let mut position = 0;
    while let Some(skipped) = memchr::memchr2(b'$', b'\\', bytes.get(position..).unwrap_or(&[])) {
        position += skipped;
        let rest = bytes.get(position..).unwrap_or(&[]);
        position += match rest {
            [b'$', b'$', ..] => {
                by_dollar = !by_dollar;
                2
            }
            [b'$', ..] => {
                by_dollar = !by_dollar;
                1
            }
            [b'\\', b'(' | b'[', ..] => {
                by_bracket = true;
                2
            }
            [b'\\', b')' | b']', ..] => {
                by_bracket = false;
                2
            }
            _ if rest.starts_with(b"\\begin{") => {
                by_environment += 1;
                7
            }
            _ if rest.starts_with(b"\\end{") => {
                by_environment = by_environment.saturating_sub(1);
                5
            }
            _ => 2,
        };
    }
    if by_dollar || by_bracket || by_environment > 0 { Position::Formula } else { Position::Text }
}
