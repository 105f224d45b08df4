//! The client program against the daemon's real server, with a fake daemon behind it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "../../operator/tests/fake/mod.rs"]
mod fake;

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use fake::{KINDS, Served, every_event, kind};
use serde_json::Value;
use still_control::{Event, Exit, SOCKET_NAME};
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
        (&["servers", "add", "http://node-2:8000"], "add http://node-2:8000"),
        (&["servers", "add", "http://node-2:8000", "--kind", "sglang"], "add http://node-2:8000 sglang"),
        (&["servers", "remove", "http://node-2:8000"], "remove http://node-2:8000 false"),
        (&["servers", "remove", "http://node-2:8000", "--now"], "remove http://node-2:8000 true"),
        (&["fault", "kill", "sampler"], "kill sampler"),
    ] {
        assert_eq!(daemon.text(words).await.trim(), asked, "{words:?}");
        assert_eq!(daemon.served.plane.asked.lock().unwrap().last().unwrap().trim(), asked);
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
    assert_eq!(shown["decisions"][0]["decision"], "joins the set");
    assert!(daemon.text(&["pool", "show", "b#2#5"]).await.contains("joins the set"));
    let exported = daemon.text(&["pool", "export", "--verdict", "wrong"]).await;
    let lines: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[0]["trajectory"]["id"]), (1, &"a#0".into()));
    let revived = daemon.text(&["problems", "revive", "b#2", "c", "--attempts", "8"]).await;
    assert!(revived.contains("b#2 and c for 8 attempts"), "{revived}");
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

/// `stillctl watch` until the last event of the fake has come, then the daemon ends; how the client ended, and its lines.
async fn watched(more: &[&str]) -> (bool, Vec<String>) {
    let daemon = Daemon::start().await;
    let mut child = program()
        .args(["watch", "--data-dir"])
        .arg(daemon.folder.path())
        .args(more)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let read = tokio::task::spawn_blocking(move || {
        let mut seen = Vec::new();
        for line in lines.by_ref() {
            let line = line.unwrap();
            let is_last = line.ends_with("drained") || line.contains("\"finished\"");
            seen.push(line);
            if is_last {
                break;
            }
        }
        (seen, lines)
    });
    let (seen, lines) = read.await.unwrap();
    daemon.served.end().await;
    let (rest, status) =
        tokio::task::spawn_blocking(move || (lines.count(), child.wait().unwrap())).await.unwrap();
    assert_eq!(rest, 0, "the stream ends when the daemon does");
    (status.success(), seen)
}

#[tokio::test]
async fn watch_tells_every_kind_of_event_and_progress_in_twenty_lines_a_phase() {
    let (is_success, lines) = watched(&[]).await;
    assert!(is_success, "{lines:?}");
    let about = |part: &str| lines.iter().filter(|line| line.contains(part)).count();
    assert_eq!((about("explored"), about("trained"), about("evaluated")), (20, 20, 20), "{lines:#?}");
    for part in [
        "sealed 44",
        "checkpoint at step 40",
        "by level 5: 30.0 / 6: 20.0",
        "unplugged",
        "25 % of it done",
        "drained",
    ] {
        assert!(about(part) > 0, "`{part}` is missing in {lines:#?}");
    }
    assert!(lines.iter().all(|line| line.get(8..9) == Some("Z")), "every line has its time: {lines:#?}");
    let (_, every) = watched(&["--every"]).await;
    assert_eq!(every.len(), every_event().len());
}

#[tokio::test]
async fn watch_decodes_every_kind_of_event_for_programs() {
    let (is_success, lines) = watched(&["--json"]).await;
    assert!(is_success);
    let events: Vec<Event> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events, every_event());
    let kinds: BTreeSet<&str> = events.iter().map(kind).collect();
    assert_eq!(kinds.len(), KINDS, "an event of every kind is told: {kinds:?}");
}

#[tokio::test]
async fn errors_are_json_for_programs() {
    let daemon = Daemon::start().await;
    for (words, exit, kind, part) in [
        (&["pool", "show", "a#1", "--json"][..], Exit::Refused, "not_found", "a#1"),
        (&["problems", "import", "/nowhere.jsonl", "--json"], Exit::BadInput, "bad_input", "/nowhere.jsonl"),
        (
            &["status", "--json", "--socket", "/nowhere.sock"],
            Exit::Unreachable,
            "unreachable",
            "/nowhere.sock",
        ),
    ] {
        let told: Value = serde_json::from_str(&daemon.refused(words, exit).await).unwrap();
        assert_eq!(told["error"]["kind"], kind, "{told}");
        assert!(told["error"]["message"].as_str().unwrap().contains(part), "{told}");
    }
    daemon.served.end().await;
}

#[tokio::test]
async fn what_was_imported_can_be_looked_at() {
    let daemon = Daemon::start().await;
    let line = "{\"question\": \"The capital?\", \"choices\": [\"Rome\", \"Paris\"], \"answer\": \"B\", \"id\": \"q\", \"level\": \"hard\"}\n\
                {\"problem\": \"Show that.\", \"answer\": \"proof\"}\n";
    let file = daemon.file("choices.jsonl", line);
    let told = daemon.text(&["problems", "import", file.to_str().unwrap()]).await;
    for part in
        ["1 imported", "1 multiple_choice", "1 left out that have no answer", "line 2", "`level` is \"hard\""]
    {
        assert!(told.contains(part), "`{part}` is missing in: {told}");
    }
    let list = daemon.text(&["problems", "list"]).await;
    assert!(list.contains("multiple_choice") && list.contains("1 of 4"), "{list}");
    let shown = daemon.text(&["problems", "show", "q"]).await;
    assert!(shown.contains("A. Rome\nB. Paris"), "{shown}");
    let message = daemon.refused(&["problems", "show", "nobody"], Exit::Refused).await;
    assert!(message.contains("problems list"), "{message}");

    let line = "{\"id\": \"d\", \"problem\": \"1+1\", \"thought\": \"one and one\", \"solution\": \"2\"}\n";
    let file = daemon.file("shown.jsonl", line);
    daemon.text(&["demonstrations", "import", file.to_str().unwrap()]).await;
    assert!(daemon.text(&["demonstrations", "list"]).await.contains("1 of 1"));
    let shown = daemon.text(&["demonstrations", "show", "d"]).await;
    assert!(shown.contains("one and one") && shown.contains("shown.jsonl"), "{shown}");
    assert!(daemon.text(&["rounds"]).await.contains("50.0 % (45.0 to 55.0)"));
    assert!(daemon.text(&["sets"]).await.contains("set-7"));
    daemon.served.end().await;
}

#[tokio::test]
async fn tables_fit_the_terminal() {
    let daemon = Daemon::start().await;
    let path = daemon.folder.path().to_owned();
    for words in [&["status"][..], &["pool", "list"], &["rounds"], &["policies", "list"]] {
        let (path, words) = (path.clone(), words.to_vec());
        let run =
            move || program().env("COLUMNS", "80").arg("--data-dir").arg(path).args(words).output().unwrap();
        let text = String::from_utf8(tokio::task::spawn_blocking(run).await.unwrap().stdout).unwrap();
        assert!(text.lines().count() > 1, "{text}");
        for line in text.lines() {
            assert!(line.chars().count() <= 80 && line.trim_end() == line, "{line:?} in\n{text}");
        }
    }
    daemon.served.end().await;
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
    assert!(quickest < Duration::from_millis(500), "stillctl takes {quickest:?} to start");
}

#[tokio::test]
async fn servers_are_listed_with_their_load_and_why_one_is_left_out() {
    let daemon = Daemon::start().await;
    let text = daemon.text(&["servers", "list"]).await;
    for part in [
        "http://node-1:8000",
        "vllm 0.32.0 bf16",
        "left_out",
        "25 %",
        "connection refused",
        "restarting in 4 s",
        "http://127.0.0.1:4321: exit status: 3",
    ] {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
    assert_eq!(daemon.json(&["servers", "list"]).await[0]["running"], 12);
    daemon.served.end().await;
}
