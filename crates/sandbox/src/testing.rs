//! Test cases, and what a candidate makes of them.
//!
//! Every case is a run in a jail of its own, so no case sees what another left. What is expected never enters
//! the jail: output is compared outside, and of `assert f(2) == 4` only `f(2)` is evaluated inside, its
//! value read back and compared here. Leaving early, printing "OK" or redefining equality earns nothing.
//! An assertion of another shape (`assert close(f(2), 4.1)`) is evaluated inside as a whole, among the
//! candidate's own names: one that takes `close` for its own, or gives its values a truth of their own, could
//! lie. Where rewards are earned by such tests, write equalities, or set the names up in the tests' own code,
//! which runs after the candidate's.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    error::SandboxError,
    execution::{Exceeded, Execution, Finish},
    limits::Limits,
    program::{Program, Python},
    sandbox::Sandbox,
};

/// The program around a Python candidate.
const DRIVER: &str = include_str!("driver.py");
/// How far a float may be from the expected one, relative to the larger of the two.
const FLOAT_TOLERANCE: f64 = 1e-9;

/// What a candidate must do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TestCase {
    /// Read `input` and write `expected`; white space at the ends of lines and of the output is forgiven.
    Output {
        /// Standard input.
        input: String,
        /// Standard output.
        expected: String,
    },
    /// Return `expected` when called. Python only; a tuple is as good as a list.
    Call {
        /// What to call, an expression: `twoSum` or `Solution().twoSum`.
        function: String,
        /// Its arguments.
        arguments: Vec<Value>,
        /// The value it must return; a float may be off by one part in 10⁹.
        expected: Value,
    },
    /// Pass all assertions in this code. Python only.
    Assertions(String),
}

/// What is tested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Candidate {
    /// Python source.
    Python {
        /// The interpreter.
        python: Python,
        /// The source.
        source: String,
    },
    /// Any program; takes [`TestCase::Output`] only.
    Program(Program),
}

/// What came of a test case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaseOutcome {
    /// As expected.
    Passed,
    /// The program ended well and gave something else.
    Different,
    /// The program ended badly, or ended itself before the call was answered.
    Crashed,
    /// The program was ended at a limit.
    Exceeded(Exceeded),
    /// An earlier case ended the tests, or their time was up.
    NotRun,
}

/// How far the test cases of one candidate are gone through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// What ends the tests early.
    pub stop: Stop,
    /// Time by the clock on the wall for all of them together.
    pub total: Duration,
}

/// What ends the tests of a candidate early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The first case that does not pass.
    AtFailure,
    /// The first case that runs into a limit: a program that hangs would take its time again in every case.
    AtLimit,
    /// Nothing.
    Never,
}

/// A test case's outcome with what the program did, as far as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseReport {
    /// What came of it.
    pub outcome: CaseOutcome,
    /// The run; `None` when there was none.
    pub execution: Option<Execution>,
}

/// What a candidate made of its test cases, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// One for each test case.
    pub cases: Vec<CaseReport>,
}

impl Report {
    /// Whether there were cases and every one passed.
    pub fn is_passed(&self) -> bool {
        !self.cases.is_empty() && self.passed() == self.cases.len()
    }

    /// Cases that passed.
    pub fn passed(&self) -> usize {
        self.cases.iter().filter(|case| case.outcome == CaseOutcome::Passed).count()
    }

    /// The first case that did not pass, with its index.
    pub fn first_failure(&self) -> Option<(usize, &CaseReport)> {
        self.cases.iter().enumerate().find(|(_, case)| case.outcome != CaseOutcome::Passed)
    }
}

impl Sandbox {
    /// Runs a candidate's test cases one after the other, as far as `effort` goes; the last one may be cut
    /// short by it.
    ///
    /// # Errors
    /// When a case could not be run for a reason that is not the candidate's, among them assertions that are
    /// no Python ([`SandboxError::Assertions`]). What was run until then is lost: judge it again.
    pub fn run(
        &self,
        candidate: &Candidate,
        cases: &[TestCase],
        limits: &Limits,
        effort: Effort,
    ) -> Result<Report, SandboxError> {
        let started = Instant::now();
        let mut reports = Vec::with_capacity(cases.len());
        for case in cases {
            let left = effort.total.saturating_sub(started.elapsed()).as_millis() as u64;
            if left == 0 || reports.last().is_some_and(|last: &CaseReport| effort.stop.is_at(last.outcome)) {
                break;
            }
            let limits = Limits { wall_milliseconds: limits.wall_milliseconds.min(left), ..*limits };
            reports.push(self.run_case(candidate, case, &limits)?);
        }
        reports.resize(cases.len(), CaseReport { outcome: CaseOutcome::NotRun, execution: None });
        Ok(Report { cases: reports })
    }

    fn run_case(
        &self,
        candidate: &Candidate,
        case: &TestCase,
        limits: &Limits,
    ) -> Result<CaseReport, SandboxError> {
        match (case, candidate) {
            (TestCase::Output { input, expected }, Candidate::Program(program)) => {
                self.run_output(program, input, expected, limits)
            }
            (TestCase::Output { input, expected }, Candidate::Python { python, source }) => {
                self.run_output(&Program::python(python, source.as_str()), input, expected, limits)
            }
            (TestCase::Call { function, arguments, expected }, Candidate::Python { python, source }) => {
                let request = json!({
                    "source": source,
                    "setup": "",
                    "arguments": arguments,
                    "expressions": [format!("({function})(*arguments)")],
                });
                self.run_checks(python, request, limits, |values| match values {
                    [value] => is_expected(expected, value),
                    _ => false,
                })
            }
            (TestCase::Assertions(code), Candidate::Python { python, source }) => {
                let Split { setup, checks } = self.split(python, code, limits)?;
                let expressions: Vec<&str> = checks.iter().map(|check| check.expression.as_str()).collect();
                let request =
                    json!({"source": source, "setup": setup, "arguments": [], "expressions": expressions});
                self.run_checks(python, request, limits, |values| {
                    values.len() == checks.len()
                        && values.iter().zip(&checks).all(|(value, check)| is_equal(&check.expected, value))
                })
            }
            (TestCase::Call { .. } | TestCase::Assertions(_), Candidate::Program(_)) => {
                Err(SandboxError::NotPython)
            }
        }
    }

    fn run_output(
        &self,
        program: &Program,
        input: &str,
        expected: &str,
        limits: &Limits,
    ) -> Result<CaseReport, SandboxError> {
        let execution = self.execute(program, input.as_bytes(), limits)?;
        let outcome = match execution.finish {
            Finish::Exceeded(exceeded) => CaseOutcome::Exceeded(exceeded),
            Finish::Exited(0) if is_same_text(expected, &execution.output) => CaseOutcome::Passed,
            Finish::Exited(0) => CaseOutcome::Different,
            Finish::Exited(_) | Finish::Signalled(_) => CaseOutcome::Crashed,
        };
        Ok(CaseReport { outcome, execution: Some(execution) })
    }

    fn run_checks(
        &self,
        python: &Python,
        request: Value,
        limits: &Limits,
        is_right: impl Fn(&[Value]) -> bool,
    ) -> Result<CaseReport, SandboxError> {
        let (answer, execution) = self.ask_driver(python, request, limits)?;
        let outcome = match (execution.finish, answer) {
            (Finish::Exceeded(exceeded), _) => CaseOutcome::Exceeded(exceeded),
            (Finish::Exited(0), Some(Value::Array(values))) if is_right(&values) => CaseOutcome::Passed,
            (Finish::Exited(0), Some(_)) => CaseOutcome::Different,
            (Finish::Exited(_) | Finish::Signalled(_), _) => CaseOutcome::Crashed,
        };
        Ok(CaseReport { outcome, execution: Some(execution) })
    }

    /// Takes assertions apart, in a jail without the candidate.
    fn split(&self, python: &Python, code: &str, limits: &Limits) -> Result<Split, SandboxError> {
        let (answer, execution) = self.ask_driver(python, json!({"split": code}), limits)?;
        let split = answer.and_then(|answer| serde_json::from_value::<Split>(answer).ok());
        split.filter(|split| !split.checks.is_empty()).ok_or_else(|| {
            let said = String::from_utf8_lossy(&execution.error);
            let last = said.lines().last().unwrap_or("no `assert` in it").to_owned();
            SandboxError::Assertions(last)
        })
    }

    /// Runs the driver; its answer is the line that begins with this run's nonce.
    fn ask_driver(
        &self,
        python: &Python,
        mut request: Value,
        limits: &Limits,
    ) -> Result<(Option<Value>, Execution), SandboxError> {
        let nonce = format!("{:016x} ", RandomState::new().build_hasher().finish());
        request["nonce"] = Value::from(nonce.as_str());
        let program = Program::python(python, DRIVER);
        let execution = self.execute(&program, request.to_string().as_bytes(), limits)?;
        let output = String::from_utf8_lossy(&execution.output);
        let line = output.lines().rev().find_map(|line| line.strip_prefix(&nonce));
        let answer = line.and_then(|line| serde_json::from_str(line).ok());
        Ok((answer, execution))
    }
}

impl Stop {
    const fn is_at(self, outcome: CaseOutcome) -> bool {
        match self {
            Self::AtFailure => !matches!(outcome, CaseOutcome::Passed),
            Self::AtLimit => matches!(outcome, CaseOutcome::Exceeded(_)),
            Self::Never => false,
        }
    }
}

/// Assertions taken apart.
#[derive(Debug, Deserialize)]
struct Split {
    setup: String,
    checks: Vec<Check>,
}

/// One assertion: the value of the expression must be spelled like the expected one.
#[derive(Debug, Deserialize)]
struct Check {
    expression: String,
    expected: Value,
}

/// Whether two spelled values are equal; what could not be spelled equals nothing.
fn is_equal(expected: &Value, value: &Value) -> bool {
    expected == value && !is_unspelled(value)
}

fn is_unspelled(value: &Value) -> bool {
    match value {
        Value::Array(parts) => {
            parts.first().is_some_and(|kind| kind == "?") || parts.iter().any(is_unspelled)
        }
        _ => false,
    }
}

/// Whether a spelled value is what a test expects in plain JSON.
fn is_expected(expected: &Value, value: &Value) -> bool {
    let parts = match value {
        Value::Null => return expected.is_null(),
        Value::Array(parts) => parts,
        _ => return false,
    };
    let (Some(kind), Some(content)) = (parts.first().and_then(Value::as_str), parts.get(1)) else {
        return false;
    };
    match (expected, kind, content) {
        (Value::Bool(expected), "n", Value::String(number)) => number == if *expected { "1" } else { "0" },
        (Value::Number(expected), "n", Value::String(number)) => {
            if expected.is_f64() {
                let (Some(expected), Ok(number)) = (expected.as_f64(), number.parse::<f64>()) else {
                    return false;
                };
                (expected - number).abs() <= FLOAT_TOLERANCE * expected.abs().max(number.abs())
            } else {
                expected.to_string() == *number
            }
        }
        (Value::String(expected), "x", Value::String(text)) => expected == text,
        (Value::Array(expected), "l" | "t", Value::Array(items)) => {
            expected.len() == items.len()
                && expected.iter().zip(items).all(|(expected, item)| is_expected(expected, item))
        }
        (Value::Object(expected), "d", Value::Array(pairs)) => {
            expected.len() == pairs.len()
                && pairs.iter().all(|pair| match pair.as_array().map(Vec::as_slice) {
                    Some([key, item]) => {
                        let expected = key.get(1).and_then(Value::as_str).and_then(|key| expected.get(key));
                        key.get(0).is_some_and(|kind| kind == "x")
                            && expected.is_some_and(|expected| is_expected(expected, item))
                    }
                    _ => false,
                })
        }
        _ => false,
    }
}

/// Whether two texts differ in nothing but white space at the ends of lines and of the text.
fn is_same_text(expected: &str, output: &[u8]) -> bool {
    let Ok(output) = std::str::from_utf8(output) else { return false };
    expected.trim_end().lines().map(str::trim_end).eq(output.trim_end().lines().map(str::trim_end))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn white_space_at_the_ends_is_forgiven_and_in_between_is_not() {
        assert!(is_same_text("1 2\n3", b"1 2  \n3\n\n"));
        assert!(!is_same_text("1 2", b"1  2"));
        assert!(!is_same_text("1\n2", b"1\n\n2"));
        assert!(!is_same_text("1", b"\xff"));
        assert!(is_same_text("", b"\n"));
    }

    #[test]
    fn expected_values_are_read_as_plain_json() {
        let cases = [
            (json!(3), json!(["n", "3"]), true),
            (json!(3), json!(["n", "3.5"]), false),
            (json!(0.3), json!(["n", "0.30000000000000004"]), true),
            (json!(0.3), json!(["n", "0.3001"]), false),
            (json!(2.0), json!(["n", "2"]), true),
            (json!(true), json!(["n", "1"]), true),
            (json!("3"), json!(["n", "3"]), false),
            (json!([1, [2]]), json!(["t", [["n", "1"], ["l", [["n", "2"]]]]]), true),
            (json!([1]), json!(["s", [["n", "1"]]]), false),
            (json!({"a": null}), json!(["d", [[["x", "a"], null]]]), true),
            (json!({"1": null}), json!(["d", [[["n", "1"], null]]]), false),
            (json!(null), json!(null), true),
            (json!(null), json!(["?", "object"]), false),
        ];
        for (expected, value, is_right) in cases {
            assert_eq!(is_expected(&expected, &value), is_right, "{expected} {value}");
        }
        assert!(!is_equal(&json!(["l", [["?", "nan"]]]), &json!(["l", [["?", "nan"]]])));
    }

    proptest! {
        #[test]
        fn any_answer_is_compared_without_a_panic(kind in "[nxltsdb?]", text in ".{0,8}", number in any::<f64>()) {
            let strange = [json!([kind, text]), json!([kind, [[kind]]]), json!([[], number]), json!({"a": kind})];
            for value in &strange {
                prop_assert!(!is_expected(&json!([1, 2, 3]), value));
            }
        }
    }
}
