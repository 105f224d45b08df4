//! What demonstrations must be like to be imitated.
//!
//! STILL-2 (arXiv 2412.09413) removes doubles, repetition, gibberish and mixed languages from its imitation data,
//! drops short examples, and keeps what agrees with the gold answer. Every rule is looked at for every
//! demonstration, so that counts tell what each of them would cost.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_domain::{Demonstration, DemonstrationId, FinishReason, fingerprint::of_words};

use crate::hygiene::{HygieneConfig, Response};

/// Something that demonstrations are looked through for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CleaningRule {
    /// Saying the same over and over, by the bounds of `hygiene`.
    Repetition,
    /// Mixed languages and broken characters, by the bounds of `hygiene`.
    MixedLanguage,
    /// Several different answers in boxes, by the bounds of `hygiene`.
    SeveralAnswers,
    /// The same words to the same problem as an earlier one.
    Duplicates,
    /// An answer that is not the gold answer, where there is one.
    Disagreement,
}

/// Which demonstrations are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CleaningConfig {
    /// What they are looked through for. Default: everything.
    pub rules: BTreeSet<CleaningRule>,
    /// Shortest response, in characters; 0 sets no limit. Default: 200.
    pub min_characters: usize,
}

impl Default for CleaningConfig {
    fn default() -> Self {
        use CleaningRule::{Disagreement, Duplicates, MixedLanguage, Repetition, SeveralAnswers};
        let rules = [Repetition, MixedLanguage, SeveralAnswers, Duplicates, Disagreement].into();
        Self { rules, min_characters: 200 }
    }
}

/// How a demonstration's answer compares with the gold answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agreement {
    /// It is the gold answer.
    Agrees,
    /// It is another one, or none was found where one must stand.
    Disagrees,
    /// There is no gold answer, or the two could not be compared: nothing is held against the demonstration.
    Unknown,
}

/// What is wrong with a demonstration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It repeats itself.
    Repetitive,
    /// It mixes languages, or holds broken characters.
    MixedLanguage,
    /// It gives several different answers.
    SeveralAnswers,
    /// It is too short.
    TooShort,
    /// It says the same as this one, which came first.
    Duplicate(DemonstrationId),
    /// Its answer is not the gold answer.
    Disagrees,
}

impl Fault {
    /// How many demonstrations have each fault, by its name; one may have several.
    pub fn counts(removed: &[(DemonstrationId, Vec<Self>)]) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for fault in removed.iter().flat_map(|(_, faults)| faults) {
            *counts.entry(fault.name()).or_default() += 1;
        }
        counts
    }

    /// The name used in reports and as a metric label.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Repetitive => "repetitive",
            Self::MixedLanguage => "mixed_language",
            Self::SeveralAnswers => "several_answers",
            Self::TooShort => "too_short",
            Self::Duplicate(_) => "duplicate",
            Self::Disagrees => "disagrees",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repetitive => f.write_str("repeats itself"),
            Self::MixedLanguage => f.write_str("mixes languages or holds broken characters"),
            Self::SeveralAnswers => f.write_str("gives several different answers"),
            Self::TooShort => f.write_str("is too short"),
            Self::Duplicate(first) => write!(f, "says the same as `{first}`"),
            Self::Disagrees => f.write_str("does not give the gold answer"),
        }
    }
}

/// What cleaning left, and what it found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cleaning {
    /// Demonstrations without a fault, in the order given.
    pub kept: Vec<Demonstration>,
    /// Every fault of the others, in the order given.
    pub removed: Vec<(DemonstrationId, Vec<Fault>)>,
}

impl Cleaning {
    /// Demonstrations with each fault, by its name; one may have several.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        Fault::counts(&self.removed)
    }
}

impl CleaningConfig {
    /// A cleaning that removes nothing.
    pub const fn none() -> Self {
        Self { rules: BTreeSet::new(), min_characters: 0 }
    }

    /// Takes the demonstrations apart into those to imitate and those that break a rule. `known` ones are imitated
    /// already; `judge` compares the answer of one with its gold answer.
    pub fn clean<'known>(
        &self,
        hygiene: &HygieneConfig,
        known: impl IntoIterator<Item = &'known Demonstration>,
        demonstrations: impl IntoIterator<Item = Demonstration>,
        mut judge: impl FnMut(&Demonstration) -> Agreement,
    ) -> Cleaning {
        let text = |one: &Demonstration| (of_words(&one.problem), of_words(&one.response));
        let mut texts: HashMap<(u128, u128), DemonstrationId> =
            known.into_iter().map(|one| (text(one), one.id.clone())).collect();
        let mut cleaning = Cleaning::default();
        for demonstration in demonstrations {
            let mut faults = self.faults_of_text(hygiene, &demonstration);
            if self.rules.contains(&CleaningRule::Duplicates) {
                let first = texts.entry(text(&demonstration)).or_insert_with(|| demonstration.id.clone());
                if *first != demonstration.id {
                    faults.push(Fault::Duplicate(first.clone()));
                }
            }
            let is_graded = self.rules.contains(&CleaningRule::Disagreement);
            if is_graded && judge(&demonstration) == Agreement::Disagrees {
                faults.push(Fault::Disagrees);
            }
            if faults.is_empty() {
                cleaning.kept.push(demonstration);
            } else {
                cleaning.removed.push((demonstration.id, faults));
            }
        }
        cleaning
    }

    fn faults_of_text(&self, hygiene: &HygieneConfig, demonstration: &Demonstration) -> Vec<Fault> {
        let report = hygiene.inspect(&Response {
            problem: &demonstration.problem,
            text: &demonstration.response,
            response_tokens: 0,
            thought_tokens: 0,
            is_well_formed: true,
            finish: FinishReason::Stop,
        });
        let asked = |rule| self.rules.contains(&rule);
        let rules = [
            (asked(CleaningRule::Repetition) && hygiene.is_repetitive(&report), Fault::Repetitive),
            (asked(CleaningRule::MixedLanguage) && hygiene.is_gibberish(&report), Fault::MixedLanguage),
            (
                asked(CleaningRule::SeveralAnswers) && hygiene.has_several_answers(&report),
                Fault::SeveralAnswers,
            ),
            (demonstration.response.trim().chars().count() < self.min_characters, Fault::TooShort),
        ];
        rules.into_iter().filter_map(|(is_broken, fault)| is_broken.then_some(fault)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THOUGHT: &str = "We add the units first and carry what is above nine. Then the tens, with the carry. The \
        hundreds are the same in both numbers, so their sum is even. At last we compare with an estimate, which agrees. ";

    fn demonstration(id: &str, response: &str) -> Demonstration {
        Demonstration {
            id: DemonstrationId::new(id),
            problem: "What is the sum of the two numbers that the table shows in its first and its last row?"
                .into(),
            response: format!(
                "<|begin_of_thought|>{response}<|end_of_thought|>\n<|begin_of_solution|>It is \
                \\boxed{{{id}}}.<|end_of_solution|>"
            ),
            gold: None,
            level: None,
            source: String::new(),
        }
    }

    fn cleaned(demonstrations: Vec<Demonstration>, wrong: &str) -> Cleaning {
        CleaningConfig::default().clean(&HygieneConfig::default(), [], demonstrations, |one| {
            match one.id.as_str() {
                id if id == wrong => Agreement::Disagrees,
                "ungraded" => Agreement::Unknown,
                _ => Agreement::Agrees,
            }
        })
    }

    #[test]
    fn each_rule_finds_what_it_is_for_and_is_counted() {
        let looping = THOUGHT.to_owned() + &"Wait, let me check that again. ".repeat(40);
        let mixed = THOUGHT.to_owned() + "然后我们把它们相加，再检查左边是否为偶数，最后得到结果。";
        let mut twin = demonstration("1", THOUGHT);
        twin.id = DemonstrationId::new("twin");
        let mut torn = demonstration("torn", THOUGHT);
        torn.response += "\n\\boxed{2}, or \\boxed{3}";
        let mut short = demonstration("short", "");
        short.response = "It is \\boxed{4}.".to_owned();
        let cleaning = cleaned(
            vec![
                demonstration("1", THOUGHT),
                demonstration("looping", &looping),
                demonstration("mixed", &mixed),
                twin,
                torn,
                short,
                demonstration("wrong", THOUGHT),
                demonstration("ungraded", THOUGHT),
            ],
            "wrong",
        );
        let kept: Vec<_> = cleaning.kept.iter().map(|one| one.id.as_str()).collect();
        assert_eq!(kept, ["1", "ungraded"]);
        let removed: Vec<_> =
            cleaning.removed.iter().map(|(id, faults)| (id.as_str(), faults.clone())).collect();
        assert_eq!(
            removed,
            [
                ("looping", vec![Fault::Repetitive]),
                ("mixed", vec![Fault::MixedLanguage]),
                ("twin", vec![Fault::Duplicate(DemonstrationId::new("1"))]),
                ("torn", vec![Fault::SeveralAnswers]),
                ("short", vec![Fault::TooShort]),
                ("wrong", vec![Fault::Disagrees]),
            ]
        );
        assert_eq!(cleaning.counts().len(), 6);
        assert!(cleaning.counts().values().all(|count| *count == 1));
        assert_eq!(removed[2].1[0].to_string(), "says the same as `1`");
    }

    #[test]
    fn every_fault_of_a_demonstration_is_told_and_every_rule_can_be_put_off() {
        let loop_in_two_languages = "再检查一次，然后继续。".repeat(60);
        let bad = demonstration("bad", &loop_in_two_languages);
        let cleaning = cleaned(vec![bad.clone()], "bad");
        assert_eq!(cleaning.removed[0].1, [Fault::Repetitive, Fault::MixedLanguage, Fault::Disagrees]);
        let twice = vec![bad.clone(), bad];
        let all_off = CleaningConfig::none();
        let cleaning = all_off.clean(&HygieneConfig::default(), [], twice, |_| Agreement::Disagrees);
        assert_eq!(cleaning.kept.len(), 2);
    }

    #[test]
    fn what_is_imitated_already_is_not_imitated_under_another_name() {
        let (known, mut twin) = (demonstration("1", THOUGHT), demonstration("1", THOUGHT));
        twin.id = DemonstrationId::new("twin");
        let config = CleaningConfig::default();
        let cleaning = config.clean(&HygieneConfig::default(), [&known], [twin], |_| Agreement::Unknown);
        assert_eq!(cleaning.removed[0].1, [Fault::Duplicate(DemonstrationId::new("1"))]);
    }
}
