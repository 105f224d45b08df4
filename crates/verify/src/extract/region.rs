//! The part of a completion in which the answer may stand: after the thought, before the end.
//!
//! Thoughts are told by their marks, whatever the family of models: `<think>`, `<|begin_of_thought|>`,
//! `<reasoning>`, `<seed:think>`, `[THINK]`, `◁think▷`, `<|START_THINKING|>`, and the channels of the harmony
//! format, of which only `final` is no thought.

/// Names of a thought, in lower case and without what only says that it begins or ends.
const THOUGHTS: [&str; 25] = [
    "think",
    "thinking",
    "thought",
    "thoughts",
    "thought_process",
    "thinking_process",
    "reason",
    "reasoning",
    "reasoning_process",
    "reasoning_content",
    "analysis",
    "analyze",
    "scratchpad",
    "scratch_pad",
    "scratch",
    "scratchwork",
    "reflection",
    "reflect",
    "deliberation",
    "inner_monologue",
    "internal_monologue",
    "chain_of_thought",
    "cot",
    "monologue",
    "draft",
];
/// What a mark's name may start with and still mean the same.
const BEGINNINGS: [&str; 5] = ["begin_of_", "beginof", "start_of_", "startof", "start_"];
/// What makes a mark a closing one.
const ENDINGS: [&str; 4] = ["end_of_", "endof", "end_", "/"];
/// The mark that opens a solution.
const SOLUTION_OPENING: &str = "<|begin_of_solution|>";
/// The mark behind which the name of a harmony channel stands.
const CHANNEL: &str = "<|channel|>";
/// The mark that ends a channel's name.
const MESSAGE: &str = "<|message|>";
/// The one channel that is no thought.
const FINAL_CHANNEL: &str = "final";
/// Marks after which nothing belongs to the answer.
const ENDS: [&str; 21] = [
    "<|end_of_solution|>",
    "<|im_end|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|start|>",
    "<|user|>",
    "<|im_start|>",
    "<|start_header_id|>",
    "<|begin_of_thought|>",
    "<|END_OF_TURN_TOKEN|>",
    "<end_of_turn>",
    "<eos>",
    "</s>",
    "<｜end▁of▁sentence｜>",
    "<｜User｜>",
    "[|endofturn|]",
];
/// No mark's name is longer than this many bytes.
const MAXIMUM_NAME_LENGTH: usize = 32;
/// No channel's name with its other headers is longer than this many bytes.
const MAXIMUM_HEADER_LENGTH: usize = 200;

/// What a mark says about thoughts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Opens,
    Closes,
}

/// The solution's text: what stands after the thought and before the end; `None` if the thought never ended.
pub fn solution(completion: &str) -> Option<&str> {
    // the last mark of a thought decides, so that texts full of marks are not read through
    let mut opening = None;
    let mut closing = None;
    for index in marks(completion).rev() {
        let Some(rest) = completion.get(index..) else { continue };
        match thought_mark(rest) {
            Some((Mark::Opens, _)) => return None,
            Some((Mark::Closes, length)) => {
                closing = Some(index + length);
                break;
            }
            None if opening.is_none() && rest.starts_with(SOLUTION_OPENING) => {
                opening = Some(index + SOLUTION_OPENING.len());
            }
            None => {}
        }
    }
    let started = opening.or(closing).unwrap_or(0);
    let region = completion.get(started..)?;
    let end = marks(region)
        .find(|index| region.get(*index..).is_some_and(|rest| ENDS.iter().any(|mark| rest.starts_with(mark))))
        .unwrap_or(region.len());
    region.get(..end)
}

/// Where a mark may start; most angle brackets are relations.
fn marks(text: &str) -> impl DoubleEndedIterator<Item = usize> {
    let bytes = text.as_bytes();
    // the first byte of `◁`, which much of typography shares
    memchr::memchr3_iter(b'<', b'[', 0xe2, bytes).filter(move |index| {
        let next = bytes.get(index + 1).copied().unwrap_or_default();
        match bytes.get(*index) {
            Some(b'<') => next.is_ascii_alphabetic() || matches!(next, b'|' | b'/' | 0xef),
            Some(b'[') => next.is_ascii_uppercase() || matches!(next, b'|' | b'/'),
            _ => next == 0x97 && bytes.get(index + 2) == Some(&0x81),
        }
    })
}

/// The mark at the start of a text, if it is one of a thought, and its length.
fn thought_mark(text: &str) -> Option<(Mark, usize)> {
    if let Some(channel) = text.strip_prefix(CHANNEL) {
        let name = channel.trim_start();
        let mark = if name.starts_with(FINAL_CHANNEL) { Mark::Closes } else { Mark::Opens };
        // a channel's name may be followed by other headers
        let header = channel.as_bytes().get(..MAXIMUM_HEADER_LENGTH).unwrap_or(channel.as_bytes());
        let message = memchr::memmem::find(header, MESSAGE.as_bytes());
        let length = message.map_or(0, |start| start + MESSAGE.len());
        return Some((mark, CHANNEL.len() + length));
    }
    let (inside, closing) = if let Some(inside) = text.strip_prefix('<') {
        (inside, '>')
    } else if let Some(inside) = text.strip_prefix('[') {
        (inside, ']')
    } else {
        (text.strip_prefix('◁')?, '▷')
    };
    let bytes = inside.as_bytes();
    let length = bytes
        .iter()
        .take(MAXIMUM_NAME_LENGTH)
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'|' | b'_' | b':' | b'-'))
        .count();
    let name = inside.get(..length)?;
    let end = inside.get(length..)?.trim_start_matches(' ');
    if !end.starts_with(closing) {
        return None;
    }
    let whole = text.len() - end.len() + closing.len_utf8();
    // `[THINK]` is a mark, `[think]` a word
    if closing == ']' && name.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return None;
    }
    let mut lower = [0; MAXIMUM_NAME_LENGTH];
    for (lower, byte) in lower.iter_mut().zip(name.bytes()) {
        *lower = if byte == b'-' { b'_' } else { byte.to_ascii_lowercase() };
    }
    let name = std::str::from_utf8(lower.get(..length)?).ok()?.trim_matches('|');
    let (name, mark) = match ENDINGS.iter().find_map(|ending| name.strip_prefix(ending)) {
        Some(name) => (name, Mark::Closes),
        None => (name, Mark::Opens),
    };
    let name = BEGINNINGS.iter().find_map(|beginning| name.strip_prefix(beginning)).unwrap_or(name);
    // `seed:think`: a prefix names the family
    let name = name.rsplit_once(':').map_or(name, |(_, name)| name);
    THOUGHTS.contains(&name).then_some((mark, whole))
}

#[cfg(test)]
mod tests {
    use super::solution;

    #[test]
    fn the_thought_is_left_out() {
        for (opening, closing) in [
            ("<think>", "</think>"),
            ("<THINK>", "</THINK>"),
            ("<thought>", "</thought>"),
            ("<reasoning>", "</reasoning>"),
            ("<scratchpad>", "</scratchpad>"),
            ("<analysis>", "</analysis>"),
            ("<inner_monologue>", "</inner_monologue>"),
            ("<inner-monologue>", "</inner-monologue>"),
            ("<seed:think>", "</seed:think>"),
            ("[THINK]", "[/THINK]"),
            ("◁think▷", "◁/think▷"),
            ("<|START_THINKING|>", "<|END_THINKING|>"),
            ("<|begin_of_thought|>", "<|end_of_thought|>"),
            ("<|startofthink|>", "<|endofthink|>"),
            ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
            ("<|channel|>commentary to=f<|message|>", "<|channel|>final <|constrain|>text<|message|>"),
        ] {
            assert_eq!(solution(&format!("{opening}a{closing}b")), Some("b"), "{opening}");
            assert_eq!(solution(&format!("a{closing}b")), Some("b"), "{closing}");
            assert_eq!(solution(&format!("{opening}a")), None, "{opening}");
            assert_eq!(solution(&format!("{opening}a{closing}b{opening}c")), None, "{opening}");
        }
        assert_eq!(
            solution("<|begin_of_thought|>a<|end_of_thought|>\n<|begin_of_solution|>b<|end_of_solution|>c"),
            Some("b")
        );
    }

    #[test]
    fn the_end_of_the_turn_is_the_end() {
        for end in ["<|im_end|>", "<|return|>", "<｜end▁of▁sentence｜>", "<eos>", "[|endofturn|]"] {
            assert_eq!(solution(&format!("b{end}\nmore")), Some("b"), "{end}");
        }
    }

    #[test]
    fn relations_brackets_and_other_elements_are_no_thoughts() {
        for text in ["a<b", "x<think", "[0,1]", "[THINKER]", "[think]", "<answer>5</answer>", "[A](b)", "◁◁"]
        {
            assert_eq!(solution(text), Some(text));
        }
    }

    #[test]
    fn an_unfinished_thought_has_no_solution() {
        assert_eq!(solution("<think>a</think>b<think>c"), None);
        assert_eq!(solution("<|begin_of_thought|>a<|begin_of_solution|>b"), None);
    }
}
