//! Finds statements that repeat a held-out problem, to keep them out of everything that is trained on.
//!
//! Two statements are the same when their words and signs are, or when they share a good part of their
//! n-grams. A share is asked for, not a single n-gram, because contest problems share their last sentence.
//! The share is taken of the shorter statement, so a held-out problem inside a longer text is found too.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_domain::ProblemId;
use still_settings::Findings;

/// How much overlap is too much.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DecontaminationConfig {
    /// Length of an n-gram in words and signs; shorter statements are compared as a whole. Default: 13.
    pub ngram_words: usize,
    /// Share of the shorter statement's n-grams, above 0 and at most 1, from which two statements count as
    /// the same. Default: 0.25.
    pub shared_ngrams: f64,
}

impl Default for DecontaminationConfig {
    fn default() -> Self {
        Self { ngram_words: 13, shared_ngrams: 0.25 }
    }
}

impl DecontaminationConfig {
    /// Notes empty n-grams, and a share that is none.
    pub fn validate(&self, findings: &mut Findings) {
        findings
            .require(self.ngram_words > 0, "decontamination.ngram_words", || "must be at least 1".to_owned());
        let is_share = self.shared_ngrams > 0.0 && self.shared_ngrams <= 1.0;
        findings.require(is_share, "decontamination.shared_ngrams", || {
            "must be above 0 and at most 1".to_owned()
        });
    }
}

/// How a statement repeats a held-out one.
#[derive(Debug, Clone, PartialEq)]
pub enum Contamination {
    /// The same words and signs.
    Identical {
        /// The held-out problem.
        held_out: ProblemId,
    },
    /// Many of the same n-grams.
    Overlapping {
        /// The held-out problem.
        held_out: ProblemId,
        /// Share of the shorter statement's n-grams that the two have in common.
        shared: f64,
    },
}

impl Contamination {
    /// The held-out problem that is repeated.
    pub const fn held_out(&self) -> &ProblemId {
        match self {
            Self::Identical { held_out } | Self::Overlapping { held_out, .. } => held_out,
        }
    }
}

/// An index of the held-out statements.
#[derive(Debug, Clone)]
pub struct Decontamination {
    config: DecontaminationConfig,
    held_out: Vec<HeldOut>,
    statements: HashMap<u64, usize>,
    ngrams: HashMap<u64, Vec<usize>>,
}

#[derive(Debug, Clone)]
struct HeldOut {
    id: ProblemId,
    ngrams: usize,
}

impl Decontamination {
    /// Indexes held-out statements.
    pub fn new<'text>(
        config: DecontaminationConfig,
        held_out: impl IntoIterator<Item = (ProblemId, &'text str)>,
    ) -> Self {
        let mut index =
            Self { config, held_out: Vec::new(), statements: HashMap::new(), ngrams: HashMap::new() };
        for (id, text) in held_out {
            let words = words(text);
            let number = index.held_out.len();
            let ngrams = index.ngrams_of(&words);
            index.held_out.push(HeldOut { id, ngrams: ngrams.len() });
            index.statements.entry(hash(&words)).or_insert(number);
            for ngram in ngrams {
                index.ngrams.entry(ngram).or_default().push(number);
            }
        }
        index
    }

    /// Compares a statement with every held-out one; names the one that it repeats most.
    pub fn check(&self, text: &str) -> Option<Contamination> {
        let words = words(text);
        if let Some(held_out) = self.statements.get(&hash(&words)).and_then(|n| self.held_out.get(*n)) {
            return Some(Contamination::Identical { held_out: held_out.id.clone() });
        }
        let ngrams = self.ngrams_of(&words);
        let mut shared: BTreeMap<usize, usize> = BTreeMap::new();
        for number in ngrams.iter().filter_map(|ngram| self.ngrams.get(ngram)).flatten() {
            *shared.entry(*number).or_default() += 1;
        }
        let share = |(number, shared): (usize, usize)| {
            let held_out = self.held_out.get(number)?;
            Some((held_out, shared as f64 / held_out.ngrams.min(ngrams.len()).max(1) as f64))
        };
        let (held_out, shared) =
            shared.into_iter().filter_map(share).max_by(|(_, one), (_, two)| one.total_cmp(two))?;
        (shared >= self.config.shared_ngrams)
            .then(|| Contamination::Overlapping { held_out: held_out.id.clone(), shared })
    }

    fn ngrams_of(&self, words: &[String]) -> HashSet<u64> {
        words.windows(self.config.ngram_words.max(1)).map(hash).collect()
    }
}

/// Words in lower case and signs one by one; white space and dollar signs separate and are dropped.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for character in text.chars().flat_map(char::to_lowercase) {
        if character.is_alphanumeric() {
            word.push(character);
            continue;
        }
        if !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if !character.is_whitespace() && character != '$' {
            words.push(character.to_string());
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

fn hash(words: &[String]) -> u64 {
    let mut hasher = DefaultHasher::new();
    words.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RECTANGLE: &str = "A rectangle has sides of integer length $a$ and $b$ with $a < b$. Its area is \
        numerically equal to three times its perimeter. Find the sum of all possible values of $b$, where \
        the answer is written as m over n, and $m$ and $n$ are relatively prime positive integers. Find $m+n$.";

    fn index(texts: &[&str]) -> Decontamination {
        let held_out = texts.iter().enumerate().map(|(n, text)| (ProblemId::new(format!("h{n}")), *text));
        Decontamination::new(DecontaminationConfig::default(), held_out)
    }

    #[test]
    fn the_same_statement_is_found_whatever_its_spacing_and_case() {
        let index = index(&["7*4827=?", RECTANGLE]);
        let same = Contamination::Identical { held_out: ProblemId::new("h0") };
        assert_eq!(index.check(" 7 * 4827 = ? "), Some(same));
        assert_eq!(index.check("7*4828=?"), None);
        assert_eq!(index.check("74827=?"), None);
        assert!(matches!(index.check(&RECTANGLE.to_uppercase()), Some(Contamination::Identical { .. })));
    }

    #[test]
    fn a_changed_number_and_a_longer_frame_do_not_hide_a_problem() {
        let index = index(&[RECTANGLE]);
        let changed = RECTANGLE.replace("three times", "four times");
        let framed = format!("{} Solve this. {RECTANGLE} Give reasons.", "Read with care. ".repeat(40));
        for text in [changed, framed] {
            let Some(Contamination::Overlapping { shared, .. }) = index.check(&text) else {
                panic!("{text}")
            };
            assert!(shared > 0.5, "{shared}");
        }
    }

    #[test]
    fn a_common_last_sentence_is_no_contamination() {
        let other = "Alice and Bob play a game on a board with coins. Alice moves first, and each move takes one \
            or four coins. The probability that Bob wins for a random number of coins below two thousand and \
            twenty five is m over n, where $m$ and $n$ are relatively prime positive integers. Find $m+n$.";
        assert_eq!(index(&[RECTANGLE]).check(other), None);
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        assert!(!still_settings::accepts(|findings| DecontaminationConfig {
            ngram_words: 0,
            ..Default::default()
        }
        .validate(findings)));
        assert!(!still_settings::accepts(|findings| DecontaminationConfig {
            shared_ngrams: 0.0,
            ..Default::default()
        }
        .validate(findings)));
        assert!(still_settings::accepts(|findings| DecontaminationConfig::default().validate(findings)));
    }

    proptest! {
        #[test]
        fn a_held_out_statement_is_always_found_and_nothing_panics(texts in prop::collection::vec(".{0,80}", 1..6)) {
            let borrowed: Vec<&str> = texts.iter().map(String::as_str).collect();
            let index = index(&borrowed);
            for text in &texts {
                prop_assert!(index.check(text).is_some());
            }
        }
    }
}
