//! Which languages a text of one script is written in, passage by passage.
//!
//! German or Spanish in an English thought has no foreign letter. Sentences are gathered into passages that are
//! long enough to be told apart by their trigrams (Cavnar & Trenkle 1994, as `whatlang` does), formulas and
//! commands left out. Only what is told apart reliably counts, and only among languages in Latin script: the
//! others show by their letters.

use std::collections::BTreeMap;

use whatlang::{Lang, Script};

/// Letters of a passage.
const PASSAGE_LETTERS: usize = 160;

/// The language of each passage of a part.
#[derive(Debug, Clone, Default)]
pub(super) struct Passages(Vec<Option<Lang>>);

impl Passages {
    pub(super) fn read(text: &str) -> Self {
        let mut languages = Vec::new();
        let mut passage = String::new();
        let mut letters = 0;
        for sentence in prose(text).split_inclusive(['.', '!', '?', '\n']) {
            letters += sentence.chars().filter(|one| one.is_alphabetic()).count();
            passage.push_str(sentence);
            if letters >= PASSAGE_LETTERS {
                languages.push(language(&passage));
                passage.clear();
                letters = 0;
            }
        }
        Self(languages)
    }

    /// Share of passages in a language that is none of `native`.
    fn foreign(&self, native: &[Lang]) -> f64 {
        let is_foreign =
            |language: &&Option<Lang>| language.is_some_and(|language| !native.contains(&language));
        let foreign = self.0.iter().filter(is_foreign).count();
        if foreign == 0 { 0.0 } else { foreign as f64 / self.0.len() as f64 }
    }
}

/// Largest share over `parts` of passages in a language that neither English nor the problem's is. The problem is
/// read only where there is one: telling languages apart takes longer than all other rules.
pub(super) fn foreign_passages(problem: &str, parts: &[Passages]) -> f64 {
    let may_be_foreign = |language: &Option<Lang>| language.is_some_and(|language| language != Lang::Eng);
    if !parts.iter().flat_map(|part| &part.0).any(may_be_foreign) {
        return 0.0;
    }
    let native = native_languages(problem, parts);
    parts.iter().map(|part| part.foreign(&native)).fold(0.0, f64::max)
}

/// English, and the problem's language; where the problem is too short to tell, the language of most passages.
fn native_languages(problem: &str, parts: &[Passages]) -> Vec<Lang> {
    let of_problem = language(&prose(problem));
    let of_most = || {
        let mut counts: BTreeMap<&str, (usize, Lang)> = BTreeMap::new();
        for language in parts.iter().flat_map(|part| &part.0).flatten() {
            counts.entry(language.code()).or_insert((0, *language)).0 += 1;
        }
        counts.into_values().max_by_key(|(count, _)| *count).map(|(_, language)| language)
    };
    [Some(Lang::Eng), of_problem.or_else(of_most)].into_iter().flatten().collect()
}

fn language(prose: &str) -> Option<Lang> {
    let info = whatlang::detect(prose)?;
    (info.script() == Script::Latin && info.is_reliable()).then(|| info.lang())
}

/// The words of a text without formulas, commands and names of one letter; ends of sentences stay.
fn prose(text: &str) -> String {
    let mut prose = String::new();
    let mut is_formula = false;
    for word in text.split_inclusive(char::is_whitespace) {
        let signs = word.matches('$').count();
        let is_inside = is_formula || signs > 0;
        is_formula ^= signs % 2 == 1;
        let bare = word.trim_matches(|one: char| !one.is_alphanumeric());
        let is_word = !is_inside
            && !word.contains('\\')
            && bare.chars().count() > 1
            && bare.chars().all(|one| one.is_alphabetic() || one == '\'' || one == '-');
        if is_word {
            prose.push_str(bare);
        }
        if word.trim_end().ends_with(['.', '!', '?']) {
            prose.push('.');
        }
        prose.push(if word.ends_with('\n') { '\n' } else { ' ' });
    }
    prose
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGLISH: &str = "We first look at the small cases and try to see a pattern in the remainders. Then we \
        prove that the pattern holds for every number by induction, and count how many of them are below the bound. ";
    const GERMAN: &str = "Zuerst betrachten wir die kleinen Fälle und versuchen, in den Resten ein Muster zu sehen. \
        Dann beweisen wir durch Induktion, dass es für jede Zahl gilt, und zählen, wie viele unter der Schranke liegen. ";
    const PROBLEM: &str = "How many positive integers below one thousand leave the remainder two when they are \
        divided by seven, and are at the same time squares of whole numbers?";

    fn foreign(problem: &str, text: &str) -> f64 {
        let passages = Passages::read(text);
        foreign_passages(problem, &[passages])
    }

    #[test]
    fn a_half_foreign_text_is_half_foreign() {
        assert!(foreign(PROBLEM, &ENGLISH.repeat(8)).abs() < 1e-12);
        let half = ENGLISH.repeat(6) + &GERMAN.repeat(6);
        assert!((foreign(PROBLEM, &half) - 0.5).abs() < 0.1, "{}", foreign(PROBLEM, &half));
        assert!((foreign(PROBLEM, &GERMAN.repeat(4)) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_language_of_the_problem_or_else_of_the_text_is_native() {
        let german = "Wie viele positive ganze Zahlen unter tausend lassen bei der Division durch sieben den Rest zwei \
            und sind zugleich Quadrate ganzer Zahlen?";
        assert!(foreign(german, &GERMAN.repeat(4)).abs() < 1e-12);
        assert!(foreign(german, &ENGLISH.repeat(4)).abs() < 1e-12, "English is never foreign");
        assert!(foreign("3 * 5 = ?", &GERMAN.repeat(4)).abs() < 1e-12);
    }

    #[test]
    fn formulas_and_commands_are_no_prose() {
        let text = "Let $n$ be such that $a \\equiv b$ holds. Then \\frac{ab}{c} is x, so f(x)=2 \\cdot 3.";
        assert_eq!(
            prose(text).split_whitespace().collect::<Vec<_>>().join(" "),
            "Let be such that holds. Then is so ."
        );
    }
}
