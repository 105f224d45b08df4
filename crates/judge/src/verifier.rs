//! The verifier of the house, and what it can judge on this machine.

use still_domain::{AnswerKind, Outcome, Problem, ProblemId, Verdict};
use still_roles::Verifier;
use still_verify::{Gold, Kind, Profile, VERIFIER_VERSION, judge};
use thiserror::Error;

use crate::code::{CODE_VERSION, CodeJudge, CodeSettings, Unready};

/// Judges answers by extraction and sound equivalence, programs by their tests.
#[derive(Debug)]
pub struct HouseVerifier {
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
    #[error("the tests of problem `{problem}` cannot be used: {reason}")]
    Tests {
        /// The problem.
        problem: ProblemId,
        /// What is wrong with them.
        reason: String,
    },
}

impl HouseVerifier {
    /// A verifier; `profile` says where answers are read from, `code` how programs are run.
    pub fn new(profile: Profile, code: CodeSettings) -> Self {
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

    /// Makes sure that problems that ask for a program can be judged on this machine.
    ///
    /// # Errors
    /// At the first that cannot: names it, and the kernel feature or what else is missing.
    pub fn check<'problem>(
        &self,
        problems: impl IntoIterator<Item = &'problem Problem>,
    ) -> Result<(), Unjudgeable> {
        for problem in problems.into_iter().filter(|problem| problem.kind == AnswerKind::Code) {
            let id = || problem.id.clone();
            self.code.prepare().map_err(|reason| Unjudgeable::Unready { problem: id(), reason })?;
            self.code.check(&problem.gold).map_err(|reason| Unjudgeable::Tests { problem: id(), reason })?;
        }
        Ok(())
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

impl Verifier for HouseVerifier {
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
        still_verify::Outcome::Error => Outcome::Error,
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
