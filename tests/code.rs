//! Programs as answers, from outside: `stilld grade` judges them confined, and where they cannot be confined
//! the daemon refuses problems that ask for them, by the name of the kernel feature.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

mod harness;

use std::{
    collections::BTreeMap,
    env, fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use harness::{Daemon, stilld};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use serde_json::{Value, json};

/// Set for the stand-in of a container, to the data directory of its daemon.
const FORBIDDEN: &str = "STILL_CODE_TEST_FORBIDDEN";
/// Limits under which a test that runs into them is over soon.
const TIGHT: [(&str, &str); 3] = [
    ("STILL__VERIFIER__CODE__WALL_SECONDS", "2"),
    ("STILL__VERIFIER__CODE__MEMORY_MEBIBYTES", "256"),
    ("STILL__VERIFIER__CODE__OUTPUT_BYTES", "100000"),
];

/// A line of `stilld grade` with a program for "read a number and print its square".
fn line(program: &str) -> Value {
    json!({
        "kind": "code",
        "gold": {"inputs": ["3", "5"], "outputs": ["9", "25"]},
        "prediction": format!("<think>print(9)</think>\nSo:\n```python\n{program}\n```\n"),
    })
}

/// Grades lines; gives the exit code, the graded lines and what was said of them.
fn grade(lines: &[Value]) -> (Option<i32>, Vec<Value>, String) {
    let mut child = stilld()
        .args(["grade", "-"])
        .envs(TIGHT)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let text = lines.iter().fold(String::new(), |text, line| text + &line.to_string() + "\n");
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let graded = String::from_utf8(output.stdout).unwrap();
    let graded = graded.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (output.status.code(), graded, String::from_utf8(output.stderr).unwrap())
}

/// Whether programs can be confined here; where they cannot, the proof that the refusal names a feature.
fn can_confine() -> bool {
    let (exit, graded, said) = grade(&[line("print(int(input()) ** 2)")]);
    if graded[0]["verdict"] != "error" {
        return true;
    }
    let error = graded[0]["error"].as_str().unwrap();
    assert!(error.contains("programs cannot be confined here: ") && error.contains(" failed ("), "{error}");
    assert_eq!(exit, Some(1), "{said}");
    println!("skipped: {error}");
    false
}

/// Settings of a task whose one problem to explore asks for a program and has these tests.
fn task(folder: &Path, tests: &Value) -> Vec<String> {
    let problem = json!({"id": "squares", "problem": "2*3=?", "kind": "code", "tests": tests});
    let held_out = json!({"problem": "2*4=?", "answer": "8"});
    let demonstration = json!({"problem": "2*2=?", "thought": "2*2+0=4;", "solution": "\\boxed{4}"});
    let mut settings = vec!["task.source=files".to_owned(), "cleaning.min_characters=0".to_owned()];
    for (key, line) in [("problems", problem), ("evaluation", held_out), ("demonstrations", demonstration)] {
        let path = folder.join(key).with_extension("jsonl");
        fs::write(&path, format!("{line}\n")).unwrap();
        settings.push(format!("task.files.{key}=[\"{}\"]", path.display()));
    }
    settings
}

/// Starts a daemon on such a task.
fn daemon(folder: &Path, tests: &Value) -> Daemon {
    let settings = task(folder, tests);
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    Daemon::start(&folder.join("data"), 1, &settings)
}

#[test]
fn right_wrong_hanging_and_hostile_programs_are_graded() {
    if !can_confine() {
        return;
    }
    let programs = [
        ("print(int(input()) ** 2)", "correct", "code: 2 of 2 tests"),
        ("print(9)", "wrong", "code: 1 of 2 tests; test 2 gave something else"),
        (
            "import time\ntime.sleep(600)",
            "timeout",
            "code: 0 of 2 tests; test 1 reached the limit of wall_time",
        ),
        ("while True: print('y' * 999)", "wrong", "test 1 reached the limit of output"),
        ("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass", "timeout", "wall_time"),
        ("import socket\nsocket.create_connection(('127.0.0.1', 1))", "wrong", "exited with status 1"),
        ("open('/etc/escaped', 'w')", "wrong", "exited with status 1"),
    ];
    let mut lines: Vec<Value> = programs.iter().map(|(program, ..)| line(program)).collect();
    lines.push(json!({"gold": "4", "prediction": "\\boxed{4}"}));
    let (exit, graded, said) = grade(&lines);
    assert_eq!((exit, graded.len()), (Some(0), lines.len()), "{said}");
    for ((program, verdict, rule), graded) in programs.iter().zip(&graded) {
        assert_eq!(graded["verdict"], *verdict, "{program}: {graded}");
        assert!(graded["rule"].as_str().unwrap().contains(rule), "{program}: {graded}");
        assert_eq!(graded["verifier_version"], "code-1");
    }
    assert_eq!(graded.last().unwrap()["verdict"], "correct", "answers and programs share a file");
    assert!(said.contains("8 lines, 2 correct, 2 timeout, 4 wrong"), "{said}");
}

#[test]
fn a_daemon_starts_on_problems_that_ask_for_programs_and_refuses_tests_it_cannot_read() {
    if !can_confine() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut started = daemon(folder.path(), &json!([{"output": {"input": "3", "expected": "9"}}]));
    started.wait_for_line("control socket");
    started.kill();
    let (status, said) = daemon(folder.path(), &json!([])).finish();
    assert_eq!(status.code(), Some(4), "{said}");
    assert!(said.contains("line 1") && said.contains("at least one"), "{said}");
}

/// Not a test of its own: a process that may not make namespaces, as in many containers.
#[test]
fn stand_in_of_a_container() {
    let Ok(folder) = env::var(FORBIDDEN) else { return };
    let forbid = SeccompFilter::new(
        BTreeMap::from([(UNSHARE, Vec::new())]),
        SeccompAction::Allow,
        SeccompAction::Errno(1),
        env::consts::ARCH.try_into().unwrap(),
    )
    .unwrap();
    seccompiler::apply_filter(&BpfProgram::try_from(forbid).unwrap()).unwrap();
    assert!(!can_confine());
    let tests = json!([{"output": {"input": "3", "expected": "9"}}]);
    let (status, said) = daemon(Path::new(&folder), &tests).finish();
    println!("exit {:?}: {said}", status.code());
}

#[test]
fn where_programs_cannot_be_confined_the_daemon_refuses_and_names_the_feature() {
    let folder = tempfile::tempdir().unwrap();
    let result = Command::new(env::current_exe().unwrap())
        .args(["--exact", "stand_in_of_a_container", "--nocapture"])
        .env(FORBIDDEN, folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&result.stdout);
    assert!(result.status.success(), "{said}{}", String::from_utf8_lossy(&result.stderr));
    assert!(said.contains("exit Some(3): "), "{said}");
    assert!(
        said.contains("problem `squares` asks for a program, and programs cannot be confined here"),
        "{said}"
    );
    assert!(said.contains("namespace") && said.contains("Operation not permitted"), "{said}");
}

/// The number of the system call `unshare`.
#[cfg(target_arch = "x86_64")]
const UNSHARE: i64 = 272;
#[cfg(not(target_arch = "x86_64"))]
const UNSHARE: i64 = 97;
