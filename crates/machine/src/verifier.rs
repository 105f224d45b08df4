//! The verifier as the configuration wants it, and what it must be able to judge.

use std::sync::Arc;

use still_control::{Exit, Failure, OrExit};
use still_domain::{AnswerKind, Outcome, Problem};
use still_judge::{StandardVerifier, Unjudgeable};
use still_operator::{
    admission::ResponseJudge,
    config::{VerifierProfile, VerifierSection},
    suspects::SameAnswer,
};
use still_roles::sheltered_judgement;
use still_verify::Profile;

/// The verifier that a configuration describes.
pub fn verifier(section: &VerifierSection) -> StandardVerifier {
    let profile = match section.profile {
        VerifierProfile::Strict => Profile::Strict,
        VerifierProfile::Lenient => Profile::Lenient,
    };
    StandardVerifier::new(profile, section.code.clone())
}

/// Refuses problems that ask for a program where none can be confined, or whose tests or gold answer cannot
/// be used.
pub fn refuse_unjudgeable<'problem>(
    verifier: &StandardVerifier,
    problems: impl IntoIterator<Item = &'problem Problem>,
) -> Result<(), Failure> {
    verifier.check(problems).map_err(|error| {
        let exit = match error {
            Unjudgeable::Gold { .. } => Exit::BadInput,
            Unjudgeable::Unready { .. } | Unjudgeable::Tests { .. } => Exit::Configuration,
        };
        Failure::new(exit, error)
    })
}

/// Refuses a store with problems that ask for a program where none can be confined, or whose tests cannot be
/// run. One whose gold answer cannot be used is reported: it was stored by a program that did not look, its
/// attempts end as errors, and the others are no worse for it.
pub fn refuse_unjudgeable_store(verifier: &StandardVerifier, stored: &[Problem]) -> Result<(), Failure> {
    stored.iter().try_for_each(|problem| match verifier.check([problem]) {
        Err(error @ Unjudgeable::Gold { .. }) => {
            tracing::warn!(%error, "a stored problem cannot be judged");
            Ok(())
        }
        checked => checked.or_exit(Exit::Configuration),
    })
}

/// The verifier's word on responses, for the rules of imports.
pub fn response_judge(verifier: Arc<StandardVerifier>) -> ResponseJudge {
    Arc::new(move |problem: &Problem, response: &str| {
        sheltered_judgement(verifier.as_ref(), problem, response, || ()).outcome
    })
}

/// The verifier's word on whether two answers to a problem are one.
pub fn same_answer(verifier: Arc<StandardVerifier>) -> SameAnswer {
    Arc::new(move |problem: &Problem, one: &str, two: &str| match problem.kind {
        AnswerKind::Code => false,
        // the one as a pattern would match too much
        AnswerKind::Exact | AnswerKind::Regex => one.trim() == two.trim(),
        AnswerKind::Math | AnswerKind::Integer | AnswerKind::MultipleChoice => {
            let twin = Problem { gold: one.to_owned(), ..problem.clone() };
            // an answer that cannot be read is told of by nobody
            verifier.check([&twin]).is_ok()
                && sheltered_judgement(verifier.as_ref(), &twin, &format!("\\boxed{{{two}}}"), || ()).outcome
                    == Outcome::Correct
        }
    })
}

#[cfg(test)]
mod tests {
    use still_domain::{ProblemId, Split};

    use super::*;

    #[test]
    fn answers_that_mean_the_same_are_one() {
        let verifier = Arc::new(verifier(&VerifierSection::default()));
        let is_same = same_answer(verifier);
        let problem = |kind| Problem {
            id: ProblemId::new("p"),
            text: "how much?".to_owned(),
            gold: "1".to_owned(),
            kind,
            level: None,
            source: String::new(),
            split: Split::Explore,
        };
        for (kind, one, two, expected) in [
            (AnswerKind::Math, "\\frac{1}{2}", "0.5", true),
            (AnswerKind::Math, "\\frac{1}{2}", "0.4", false),
            (AnswerKind::Math, "}{", "0.4", false),
            (AnswerKind::Integer, "007", "7", true),
            (AnswerKind::Exact, " red ", "red", true),
            (AnswerKind::Regex, ".*", "anything", false),
            (AnswerKind::Code, "x", "x", false),
        ] {
            assert_eq!(is_same(&problem(kind), one, two), expected, "{kind:?} {one} {two}");
        }
    }
}
