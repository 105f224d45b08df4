//! Thought and solution in a response, in the paper's tags.
//!
//! ```text
//! <|begin_of_thought|> steps <|end_of_thought|> <|begin_of_solution|> answer <|end_of_solution|>
//! ```
//!
//! The tags are plain strings, whatever tokens they are made of. A response is well formed when it holds
//! each tag exactly once, in this order, with nothing but white space outside the tags and something inside
//! both pairs. `<think> steps </think> answer` (DeepSeek-R1) is accepted too; as some chat templates put
//! `<think>` into the prompt, it may be missing from the response.

use std::ops::Range;

use thiserror::Error;

/// Begins the thought.
pub const BEGIN_OF_THOUGHT: &str = "<|begin_of_thought|>";
/// Ends the thought.
pub const END_OF_THOUGHT: &str = "<|end_of_thought|>";
/// Begins the solution.
pub const BEGIN_OF_SOLUTION: &str = "<|begin_of_solution|>";
/// Ends the solution.
pub const END_OF_SOLUTION: &str = "<|end_of_solution|>";
/// Begins the thought in the style of DeepSeek-R1.
pub const BEGIN_OF_THINK: &str = "<think>";
/// Ends the thought in the style of DeepSeek-R1.
pub const END_OF_THINK: &str = "</think>";

const TAGS: [&str; 4] = [BEGIN_OF_THOUGHT, END_OF_THOUGHT, BEGIN_OF_SOLUTION, END_OF_SOLUTION];

/// A well-formed response, taken apart. Spans count bytes of the response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThoughtAndSolution<'a> {
    /// The thought, white space around it left out.
    pub thought: &'a str,
    /// The solution, white space around it left out.
    pub solution: &'a str,
    /// Where [`Self::thought`] lies.
    pub thought_span: Range<usize>,
    /// Where [`Self::solution`] lies.
    pub solution_span: Range<usize>,
    /// Where the thought with its tags lies, from the start of the response to the end of the closing tag.
    pub thought_block: Range<usize>,
}

/// Why a response is not well formed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FormatError {
    /// A tag is not there at all.
    #[error("the tag `{0}` is missing")]
    MissingTag(&'static str),
    /// A tag is there more than once.
    #[error("the tag `{0}` occurs more than once")]
    DuplicateTag(&'static str),
    /// A tag comes before the one that it must follow.
    #[error("the tag `{tag}` comes before `{before}`")]
    WrongOrder {
        /// The tag that comes too early.
        tag: &'static str,
        /// The tag that it must follow.
        before: &'static str,
    },
    /// The thought has begun and never ends.
    #[error("the thought is not finished")]
    UnfinishedThought,
    /// The solution has begun and never ends.
    #[error("the solution is not finished")]
    UnfinishedSolution,
    /// Nothing but white space between the thought's tags.
    #[error("the thought is empty")]
    EmptyThought,
    /// Nothing but white space in the solution.
    #[error("the solution is empty")]
    EmptySolution,
    /// Text before, between or after the tagged parts.
    #[error("there is text outside the tags at byte {0}")]
    TextOutsideTags(usize),
}

/// How a response is to keep its thought and its solution apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Format {
    /// The paper's tags; `<think>` is understood too.
    #[default]
    Paper,
    /// `<think> steps </think> answer`, the first tag perhaps in the prompt.
    Think,
    /// No tags: the response reasons in words, and all of it is the solution.
    Plain,
}

impl Format {
    /// Takes a response apart.
    ///
    /// # Errors
    /// What the format is broken by.
    pub fn parse(self, response: &str) -> Result<ThoughtAndSolution<'_>, FormatError> {
        match self {
            Self::Paper => parse(response),
            Self::Think => parse_think(response),
            Self::Plain => {
                let solution_span = trimmed(response, 0..response.len());
                if solution_span.is_empty() {
                    return Err(FormatError::EmptySolution);
                }
                let solution = slice(response, &solution_span);
                Ok(ThoughtAndSolution {
                    thought: "",
                    solution,
                    thought_span: 0..0,
                    solution_span,
                    thought_block: 0..0,
                })
            }
        }
    }

    /// A thought and a solution as one response.
    pub fn render(self, thought: &str, solution: &str) -> String {
        let (thought, solution) = (thought.trim(), solution.trim());
        match self {
            Self::Paper => render(thought, solution),
            Self::Think => format!("{BEGIN_OF_THINK}\n{thought}\n{END_OF_THINK}\n\n{solution}"),
            Self::Plain if thought.is_empty() => solution.to_owned(),
            Self::Plain => format!("{thought}\n\n{solution}"),
        }
    }

    /// The name used in configurations and in a run's identity, which is durable.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Paper => "paper",
            Self::Think => "think",
            Self::Plain => "none",
        }
    }
}

/// Takes a response in the paper's tags or in those of DeepSeek-R1 apart.
pub fn parse(response: &str) -> Result<ThoughtAndSolution<'_>, FormatError> {
    let uses_paper_tags = TAGS.iter().any(|tag| response.contains(tag));
    if !uses_paper_tags && (response.contains(END_OF_THINK) || response.contains(BEGIN_OF_THINK)) {
        return parse_think(response);
    }
    let [thought_start, thought_end, solution_start, solution_end] = tag_positions(response)?;
    let thought = thought_start + BEGIN_OF_THOUGHT.len()..thought_end;
    let between = thought_end + END_OF_THOUGHT.len()..solution_start;
    let solution = solution_start + BEGIN_OF_SOLUTION.len()..solution_end;
    let after = solution_end + END_OF_SOLUTION.len()..response.len();
    for outside in [0..thought_start, between.clone(), after] {
        let stray = trimmed(response, outside);
        if !stray.is_empty() {
            return Err(FormatError::TextOutsideTags(stray.start));
        }
    }
    assemble(response, thought, solution, 0..between.start)
}

/// The text between the solution's tags, of responses without a thought too; `None` unless each of the two
/// tags is there exactly once, in order.
pub fn solution_of(response: &str) -> Option<&str> {
    let start = only_position(response, BEGIN_OF_SOLUTION).ok()?? + BEGIN_OF_SOLUTION.len();
    let end = only_position(response, END_OF_SOLUTION).ok()??;
    response.get(start..end).map(str::trim)
}

/// The canonical response: one line break on the inner side of every tag and between the two parts.
pub fn render(thought: &str, solution: &str) -> String {
    let (thought, solution) = (thought.trim(), solution.trim());
    format!(
        "{BEGIN_OF_THOUGHT}\n{thought}\n{END_OF_THOUGHT}\n{BEGIN_OF_SOLUTION}\n{solution}\n{END_OF_SOLUTION}"
    )
}

/// The response without a single white space around tags, as the quick start writes it.
pub fn render_compact(thought: &str, solution: &str) -> String {
    let (thought, solution) = (thought.trim(), solution.trim());
    format!("{BEGIN_OF_THOUGHT}{thought}{END_OF_THOUGHT}{BEGIN_OF_SOLUTION}{solution}{END_OF_SOLUTION}")
}

fn tag_positions(response: &str) -> Result<[usize; 4], FormatError> {
    let mut found = [None; 4];
    for (entry, tag) in found.iter_mut().zip(TAGS) {
        *entry = only_position(response, tag)?;
    }
    let [thought_start, thought_end, solution_start, solution_end] = found;
    let thought_start = thought_start.ok_or(FormatError::MissingTag(BEGIN_OF_THOUGHT))?;
    let thought_end = thought_end.ok_or(match solution_start {
        None => FormatError::UnfinishedThought,
        Some(_) => FormatError::MissingTag(END_OF_THOUGHT),
    })?;
    let solution_start = solution_start.ok_or(FormatError::MissingTag(BEGIN_OF_SOLUTION))?;
    let solution_end = solution_end.ok_or(FormatError::UnfinishedSolution)?;
    let positions = [thought_start, thought_end, solution_start, solution_end];
    for (pair, tags) in positions.windows(2).zip(TAGS.windows(2)) {
        if let ([earlier, later], [before, tag]) = (pair, tags)
            && later < earlier
        {
            return Err(FormatError::WrongOrder { tag, before });
        }
    }
    Ok(positions)
}

fn parse_think(response: &str) -> Result<ThoughtAndSolution<'_>, FormatError> {
    let start = only_position(response, BEGIN_OF_THINK)?;
    let end = only_position(response, END_OF_THINK)?.ok_or(FormatError::UnfinishedThought)?;
    let thought_start = match start {
        Some(start) if start > end => {
            return Err(FormatError::WrongOrder { tag: END_OF_THINK, before: BEGIN_OF_THINK });
        }
        Some(start) => {
            let stray = trimmed(response, 0..start);
            if !stray.is_empty() {
                return Err(FormatError::TextOutsideTags(stray.start));
            }
            start + BEGIN_OF_THINK.len()
        }
        None => 0,
    };
    let block_end = end + END_OF_THINK.len();
    assemble(response, thought_start..end, block_end..response.len(), 0..block_end)
}

fn assemble(
    response: &str,
    thought: Range<usize>,
    solution: Range<usize>,
    thought_block: Range<usize>,
) -> Result<ThoughtAndSolution<'_>, FormatError> {
    let thought_span = trimmed(response, thought);
    let solution_span = trimmed(response, solution);
    if thought_span.is_empty() {
        return Err(FormatError::EmptyThought);
    }
    if solution_span.is_empty() {
        return Err(FormatError::EmptySolution);
    }
    Ok(ThoughtAndSolution {
        thought: slice(response, &thought_span),
        solution: slice(response, &solution_span),
        thought_span,
        solution_span,
        thought_block,
    })
}

/// Where `tag` is, if it is there exactly once; an error if it is there more often.
fn only_position(response: &str, tag: &'static str) -> Result<Option<usize>, FormatError> {
    let mut positions = response.match_indices(tag).map(|(at, _)| at);
    let first = positions.next();
    if positions.next().is_some() { Err(FormatError::DuplicateTag(tag)) } else { Ok(first) }
}

/// `range` without the white space at both its ends.
fn trimmed(response: &str, range: Range<usize>) -> Range<usize> {
    let text = slice(response, &range);
    let start = range.start + text.len() - text.trim_start().len();
    start..(start + text.trim().len())
}

fn slice<'a>(response: &'a str, range: &Range<usize>) -> &'a str {
    response.get(range.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn white_space_around_the_tags_does_not_matter() {
        let text = format!(
            "\n{BEGIN_OF_THOUGHT}\n\nstep 1\n\nstep 2 {END_OF_THOUGHT}  \n{BEGIN_OF_SOLUTION}\t\\boxed{{4}}\n{END_OF_SOLUTION}\n"
        );
        let parsed = parse(&text).unwrap();
        assert_eq!(parsed.thought, "step 1\n\nstep 2");
        assert_eq!(parsed.solution, "\\boxed{4}");
        assert_eq!(&text[parsed.thought_span.clone()], parsed.thought);
        assert_eq!(&text[parsed.solution_span.clone()], parsed.solution);
        assert!(text[parsed.thought_block.clone()].ends_with(END_OF_THOUGHT));
    }

    #[test]
    fn both_renderings_parse_back() {
        for text in [render(" a\n\nb ", "c"), render_compact(" a\n\nb ", "c")] {
            let parsed = parse(&text).unwrap();
            assert_eq!((parsed.thought, parsed.solution), ("a\n\nb", "c"));
        }
    }

    #[test]
    fn each_fault_has_its_own_error() {
        let whole = render_compact("t", "s");
        let without = |tag: &str| whole.replacen(tag, "", 1);
        let cut = |tag: &str| whole[..whole.find(tag).unwrap()].to_owned();
        let cases = [
            (String::new(), FormatError::MissingTag(BEGIN_OF_THOUGHT)),
            (without(BEGIN_OF_THOUGHT), FormatError::MissingTag(BEGIN_OF_THOUGHT)),
            (without(END_OF_THOUGHT), FormatError::MissingTag(END_OF_THOUGHT)),
            (without(BEGIN_OF_SOLUTION), FormatError::MissingTag(BEGIN_OF_SOLUTION)),
            (cut(END_OF_THOUGHT), FormatError::UnfinishedThought),
            (cut(BEGIN_OF_SOLUTION), FormatError::MissingTag(BEGIN_OF_SOLUTION)),
            (cut(END_OF_SOLUTION), FormatError::UnfinishedSolution),
            (format!("{whole}{END_OF_SOLUTION}"), FormatError::DuplicateTag(END_OF_SOLUTION)),
            (format!("{BEGIN_OF_THOUGHT}{whole}"), FormatError::DuplicateTag(BEGIN_OF_THOUGHT)),
            (render_compact(" \n", "s"), FormatError::EmptyThought),
            (render_compact("t", ""), FormatError::EmptySolution),
            (format!("well {whole}"), FormatError::TextOutsideTags(0)),
            (format!("{whole} bye"), FormatError::TextOutsideTags(whole.len() + 1)),
            (
                format!("{BEGIN_OF_SOLUTION}s{END_OF_SOLUTION}{BEGIN_OF_THOUGHT}t{END_OF_THOUGHT}"),
                FormatError::WrongOrder { tag: BEGIN_OF_SOLUTION, before: END_OF_THOUGHT },
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(&text), Err(expected), "{text}");
        }
    }

    #[test]
    fn the_think_style_is_accepted_with_and_without_its_first_tag() {
        for text in ["<think>\nt\n</think>\n\ns", "t\n</think>\ns"] {
            let parsed = parse(text).unwrap();
            assert_eq!((parsed.thought, parsed.solution), ("t", "s"), "{text}");
        }
        assert_eq!(parse("<think>t"), Err(FormatError::UnfinishedThought));
        assert_eq!(parse("<think></think>s"), Err(FormatError::EmptyThought));
        assert_eq!(parse("<think>t</think>\n"), Err(FormatError::EmptySolution));
    }

    #[test]
    fn a_solution_without_a_thought_is_found_but_is_not_well_formed() {
        let text = format!("{BEGIN_OF_SOLUTION}\\boxed{{7}}{END_OF_SOLUTION}");
        assert_eq!(solution_of(&text), Some("\\boxed{7}"));
        assert_eq!(parse(&text), Err(FormatError::MissingTag(BEGIN_OF_THOUGHT)));
        assert_eq!(solution_of(END_OF_SOLUTION), None);
        assert_eq!(solution_of(&format!("{END_OF_SOLUTION}{BEGIN_OF_SOLUTION}")), None);
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_what_it_finds_lies_where_it_says(
            pieces in proptest::collection::vec(
                prop_oneof![
                    proptest::sample::select(TAGS.to_vec()).prop_map(str::to_owned),
                    Just(BEGIN_OF_THINK.to_owned()), Just(END_OF_THINK.to_owned()), "[ é\n]{0,3}",
                ], 0..8)
        ) {
            let text = pieces.concat();
            if let Ok(parsed) = parse(&text) {
                prop_assert_eq!(&text[parsed.thought_span.clone()], parsed.thought);
                prop_assert_eq!(&text[parsed.solution_span.clone()], parsed.solution);
                prop_assert!(parsed.thought_span.end <= parsed.solution_span.start);
            }
        }
    }
}
