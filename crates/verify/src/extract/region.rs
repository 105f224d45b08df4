//! The part of a completion in which the answer may stand: after the thought, before the end.

/// Marks that open a thought.
const THOUGHT_OPENINGS: [&str; 4] = ["<|begin_of_thought|>", "<think>", "<thinking>", "<thought>"];
/// Marks that close a thought.
const THOUGHT_CLOSINGS: [&str; 4] = ["<|end_of_thought|>", "</think>", "</thinking>", "</thought>"];
/// The mark that opens a solution.
const SOLUTION_OPENING: &str = "<|begin_of_solution|>";
/// Marks after which nothing belongs to the answer.
const ENDS: [&str; 9] = [
    "<|end_of_solution|>",
    "<|im_end|>",
    "<|endoftext|>",
    "<|eot_id|>",
    "<|end|>",
    "<|im_start|>",
    "<|begin_of_thought|>",
    "<end_of_turn>",
    "</s>",
];

/// The solution's text: what stands after the thought and before the end; `None` if the thought never ended.
pub fn solution(completion: &str) -> Option<&str> {
    if !completion.contains('<') {
        return Some(completion);
    }
    let mut closed = 0;
    let mut opened = None;
    let mut started = 0;
    for index in marks(completion) {
        let Some(rest) = completion.get(index..) else { continue };
        if let Some(mark) = THOUGHT_CLOSINGS.iter().find(|mark| rest.starts_with(**mark)) {
            closed = index + mark.len();
            opened = None;
            started = closed;
        } else if let Some(mark) = THOUGHT_OPENINGS.iter().find(|mark| rest.starts_with(**mark)) {
            opened.get_or_insert(index + mark.len());
        } else if rest.starts_with(SOLUTION_OPENING) && opened.is_none() {
            started = index + SOLUTION_OPENING.len();
        }
    }
    if opened.is_some() {
        return None;
    }
    let region = completion.get(started.max(closed)..)?;
    let end = marks(region)
        .find(|index| region.get(*index..).is_some_and(|rest| ENDS.iter().any(|mark| rest.starts_with(mark))))
        .unwrap_or(region.len());
    region.get(..end)
}

/// Where a mark may start; most angle brackets are relations.
fn marks(text: &str) -> impl Iterator<Item = usize> {
    memchr::memchr_iter(b'<', text.as_bytes())
        .filter(|index| matches!(text.as_bytes().get(index + 1), Some(b'|' | b'/' | b't' | b'e')))
}

#[cfg(test)]
mod tests {
    use super::solution;

    #[test]
    fn the_thought_is_left_out() {
        assert_eq!(solution("<think>a</think>b"), Some("b"));
        assert_eq!(solution("a</think>b"), Some("b"));
        assert_eq!(
            solution("<|begin_of_thought|>a<|end_of_thought|>\n<|begin_of_solution|>b<|end_of_solution|>c"),
            Some("b")
        );
        assert_eq!(solution("b<|im_end|>\nmore"), Some("b"));
    }

    #[test]
    fn an_unfinished_thought_has_no_solution() {
        assert_eq!(solution("<think>a"), None);
        assert_eq!(solution("<think>a</think>b<think>c"), None);
        assert_eq!(solution("<|begin_of_thought|>a<|begin_of_solution|>b"), None);
    }
}
