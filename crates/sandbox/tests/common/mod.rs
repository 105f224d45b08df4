//! What the tests of the sandbox share.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::{
    fs,
    sync::atomic::{AtomicU32, Ordering},
};

use still_sandbox::{Execution, Limits, Program, Python, Sandbox};

/// A sandbox, or, where the kernel lacks something, the proof that it says what and what helps. Where another
/// program gets namespaces of its own, nothing is lacking.
pub(crate) fn sandbox() -> Option<Sandbox> {
    match Sandbox::detect() {
        Ok(sandbox) => Some(sandbox),
        Err(missing) => {
            let text = missing.to_string();
            assert!(text.starts_with("programs cannot be confined here: "), "{text}");
            assert!(!missing.feature.is_empty() && !missing.remedy.is_empty());
            let arguments =
                ["--user", "--map-root-user", "--mount", "--net", "--pid", "--ipc", "--fork", "true"];
            let others = std::process::Command::new("unshare").args(arguments).status();
            assert!(
                !others.is_ok_and(|status| status.success()),
                "`unshare` can, the sandbox cannot: {text}"
            );
            None
        }
    }
}

/// Limits under which a test that runs into them is over soon; but time by the clock on the wall, which a busy
/// machine takes from honest programs, is short only where it is what a test is about.
pub(crate) fn tight() -> Limits {
    Limits { wall_milliseconds: 60_000, cpu_seconds: 5, memory_bytes: 256 << 20, ..Limits::default() }
}

/// A shell script.
pub(crate) fn shell(source: &str) -> Program {
    Program::new(vec!["sh".into(), "{source}".into()], "main.sh", source)
}

/// A Python program. Every machine that builds this has some Python on its path.
pub(crate) fn python(source: &str) -> Program {
    Program::python(&Python::find().expect("python3 on PATH"), source)
}

/// Runs a program without input.
pub(crate) fn run(sandbox: Sandbox, program: &Program, limits: &Limits) -> Execution {
    sandbox.execute(program, &[], limits).expect("the jail that detect built is built again")
}

/// Standard output as text.
pub(crate) fn output(execution: &Execution) -> String {
    String::from_utf8_lossy(&execution.output).into_owned()
}

/// Gives a program an argument by which its processes are found on the host.
pub(crate) fn marked(mut program: Program) -> (Program, String) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let marker = format!("marker-{}-{}-", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    program.command.push(marker.clone());
    (program, marker)
}

/// The host's processes with a marker among their arguments.
pub(crate) fn processes_with(marker: &str) -> Vec<u32> {
    let ids = fs::read_dir("/proc").unwrap().flatten();
    let ids = ids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|id| {
        let arguments = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&arguments).contains(marker)
    })
    .filter(|id| *id != std::process::id())
    .collect()
}
