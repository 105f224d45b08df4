//! A verifier that looks for the gold answer in the box.

use std::sync::Arc;

use still_domain::{Outcome, Problem, Verdict};
use still_roles::Verifier;

use crate::script::{Script, take_one};

/// The verifier.
#[derive(Debug)]
pub struct ScriptedVerifier {
    script: Arc<Script>,
}

impl ScriptedVerifier {
    /// A verifier that obeys the script.
    pub const fn new(script: Arc<Script>) -> Self {
        Self { script }
    }
}

impl Verifier for ScriptedVerifier {
    fn judge(&self, problem: &Problem, response: &str) -> Verdict {
        self.script.judgement.pass();
        assert!(!take_one(&self.script.verifier_panics), "the script says so");
        if take_one(&self.script.verifier_errors) {
            let rule = Some("the script says so".to_owned());
            let verifier = self.version().to_owned();
            return Verdict { outcome: Outcome::Error, extracted: None, rule, verifier };
        }
        let boxed = response.split_once("\\boxed{").and_then(|(_, rest)| rest.split_once('}'));
        let extracted = boxed.map(|(answer, _)| answer.to_owned());
        let outcome = match &extracted {
            None => Outcome::NoAnswer,
            Some(answer) if *answer == problem.gold => Outcome::Correct,
            Some(_) => Outcome::Wrong,
        };
        Verdict { outcome, extracted, rule: Some("box".to_owned()), verifier: self.version().to_owned() }
    }

    fn version(&self) -> &'static str {
        "scripted 1"
    }
}
