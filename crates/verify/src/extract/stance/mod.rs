//! How a text stands to an answer that it mentions: it states it, denies it, doubts it, or only raises it.
//!
//! `I am not sure that the answer is 42`, `Is the answer 42?` and `The answer is not 42` mention an answer and give none.
//! What decides is the clause that the mention stands in: the words of another clause (`I was not sure, but the answer
//! is 42`) say nothing about it. A negation counts where it reaches a word of knowing or saying (`not sure that`,
//! `don't think`), so that `x is not even and the answer is 42` states its answer.

mod after;
mod clause;
mod languages;
mod words;

pub(super) use after::{is_refusal, is_retracted, sentence};

use super::beside::reach_back;
use super::edge::{Said, denies, said};
use after::is_asked;
use clause::Clause;
use words::{
    ANSWERS, BELIEFS, COMPLEMENTS, CONJOINED, DOUBTFUL, DOUBTING_VERBS, DOUBTS, EASY, FACTS, HYPOTHESES,
    KNOWING, MODALS, NEGATIONS, OTHERS, REACHING, SUBJECTS, SURE, TELLING, TEMPTING, WRONG,
};

/// A negation reaches a word over no more words than this.
const MAXIMUM_REACH_WORDS: usize = 5;

/// How a text stands to an answer that it mentions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stance {
    Stated,
    /// That it is not the answer.
    Denied,
    /// `I am not sure that`, `perhaps`.
    Doubted,
    /// `Is it …?`, `suppose that`.
    Raised,
}

/// How a text stands to the answer between two bytes, which are boundaries of characters.
pub(super) fn stance(text: &str, start: usize, end: usize) -> Stance {
    let after = text.get(end..).unwrap_or("");
    if is_retracted(after) {
        return Stance::Denied;
    }
    let before = reach_back(text.get(..start).unwrap_or(""));
    match said(before) {
        Said::Denied => return Stance::Denied,
        Said::Another => return Stance::Doubted,
        Said::Itself => {}
    }
    match before_answer(before) {
        Stance::Stated if is_asked(text.get(start..).unwrap_or("")) => Stance::Raised,
        Stance::Stated => languages::behind(after),
        stance => stance,
    }
}

/// How a text stands to what it announces behind the byte `announced`.
pub(super) fn stance_of_announcement(text: &str, announced: usize) -> Stance {
    let (before, after) = text.split_at_checked(announced).unwrap_or((text, ""));
    let sentence = sentence(after);
    if is_retracted(after) || starts_with_denial(sentence) {
        return Stance::Denied;
    }
    match before_answer(reach_back(before)) {
        Stance::Stated => {}
        stance => return stance,
    }
    let is_unreal = before.ends_with("would be")
        && [" if ", " had ", " were "].iter().any(|word| sentence.contains(word));
    if is_unreal || is_asked(after) { Stance::Raised } else { languages::within(sentence) }
}

/// `not 43`
fn starts_with_denial(sentence: &str) -> bool {
    let text = sentence.trim_start_matches(|c: char| c.is_whitespace() || "$*:".contains(c));
    let end = text.find(|c: char| !c.is_alphabetic() && c != '\'' && c != '’').unwrap_or(text.len());
    text.get(..end).is_some_and(|word| !word.is_empty() && denies(word))
}

/// What the clause says that leads to an answer.
fn before_answer(before: &str) -> Stance {
    if !before.is_ascii()
        && let stance @ (Stance::Denied | Stance::Doubted | Stance::Raised) = languages::before(before)
    {
        return stance;
    }
    let clause = Clause::last(before);
    let words = clause.words();
    if let Some(stance) = (0..words.len()).find_map(|index| {
        let (earlier, rest) = words.split_at_checked(index)?;
        let (word, later) = rest.split_first()?;
        word_stance(earlier, word, later)
    }) {
        return stance;
    }
    // `not the answer: 42`
    if let [before @ .., last] = words
        && last.eq_ignore_ascii_case("answer")
    {
        let before = before.strip_suffix(&["the"]).unwrap_or(before);
        if before.last().is_some_and(|denial| is_negation(denial)) {
            return Stance::Denied;
        }
    }
    if is_question(words) { Stance::Raised } else { languages::words(words) }
}

/// What a word of the clause makes of the answer, between the words before it and those behind it.
fn word_stance(earlier: &[&str], word: &str, later: &[&str]) -> Option<Stance> {
    let is_suggested = word.eq_ignore_ascii_case("say")
        && earlier.last().is_none_or(|before| {
            ["let's", "lets", "us"].iter().any(|lets| before.eq_ignore_ascii_case(lets))
        });
    if (HYPOTHESES.has(word) || is_suggested) && later.iter().all(|word| SUBJECTS.has(word)) {
        return Some(Stance::Raised);
    }
    let next = later.first().copied().unwrap_or("");
    if (WRONG.has(word) || TEMPTING.has(word)) && ANSWERS.has(next) {
        return Some(Stance::Denied);
    }
    // `a mistake is to say that`
    let next = if ["is", "was"].contains(&next) { later.get(1).copied().unwrap_or("") } else { next };
    let is_believed = BELIEFS.has(word) || TELLING.has(word);
    let speaks = next.is_empty() || COMPLEMENTS.has(next);
    let is_doubt = DOUBTS.has(word)
        || (DOUBTING_VERBS.has(word) && COMPLEMENTS.has(next) && !is_as(earlier))
        || (DOUBTFUL.has(word) && CONJOINED.has(next));
    let is_known = (speaks && (SURE.has(word) || is_believed || KNOWING.has(word)))
        || (FACTS.has(word) && CONJOINED.has(next));
    let is_others = is_believed && speaks && by_others(earlier);
    if is_negated(earlier) && is_known {
        // `I don't think that` denies, `we cannot prove that` leaves open
        return Some(if BELIEFS.has(word) { Stance::Denied } else { Stance::Doubted });
    }
    let is_doubted = is_others || (is_doubt && !is_negated(earlier));
    (is_doubted || is_left_open(earlier, word, later)).then_some(Stance::Doubted)
}

/// `students think`, `one might say`, but `we would say`.
fn by_others(earlier: &[&str]) -> bool {
    let Some((last, before)) = earlier.split_last() else { return false };
    let subject = before.last().copied().unwrap_or("");
    if MODALS.has(last) {
        return !["I", "we", "We"].contains(&subject);
    }
    OTHERS.has(last)
        || (["often", "will", "can", "sometimes", "wrongly"].contains(last) && OTHERS.has(subject))
}

/// `it may be that`, `it could be`, `it would have been`.
fn is_left_open(earlier: &[&str], word: &str, later: &[&str]) -> bool {
    let is_end = later.first().is_none_or(|next| next.eq_ignore_ascii_case("that"));
    let Some((last, before)) = earlier.split_last() else { return false };
    // `it can't be that`
    let is_denied = !later.is_empty() && word == "be" && is_negation(last);
    is_end
        && match word {
            "be" | "equal" => is_denied || MODALS.has(last) && !last.eq_ignore_ascii_case("would"),
            "been" => {
                last.eq_ignore_ascii_case("have") && before.last().is_some_and(|modal| MODALS.has(modal))
            }
            _ => false,
        }
}

/// `as expected`, `as claimed`
fn is_as(earlier: &[&str]) -> bool {
    earlier.last().is_some_and(|word| word.eq_ignore_ascii_case("as"))
}

/// Whether a negation among the words before one reaches it: `not really sure`, but not `not even we know`.
fn is_negated(earlier: &[&str]) -> bool {
    for (distance, word) in earlier.iter().rev().take(MAXIMUM_REACH_WORDS).enumerate() {
        if is_negation(word) {
            let next = earlier.get(earlier.len() - distance).copied().unwrap_or("");
            return !EASY.has(next) || distance == 0;
        }
        if !REACHING.has(word) {
            return false;
        }
    }
    false
}

fn is_negation(word: &str) -> bool {
    let is_contracted = word.len() > 3
        && (super::table::ends_with(word.as_bytes(), "n't")
            || word.ends_with("n’t")
            || word.ends_with("N’T"));
    is_contracted || NEGATIONS.has(word)
}

/// `Is it`, `Could the answer be`: words in the order of a question.
fn is_question(words: &[&str]) -> bool {
    let Some((first, rest)) = words.split_first() else { return false };
    let is_inverted = ["is", "are", "could", "can", "would", "might", "should", "may", "will", "were", "had"]
        .iter()
        .any(|verb| first.eq_ignore_ascii_case(verb));
    is_inverted
        && !rest.is_empty()
        && rest.iter().all(|word| SUBJECTS.has(word) || word.eq_ignore_ascii_case("be"))
}
