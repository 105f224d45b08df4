//! Runs the programs themselves: a daemon on a data directory, the client beside it, the inspector after it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code, missing_docs, unreachable_pub)]

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// Far more than anything here takes; a test that waits this long has found a hang.
pub const PATIENCE: Duration = Duration::from_mins(4);

/// Settings that shrink the quick start to seconds; accuracy is not the point where they are used.
pub const SMALL: &[&str] = &[
    "training.imitation.steps=60",
    "training.improvement.steps=20",
    "checkpoints.every_steps=10",
    "round.problems=24",
    "task.quickstart.problems=400",
    "task.quickstart.held_out_per_level=10",
    "exploration.attempts_per_visit=2",
];

/// The program under test.
pub fn stilld() -> Command {
    Command::new(env!("CARGO_BIN_EXE_stilld"))
}

/// The client, built beside the daemon by `cargo test --workspace`.
pub fn stillctl(data_dir: &Path, arguments: &[&str]) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_stilld")).with_file_name("stillctl");
    assert!(program.exists(), "{} is missing: run the tests with --workspace", program.display());
    Command::new(program).arg("--data-dir").arg(data_dir).args(arguments).output().unwrap()
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

/// A daemon that runs.
pub struct Daemon {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Daemon {
    /// Starts the quick start on `data_dir` with `settings` on top.
    pub fn start(data_dir: &Path, rounds: u32, settings: &[&str]) -> Self {
        let mut command = stilld();
        command.args(["run", "--config"]).arg(quickstart_config()).arg("--data-dir").arg(data_dir);
        command.args(["--rounds", &rounds.to_string(), "--set", "http.listen=127.0.0.1:0"]);
        for setting in settings {
            command.args(["--set", setting]);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let streams: [Box<dyn std::io::Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for stream in streams {
            let sender = sender.clone();
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        Self { child, lines, seen: Vec::new() }
    }

    /// Waits until a line holds `text`, and gives that line.
    pub fn wait_for_line(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    panic!("no line with `{text}` in {PATIENCE:?}: {:#?}", self.seen)
                }
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("ended without a line with `{text}`: {:#?}", self.seen)
                }
            }
        }
    }

    /// Reads lines for at most `patience`; true when the daemon closed its output, that is, ended.
    pub fn ends_within(&mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Timeout) => return false,
                Err(RecvTimeoutError::Disconnected) => return true,
            }
        }
    }

    /// Waits for the end by itself, and gives how it ended and all it printed.
    pub fn finish(mut self) -> (ExitStatus, String) {
        assert!(self.ends_within(PATIENCE), "still running after {PATIENCE:?}: {:#?}", self.seen);
        (self.child.wait().unwrap(), self.seen.join("\n"))
    }

    /// Sends a signal by name, `TERM` or `KILL`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Ends the daemon at once, as a power cut would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The configuration of the quick start.
pub fn quickstart_config() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/quickstart.toml")
}

/// The rounds of a stopped daemon's store.
pub fn rounds(data_dir: &Path) -> Vec<Value> {
    serde_json::from_slice(&inspect(data_dir, "rounds")).expect("inspect rounds prints an array")
}

/// The trajectories of a stopped daemon's store.
pub fn pool(data_dir: &Path) -> Vec<Value> {
    let text = String::from_utf8(inspect(data_dir, "pool")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect()
}

fn inspect(data_dir: &Path, what: &str) -> Vec<u8> {
    let output = stilld().args(["inspect", what, "--json", "--data-dir"]).arg(data_dir).output().unwrap();
    assert!(output.status.success(), "inspect {what}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
