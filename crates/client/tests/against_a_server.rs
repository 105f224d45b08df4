//! The client program against the daemon's real server, with a fake daemon behind it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "../../operator/tests/fake/mod.rs"]
mod fake;

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use fake::Served;
use serde_json::Value;
use still_control::{Exit, SOCKET_NAME};
use tempfile::TempDir;

/// A served socket in a data directory of its own.
struct Daemon {
    folder: TempDir,
    served: Served,
}

impl Daemon {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let served = Served::start(&folder.path().join(SOCKET_NAME)).await.unwrap();
        Self { folder, served }
    }

    async fn ask(&self, words: &[&str]) -> Output {
        let (path, words) = (self.folder.path().to_owned(), words.iter().map(ToString::to_string).collect());
        tokio::task::spawn_blocking(move || stillctl(&path, words)).await.unwrap()
    }

    async fn text(&self, words: &[&str]) -> String {
        let output = self.ask(words).await;
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    async fn json(&self, words: &[&str]) -> Value {
        serde_json::from_str(&self.text(&[words, &["--json"]].concat()).await).unwrap()
    }

    async fn refused(&self, words: &[&str], exit: Exit) -> String {
        let output = self.ask(words).await;
        assert_eq!(output.status.code(), Some(i32::from(exit.code())), "{words:?}");
        assert!(output.stdout.is_empty(), "{words:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

fn stillctl(data_dir: &Path, words: Vec<String>) -> Output {
    program().arg("--data-dir").arg(data_dir).args(words).output().unwrap()
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stillctl"));
    command.env_remove("STILL_DATA_DIR").env_remove("STILL_SOCKET");
    command
}

#[tokio::test]
async fn status_is_a_table_for_people_and_json_for_programs() {
    let daemon = Daemon::start().await;
    let text = daemon.text(&["status"]).await;
    for part in
        ["2, exploring, ends after 5", "12 of 900", "sampler", "running", "accuracy 50.0 % (45.0 to 55.0)"]
    {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
    for part in ["sampler-0", "left_out"] {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
    let why = daemon.text(&["status", "--why"]).await;
    for part in ["sampler-0", "left out: unplugged", "1 min 01 s"] {
        assert!(why.contains(part), "{part} is missing: {why}");
    }
    let json = daemon.json(&["status"]).await;
    assert_eq!((&json["phase"], &json["actors"][0]["in_flight"]), (&"exploring".into(), &128.into()));
    daemon.served.end().await;
}

#[tokio::test]
async fn every_order_reaches_the_daemon_with_its_argument() {
    let daemon = Daemon::start().await;
    for (words, asked) in [
        (&["pause"][..], "pause None"),
        (&["pause", "explore"], "pause Some(Explore)"),
        (&["resume", "train"], "resume Some(Train)"),
        (&["drain"], "drain"),
        (&["stop"], "stop"),
        (&["checkpoint"], "checkpoint"),
        (&["seal"], "seal"),
        (&["policies", "promote", "2"], "promote 2"),
        (&["policies", "rollback"], "rollback"),
        (&["fault", "kill", "sampler"], "kill sampler"),
    ] {
        assert_eq!(daemon.text(words).await.trim(), asked, "{words:?}");
        assert_eq!(daemon.served.plane.asked.lock().unwrap().last().unwrap(), asked);
    }
    assert_eq!(daemon.json(&["seal"]).await["message"], "seal");
    daemon.served.end().await;
}

#[tokio::test]
async fn a_refusal_keeps_its_message_and_its_exit_code() {
    let daemon = Daemon::start().await;
    let message = daemon.refused(&["policies", "promote", "7"], Exit::Refused).await;
    assert_eq!(message, "stillctl: no policy has version 7\n");
    let message = daemon.refused(&["pool", "show", "a#1"], Exit::Refused).await;
    assert!(message.contains("holds no trajectory `a#1`"), "{message}");
    daemon.served.plane.is_draining.store(true, Ordering::Relaxed);
    daemon.refused(&["seal"], Exit::Refused).await;
    daemon.refused(&["explode"], Exit::Usage).await;
    daemon.served.end().await;
}

#[tokio::test]
async fn the_pool_is_listed_filtered_shown_and_exported() {
    let daemon = Daemon::start().await;
    assert_eq!(daemon.json(&["pool", "list"]).await.as_array().unwrap().len(), 3);
    let correct = daemon.json(&["pool", "list", "--verdict", "correct", "--problem", "b#2"]).await;
    assert_eq!((&correct[0]["id"], &correct[0]["verdict"]), (&"b#2#0".into(), &"correct".into()));
    let shown = daemon.json(&["pool", "show", "b#2#5"]).await;
    assert_eq!(shown["trajectory"]["tokens"], serde_json::json!([1, 2, 3]));
    let exported = daemon.text(&["pool", "export", "--verdict", "wrong"]).await;
    let lines: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[0]["trajectory"]["id"]), (1, &"a#0".into()));
    assert!(daemon.text(&["pool", "list"]).await.contains("b#2#0"));
    let message = daemon.ask(&["pool", "export", "--policy", "99"]).await;
    assert_eq!(
        message.status.code(),
        Some(i32::from(Exit::Store.code())),
        "an error in the middle of the stream"
    );
    daemon.served.end().await;
}

#[tokio::test]
async fn good_lines_are_kept_or_nothing_is_imported_as_the_flag_says() {
    let daemon = Daemon::start().await;
    let file = daemon.file(
        "mixed.jsonl",
        "{\"problem\": \"1+1\", \"answer\": \"2\", \"level\": 1}\n{\"problem\": \"2+2\"}\nnonsense\n{\"question\": \"3+3\", \"answer\": \"so #### 6\"}\n",
    );
    let file = file.to_str().unwrap();
    let message = daemon.refused(&["problems", "import", file], Exit::BadInput).await;
    for part in ["mixed.jsonl", "2 broken of 4 lines", "line 2, field `answer`", "--on-error skip"] {
        assert!(message.contains(part), "`{part}` is missing in: {message}");
    }
    assert!(daemon.served.plane.problems.lock().unwrap().is_empty(), "nothing was imported");

    let report =
        daemon.json(&["problems", "import", file, "--on-error", "skip", "--split", "evaluate"]).await;
    assert_eq!(
        (&report["imported"], &report["broken_count"], &report["broken"][1]["line"]),
        (&2.into(), &2.into(), &3.into())
    );
    let again = daemon.json(&["problems", "import", file, "--on-error", "skip", "--split", "evaluate"]).await;
    assert_eq!((&again["imported"], &again["known"]), (&0.into(), &2.into()));
    let list = daemon.json(&["problems", "list", "--split", "evaluate", "--level", "1"]).await;
    assert_eq!((&list["total"], &list["problems"][0]["gold"]), (&1.into(), &"2".into()));
    assert!(daemon.text(&["problems", "list"]).await.contains("3+3"));

    let missing = daemon.refused(&["problems", "import", "/nowhere.jsonl"], Exit::BadInput).await;
    assert!(missing.contains("/nowhere.jsonl"), "{missing}");
    daemon.served.end().await;
}

#[tokio::test]
async fn demonstrations_of_many_megabytes_are_imported() {
    let daemon = Daemon::start().await;
    let thought = "carry the one; ".repeat(10_000);
    let lines: Vec<String> = (0..60)
        .map(|number| {
            let solution = "\\boxed{1}";
            serde_json::json!({"problem": number.to_string(), "thought": thought, "solution": solution})
                .to_string()
        })
        .collect();
    let lines = lines.join("\n");
    let file = daemon.file("long.jsonl", &lines);
    let report = daemon.json(&["demonstrations", "import", file.to_str().unwrap()]).await;
    assert_eq!(report["imported"], 60);
    assert_eq!(daemon.served.plane.demonstrations.lock().unwrap()[59].source, "long.jsonl");
    daemon.served.end().await;
}

#[tokio::test]
async fn watch_tells_events_as_they_come_and_ends_with_the_daemon() {
    let daemon = Daemon::start().await;
    let mut child = program()
        .args(["watch", "--json", "--data-dir"])
        .arg(daemon.folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let read = tokio::task::spawn_blocking(move || {
        let first: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        let second: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        (first, second, lines)
    });
    let (first, second, lines) = read.await.unwrap();
    assert_eq!((&first["event"], &first["phase"]), (&"phase".into(), &"training".into()));
    assert_eq!((&second["event"], &second["pool"]), (&"round_ended".into(), &100.into()));
    daemon.served.end().await;
    let (rest, status) =
        tokio::task::spawn_blocking(move || (lines.count(), child.wait().unwrap())).await.unwrap();
    assert_eq!((rest, status.success()), (0, true), "the stream ends when the daemon does");
}

#[test]
fn without_a_daemon_the_message_names_the_socket_and_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let output = stillctl(folder.path(), vec!["status".to_owned()]);
    assert_eq!(output.status.code(), Some(i32::from(Exit::Unreachable.code())));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("stilld.sock") && message.contains("--data-dir"), "{message}");
}

#[test]
fn the_data_directory_may_come_from_the_environment_and_completions_need_no_daemon() {
    let output = program().env("STILL_DATA_DIR", "/nowhere/else").arg("status").output().unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().contains("/nowhere/else/stilld.sock"));
    for shell in ["bash", "zsh", "fish"] {
        let output = program().args(["completions", shell]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains("stillctl"), "{shell}");
    }
}

#[test]
fn the_program_starts_in_a_fraction_of_its_budget() {
    let quickest = (0..10)
        .map(|_| {
            let begun = Instant::now();
            assert!(program().arg("--version").output().unwrap().status.success());
            begun.elapsed()
        })
        .min()
        .unwrap();
    assert!(quickest < Duration::from_millis(20), "stillctl takes {quickest:?} to start");
}
