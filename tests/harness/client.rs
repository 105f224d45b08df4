//! The client program, beside a daemon that runs.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
};

use serde_json::Value;

use super::{lines::Lines, patience};

/// The client, built beside the daemon by `cargo test --workspace`.
fn program() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_stilld")).with_file_name("stillctl");
    assert!(program.exists(), "{} is missing: run the tests with --workspace", program.display());
    program
}

fn command(data_dir: &Path) -> Command {
    let mut command = Command::new(program());
    command.env_remove("STILL_DATA_DIR").env_remove("STILL_SOCKET").arg("--data-dir").arg(data_dir);
    command
}

/// Runs the client to its end.
pub fn stillctl(data_dir: &Path, arguments: &[&str]) -> Output {
    command(data_dir).args(arguments).output().unwrap()
}

/// What the client prints as JSON.
pub fn stillctl_json(data_dir: &Path, arguments: &[&str]) -> Value {
    let output = stillctl(data_dir, &[&["--json"], arguments].concat());
    assert!(
        output.status.success(),
        "stillctl {arguments:?} ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("stillctl --json prints JSON")
}

/// What the client says to a command that comes to nothing with this exit code.
pub fn stillctl_refused(data_dir: &Path, arguments: &[&str], code: i32) -> String {
    let output = stillctl(data_dir, arguments);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "stillctl {arguments:?}: {message}");
    assert!(output.stdout.is_empty(), "stillctl {arguments:?} answers and fails");
    message
}

/// `stillctl watch --json`: what happens in a daemon, as it happens. Ended when it is dropped.
pub struct Watch {
    child: Child,
    lines: Lines,
}

impl Watch {
    /// Watches; nothing that happens after this returns is missed.
    pub fn start(data_dir: &Path) -> Self {
        let mut child = command(data_dir).args(["--json", "watch"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = Lines::of(vec![Box::new(child.stdout.take().unwrap())]);
        // the first one tells how things stand, and that the daemon has taken the watcher in
        lines.wait_for("event", |_| true);
        Self { child, lines }
    }

    /// Waits for an event of this name that meets `is_it`, and gives it.
    pub fn wait_for(&mut self, name: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let line = self.lines.wait_for(&format!("event `{name}`"), |line| {
            let event = parse(line);
            event["event"] == name && is_it(&event)
        });
        parse(&line)
    }

    /// Waits for the end of the stream; gives how the client ended, and every event that it reported.
    pub fn finish(mut self) -> (ExitStatus, Vec<Value>) {
        let patience = patience();
        assert!(self.lines.end_within(patience), "watching after {patience:?}: {:#?}", self.lines.seen());
        let events = self.lines.seen().iter().map(|line| parse(line)).collect();
        (self.child.wait().unwrap(), events)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // it may have ended with the daemon
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn parse(line: &str) -> Value {
    serde_json::from_str(line).expect("an event a line, as JSON")
}
