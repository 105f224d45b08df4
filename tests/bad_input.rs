//! Whatever is wrong is reported on standard error, with the place and the remedy, under the documented exit code;
//! and what was durable before is there afterwards.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod harness;

use std::{fs, net::TcpListener, os::unix::net::UnixStream, path::Path, process::Command};

use harness::{Daemon, Watch, ids, pool, rounds, small, stillctl, stillctl_json, stillctl_refused, stilld};
use serde_json::Value;

/// The largest file that the daemon of the full disk may write, in units of 512 bytes: room for checkpoints of
/// the embedded model, not for the pool of a minute.
const FULL_AT_BLOCKS: u32 = 10_240;

/// What a daemon that cannot start says on standard error, under this exit code.
fn refused(mut command: Command, code: i32) -> String {
    let output = command.output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{command:?}: {message}");
    assert!(!message.contains("panicked"), "{message}");
    message
}

fn holds(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "`{part}` is missing in: {message}");
    }
}

#[test]
fn a_configuration_that_cannot_be_used_is_told_by_line_and_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("my.toml");
    for (text, parts) in [
        (
            "[run]\nseed = 1\n\n[round]\nproblem = 3\n",
            &["my.toml:5", "`round.problem`", "did you mean `round.problems`?"][..],
        ),
        ("[round]\nproblems = \n", &["my.toml:2:"]),
        ("[round]\nproblems = \"many\"\n", &["my.toml:2", "`round.problems`"]),
        ("[exploration]\nin_flight_attempts = 0\n", &["my.toml:2", "`exploration.in_flight_attempts`"]),
        ("[checkpoints]\nkeep_last = 0\n", &["my.toml:2", "at least 1"]),
        ("round = 3\n", &["my.toml:1", "is a section"]),
    ] {
        fs::write(&file, text).unwrap();
        let mut run = stilld();
        run.args(["run", "--config"]).arg(&file).arg("--data-dir").arg(folder.path().join("data"));
        let message = refused(run, 3);
        assert!(message.starts_with("stilld: "), "{message}");
        holds(&message, parts);
        let mut check = stilld();
        check.args(["config", "check"]).arg(&file);
        assert_eq!(refused(check, 3), message, "`config check` says what `run` says");
    }
    assert!(!folder.path().join("data").exists(), "nothing was made");
}

#[test]
fn a_setting_or_a_command_that_means_nothing_is_refused_in_its_own_words() {
    let folder = tempfile::tempdir().unwrap();
    let with = |words: &[&str]| {
        let mut command = stilld();
        command.args(words).arg("--data-dir").arg(folder.path().join("data"));
        command
    };
    for (assignment, parts) in [
        ("nonsense", &["--set nonsense", "section.key=value"][..]),
        ("round.problems=many", &["`round.problems`", "--set round.problems=many"]),
        ("rund.problems=3", &["`rund.problems`", "did you mean `round.problems`?"]),
        ("round=3", &["`round`", "is a section"]),
        ("device.learners=[\"gpu\"]", &["`gpu` is no device", "cuda:0"]),
    ] {
        holds(&refused(with(&["run", "--set", assignment]), 3), parts);
    }
    let missing = refused(with(&["run", "--config", "/nowhere/my.toml"]), 3);
    holds(&missing, &["/nowhere/my.toml", "cannot be read"]);
    holds(&refused(with(&["explode"]), 2), &["explode", "--help"]);
    holds(&refused(with(&["run", "--round", "3"]), 2), &["--round", "--rounds"]);
    let mut eval = stilld();
    eval.args(["eval", "--model", "embedded", "--problems", "/nowhere/p.jsonl", "--samples", "4"]);
    holds(&refused(eval, 2), &["--temperature 0", "above 0"]);
    let mut generate = stilld();
    generate.args(["generate", "--model", "embedded", "--prompt", "2*3=", "--temperature", "-1"]);
    holds(&refused(generate, 2), &["temperature", "0 (greedy) or more"]);
    let mut generate = stilld();
    generate.args(["generate", "--model", "embedded", "--prompt", "2*3=", "--precision", "f16"]);
    holds(&refused(generate, 2), &["--precision", "write f32 or bf16"]);
    holds(&refused(with(&["inspect", "rounds"]), 5), &["holds no store", "--data-dir"]);
    assert!(!folder.path().join("data").exists(), "nothing was made");
}

#[test]
fn a_device_that_is_not_there_is_told_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    for key in ["device.learners=[\"cuda:0\"]", "device.samplers=[\"cuda:0\"]", "device.evaluator=cuda:0"] {
        let message = refused(Daemon::command(folder.path(), 1, &small(&[key])), 7);
        holds(&message, &["cuda:0"]);
    }
    let mut generate = stilld();
    generate.args(["generate", "--model", "embedded", "--prompt", "2*3=", "--device", "cuda:0"]);
    holds(&refused(generate, 7), &["cuda:0", "cpu"]);
    let model = format!("model.source={}", folder.path().join("no-model").display());
    holds(&refused(Daemon::command(folder.path(), 1, &[&model]), 4), &["no-model"]);
}

#[test]
fn a_broken_line_is_told_with_its_field_and_remedy_and_the_good_ones_are_kept_only_when_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let file = folder.path().join("mixed.jsonl");
    fs::write(
        &file,
        "{\"problem\": \"6*7=\", \"answer\": \"42\", \"level\": 9}\n{\"problem\": \"6*8=\"}\nnonsense\n",
    )
    .unwrap();
    let file = file.to_str().unwrap();

    let shown = folder.path().join("shown.jsonl");
    fs::write(&shown, "{\"problem\": \"6*7=\", \"thought\": \"6*7=42;\", \"solution\": \"42\"}\n").unwrap();
    let settings = [
        "task.source=files".to_owned(),
        format!("task.files.demonstrations=[{shown:?}]"),
        format!("task.files.problems=[{file:?}]"),
        format!("task.files.evaluation=[{file:?}]"),
    ];
    let message = refused(Daemon::command(&data, 1, &settings.each_ref().map(String::as_str)), 4);
    holds(&message, &["mixed.jsonl", "2 broken lines", "line 2, field `answer`"]);

    let mut daemon = Daemon::start(&data, 1, &small(&["training.imitation.steps=1000000"]));
    daemon.wait_until_up();
    let message = stillctl_refused(&data, &["problems", "import", file], 4);
    holds(
        &message,
        &["2 broken of 3 lines, nothing was imported", "line 2, field `answer`", "--on-error skip"],
    );
    let listed = || stillctl_json(&data, &["problems", "list", "--level", "9"])["total"].clone();
    assert_eq!(listed(), 0);
    let report = stillctl_json(&data, &["problems", "import", file, "--on-error", "skip"]);
    assert_eq!((&report["imported"], &report["broken_count"]), (&1.into(), &2.into()));
    assert_eq!((&report["broken"][0]["line"], &report["broken"][0]["field"]), (&2.into(), &"answer".into()));
    assert!(!report["broken"][0]["remedy"].as_str().unwrap().is_empty());
    assert_eq!(listed(), 1);
    let message = stillctl_refused(&data, &["demonstrations", "import", "/nowhere.jsonl"], 4);
    holds(&message, &["/nowhere.jsonl", "cannot be read"]);
    assert!(stillctl(&data, &["stop"]).status.success());
    assert!(daemon.finish().0.success());
}

#[test]
fn a_data_directory_in_use_is_left_to_its_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let settings = small(&["training.imitation.steps=1000000"]);
    let mut daemon = Daemon::start(folder.path(), 1, &settings);
    daemon.wait_until_up();
    let message = refused(Daemon::command(folder.path(), 1, &settings), 5);
    holds(&message, &["is in use", &format!("process {}", daemon.id()), "--data-dir"]);
    let mut inspect = stilld();
    inspect.args(["inspect", "rounds", "--data-dir"]).arg(folder.path());
    holds(&refused(inspect, 5), &["is in use"]);
    assert_eq!(stillctl_json(folder.path(), &["status"])["pid"], daemon.id());
    assert!(stillctl(folder.path(), &["stop"]).status.success());
    assert!(daemon.finish().0.success());
}

#[test]
fn a_port_in_use_is_named_with_the_key_that_chooses_another() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let message = refused(Daemon::command(folder.path(), 1, &[&format!("http.listen={address}")]), 6);
    holds(&message, &[&address, "is in use", "http.listen"]);
    assert!(!folder.path().join("stilld.sock").exists(), "the socket goes with the daemon");
    let message = refused(Daemon::command(folder.path(), 1, &["http.listen=somewhere"]), 3);
    holds(&message, &["`http.listen`"]);
}

#[test]
fn what_a_crash_left_behind_stops_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let settings = small(&["training.imitation.steps=1000000"]);
    let mut daemon = Daemon::start(folder.path(), 1, &settings);
    daemon.wait_until_up();
    assert!(stillctl(folder.path(), &["status"]).status.success());
    daemon.kill();
    let socket = folder.path().join("stilld.sock");
    assert!(socket.exists() && UnixStream::connect(&socket).is_err(), "nobody answers on what is left");
    stillctl_refused(folder.path(), &["status"], 9);

    let mut daemon = Daemon::start(folder.path(), 1, &settings);
    daemon.wait_until_up();
    assert_eq!(stillctl_json(folder.path(), &["status"])["pid"], daemon.id());
    assert!(stillctl(folder.path(), &["stop"]).status.success());
    assert!(daemon.finish().0.success());

    fs::write(&socket, "precious").unwrap();
    let message = refused(Daemon::command(folder.path(), 1, &settings), 5);
    holds(&message, &["stilld.sock", "is no socket"]);
    assert_eq!(fs::read_to_string(&socket).unwrap(), "precious");
}

/// The command of a daemon whose files may not grow beyond a limit, which stands for a disk that is full.
fn on_a_small_disk(data: &Path, blocks: u32, settings: &[&str]) -> Command {
    let daemon = Daemon::command(data, 0, settings);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"")]);
    command.arg(daemon.get_program()).args(daemon.get_args());
    for (name, value) in daemon.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

#[test]
fn a_full_disk_ends_the_daemon_and_loses_nothing_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let settings = small(&[
        "round.problems=1000000",
        "exploration.attempts_per_problem=100000",
        "exploration.attempts_per_policy=100000",
        "exploration.stop_after_correct=100000",
    ]);
    let mut daemon = Daemon::launch(on_a_small_disk(data, FULL_AT_BLOCKS, &settings));
    daemon.wait_until_up();
    let mut watch = Watch::start(data);
    watch.wait_for("explored", |event| event["judged"].as_u64().unwrap() > 20);
    let exported = stillctl(data, &["pool", "export"]);
    let line = |line: &str| serde_json::from_str::<Value>(line).unwrap()["trajectory"].clone();
    let acknowledged = ids(&str::from_utf8(&exported.stdout).unwrap().lines().map(line).collect::<Vec<_>>());
    assert!(acknowledged.len() > 20);
    let (status, output) = daemon.finish();
    assert_eq!(status.code(), Some(5), "{output}");
    holds(&output, &["is the disk full?"]);
    assert!(!output.contains("panicked"), "{output}");
    let events = watch.finish().1;
    let last = events.iter().rev().find(|event| event["event"] == "explored").unwrap();
    let kept = ids(&pool(data));
    assert!(kept.is_superset(&acknowledged));
    assert!(kept.len() as u64 >= last["pool"].as_u64().unwrap(), "what was reported is durable");

    // with room again the same command goes on
    let mut daemon = Daemon::start(data, 0, &settings);
    daemon.wait_until_up();
    let mut watch = Watch::start(data);
    watch.wait_for("explored", |event| event["pool"].as_u64().unwrap() > kept.len() as u64);
    assert!(stillctl(data, &["stop"]).status.success());
    assert!(daemon.finish().0.success());
    assert!(ids(&pool(data)).is_superset(&kept));
}

#[test]
fn a_disk_without_room_for_a_checkpoint_ends_the_daemon_with_the_stores_code() {
    let folder = tempfile::tempdir().unwrap();
    let (status, output) = Daemon::launch(on_a_small_disk(folder.path(), 2_200, &small(&[]))).finish();
    assert_eq!(status.code(), Some(5), "{output}");
    holds(&output, &["checkpoint", "is the disk full?"]);
    let mut half_written = fs::read_dir(folder.path().join("checkpoints")).unwrap();
    assert!(half_written.any(|one| one.unwrap().file_name().to_string_lossy().starts_with("pending-round-")));
    // what fills the disk goes before the store needs any of it
    let nothing = on_a_small_disk(folder.path(), 0, &small(&[]));
    let (status, output) = Daemon::launch(nothing).finish();
    assert_eq!(status.code(), Some(5), "{output}");
    let mut left = fs::read_dir(folder.path().join("checkpoints")).unwrap();
    assert!(left.all(|one| !one.unwrap().file_name().to_string_lossy().starts_with("pending-")));
    let (status, output) = Daemon::start(folder.path(), 1, &small(&[])).finish();
    assert!(status.success(), "{output}");
    assert_eq!(rounds(folder.path()).len(), 2);
}
