//! The parts of a response between its tags, and the answers that stand in boxes.

/// The tags of DeepSeek-R1's thoughts; every other tag is written `<|name|>`.
const THINK_TAGS: [&str; 2] = ["<think>", "</think>"];
/// The command that marks an answer.
const BOXED: &str = "\\boxed";

/// The parts of a response that tags keep apart, in order, white space around them left out: thought and solution
/// of a well-formed one, the whole of one without tags.
pub(super) fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((start, end)) = next_tag(rest) {
        parts.push(rest.get(..start).unwrap_or_default().trim());
        rest = rest.get(end..).unwrap_or_default();
    }
    parts.push(rest.trim());
    parts.retain(|part| !part.is_empty());
    parts
}

/// Where the next tag begins and ends, in bytes.
fn next_tag(text: &str) -> Option<(usize, usize)> {
    let named = text.match_indices("<|").find_map(|(start, _)| {
        let inside = text.get(start + 2..)?;
        let length = inside.find("|>")?;
        let is_name = |name: &str| {
            !name.is_empty()
                && name.chars().all(|one| one.is_ascii_alphanumeric() || matches!(one, '_' | '-'))
        };
        inside.get(..length).filter(|name| is_name(name)).map(|_| (start, start + 2 + length + 2))
    });
    let think = THINK_TAGS.iter().filter_map(|tag| text.find(tag).map(|start| (start, start + tag.len())));
    named.into_iter().chain(think).min()
}

/// Different answers in boxes, white space and the size of fractions left aside. A box that is never closed is
/// none.
pub(super) fn different_boxes(text: &str) -> usize {
    let mut answers: Vec<String> =
        text.match_indices(BOXED).filter_map(|(at, _)| boxed(text.get(at..)?)).collect();
    answers.sort();
    answers.dedup();
    answers.len()
}

/// The content of the box that `text` begins with, as it is compared.
fn boxed(text: &str) -> Option<String> {
    let inside = text.strip_prefix(BOXED)?.trim_start().strip_prefix('{')?;
    let mut depth = 1_u32;
    let mut is_escaped = false;
    for (at, character) in inside.char_indices() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            let content: String = inside.get(..at)?.split_whitespace().collect();
            let alike = content.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac").replace("\\,", "");
            return Some(alike).filter(|content| !content.is_empty());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_either_kind_keep_parts_apart() {
        let paper =
            "<|begin_of_thought|>\na < b\n<|end_of_thought|>\n<|begin_of_solution|>c<|end_of_solution|>";
        assert_eq!(parts(paper), ["a < b", "c"]);
        assert_eq!(parts("<think>so</think> thus"), ["so", "thus"]);
        assert_eq!(parts("so</think>thus"), ["so", "thus"]);
        assert_eq!(parts(" plain <|x - y|> text, 1 <| 2 "), ["plain <|x - y|> text, 1 <| 2"]);
        assert_eq!(parts(" "), [""; 0]);
    }

    #[test]
    fn boxes_are_counted_by_what_differs_in_them() {
        assert_eq!(different_boxes("no box"), 0);
        assert_eq!(different_boxes("\\boxed{\\frac{1}{2}} or \\boxed{ \\dfrac{1} {2} }"), 1);
        assert_eq!(different_boxes("\\boxed{3}, no, \\boxed {4}, no, \\boxed{3}"), 2);
        assert_eq!(different_boxes("\\boxed{a\\}b} \\boxed{} \\boxed{never closed"), 1);
    }
}
