//! What the verifier pool drives: one judgement in bounded time, and how it is sheltered.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use still_domain::{Outcome, Problem, Verdict};

/// Judges responses. Shared by the workers of the pool.
pub trait Verifier: Send + Sync {
    /// Judges `response` against the gold answer of `problem`. Never blocks for long, and never panics
    /// by design; the pool survives it if it does.
    fn judge(&self, problem: &Problem, response: &str) -> Verdict;

    /// The verifier and its version, as written into verdicts.
    fn version(&self) -> &str;
}

/// Says why a problem cannot be asked or judged by what is at work, and what helps.
pub type ProblemCheck = Arc<dyn Fn(&Problem) -> Result<(), String> + Send + Sync>;

/// One judgement, sheltered: a verifier that panics or fails twice has failed, and says nothing about the
/// answer. `retry` is called before the second try.
pub fn sheltered_judgement(
    verifier: &dyn Verifier,
    problem: &Problem,
    response: &str,
    retry: impl FnOnce(),
) -> Verdict {
    let first = sheltered(verifier, problem, response);
    if first.outcome != Outcome::Error {
        return first;
    }
    retry();
    sheltered(verifier, problem, response)
}

/// One try of a judgement; a panic is an error.
fn sheltered(verifier: &dyn Verifier, problem: &Problem, response: &str) -> Verdict {
    catch_unwind(AssertUnwindSafe(|| verifier.judge(problem, response))).unwrap_or_else(|panic| {
        let version = catch_unwind(AssertUnwindSafe(|| verifier.version().to_owned()));
        Verdict {
            outcome: Outcome::Error,
            extracted: None,
            rule: Some(format!("the verifier panicked: {}", panic_text(panic.as_ref()))),
            verifier: version.unwrap_or_default(),
        }
    })
}

/// What a panic said.
pub fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a text")
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, sync::Mutex};

    use still_domain::{AnswerKind, ProblemId, Split};

    use super::*;

    /// How a try of a scripted verifier goes.
    #[derive(Clone, Copy)]
    enum Try {
        Panics,
        Fails,
        Succeeds,
    }

    /// Goes through its script, then finds everything right.
    struct Scripted {
        script: Mutex<VecDeque<Try>>,
    }

    impl Verifier for Scripted {
        fn judge(&self, _problem: &Problem, _response: &str) -> Verdict {
            let next = self.script.lock().unwrap().pop_front().unwrap_or(Try::Succeeds);
            let outcome = match next {
                Try::Panics => panic!("nerves"),
                Try::Fails => Outcome::Error,
                Try::Succeeds => Outcome::Correct,
            };
            Verdict {
                outcome,
                extracted: None,
                rule: Some("script".to_owned()),
                verifier: self.version().to_owned(),
            }
        }

        fn version(&self) -> &'static str {
            "scripted 1"
        }
    }

    fn problem() -> Problem {
        Problem {
            id: ProblemId::new("p"),
            text: String::new(),
            gold: String::new(),
            kind: AnswerKind::Exact,
            level: None,
            source: String::new(),
            split: Split::Explore,
        }
    }

    #[test]
    fn one_failure_is_forgiven_and_two_are_an_error_that_is_not_wrong() {
        use Try::{Fails, Panics, Succeeds};
        for (script, outcome, retries, rule) in [
            (&[Succeeds, Panics][..], Outcome::Correct, 0, "script"),
            (&[Panics, Succeeds], Outcome::Correct, 1, "script"),
            (&[Fails, Succeeds], Outcome::Correct, 1, "script"),
            (&[Panics, Panics, Succeeds], Outcome::Error, 1, "the verifier panicked: nerves"),
            (&[Panics, Fails, Succeeds], Outcome::Error, 1, "script"),
            (&[Fails, Panics, Succeeds], Outcome::Error, 1, "the verifier panicked: nerves"),
            (&[Fails, Fails, Succeeds], Outcome::Error, 1, "script"),
        ] {
            let verifier = Scripted { script: Mutex::new(script.iter().copied().collect()) };
            let mut retried = 0;
            let verdict = sheltered_judgement(&verifier, &problem(), "", || retried += 1);
            assert_eq!((verdict.outcome, retried), (outcome, retries));
            assert_eq!((verdict.rule.as_deref(), verdict.verifier.as_str()), (Some(rule), "scripted 1"));
        }
    }
}
