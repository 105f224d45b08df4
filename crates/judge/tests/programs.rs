//! Right, wrong, hanging and hostile programs, through the verifier that the daemon drives.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::{sync::Arc, thread};

use serde_json::{Value, json};
use still_domain::{AnswerKind, Outcome, Problem, ProblemId, Split, Verdict};
use still_judge::{CodeSection, StandardVerifier, Unjudgeable};
use still_roles::Verifier;
use still_sandbox::Sandbox;
use still_verify::Profile;

/// Settings under which a program that runs into them is over soon, but for time by the clock on the wall: a busy
/// machine takes that from honest programs too.
fn settings() -> CodeSection {
    CodeSection {
        wall_seconds: 60,
        cpu_seconds: 2,
        memory_mebibytes: 256,
        output_bytes: 100_000,
        judgement_seconds: 180,
        ..CodeSection::default()
    }
}

/// Settings under which a program that sleeps is over soon.
fn impatient() -> CodeSection {
    CodeSection { wall_seconds: 2, judgement_seconds: 6, ..settings() }
}

/// A verifier; where nothing can be confined, the proof that it says what is missing, and `None`.
fn verifier(settings: CodeSection) -> Option<StandardVerifier> {
    let verifier = StandardVerifier::new(Profile::Strict, settings);
    let Err(missing) = Sandbox::detect() else { return Some(verifier) };
    let verdict = verifier.judge(&squares(), &response("print(int(input()) ** 2)"));
    assert_eq!(verdict.outcome, Outcome::Error, "nothing runs unconfined");
    assert!(verdict.rule.unwrap().contains(missing.feature));
    let refused = verifier.check([&squares()]).unwrap_err();
    assert!(matches!(&refused, Unjudgeable::Unready { .. }) && refused.to_string().contains(missing.feature));
    println!("skipped: {missing}");
    None
}

fn problem(tests: &Value) -> Problem {
    Problem {
        id: ProblemId::new("squares"),
        text: "Read a number and print its square.".to_owned(),
        gold: tests.to_string(),
        kind: AnswerKind::Code,
        level: None,
        source: String::new(),
        split: Split::Explore,
    }
}

fn squares() -> Problem {
    problem(&json!({"inputs": ["3\n", "5\n", "-2\n"], "outputs": ["9", "25", "4"]}))
}

fn functions() -> Problem {
    problem(&json!({"test_list": ["assert f(3) == 9", "assert f(5) == 25", "assert f(-2) == 4"]}))
}

fn response(program: &str) -> String {
    format!(
        "<|begin_of_thought|>\n```python\nprint('thought')\n```\n<|end_of_thought|>\n\
         <|begin_of_solution|>\nIt multiplies:\n```python\n{program}\n```\n<|end_of_solution|>"
    )
}

fn judged(verifier: &StandardVerifier, problem: &Problem, program: &str) -> (Outcome, String) {
    let Verdict { outcome, extracted, rule, verifier } = verifier.judge(problem, &response(program));
    assert_eq!((extracted, verifier.as_str()), (Some(format!("{program}\n")), "code-1"));
    (outcome, rule.unwrap())
}

#[test]
fn right_wrong_and_broken_programs_are_told_apart_and_partial_results_are_kept() {
    let Some(verifier) = verifier(settings()) else { return };
    verifier.check([&squares(), &functions()]).unwrap();
    for (problem, program, outcome, rule) in [
        (squares(), "print(int(input()) ** 2)", Outcome::Correct, "code: 3 of 3 tests"),
        (squares(), "print(9)", Outcome::Wrong, "code: 1 of 3 tests; test 2 gave something else"),
        (squares(), "print(25 if input() == '5' else", Outcome::Wrong, "test 1 exited with status 1"),
        (functions(), "def f(n): return n * n", Outcome::Correct, "code: 3 of 3 tests"),
        (functions(), "def f(n): return abs(n) * n", Outcome::Wrong, "code: 2 of 3 tests; test 3"),
        (functions(), "def g(n): return n * n", Outcome::Wrong, "code: 0 of 3 tests; test 1"),
        (functions(), "raise SystemExit(0)", Outcome::Wrong, "code: 0 of 3 tests; test 1"),
    ] {
        let (found, rule_given) = judged(&verifier, &problem, program);
        assert!(found == outcome && rule_given.contains(rule), "{program}: {found} {rule_given}");
    }
}

#[test]
fn the_thought_is_never_run_and_a_solution_without_a_program_is_no_answer() {
    let Some(verifier) = verifier(settings()) else { return };
    let right = "```python\nprint(int(input()) ** 2)\n```";
    for (response, outcome, rule) in [
        (format!("<think>\n{right}\n</think>\nSquare it."), Outcome::NoAnswer, "code: no code block"),
        (format!("<think>\n{right}\n"), Outcome::NoAnswer, "code: the thought never ends"),
        ("<think>9</think>\n```rust\nfn main() {}\n```".to_owned(), Outcome::NoAnswer, "language"),
        (format!("<think>9</think>\n{right}\n```python\nprint("), Outcome::Malformed, "never ends"),
        (
            format!("<think>9</think>\n```python\n{}\n```", "#".repeat(300_000)),
            Outcome::Malformed,
            "too long",
        ),
        (format!("<think>no</think>\n{right}"), Outcome::Correct, "3 of 3"),
    ] {
        let verdict = verifier.judge(&squares(), &response);
        let rule_given = verdict.rule.unwrap();
        assert!(
            verdict.outcome == outcome && rule_given.contains(rule),
            "{response:.60}: {} {rule_given}",
            verdict.outcome
        );
    }
}

#[test]
fn hanging_programs_run_out_of_time_once_and_greedy_ones_are_wrong() {
    let Some(verifier) = verifier(settings()) else { return };
    for (program, outcome, rule) in [
        ("while True: pass", Outcome::Timeout, "code: 0 of 3 tests; test 1 reached the limit of cpu_time"),
        (
            "n = int(input())\nwhile n == 5: pass\nprint(n * n)",
            Outcome::Timeout,
            "code: 1 of 3 tests; test 2 reached the limit of cpu_time",
        ),
        (
            "n = int(input())\nwhile n == 5: pass\nprint(n)",
            Outcome::Wrong,
            "code: 0 of 3 tests; test 1 gave something else",
        ),
        ("x = bytearray(1 << 40)", Outcome::Wrong, "test 1 exited with status 1"),
        ("while True: print('y' * 1000)", Outcome::Wrong, "test 1 reached the limit of output"),
    ] {
        let (found, rule_given) = judged(&verifier, &squares(), program);
        assert!(found == outcome && rule_given.contains(rule), "{program}: {found} {rule_given}");
    }
    let impatient = StandardVerifier::new(Profile::Strict, impatient());
    let (found, rule) = judged(&impatient, &squares(), "import time\ntime.sleep(60)");
    assert_eq!(found, Outcome::Timeout);
    assert!(rule.contains("test 1 reached the limit of wall_time"), "{rule}");
}

#[test]
fn hostile_programs_earn_nothing_and_leave_nothing() {
    let Some(verifier) = verifier(settings()) else { return };
    let impatient = StandardVerifier::new(Profile::Strict, impatient());
    let hostile = [
        "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
        "import signal, time\nfor n in range(1, 65):\n    try: signal.signal(n, signal.SIG_IGN)\n    \
         except (OSError, ValueError): pass\ntime.sleep(60)",
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(60)\nprint('gone')",
        "import socket\nsocket.create_connection(('127.0.0.1', 22))\nprint(9)",
        "open('/usr/escaped', 'w')",
        "import os\nos.kill(-1, 9)\nos.kill(os.getppid(), 9)",
        "import os\nos.execv('/bin/sh', ['sh', '-c', 'cat /etc/passwd; mount; id'])",
        "import sys\nsys.stdout.write('9')\nsys.exit(1)",
    ];
    for program in hostile {
        let (outcome, rule) = judged(&impatient, &squares(), program);
        assert!(matches!(outcome, Outcome::Wrong | Outcome::Timeout), "{program}: {outcome} {rule}");
        assert!(rule.starts_with("code: 0 of 3 tests"), "{program}: {rule}");
    }
    let cheats = ["import os; os._exit(0)", "f = type('L', (int,), {'__eq__': lambda *a: True})"];
    for program in cheats {
        assert_eq!(judged(&verifier, &functions(), program).0, Outcome::Wrong, "{program}");
    }
    let (outcome, _) = judged(&verifier, &squares(), "print(int(input()) ** 2)");
    assert_eq!(outcome, Outcome::Correct, "the machine is as it was");
}

#[test]
fn many_slow_tests_end_with_the_time_for_all_of_them() {
    let Some(verifier) = verifier(CodeSection { judgement_seconds: 1, ..impatient() }) else { return };
    let tests = json!({"inputs": vec!["1"; 50], "outputs": vec!["1"; 50]});
    let slow = "import time\ntime.sleep(0.2)\nprint(input())";
    let (outcome, rule) = judged(&verifier, &problem(&tests), slow);
    assert_eq!(outcome, Outcome::Timeout, "{rule}");
    let passed: u32 = rule.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(passed <= 5, "{rule}");
}

#[test]
fn any_command_takes_output_tests_and_python_alone_takes_others() {
    let shell = CodeSection {
        command: ["sh", "{source}"].map(String::from).to_vec(),
        block_names: vec!["sh".to_owned()],
        file_name: "main.sh".to_owned(),
        ..settings()
    };
    let Some(verifier) = verifier(shell) else { return };
    let response = |program: &str| format!("<think></think>\n```sh\n{program}\n```");
    verifier.check([&squares()]).unwrap();
    let verdict = verifier.judge(&squares(), &response("read n; echo $((n * n))"));
    assert_eq!(verdict.outcome, Outcome::Correct, "{verdict:?}");
    let refused = verifier.check([&functions()]).unwrap_err().to_string();
    assert!(refused.contains("`squares`") && refused.contains("Python"), "{refused}");
    let verdict = verifier.judge(&functions(), &response("true"));
    assert_eq!(verdict.outcome, Outcome::Error, "{verdict:?}");
}

#[test]
fn tests_that_cannot_be_read_are_an_error_and_are_refused_beforehand() {
    let Some(verifier) = verifier(settings()) else { return };
    for tests in [json!({"tests": []}), json!("4"), json!({"test_list": ["assert ("]})] {
        let verdict = verifier.judge(&problem(&tests), &response("def f(n): return n"));
        assert_eq!(verdict.outcome, Outcome::Error, "{tests}: {verdict:?}");
        assert!(verdict.rule.unwrap().starts_with("code: "));
    }
    assert!(matches!(verifier.check([&problem(&json!({"tests": []}))]), Err(Unjudgeable::Tests { .. })));
    let sums = Problem { kind: AnswerKind::Integer, gold: "4".to_owned(), ..squares() };
    verifier.check([&sums]).unwrap();
    assert_eq!(verifier.judge(&sums, "<think></think>\\boxed{4}").outcome, Outcome::Correct);
}

#[test]
fn judgements_of_many_workers_do_not_disturb_one_another() {
    let Some(verifier) = verifier(settings()) else { return };
    let verifier = Arc::new(verifier);
    let outcomes: Vec<Outcome> = thread::scope(|scope| {
        let workers: Vec<_> = (0..6)
            .map(|number| {
                let verifier = Arc::clone(&verifier);
                scope.spawn(move || {
                    let program = match number % 3 {
                        0 => "print(int(input()) ** 2)",
                        1 => "print(0)",
                        _ => "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
                    };
                    judged(&verifier, &squares(), program).0
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    for (number, outcome) in outcomes.into_iter().enumerate() {
        let is_right =
            if number % 3 == 0 { outcome == Outcome::Correct } else { outcome != Outcome::Correct };
        assert!(is_right, "{number}: {outcome}");
    }
}
