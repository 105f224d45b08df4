//! Honest programs run as they would outside, and failures to start are told apart from failures inside.

mod common;

use std::path::PathBuf;

use common::{output, python, run, sandbox, shell, tight};
use still_sandbox::{Finish, Limits, Program, SandboxError};

#[test]
fn python_reads_computes_and_prints() {
    let Some(sandbox) = sandbox() else { return };
    let program = python(
        "
import sys, json, math, collections, itertools, threading, subprocess
numbers = list(map(int, sys.stdin.read().split()))
thread = threading.Thread(target=lambda: print(sum(numbers)))
thread.start()
thread.join()
print(subprocess.run(['echo', 'child'], capture_output=True, text=True).stdout.strip())
print('zwölf')
exit(3)
",
    );
    let numbers = (0..100_000).map(|number| number.to_string()).collect::<Vec<_>>().join(" ");
    let execution = sandbox.execute(&program, numbers.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(output(&execution), "4999950000\nchild\nzwölf\n", "{execution:?}");
    assert_eq!(execution.finish, Finish::Exited(3));
}

#[test]
fn input_that_nobody_reads_stops_nobody() {
    let Some(sandbox) = sandbox() else { return };
    let input = vec![b'x'; 4 << 20];
    let execution = sandbox.execute(&shell("exec <&-; echo done"), &input, &tight()).unwrap();
    assert_eq!((execution.finish, output(&execution).as_str()), (Finish::Exited(0), "done\n"));
}

#[test]
fn input_and_output_larger_than_a_pipe_pass_each_other() {
    let Some(sandbox) = sandbox() else { return };
    let input: Vec<u8> = (0..600_000_u32).map(|number| b'a' + (number % 26) as u8).collect();
    let execution = sandbox.execute(&shell("cat"), &input, &tight()).unwrap();
    assert_eq!(execution.finish, Finish::Exited(0));
    assert!(execution.output == input, "{} of {} bytes", execution.output.len(), input.len());
}

#[test]
fn a_crash_is_told_apart_from_a_bad_status() {
    let Some(sandbox) = sandbox() else { return };
    let crash = run(sandbox, &python("import ctypes; ctypes.string_at(0)"), &tight());
    assert_eq!(crash.finish, Finish::Signalled(11));
    let raised = run(sandbox, &python("raise ValueError('no')"), &tight());
    assert_eq!(raised.finish, Finish::Exited(1));
    assert!(String::from_utf8_lossy(&raised.error).contains("ValueError: no"));
}

#[test]
fn what_cannot_be_started_is_an_error_and_not_a_result() {
    let Some(sandbox) = sandbox() else { return };
    let missing = Program::new(vec!["/usr/bin/no-such-program".into()], "x", "");
    let error = sandbox.execute(&missing, &[], &tight()).unwrap_err();
    assert!(matches!(error, SandboxError::Command { .. }), "{error}");
    let no_limits = Limits { processes: 0, ..tight() };
    assert!(matches!(sandbox.execute(&shell("true"), &[], &no_limits), Err(SandboxError::Limits(_))));
}

#[test]
fn what_is_listed_as_readable_can_be_read_and_not_written() {
    let Some(sandbox) = sandbox() else { return };
    // not below /tmp, which the jail's own scratch directory hides, wherever the checkout lies
    let folder = PathBuf::from(format!("/var/tmp/still-sandbox-readable-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("lib.rs"), "readable").unwrap();
    let list = format!("ls '{0}'; touch '{0}/escaped' || echo refused", folder.display());
    let program = Program { readable: vec![folder.clone()], ..shell(&list) };
    let text = output(&run(sandbox, &program, &tight()));
    let hidden = output(&run(sandbox, &shell(&list), &tight()));
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(text.contains("lib.rs") && text.ends_with("refused\n"), "{text}");
    assert_eq!(hidden, "refused\n");
}
