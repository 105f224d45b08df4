//! Runs the programs themselves: a daemon on a data directory, the client beside it, the inspector after it.
//!
//! Nothing here waits for a time to pass: a line, an event or an end is waited for, and [`PATIENCE`] only says
//! when a test has found a hang.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    dead_code,
    missing_docs,
    unreachable_pub,
    unused_imports
)]

mod client;
mod lines;
mod model;
mod page;
mod proxy;

use std::{
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use serde_json::Value;

use self::lines::Lines;
pub use self::{
    client::{Watch, stillctl, stillctl_json, stillctl_refused},
    model::model,
    page::get,
    proxy::{Manner, Proxy},
};

/// Far more than anything here takes; a test that waits this long has found a hang.
pub const PATIENCE: Duration = Duration::from_mins(4);

/// The variable that names the minutes to wait where more than the programs themselves is waited for.
const PATIENCE_MINUTES: &str = "STILL_TEST_PATIENCE_MINUTES";

/// [`PATIENCE`], or what the environment asks for.
pub fn patience() -> Duration {
    let minutes = std::env::var(PATIENCE_MINUTES).ok().and_then(|text| text.parse().ok());
    minutes.map_or(PATIENCE, Duration::from_mins)
}

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

/// The program under test, deaf to the environment of whoever tests.
pub fn stilld() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stilld"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("STILL") {
            command.env_remove(name);
        }
    }
    command
}

/// `SMALL` with more settings on top.
pub fn small(more: &[&'static str]) -> Vec<&'static str> {
    [SMALL, more].concat()
}

/// A daemon that runs. Killed when it is dropped.
pub struct Daemon {
    child: Child,
    lines: Lines,
}

impl Daemon {
    /// Starts the quick start on `data_dir` with `settings` on top.
    pub fn start(data_dir: &Path, rounds: u32, settings: &[&str]) -> Self {
        Self::launch(Self::command(data_dir, rounds, settings))
    }

    /// What [`Daemon::start`] runs.
    pub fn command(data_dir: &Path, rounds: u32, settings: &[&str]) -> Command {
        let mut command = stilld();
        command.args(["run", "--config"]).arg("configs/quickstart.toml").arg("--data-dir").arg(data_dir);
        command.args(["--rounds", &rounds.to_string(), "--set", "http.listen=127.0.0.1:0"]);
        for setting in settings {
            command.args(["--set", setting]);
        }
        command
    }

    /// Starts a daemon by a command of its own.
    pub fn launch(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines =
            Lines::of(vec![Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())]);
        Self { child, lines }
    }

    /// Waits until a line holds `text`, and gives that line.
    pub fn wait_for_line(&mut self, text: &str) -> String {
        self.lines.wait_for(&format!("`{text}`"), |line| line.contains(text))
    }

    /// Waits until the daemon has reported where it can be reached: from then on the client finds it.
    pub fn wait_until_up(&mut self) {
        self.wait_for_line("control socket");
    }

    /// The address of the page, as the daemon tells it.
    pub fn page(&mut self) -> String {
        let line = self.wait_for_line("metrics page");
        let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next());
        address.expect("the line names an address").to_owned()
    }

    /// Reads lines for at most `patience`; true when the daemon closed its output, that is, ended.
    pub fn ends_within(&mut self, patience: Duration) -> bool {
        self.lines.end_within(patience)
    }

    /// Waits for the end by itself, and gives how it ended and all it printed.
    pub fn finish(mut self) -> (ExitStatus, String) {
        let patience = patience();
        assert!(self.ends_within(patience), "still running after {patience:?}: {:#?}", self.lines.seen());
        (self.child.wait().unwrap(), self.lines.seen().join("\n"))
    }

    /// Sends a signal by name: `TERM`, `INT`, `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Ends the daemon at once, as a power cut would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // it may have ended long ago
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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

/// The names of trajectories, each of which must be there once.
pub fn ids(trajectories: &[Value]) -> std::collections::BTreeSet<String> {
    let ids: std::collections::BTreeSet<_> =
        trajectories.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), trajectories.len(), "an attempt is in the pool twice");
    ids
}

fn inspect(data_dir: &Path, what: &str) -> Vec<u8> {
    let output = stilld().args(["inspect", what, "--json", "--data-dir"]).arg(data_dir).output().unwrap();
    assert!(output.status.success(), "inspect {what}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
