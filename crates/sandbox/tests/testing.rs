//! Test cases against honest, wrong and cheating candidates.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::time::Duration;

use common::{sandbox, shell, tight};
use serde_json::json;
use still_sandbox::{
    Candidate, CaseOutcome, Effort, Exceeded, Limits, Python, Report, SandboxError, Stop, TestCase,
};

fn candidate(source: &str) -> Candidate {
    Candidate::Python { python: Python::find().unwrap(), source: source.to_owned() }
}

fn effort(stop: Stop) -> Effort {
    Effort { stop, total: Duration::from_mins(1) }
}

fn judged(source: &str, cases: &[TestCase]) -> Option<Report> {
    Some(sandbox()?.run(&candidate(source), cases, &tight(), effort(Stop::Never)).unwrap())
}

fn outcomes(report: &Report) -> Vec<CaseOutcome> {
    report.cases.iter().map(|case| case.outcome).collect()
}

fn call(function: &str, arguments: &serde_json::Value, expected: serde_json::Value) -> TestCase {
    TestCase::Call { function: function.into(), arguments: arguments.as_array().unwrap().clone(), expected }
}

#[test]
fn output_is_compared_outside_and_a_failure_can_stop_the_rest() {
    let Some(sandbox) = sandbox() else { return };
    let case =
        |input: &str, expected: &str| TestCase::Output { input: input.into(), expected: expected.into() };
    let cases = [case("2\n", "4"), case("3\n", "10"), case("4\n", "16")];
    let square = Candidate::Program(shell("read n; echo $((n * n))"));
    let all = sandbox.run(&square, &cases, &tight(), effort(Stop::Never)).unwrap();
    assert_eq!(outcomes(&all), [CaseOutcome::Passed, CaseOutcome::Different, CaseOutcome::Passed]);
    assert_eq!((all.passed(), all.is_passed()), (2, false));
    assert_eq!(all.first_failure().unwrap().0, 1);
    let some = sandbox.run(&square, &cases, &tight(), effort(Stop::AtFailure)).unwrap();
    assert_eq!(outcomes(&some), [CaseOutcome::Passed, CaseOutcome::Different, CaseOutcome::NotRun]);
    assert!(
        sandbox.run(&square, &[], &tight(), effort(Stop::AtFailure)).is_ok_and(|report| !report.is_passed())
    );
    assert!(matches!(
        sandbox.run(
            &square,
            &[TestCase::Assertions("assert True".into())],
            &tight(),
            effort(Stop::AtFailure)
        ),
        Err(SandboxError::NotPython)
    ));
}

#[test]
fn calls_are_answered_by_value() {
    let source = "
print('noise')
class Solution:
    def pair(self, numbers, target):
        return [(i, j) for j, b in enumerate(numbers) for i, a in enumerate(numbers[:j]) if a + b == target][0]
def share(a, b):
    return a / b
def table(keys):
    return {key: len(key) for key in keys}
";
    let cases = [
        call("Solution().pair", &json!([[2, 7, 11, 15], 9]), json!([0, 1])),
        call("share", &json!([1, 3]), json!(0.333_333_333_333_3)),
        call("share", &json!([1, 0]), json!(0)),
        call("table", &json!([["a", "bc"]]), json!({"bc": 2, "a": 1})),
        call("missing", &json!([]), json!(null)),
    ];
    let Some(report) = judged(source, &cases) else { return };
    let expected = [
        CaseOutcome::Passed,
        CaseOutcome::Passed,
        CaseOutcome::Crashed,
        CaseOutcome::Passed,
        CaseOutcome::Crashed,
    ];
    assert_eq!(outcomes(&report), expected);
    let noise = &report.cases[0].execution.as_ref().unwrap().error;
    assert!(noise.starts_with(b"noise"), "what the candidate prints is kept apart");
}

#[test]
fn assertions_are_taken_apart_and_hold_or_do_not() {
    let source = "
def double(n): return 2 * n
def pair(n): return (n, [n])
def close(n): return n + 1e-12
";
    let case = |code: &str| TestCase::Assertions(code.to_owned());
    let cases = [
        case("assert double(2) == 4\nassert double('a') == 'aa', 'texts too'"),
        case("assert double(2) == 5"),
        case("assert pair(1) == (1, [1])"),
        case("assert pair(1) == [1, [1]]"),
        case("import math\nx = 3\nassert math.isclose(close(x), x)"),
        case("assert not double(0)"),
        case("assert double(1.5) == 3 and double(0) == 0"),
        case("assert {1: 2.0} == dict([double(1) and (1, 2)])"),
        case("assert double(float('nan')) == 1"),
    ];
    let Some(report) = judged(source, &cases) else { return };
    let passes: Vec<bool> = report.cases.iter().map(|case| case.outcome == CaseOutcome::Passed).collect();
    assert_eq!(passes, [true, false, true, false, true, true, true, true, false], "{report:?}");
}

#[test]
fn cheating_earns_nothing() {
    let cases = [
        TestCase::Assertions("assert f(2) == 4".into()),
        call("f", &json!([2]), json!(4)),
        TestCase::Output { input: String::new(), expected: "4".into() },
    ];
    let cheats = [
        "import sys; sys.exit(0)",
        "import os; os._exit(0)",
        "print('OK'); print([[\"n\", \"4\"]]); f = print",
        "class Liar(int):\n    __eq__ = lambda self, other: True\n    __repr__ = lambda self: '4'\n    \
         __index__ = lambda self: 4\n    __hash__ = None\nf = lambda n: Liar(3)",
        "import builtins\nbuiltins.AssertionError = ValueError\nbuiltins.isinstance = lambda *a: True\n\
         def f(n): return 3",
        "import json, os\njson.dumps = lambda value: '[[\"n\", \"5\"]]'\nos.write = lambda *a: 99\ndef f(n): return 3",
        "import os\nfor n in range(3, 20):\n    try:\n        os.write(n, b'0000000000000000 [[\"n\", \"4\"]]\\n')\n    \
         except OSError: pass\ndef f(n): return 3",
        "f = lambda n: 3",
    ];
    for cheat in cheats {
        let Some(report) = judged(cheat, &cases) else { return };
        assert_eq!(report.passed(), 0, "{cheat}: {:?}", outcomes(&report));
    }
}

#[test]
fn the_truth_of_an_assertion_is_not_the_candidates_to_define() {
    let cases = [
        TestCase::Assertions("import math\nassert math.isclose(f(2), 4.1)".into()),
        TestCase::Assertions("assert not f(2) == f(3)".into()),
        TestCase::Assertions("assert f(2) > 3".into()),
    ];
    let cheat = "bool = lambda value: True\nint = str = abs = bool\ndef f(n): return 3";
    let Some(report) = judged(cheat, &cases) else { return };
    assert_eq!(report.passed(), 0, "{:?}", outcomes(&report));
}

#[test]
fn a_candidate_that_hangs_or_hoards_is_reported_as_such() {
    let Some(sandbox) = sandbox() else { return };
    let limits = Limits { wall_milliseconds: 5_000, ..tight() };
    let cases = [call("f", &json!([2]), json!(4))];
    let hang = candidate("import time\ndef f(n):\n    print('began', flush=True)\n    time.sleep(60)");
    let report = sandbox.run(&hang, &cases, &limits, effort(Stop::AtLimit)).unwrap();
    assert_eq!(outcomes(&report), [CaseOutcome::Exceeded(Exceeded::WallTime)]);
    assert!(report.cases[0].execution.as_ref().unwrap().error.starts_with(b"began"));
}

#[test]
fn a_program_that_hangs_is_not_run_again_and_the_time_for_all_cases_is_kept() {
    let Some(sandbox) = sandbox() else { return };
    let limits = Limits { wall_milliseconds: 3_000, ..tight() };
    let hang = Candidate::Program(shell("read n; [ $n = 2 ] && sleep 60; echo $n"));
    let case = |n: u32| TestCase::Output { input: format!("{n}\n"), expected: n.to_string() };
    let cases = [case(1), case(2), case(3)];
    let hangs = CaseOutcome::Exceeded(Exceeded::WallTime);
    let report = sandbox.run(&hang, &cases, &limits, effort(Stop::AtLimit)).unwrap();
    assert_eq!(outcomes(&report), [CaseOutcome::Passed, hangs, CaseOutcome::NotRun]);
    let report = sandbox.run(&hang, &cases, &limits, effort(Stop::Never)).unwrap();
    assert_eq!(outcomes(&report), [CaseOutcome::Passed, hangs, CaseOutcome::Passed]);
    let short = Effort { stop: Stop::Never, total: Duration::from_millis(300) };
    let sleeper = Candidate::Program(shell("sleep 60"));
    let report = sandbox.run(&sleeper, &cases, &tight(), short).unwrap();
    assert_eq!(outcomes(&report), [hangs, CaseOutcome::NotRun, CaseOutcome::NotRun]);
}

#[test]
fn assertions_that_are_none_are_the_tests_fault() {
    let Some(sandbox) = sandbox() else { return };
    for code in ["assert (", "x = 1", ""] {
        let cases = [TestCase::Assertions(code.to_owned())];
        let result = sandbox.run(&candidate("x = 1"), &cases, &tight(), effort(Stop::AtFailure));
        assert!(matches!(result, Err(SandboxError::Assertions(_))), "{code}: {result:?}");
    }
}
