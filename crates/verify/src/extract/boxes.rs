//! Boxes: `\boxed{}`, `\fbox{}`, `\framebox{}`, found in one pass over the text.

/// A box in the text: where the whole of it and its content stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) content_start: usize,
    pub(crate) content_end: usize,
}

impl Span {
    /// What stands in the box.
    pub(crate) fn content<'a>(&self, text: &'a str) -> &'a str {
        text.get(self.content_start..self.content_end).unwrap_or("").trim()
    }
}

/// All outermost boxes that are closed, and whether one was opened after the last of them and never closed.
pub(crate) struct Boxes {
    pub(crate) closed: Vec<Span>,
    pub(crate) unfinished: bool,
}

/// Finds the boxes of a text in linear time.
pub(crate) fn find(text: &str) -> Boxes {
    let bytes = text.as_bytes();
    // open boxes: where the command and the content start, and how many plain braces were open around it
    let mut open: Vec<(usize, usize, usize)> = Vec::new();
    // plain braces that are open in the innermost box
    let mut depth = 0_usize;
    let mut closed: Vec<Span> = Vec::new();
    let mut position = 0;
    loop {
        // outside of boxes only their commands count
        let skipped = if open.is_empty() {
            memchr::memchr(b'\\', bytes.get(position..).unwrap_or(&[]))
        } else {
            memchr::memchr3(b'\\', b'{', b'}', bytes.get(position..).unwrap_or(&[]))
        };
        let Some(skipped) = skipped else { break };
        position += skipped;
        match bytes.get(position).copied().unwrap_or_default() {
            b'\\' => {
                let Some(length) = command(bytes, position) else {
                    position += 2;
                    continue;
                };
                let mut next = position + length;
                while bytes.get(next).is_some_and(u8::is_ascii_whitespace) {
                    next += 1;
                }
                let is_apart = next > position + length;
                match bytes.get(next) {
                    // `in \boxed form`: the word behind it is no answer
                    Some(byte)
                        if is_apart
                            && byte.is_ascii_alphabetic()
                            && bytes.get(next + 1).is_some_and(u8::is_ascii_alphabetic) =>
                    {
                        position = next;
                    }
                    Some(b'{') => {
                        open.push((position, next + 1, depth));
                        depth = 0;
                        position = next + 1;
                    }
                    // `\boxed 7`, `\boxed7`: one run of digits or one letter
                    Some(byte) if byte.is_ascii_alphanumeric() || *byte == b'-' => {
                        let run = bytes
                            .get(next + 1..)
                            .unwrap_or(&[])
                            .iter()
                            .take_while(|byte| byte.is_ascii_digit())
                            .count();
                        let end = if byte.is_ascii_alphabetic() { next + 1 } else { next + 1 + run };
                        close(
                            &mut closed,
                            Span { start: position, end, content_start: next, content_end: end },
                        );
                        position = end;
                    }
                    _ if is_mention(bytes.get(next..).unwrap_or(&[])) => position = next,
                    _ => {
                        open.push((position, next, depth));
                        depth = 0;
                        position = next;
                    }
                }
                continue;
            }
            b'{' => depth += 1,
            b'}' if depth > 0 => depth -= 1,
            b'}' => {
                if let Some((start, content_start, before)) = open.pop() {
                    depth = before;
                    let span = Span { start, end: position + 1, content_start, content_end: position };
                    close(&mut closed, span);
                }
            }
            _ => {}
        }
        position += 1;
    }
    let last = closed.last().map_or(0, |span| span.end);
    let unfinished = open.iter().any(|(start, _, _)| *start >= last);
    Boxes { closed, unfinished }
}

/// Adds a box and drops those inside it.
fn close(closed: &mut Vec<Span>, span: Span) {
    while closed.last().is_some_and(|last| last.start > span.start) {
        closed.pop();
    }
    closed.push(span);
}

/// Whether a command for boxes is only spoken of: what follows it ends a sentence or a quotation.
fn is_mention(rest: &[u8]) -> bool {
    rest.first().is_some_and(|next| {
        matches!(next, b'.' | b',' | b';' | b':' | b'`' | b'"' | b'\'' | b')' | b'?' | b'!' | b'*')
    })
}

/// Whether the content of a box only shows where an answer would stand: nothing, dots, `your answer`.
pub(super) fn is_placeholder(content: &str) -> bool {
    if content.len() > 60 || content.bytes().any(|byte| byte.is_ascii_digit()) {
        return false;
    }
    let mut plain = content.to_lowercase();
    for command in [
        "\\text", "\\textbf", "\\textit", "\\mathrm", "\\ldots", "\\cdots", "\\dots", "\\quad", "\\,", "\\;",
        "\\ ",
    ] {
        if plain.contains('\\') {
            plain = plain.replace(command, " ");
        }
    }
    let words = plain.trim_matches(|c: char| c.is_whitespace() || ".…<>[]{}()_*`".contains(c));
    matches!(
        words,
        "" | "answer"
            | "your answer"
            | "the answer"
            | "final answer"
            | "your final answer"
            | "the final answer"
            | "answer here"
            | "your answer here"
            | "your_answer"
            | "final_answer"
            | "\\cdot"
            | "\\square"
    )
}

/// The length of a box command at a backslash.
fn command(bytes: &[u8], position: usize) -> Option<usize> {
    let rest = bytes.get(position + 1..)?;
    ["boxed", "fbox", "framebox"].iter().find_map(|name| {
        let whole =
            rest.starts_with(name.as_bytes()) && !rest.get(name.len()).is_some_and(u8::is_ascii_alphabetic);
        whole.then_some(1 + name.len())
    })
}

#[cfg(test)]
mod tests {
    use super::find;

    fn contents(text: &str) -> Vec<&str> {
        find(text).closed.iter().map(|span| &text[span.content_start..span.content_end]).collect()
    }

    #[test]
    fn braces_nest() {
        assert_eq!(contents(r"\boxed{\frac{1}{2}} and \fbox{\{1\}}"), [r"\frac{1}{2}", r"\{1\}"]);
        assert_eq!(contents(r"\boxed{\boxed{5}}"), [r"\boxed{5}"]);
        assert_eq!(contents(r"\boxed 57 x"), ["57"]);
        assert_eq!(contents(r"a } b { \boxed{5}"), ["5"]);
    }

    #[test]
    fn an_open_box_at_the_end_is_seen() {
        assert!(find(r"\boxed{1} \boxed{2").unfinished);
        assert!(!find(r"\boxed{oops \boxed{2}").unfinished);
    }
}
