//! The program in a solution: its last fenced code block.
//!
//! A block opens with three or more back-ticks or tildes and closes with as many of the same or more, as in
//! Markdown; it may be indented, as in a list. The last block that names the language counts; a block without
//! a name counts where none names it. Blocks in other languages are never run. A block that is opened and
//! never closed ends the search: a program that was cut off is no answer, and neither is the one before it.

use thiserror::Error;

/// Why a solution holds no program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoProgram {
    /// No fenced code block.
    #[error("no code block")]
    Missing,
    /// Blocks, and each names another language.
    #[error("no code block in the language asked for")]
    OtherLanguage,
    /// The last block is empty.
    #[error("the code block is empty")]
    Empty,
    /// The last block never ends.
    #[error("the code block never ends")]
    Unfinished,
}

/// The program in the text of a solution; `names` are those by which a block names the language.
///
/// # Errors
/// When there is none, or none that ends.
///
/// ```
/// use still_judge::block::{NoProgram, program};
///
/// let names = ["python".to_owned()];
/// let solution = "So:\n```python\nprint(1)\n```\nIt prints\n```\n1\n```\n";
/// assert_eq!(program(solution, &names).as_deref(), Ok("print(1)\n"));
/// assert_eq!(program("print(1)", &names), Err(NoProgram::Missing));
/// ```
pub fn program(solution: &str, names: &[String]) -> Result<String, NoProgram> {
    let mut open: Option<Block<'_>> = None;
    let (mut named, mut nameless, mut is_other) = (None, None, false);
    for line in solution.lines() {
        match &mut open {
            None => open = Block::opened_by(line),
            Some(block) if block.is_closed_by(line) => {
                if let Some(block) = open.take() {
                    match block.is_named(names) {
                        Some(true) => named = Some(block),
                        Some(false) => is_other = true,
                        None => nameless = Some(block),
                    }
                }
            }
            Some(block) => block.lines.push(line),
        }
    }
    if open.is_some_and(|block| block.is_named(names) != Some(false)) {
        return Err(NoProgram::Unfinished);
    }
    let Some(block) = named.or(nameless) else {
        return Err(if is_other { NoProgram::OtherLanguage } else { NoProgram::Missing });
    };
    let text = block.text();
    if text.trim().is_empty() { Err(NoProgram::Empty) } else { Ok(text) }
}

/// A code block, as far as it has been read.
#[derive(Debug)]
struct Block<'text> {
    mark: char,
    length: usize,
    indent: usize,
    name: &'text str,
    lines: Vec<&'text str>,
}

impl<'text> Block<'text> {
    fn opened_by(line: &'text str) -> Option<Self> {
        let fence = line.trim_start();
        let mark = fence.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
        let info = fence.trim_start_matches(mark);
        let length = fence.len() - info.len();
        // back-ticks behind back-ticks are code inside a sentence
        if length < 3 || (mark == '`' && info.contains('`')) {
            return None;
        }
        let name = info.trim().trim_start_matches(['{', '.']);
        let name = name.split(|c: char| c.is_whitespace() || matches!(c, ',' | '}' | ':')).next();
        let indent = line.len() - fence.len();
        Some(Self { mark, length, indent, name: name.unwrap_or_default(), lines: Vec::new() })
    }

    fn is_closed_by(&self, line: &str) -> bool {
        let fence = line.trim();
        fence.len() >= self.length && fence.chars().all(|mark| mark == self.mark)
    }

    /// Whether it names the language; `None` when it names nothing.
    fn is_named(&self, names: &[String]) -> Option<bool> {
        (!self.name.is_empty()).then(|| names.iter().any(|name| name.eq_ignore_ascii_case(self.name)))
    }

    /// The lines, without the indentation of the fence.
    fn text(&self) -> String {
        let mut text = String::new();
        for line in &self.lines {
            let blank = line.bytes().take(self.indent).take_while(u8::is_ascii_whitespace).count();
            text.push_str(line.get(blank..).unwrap_or(line));
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(solution: &str) -> Result<String, NoProgram> {
        program(solution, &["python".to_owned(), "py".to_owned()])
    }

    #[test]
    fn the_last_block_of_the_language_counts() {
        for (solution, expected) in [
            ("```python\nA\n```", "A\n"),
            ("```python\nA\n```\nbetter:\n```Python\nB\n```", "B\n"),
            ("```py title=x\nA\n```", "A\n"),
            ("```{.python}\nA\n```", "A\n"),
            ("```python\nA\n```\n```text\n5\n```\n```\n5\n```", "A\n"),
            ("```\nA\n```\n```cpp\nB\n```", "A\n"),
            ("~~~python\n```\nA\n~~~", "```\nA\n"),
            ("````python\n```\n````", "```\n"),
            ("1. so\n   ```python\n   if x:\n       A\n\n   ```", "if x:\n    A\n\n"),
            ("```python\r\nA\r\n```\r\n", "A\n"),
            ("say ```x``` and\n```python\nA\n```", "A\n"),
        ] {
            assert_eq!(read(solution).as_deref(), Ok(expected), "{solution}");
        }
    }

    #[test]
    fn what_is_no_program_is_told_apart() {
        for (solution, expected) in [
            ("print(1)", NoProgram::Missing),
            ("`print(1)`", NoProgram::Missing),
            ("```cpp\nA\n```", NoProgram::OtherLanguage),
            ("```python\n\n```", NoProgram::Empty),
            ("```python\nA", NoProgram::Unfinished),
            ("```python\nA\n```\n```python\nB", NoProgram::Unfinished),
            ("```python\nA\n```\n```", NoProgram::Unfinished),
            ("```python\nA\n``", NoProgram::Unfinished),
        ] {
            assert_eq!(read(solution), Err(expected), "{solution}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "[`~ py\\n\u{e9}{}]{0,80}") {
            if let Ok(program) = read(&text) {
                prop_assert!(!program.trim().is_empty() && program.len() <= text.len() + 1);
            }
        }
    }
}
