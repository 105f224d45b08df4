//! The clause that leads to an answer.

use super::words::{COMPLEMENTIZERS, CONJUNCTIONS, SURE};

/// No clause is read further back than this many words.
const MAXIMUM_WORDS: usize = 40;

/// The words of a clause, and where commas stand between them.
pub(super) struct Clause<'a> {
    words: Vec<&'a str>,
}

impl<'a> Clause<'a> {
    /// The clause at the end of a text.
    pub(super) fn last(text: &'a str) -> Self {
        // the announcement's own colon and the marks of a formula
        let text = text.trim_end_matches(|c: char| !c.is_alphanumeric());
        // from the end: words, and the places of commas among them
        let mut words: Vec<&str> = Vec::with_capacity(16);
        let mut commas: Vec<usize> = Vec::new();
        let mut end = text.len();
        let mut gap_start = text.len();
        while words.len() < MAXIMUM_WORDS && end > 0 {
            let head = text.get(..end).unwrap_or("");
            let word = last_run(head);
            if word.is_empty() {
                let last = head.chars().next_back().map_or(1, char::len_utf8);
                end -= last;
                continue;
            }
            let gap = text.get(end..gap_start).unwrap_or("");
            if gap_start < text.len() {
                let next = words.last().copied().unwrap_or("");
                if ends_sentence(gap, next) {
                    break;
                }
                if gap.contains([',', '–', '—', '(', ')', '，', '、']) || gap.contains(" - ") {
                    commas.push(words.len());
                }
            }
            words.push(word);
            end -= word.len();
            gap_start = end;
        }
        let mut scope = words.len();
        if let Some(comma) = commas.first().copied() {
            // `I am not sure, however, that the answer is`
            let first = words.get(comma.wrapping_sub(1)).copied().unwrap_or("");
            if !COMPLEMENTIZERS.has(first) {
                scope = comma;
            }
        }
        words.truncate(scope);
        words.reverse();
        let cut = (0..words.len()).rev().find(|index| {
            let next = words.get(index + 1).copied().unwrap_or("");
            words
                .get(*index)
                .is_some_and(|word| CONJUNCTIONS.has(word) && !SURE.has(next) && !next.is_empty())
        });
        if let Some(cut) = cut {
            words.drain(..=cut);
        }
        Self { words }
    }

    pub(super) fn words(&self) -> &[&'a str] {
        &self.words
    }
}

/// The word at the end of a text; empty where it ends with something else.
fn last_run(text: &str) -> &str {
    let start = text
        .char_indices()
        .rev()
        .take_while(|(_, c)| c.is_alphanumeric() || matches!(c, '\'' | '’'))
        .last()
        .map_or(text.len(), |(start, _)| start);
    text.get(start..).unwrap_or("")
}

/// Whether what stands between two words ends a sentence.
fn ends_sentence(gap: &str, next: &str) -> bool {
    let ends = ['!', '?', ';', '。', '！', '？', '；', '¿', '¡', '：'];
    if gap.contains(ends) || gap.contains(": ") || gap.contains(":\n") {
        return true;
    }
    let is_line = gap.contains('\n')
        && (gap.contains("\n\n")
            || gap.contains(['*', '#', '$', '\\'])
            || next.starts_with(char::is_uppercase));
    is_line
        || gap
            .match_indices('.')
            .any(|(dot, _)| gap.get(dot + 1..).is_some_and(|rest| rest.starts_with(char::is_whitespace)))
}
