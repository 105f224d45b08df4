//! The verifier role on `still-verify`.

use still_daemon::config::VerifierProfile;
use still_domain::{AnswerKind, Outcome, Problem, Verdict};
use still_roles::Verifier;
use still_verify::{Gold, Kind, Profile, VERIFIER_VERSION, judge};

/// Judges answers by extraction and sound equivalence.
pub(crate) struct AnswerVerifier {
    profile: Profile,
}

impl AnswerVerifier {
    pub(crate) const fn new(profile: VerifierProfile) -> Self {
        let profile = match profile {
            VerifierProfile::Strict => Profile::Strict,
            VerifierProfile::Lenient => Profile::Lenient,
        };
        Self { profile }
    }
}

impl Verifier for AnswerVerifier {
    fn judge(&self, problem: &Problem, response: &str) -> Verdict {
        let verifier = VERIFIER_VERSION.to_owned();
        let gold = match Gold::parse(kind(problem.kind), &problem.gold) {
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

    fn version(&self) -> &str {
        VERIFIER_VERSION
    }
}

/// How the verifier calls a kind of answer.
pub(crate) const fn kind(kind: AnswerKind) -> Kind {
    match kind {
        AnswerKind::Math => Kind::Math,
        AnswerKind::Integer => Kind::Integer,
        AnswerKind::MultipleChoice => Kind::MultipleChoice,
        AnswerKind::Exact => Kind::Exact,
        AnswerKind::Regex => Kind::Regex,
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
