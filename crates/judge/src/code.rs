//! Programs: how they are run, and what their tests say of them.
//!
//! | what came of the tests | outcome |
//! |---|---|
//! | every one passed | correct |
//! | one gave something else, or the program broke down | wrong |
//! | the limit of memory or output was reached: more of it is not what the problem asks for | wrong |
//! | only time ran out, of the wall or of the processor, of one test or of all | timeout |
//! | no code block, none in the language, an empty one, a thought that never ended | no answer |
//! | a code block that never ends, a program too long to run | malformed |
//! | the sandbox failed or is not to be had, or the tests cannot be read | error |
//!
//! The rule of a verdict says how many tests passed and what came of the first that did not.

use std::{sync::OnceLock, time::Instant};

use still_domain::Outcome;
use still_sandbox::{
    Candidate, CaseOutcome, Effort, Exceeded, NoPython, Program, Python, Report, Sandbox, SandboxError, Stop,
    Suite, SuiteError, Unavailable,
};
use thiserror::Error;

use crate::{
    block::{self, NoProgram},
    section::CodeSection,
};

/// The version of the rules and their implementation; it changes whenever a verdict may.
pub const CODE_VERSION: &str = "code-1";
/// Longest program that is run, in bytes.
const MAX_PROGRAM_BYTES: usize = 256 << 10;

/// Runs programs against their tests. Shared by threads; a judgement blocks its thread.
#[derive(Debug)]
pub struct CodeJudge {
    settings: CodeSection,
    ready: OnceLock<Ready>,
}

/// A judgement of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeVerdict {
    /// The finding.
    pub outcome: Outcome,
    /// The program that was read.
    pub program: Option<String>,
    /// How many tests passed, and what came of the first that did not; or why none was run.
    pub rule: String,
}

/// Why no program can be judged on this machine.
#[derive(Debug, Error)]
pub enum Unready {
    /// Nothing can be confined, so nothing is run.
    #[error(transparent)]
    Sandbox(#[from] Unavailable),
    /// No interpreter.
    #[error(transparent)]
    Python(#[from] NoPython),
}

/// Why one program could not be judged.
#[derive(Debug, Error)]
enum Failed {
    #[error(transparent)]
    Unready(#[from] Unready),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error(transparent)]
    Suite(#[from] SuiteError),
}

/// What judgements need of the machine.
#[derive(Debug)]
struct Ready {
    sandbox: Sandbox,
    /// `None` where the settings name a command.
    python: Option<Python>,
}

impl CodeJudge {
    /// A judge; looks at the machine when it is first needed.
    pub const fn new(settings: CodeSection) -> Self {
        Self { settings, ready: OnceLock::new() }
    }

    /// Makes sure that programs can be judged on this machine: builds a jail, finds the interpreter.
    ///
    /// # Errors
    /// Names the kernel feature or the program that is missing, and what helps.
    pub fn prepare(&self) -> Result<(), Unready> {
        self.ready().map(|_| ())
    }

    /// Makes sure that the tests can be read, and run by the command in force.
    ///
    /// # Errors
    /// Says what is wrong with them.
    pub fn check(&self, tests: &str) -> Result<(), String> {
        let suite = Suite::parse(tests).map_err(|error| error.to_string())?;
        if !self.settings.command.is_empty() && !suite.is_for_any_language() {
            return Err(SandboxError::NotPython.to_string());
        }
        Ok(())
    }

    /// Judges the program in a response by its tests.
    pub fn judge(&self, tests: &str, response: &str) -> CodeVerdict {
        let Some(solution) = still_verify::solution(response) else {
            return CodeVerdict::without_run(Outcome::NoAnswer, "the thought never ends");
        };
        let program = match block::program(solution, &self.settings.block_names) {
            Ok(program) if program.len() > MAX_PROGRAM_BYTES => {
                return CodeVerdict::without_run(Outcome::Malformed, "the program is too long");
            }
            Ok(program) => program,
            Err(reason @ NoProgram::Unfinished) => {
                return CodeVerdict::without_run(Outcome::Malformed, &reason.to_string());
            }
            Err(reason) => return CodeVerdict::without_run(Outcome::NoAnswer, &reason.to_string()),
        };
        let (outcome, rule) = match self.run(tests, &program) {
            Ok(report) => (outcome(&report), rule(&report)),
            Err(reason) => {
                tracing::warn!(%reason, "a program could not be judged");
                (Outcome::Error, format!("code: {reason}"))
            }
        };
        CodeVerdict { outcome, program: Some(program), rule }
    }

    fn run(&self, tests: &str, program: &str) -> Result<Report, Failed> {
        let suite = Suite::parse(tests)?;
        let Ready { sandbox, python } = self.ready()?;
        let settings = &self.settings;
        let candidate = match python {
            Some(python) => Candidate::Python { python: python.clone(), source: program.to_owned() },
            None => Candidate::Program(Program {
                readable: settings.readable.clone(),
                ..Program::new(settings.command.clone(), settings.file_name.clone(), program)
            }),
        };
        let effort = Effort { stop: Stop::AtLimit, total: settings.judgement_time() };
        let began = Instant::now();
        let report = sandbox.run(&candidate, suite.cases(), &settings.limits(), effort)?;
        tracing::trace!(seconds = began.elapsed().as_secs_f64(), "program judged");
        Ok(report)
    }

    /// What the machine offers; looked at again until it is enough.
    fn ready(&self) -> Result<&Ready, Unready> {
        if let Some(ready) = self.ready.get() {
            return Ok(ready);
        }
        let sandbox = Sandbox::detect()?;
        let python = if self.settings.command.is_empty() { Some(self.find_python()?) } else { None };
        Ok(self.ready.get_or_init(|| Ready { sandbox, python }))
    }

    fn find_python(&self) -> Result<Python, NoPython> {
        let mut python = Python::find()?;
        python.readable.extend(self.settings.readable.iter().cloned());
        Ok(python)
    }
}

impl CodeVerdict {
    fn without_run(outcome: Outcome, reason: &str) -> Self {
        Self { outcome, program: None, rule: format!("code: {reason}") }
    }
}

/// What the tests say of the program.
fn outcome(report: &Report) -> Outcome {
    let is_wrong = |outcome| {
        matches!(
            outcome,
            CaseOutcome::Different
                | CaseOutcome::Crashed
                | CaseOutcome::Exceeded(Exceeded::Memory | Exceeded::Output)
        )
    };
    if report.is_passed() {
        Outcome::Correct
    } else if report.cases.iter().any(|case| is_wrong(case.outcome)) {
        Outcome::Wrong
    } else {
        Outcome::Timeout
    }
}

/// How many tests passed, and what came of the first that did not.
fn rule(report: &Report) -> String {
    let counted = format!("code: {} of {} tests", report.passed(), report.cases.len());
    let Some((index, case)) = report.first_failure() else { return counted };
    let what = match case.outcome {
        CaseOutcome::Passed => return counted,
        CaseOutcome::Different => "gave something else".to_owned(),
        CaseOutcome::Crashed => match &case.execution {
            Some(execution) => execution.finish.to_string(),
            None => "broke down".to_owned(),
        },
        CaseOutcome::Exceeded(exceeded) => format!("reached the limit of {}", exceeded.name()),
        CaseOutcome::NotRun => "was not run for want of time".to_owned(),
    };
    format!("{counted}; test {} {what}", index + 1)
}

#[cfg(test)]
mod tests {
    use still_sandbox::CaseReport;

    use super::*;

    fn report(outcomes: &[CaseOutcome]) -> Report {
        let case = |outcome: &CaseOutcome| CaseReport { outcome: *outcome, execution: None };
        Report { cases: outcomes.iter().map(case).collect() }
    }

    #[test]
    fn a_failed_test_outweighs_time_that_ran_out() {
        use CaseOutcome::{Crashed, Different, NotRun, Passed};
        let exceeded = CaseOutcome::Exceeded;
        for (outcomes, expected) in [
            (&[Passed, Passed][..], Outcome::Correct),
            (&[Passed, Different], Outcome::Wrong),
            (&[Crashed], Outcome::Wrong),
            (&[exceeded(Exceeded::Memory), NotRun], Outcome::Wrong),
            (&[exceeded(Exceeded::Output), NotRun], Outcome::Wrong),
            (&[exceeded(Exceeded::WallTime), NotRun], Outcome::Timeout),
            (&[Passed, exceeded(Exceeded::CpuTime)], Outcome::Timeout),
            (&[Different, exceeded(Exceeded::WallTime)], Outcome::Wrong),
            (&[Passed, NotRun], Outcome::Timeout),
            (&[], Outcome::Timeout),
        ] {
            assert_eq!(outcome(&report(outcomes)), expected, "{outcomes:?}");
        }
    }

    #[test]
    fn the_rule_counts_what_passed_and_names_the_first_failure() {
        use CaseOutcome::{Different, Exceeded, NotRun, Passed};
        assert_eq!(rule(&report(&[Passed, Passed])), "code: 2 of 2 tests");
        assert_eq!(
            rule(&report(&[Passed, Different, Passed])),
            "code: 2 of 3 tests; test 2 gave something else"
        );
        let hangs = Exceeded(still_sandbox::Exceeded::WallTime);
        assert_eq!(
            rule(&report(&[hangs, NotRun])),
            "code: 0 of 2 tests; test 1 reached the limit of wall_time"
        );
    }
}
