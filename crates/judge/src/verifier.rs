//! The standard verifier, and what it can judge on this machine.

use still_domain::{AnswerKind, Outcome, Problem, ProblemId, Verdict};
use still_roles::Verifier;
use still_verify::{Gold, Kind, Profile, Rule, VERIFIER_VERSION, judge};
use thiserror::Error;

use crate::{
    code::{CODE_VERSION, CodeJudge, Unready},
    section::CodeSection,
};

/// Of a gold answer, a message shows so many characters.
const SHOWN_CHARACTERS: usize = 80;

/// Judges answers by extraction and sound equivalence, programs by their tests.
#[derive(Debug)]
pub struct StandardVerifier {
    profile: Profile,
    code: CodeJudge,
    version: String,
}

/// Why a problem cannot be judged here.
#[derive(Debug, Error)]
pub enum Unjudgeable {
    /// It asks for a program, and no program can be run.
    #[error("problem `{problem}` asks for a program, and {reason}")]
    Unready {
        /// The problem.
        problem: ProblemId,
        /// What is missing, and what helps.
        reason: Unready,
    },
    /// Its tests cannot be read or run.
    #[error("the tests of problem `{problem}` cannot be used: {reason}; correct them or leave it out")]
    Tests {
        /// The problem.
        problem: ProblemId,
        /// What is wrong with them.
        reason: String,
    },
    /// No answer can be compared with its gold answer.
    #[error("problem `{problem}` cannot be used: {reason}; correct it or leave it out")]
    Gold {
        /// The problem.
        problem: ProblemId,
        /// What is wrong with it.
        reason: String,
    },
}

impl StandardVerifier {
    /// A verifier; `profile` says where answers are read from, `code` how programs are run.
    pub fn new(profile: Profile, code: CodeSection) -> Self {
        let version = format!("{VERIFIER_VERSION} {CODE_VERSION}");
        Self { profile, code: CodeJudge::new(code), version }
    }

    /// Where answers are read from.
    pub const fn profile(&self) -> Profile {
        self.profile
    }

    /// The judge of programs.
    pub const fn code(&self) -> &CodeJudge {
        &self.code
    }

    /// Makes sure that problems can be judged on this machine: gold answers can be read, tests as well, and
    /// programs can be confined where a problem asks for one.
    ///
    /// # Errors
    /// At the first that cannot: names it with what helps, and the kernel feature where one is missing.
    pub fn check<'problem>(
        &self,
        problems: impl IntoIterator<Item = &'problem Problem>,
    ) -> Result<(), Unjudgeable> {
        problems.into_iter().try_for_each(|problem| match kind(problem.kind) {
            Some(kind) => check_gold(kind, problem),
            None => self.check_tests(problem),
        })
    }

    fn check_tests(&self, problem: &Problem) -> Result<(), Unjudgeable> {
        let id = || problem.id.clone();
        self.code.prepare().map_err(|reason| Unjudgeable::Unready { problem: id(), reason })?;
        self.code.check(&problem.gold).map_err(|reason| Unjudgeable::Tests { problem: id(), reason })
    }

    fn judge_program(&self, tests: &str, response: &str) -> Verdict {
        let verdict = self.code.judge(tests, response);
        Verdict {
            outcome: verdict.outcome,
            extracted: verdict.program,
            rule: Some(verdict.rule),
            verifier: CODE_VERSION.to_owned(),
        }
    }

    fn judge_answer(&self, kind: Kind, problem: &Problem, response: &str) -> Verdict {
        let verifier = VERIFIER_VERSION.to_owned();
        let gold = match Gold::parse(kind, &problem.gold) {
            Ok(gold) => gold,
            Err(error) => {
                tracing::warn!(problem = %problem.id, %error, "the gold answer cannot be read");
                return Verdict { outcome: Outcome::Error, extracted: None, rule: None, verifier };
            }
        };
        let judgement = judge(&gold, response, self.profile);
        Verdict {
            outcome: outcome(judgement.outcome),
            extracted: judgement.extracted,
            rule: judgement.rule.map(|rule| rule.to_string()),
            verifier,
        }
    }
}

impl Verifier for StandardVerifier {
    fn judge(&self, problem: &Problem, response: &str) -> Verdict {
        match kind(problem.kind) {
            Some(kind) => self.judge_answer(kind, problem, response),
            None => self.judge_program(&problem.gold, response),
        }
    }

    fn version(&self) -> &str {
        &self.version
    }
}

/// The answer that a gold of mathematics states in a sentence: `5` of `The answer is 5.`; `None` where it is no sentence
/// that announces an answer, and where something else in it could be one.
///
/// # Errors
/// What is wrong with the stated answer, when no other can be compared with it.
pub fn stated_answer(kind: AnswerKind, gold: &str) -> Result<Option<String>, String> {
    let kind = match kind {
        AnswerKind::Math => Kind::Math,
        AnswerKind::Integer => Kind::Integer,
        AnswerKind::MultipleChoice | AnswerKind::Exact | AnswerKind::Regex | AnswerKind::Code => {
            return Ok(None);
        }
    };
    // as the verifier reads such a sentence in a response
    let Ok(sentence) = Gold::parse(Kind::Math, gold) else { return Ok(None) };
    let read = judge(&sentence, gold, Profile::Lenient);
    let Some(answer) = read.extracted.filter(|_| read.rule == Some(Rule::Phrase)) else { return Ok(None) };
    let Some((before, behind)) = gold.rsplit_once(&answer) else { return Ok(None) };
    let holds_another = |text: &str| text.contains(|one: char| one.is_ascii_digit() || "$\\=".contains(one));
    let mark = |one: char| one.is_whitespace() || "$*`()[]\\.:!".contains(one);
    // of a worked solution, the end counts
    let before = before.rsplit('\n').next().unwrap_or(before);
    if holds_another(before.trim_end_matches(mark)) || holds_another(behind.trim_start_matches(mark)) {
        return Ok(None);
    }
    usable(kind, &answer)?;
    let is_text = Gold::parse(kind, &answer).is_ok_and(|gold| gold.is_text());
    if is_text && answer.contains(|one: char| one.is_ascii_digit()) {
        return Err(format!("`{}` is no mathematics that is understood", shown(&answer)));
    }
    Ok(Some(answer))
}

fn check_gold(kind: Kind, problem: &Problem) -> Result<(), Unjudgeable> {
    usable(kind, &problem.gold).map_err(|reason| Unjudgeable::Gold { problem: problem.id.clone(), reason })
}

/// What is wrong with a gold answer that nothing can be compared with.
fn usable(kind: Kind, gold: &str) -> Result<(), String> {
    let gold = Gold::parse(kind, gold).map_err(|error| error.to_string())?;
    if kind == Kind::MultipleChoice {
        // a gold that is neither an option nor an option's text is not even its own answer
        let itself = judge(&gold, &format!("\\boxed{{{}}}", gold.text()), Profile::Strict);
        if itself.outcome != still_verify::Outcome::Correct {
            return Err(format!("the gold answer `{}` names no option", shown(gold.text())));
        }
    }
    match gold.fault() {
        Some(fault) => Err(format!("the gold answer `{}` {fault}", shown(gold.text()))),
        None => Ok(()),
    }
}

/// The start of a gold answer, as messages show it.
fn shown(gold: &str) -> String {
    gold.chars().take(SHOWN_CHARACTERS).collect()
}

/// How answers of a kind are compared; `None` of programs, which are run.
const fn kind(kind: AnswerKind) -> Option<Kind> {
    match kind {
        AnswerKind::Math => Some(Kind::Math),
        AnswerKind::Integer => Some(Kind::Integer),
        AnswerKind::MultipleChoice => Some(Kind::MultipleChoice),
        AnswerKind::Exact => Some(Kind::Exact),
        AnswerKind::Regex => Some(Kind::Regex),
        AnswerKind::Code => None,
    }
}

const fn outcome(outcome: still_verify::Outcome) -> Outcome {
    match outcome {
        still_verify::Outcome::Correct => Outcome::Correct,
        still_verify::Outcome::Wrong => Outcome::Wrong,
        still_verify::Outcome::NoAnswer => Outcome::NoAnswer,
        still_verify::Outcome::Malformed => Outcome::Malformed,
        still_verify::Outcome::Timeout => Outcome::Timeout,
        // says nothing about the answer
        still_verify::Outcome::BadGold | still_verify::Outcome::Error => Outcome::Error,
    }
}

/// The same outcome in the words of `still-verify`.
pub(crate) const fn graded(outcome: Outcome) -> still_verify::Outcome {
    match outcome {
        Outcome::Correct => still_verify::Outcome::Correct,
        Outcome::Wrong => still_verify::Outcome::Wrong,
        Outcome::NoAnswer => still_verify::Outcome::NoAnswer,
        Outcome::Malformed => still_verify::Outcome::Malformed,
        Outcome::Timeout => still_verify::Outcome::Timeout,
        Outcome::Error => still_verify::Outcome::Error,
    }
}

#[cfg(test)]
mod tests {
    use still_domain::Split;

    use super::*;

    fn problem(kind: AnswerKind, gold: &str) -> Problem {
        Problem {
            id: ProblemId::new("p"),
            text: "what?".to_owned(),
            gold: gold.to_owned(),
            kind,
            level: None,
            source: String::new(),
            split: Split::Explore,
        }
    }

    #[test]
    fn a_gold_that_no_answer_can_be_compared_with_is_refused_by_the_problems_name() {
        let verifier = StandardVerifier::new(Profile::Strict, CodeSection::default());
        for (kind, gold, part) in [
            (AnswerKind::Math, " ", "is empty"),
            (AnswerKind::Math, "\\frac{1}{", "cannot be read"),
            (AnswerKind::Math, "3 < x < 1", "contradicts itself"),
            (AnswerKind::Exact, "", "is empty"),
            (AnswerKind::Integer, "a half", "use the kind `math`"),
            (AnswerKind::Integer, "1/2", "no integer"),
            (AnswerKind::MultipleChoice, "\\text{}.", "names no option"),
            (AnswerKind::Regex, "(", "regular expression"),
        ] {
            let error = verifier.check([&problem(kind, gold)]).unwrap_err();
            assert!(matches!(&error, Unjudgeable::Gold { .. }), "{error}");
            let message = error.to_string();
            assert!(message.contains("`p`") && message.contains(part), "{message}");
        }
    }

    #[test]
    fn an_answer_stated_in_a_sentence_is_read_as_a_response_would_be() {
        for (gold, stated) in [
            ("The answer is 42.", "42"),
            ("Answer: 12", "12"),
            ("The final answer is $\\frac{1}{2}$.", "\\frac{1}{2}"),
            ("She sold 24 clips, then 48.\nThe answer is 72.", "72"),
            ("The answer is $5.00.", "$5.00"),
            ("The answer is 5 or 6", "5 or 6"),
            ("The answer is 7 apples.", "7 apples"),
            ("The answer is yes.", "yes"),
        ] {
            assert_eq!(stated_answer(AnswerKind::Math, gold), Ok(Some(stated.to_owned())), "{gold}");
        }
        assert_eq!(stated_answer(AnswerKind::Integer, "The answer is 7."), Ok(Some("7".to_owned())));
        for gold in [
            "5",
            "x = 5",
            "\\frac{1}{2}",
            "no formula at all, but a text",
            "The answer is not 5",
            "2 (the answer is even)",
            "The answer is 5. The other one is 7.",
            "12 \\text{ square meters}",
        ] {
            assert_eq!(stated_answer(AnswerKind::Math, gold), Ok(None), "{gold}");
        }
        assert_eq!(stated_answer(AnswerKind::Exact, "The answer is 42."), Ok(None));
        let reason = stated_answer(AnswerKind::Math, "The answer is $5.00 per person").unwrap_err();
        assert!(reason.contains("`$5.00 per person` is no mathematics"), "{reason}");
        assert!(stated_answer(AnswerKind::Integer, "The answer is 1/2.").is_err());
    }

    #[test]
    fn an_option_may_stand_before_its_text() {
        let verifier = StandardVerifier::new(Profile::Strict, CodeSection::default());
        let outcome = |kind, gold, boxed: &str| {
            verifier.judge(&problem(kind, gold), &format!("\\boxed{{{boxed}}}")).outcome
        };
        for boxed in ["B", "(B) 7", "\\textbf{(B) }7", "B: 7", "\\text{B) 7}"] {
            assert_eq!(outcome(AnswerKind::MultipleChoice, "B", boxed), Outcome::Correct, "{boxed}");
            assert_eq!(outcome(AnswerKind::MultipleChoice, "C", boxed), Outcome::Wrong, "{boxed}");
        }
    }

    #[test]
    fn golds_of_every_kind_are_let_pass() {
        let verifier = StandardVerifier::new(Profile::Strict, CodeSection::default());
        for (kind, gold) in [
            (AnswerKind::Math, "\\frac{1}{2}"),
            (AnswerKind::Math, "no formula at all, but a text"),
            (AnswerKind::Integer, "042"),
            (AnswerKind::MultipleChoice, "ACD"),
            (AnswerKind::MultipleChoice, "(B)"),
            (AnswerKind::MultipleChoice, "the Moon"),
            (AnswerKind::Exact, "?!"),
            (AnswerKind::Regex, "[0-9]+"),
        ] {
            verifier.check([&problem(kind, gold)]).unwrap();
        }
    }
}
