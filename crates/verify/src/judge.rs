//! Judgements: an answer found in a completion and compared with its gold.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::{Deserialize, Serialize};

use crate::extract::{self, Missing};
use crate::gold::Gold;
use crate::outcome::{Kind, Outcome, Profile, Rule};

/// What was decided about a completion, and on what grounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// The verdict.
    pub outcome: Outcome,
    /// The answer's text, if one was found.
    pub extracted: Option<String>,
    /// The rule that found it.
    pub rule: Option<Rule>,
    /// Why, where the outcome alone does not say it.
    pub detail: Option<Detail>,
}

/// The grounds of an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// The thought was opened and never closed.
    UnfinishedThought,
    /// The last box was opened and never closed.
    UnfinishedBox,
    /// What stands beside the box, as a factor or a factorial, makes the answer ambiguous.
    BesideBox,
    /// The answer is empty.
    EmptyAnswer,
    /// The answer is no mathematics (or no option) that is understood.
    NotUnderstood,
    /// The answer is longer or deeper than answers are read.
    TooLarge,
    /// Fuel or precision did not suffice to tell.
    Undecided,
    /// The verifier failed; the failure was contained.
    Panicked,
}

impl Judgement {
    /// The judgement of a completion in which no answer was found.
    fn missing(missing: Missing) -> Self {
        let (outcome, detail) = match missing {
            Missing::UnfinishedThought => (Outcome::NoAnswer, Some(Detail::UnfinishedThought)),
            Missing::UnfinishedBox => (Outcome::Malformed, Some(Detail::UnfinishedBox)),
            Missing::BesideBox => (Outcome::Malformed, Some(Detail::BesideBox)),
            Missing::NoAnswer => (Outcome::NoAnswer, None),
        };
        Self { outcome, extracted: None, rule: None, detail }
    }
}

/// Judges a completion. Never panics; time, memory and stack are bounded.
///
/// ```
/// use still_verify::{Gold, Kind, Outcome, Profile, judge};
///
/// let gold = Gold::parse(Kind::Math, r"\frac{3}{17}")?;
/// let judgement = judge(&gold, r"<think>\boxed{5}?</think> So it is $\boxed{9/51}$.", Profile::Strict);
/// assert_eq!(judgement.outcome, Outcome::Correct);
/// assert_eq!(judgement.extracted.as_deref(), Some("9/51"));
/// # Ok::<(), still_verify::GoldError>(())
/// ```
pub fn judge(gold: &Gold, completion: &str, profile: Profile) -> Judgement {
    contained(|| {
        let mut readings = None;
        let found =
            extract::extract(completion, profile, &mut |whole| gold.accepts_bare(whole, &mut readings));
        match found {
            Ok(found) => {
                let readings = readings.filter(|_| found.rule == Rule::Bare);
                let (outcome, detail) = if gold.is_every(&found.parts) {
                    (Outcome::Correct, None)
                } else {
                    gold.compare(&found.text, readings)
                };
                Judgement {
                    outcome,
                    extracted: Some(found.text.into_owned()),
                    rule: Some(found.rule),
                    detail,
                }
            }
            Err(missing) => Judgement::missing(missing),
        }
    })
}

/// Compares two answers as mathematics, without looking for an answer in a text.
///
/// ```
/// use still_verify::{Outcome, equivalent};
///
/// assert_eq!(equivalent(r"\sqrt{2+\sqrt{3}}", r"\frac{\sqrt{6}+\sqrt{2}}{2}"), Outcome::Correct);
/// assert_eq!(equivalent("10^{-20}", "10^{-21}"), Outcome::Wrong);
/// ```
pub fn equivalent(gold: &str, answer: &str) -> Outcome {
    contained(|| {
        let (outcome, detail) = match Gold::parse(Kind::Math, gold) {
            Ok(gold) => gold.compare(answer, None),
            Err(_) => (Outcome::Error, None),
        };
        Judgement { outcome, extracted: None, rule: None, detail }
    })
    .outcome
}

/// A panic anywhere below costs this judgement only.
pub(crate) fn contained(body: impl FnOnce() -> Judgement) -> Judgement {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(Judgement {
        outcome: Outcome::Error,
        extracted: None,
        rule: None,
        detail: Some(Detail::Panicked),
    })
}
