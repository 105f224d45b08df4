//! The entry: what people bring is read as it was meant, or refused by name before it costs anything; what came to
//! nothing is no bad result; damage has a way out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod harness;

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use harness::{Daemon, pool, rounds, small, stillctl, stillctl_json, stilld};
use serde_json::Value;

/// One round on problems of three digits, in seconds.
const ONE_ROUND: &[&str] = &["round.problems=8", "gate.tolerance=1.0"];

fn run(mut command: Command) -> Output {
    command.output().unwrap()
}

/// What a program says on standard error, under this exit code.
fn refused(command: Command, code: i32, parts: &[&str]) -> String {
    let output = run(command);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{message}");
    assert!(!message.contains("panicked"), "{message}");
    for part in parts {
        assert!(message.contains(part), "`{part}` is missing in: {message}");
    }
    message
}

fn printed(command: Command) -> String {
    let output = run(command);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn of(words: &[&str], data_dir: &Path) -> Command {
    let mut command = stilld();
    command.args(words).arg("--data-dir").arg(data_dir);
    command
}

fn dry_run(data_dir: &Path, settings: &[&str]) -> Command {
    let mut command = Daemon::command(data_dir, 1, settings);
    command.arg("--dry-run");
    command
}

#[test]
fn a_prompt_that_the_model_cannot_be_asked_by_is_refused_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let paper = small(&["task.prompt=paper"]);
    let parts = ["task.prompt", "chat template", "raw"];
    refused(Daemon::command(folder.path(), 1, &paper), 3, &parts);
    refused(dry_run(folder.path(), &paper), 3, &parts);
    let (status, said) = Daemon::start(folder.path(), 1, &small(ONE_ROUND)).finish();
    assert!(status.success(), "no problem was used up: {said}");
    assert!(pool(folder.path()).iter().all(|judged| judged["verdict"] != "error"));
}

#[test]
fn demonstrations_that_cannot_be_imitated_end_the_run_and_the_next_start_imitates() {
    let folder = tempfile::tempdir().unwrap();
    let short = small(&["training.imitation.max_sequence_tokens=10"]);
    refused(Daemon::command(folder.path(), 1, &short), 4, &["cannot be imitated", "10"]);
    assert!(pool(folder.path()).is_empty(), "nothing explored");
    let (status, said) = Daemon::start(folder.path(), 1, &small(ONE_ROUND)).finish();
    assert!(status.success(), "{said}");
    assert_eq!(rounds(folder.path())[0]["round"], 0, "it is imitated after all");
}

#[test]
fn a_dry_run_looks_at_everything_and_ends_as_the_start_would() {
    let folder = tempfile::tempdir().unwrap();
    let plan = printed(dry_run(folder.path(), &small(&[])));
    for part in [
        "demonstrations",
        "problems to explore",
        "held out",
        "parameters",
        "of training",
        "attempts",
        "host",
        "estimate",
    ] {
        assert!(plan.contains(part), "`{part}` is missing in: {plan}");
    }
    let note = printed(dry_run(folder.path(), &small(&["evaluation.hard_levels=[99]"])));
    assert!(note.contains("level 99, which `evaluation.hard_levels` names"), "{note}");
    for (nothing, key) in [
        ("task.quickstart.held_out_per_level=0", "task.quickstart.held_out_per_level"),
        ("task.quickstart.problems=0", "task.quickstart.problems"),
    ] {
        refused(dry_run(folder.path(), &small(&[nothing])), 3, &[key]);
    }
    let big = small(&["exploration.concurrent_rollouts=100000000"]);
    refused(dry_run(folder.path(), &big), 7, &["exploration.concurrent_rollouts", "memory"]);
    refused(Daemon::command(folder.path(), 1, &big), 7, &["exploration.concurrent_rollouts", "memory"]);
    refused(dry_run(folder.path(), &small(&["device.samplers=[\"cuda:0\"]"])), 7, &["cuda:0"]);
    refused(dry_run(folder.path(), &small(&["task.max_prompt_tokens=4"])), 4, &["task.max_prompt_tokens"]);
    for filter in ["log.filter=blah=foo=bar", "log.filter=verbose"] {
        refused(dry_run(folder.path(), &small(&[filter])), 3, &["log.filter", "warn,still=debug"]);
    }
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("http.listen={}", taken.local_addr().unwrap());
    refused(dry_run(folder.path(), &[&listen]), 6, &["http.listen"]);
}

#[test]
fn a_configuration_is_checked_with_all_that_it_names() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let good = file("good.jsonl", "{\"problem\": \"6*7=?\", \"answer\": \"42\"}\n");
    let shown =
        file("shown.jsonl", "{\"problem\": \"6*9=?\", \"thought\": \"6*9=54;\", \"solution\": \"54\"}\n");
    let broken = file(
        "broken.jsonl",
        "{\"problem\": \"6*8=?\", \"answer\": \"48\"}\n{\"question\": \"6*8=?\", \"image\": \"x\"}\n",
    );
    let config = |problems: &Path| {
        let text = format!(
            "[model.embedded]\ncontext_tokens = 256\n[task]\nsource = \"files\"\nprompt = \"raw\"\n[task.files]\nproblems = [{problems:?}]\n\
             demonstrations = [{shown:?}]\nevaluation = [{good:?}]\n[run]\ndata_dir = {:?}\n",
            folder.path().join("data")
        );
        file("my.toml", &text)
    };
    let check = |path: PathBuf, more: &[&str]| {
        let mut command = stilld();
        command.args(["config", "check"]).arg(path).args(more);
        command
    };
    refused(check(config(&broken), &[]), 4, &["broken.jsonl", "line 2", "`image`"]);
    assert_eq!(printed(check(config(&broken), &["--keys-only"])), "");
    let other = file("other.jsonl", "{\"problem\": \"6*8=?\", \"answer\": \"48\"}\n");
    assert_eq!(printed(check(config(&other), &[])), "");
}

#[test]
fn a_corrected_gold_is_named_and_replaced_by_choice() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("data"), folder.path().join("p.jsonl"));
    let (held_out, shown) = (folder.path().join("held.jsonl"), folder.path().join("shown.jsonl"));
    fs::write(&held_out, "{\"problem\": \"9*7=?\", \"answer\": \"63\"}\n").unwrap();
    fs::write(&shown, "{\"problem\": \"6*9=?\", \"thought\": \"6*9=54;\", \"solution\": \"54\"}\n").unwrap();
    let files = [
        "task.source=files".to_owned(),
        format!("task.files.problems=[{file:?}]"),
        format!("task.files.evaluation=[{held_out:?}]"),
        format!("task.files.demonstrations=[{shown:?}]"),
        "cleaning.min_characters=0".to_owned(),
        "training.imitation.steps=2".to_owned(),
        "training.improvement.steps=1".to_owned(),
        "round.problems=1".to_owned(),
    ];
    let start = |more: &[&str]| {
        let settings: Vec<&str> = files.iter().map(String::as_str).chain(more.iter().copied()).collect();
        Daemon::command(&data, 1, &settings)
    };
    fs::write(&file, "{\"problem\": \"6*7=?\", \"answer\": \"41\"}\n").unwrap();
    let said = printed(start(&[]));
    assert!(said.contains("p.jsonl: 1 problems to explore (1 integer)"), "{said}");
    fs::write(&file, "{\"problem\": \"6*7=?\", \"answer\": \"42\"}\n").unwrap();
    refused(start(&[]), 4, &["`p.jsonl`, line 1", "`42` where it was `41`", "task.files.on_conflict"]);
    let said = printed(start(&["task.files.on_conflict=replace"]));
    assert!(said.contains("1 problems got another gold answer"), "{said}");
    let listed = printed(of(&["inspect", "problems"], &data));
    assert!(listed.lines().count() == 1 && listed.contains("\"42\""), "{listed}");
}

#[test]
fn what_was_published_and_is_damaged_has_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let (status, said) = Daemon::start(folder.path(), 1, &small(ONE_ROUND)).finish();
    assert!(status.success(), "{said}");
    for part in ["Hugging Face folder", "stilld generate --model", "stilld eval --model"] {
        assert!(said.contains(part), "`{part}` is missing in: {said}");
    }
    assert_eq!(fs::metadata(folder.path().join("store")).unwrap().permissions().mode() & 0o777, 0o700);
    let check = || {
        let mut command = stilld();
        command.arg("check").arg(folder.path());
        command
    };
    assert!(printed(check()).contains("sound"));

    let policies: Vec<Value> =
        serde_json::from_str(&printed(of(&["inspect", "policies", "--json"], folder.path()))).unwrap();
    let (in_force, first) = (policies.last().unwrap(), &policies[0]);
    assert!(policies.len() > 1, "{policies:?}");
    let checkpoint = folder.path().join("checkpoints").join(in_force["checkpoint"].as_str().unwrap());
    let weights = checkpoint.join("model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&weights, bytes).unwrap();

    let parts = ["model.safetensors", "stilld policies promote"];
    let output = run(check());
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(5), "{told}");
    assert!(parts.iter().all(|part| told.contains(part)), "{told}");
    let start = || Daemon::command(folder.path(), 2, &small(ONE_ROUND));
    let message = refused(start(), 5, &["which is in force", "stilld policies promote"]);
    assert!(!message.contains("restart"), "at once: {message}");
    let version = first["version"].to_string();
    printed(of(&["policies", "promote", &version], folder.path()));
    let (status, said) = Daemon::launch(start()).finish();
    assert!(status.success(), "{said}");
}

#[test]
fn a_model_of_other_sizes_is_no_continuation() {
    let folder = tempfile::tempdir().unwrap();
    let (status, said) = Daemon::start(folder.path(), 1, &small(ONE_ROUND)).finish();
    assert!(status.success(), "{said}");
    let wider = small(&["model.embedded.width=128"]);
    refused(Daemon::command(folder.path(), 2, &wider), 5, &["model sizes", "width 64", "width 128"]);
    refused(dry_run(folder.path(), &wider), 5, &["model sizes"]);
}

#[test]
fn an_evaluation_keeps_its_answers_and_overwrites_nobodys() {
    let folder = tempfile::tempdir().unwrap();
    let (problems, out) = (folder.path().join("p.jsonl"), folder.path().join("answers.jsonl"));
    fs::write(&problems, "{\"id\": \"a\", \"problem\": \"6*7=?\", \"answer\": \"42\"}\n").unwrap();
    let eval = || {
        let mut command = stilld();
        command.args([
            "eval",
            "--model",
            "embedded",
            "--prompt",
            "raw",
            "--max-new-tokens",
            "4",
            "--problems",
        ]);
        command.arg(&problems).arg("--out").arg(&out);
        command
    };
    printed(eval());
    let answer: Value = serde_json::from_str(&fs::read_to_string(&out).unwrap()).unwrap();
    assert_eq!(
        (&answer["problem"], &answer["gold"], &answer["statement"]),
        (&"a".into(), &"42".into(), &"6*7=?".into())
    );
    assert!(answer["response"].is_string() && answer["verdict"].is_string(), "{answer}");
    refused(eval(), 4, &["answers.jsonl", "there already"]);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let (status, said) = Daemon::start(folder.path(), 1, &small(ONE_ROUND)).finish();
    assert!(status.success(), "{said}");
    seen_enough(of(&["inspect", "pool"], folder.path()));
    let mut generate = stilld();
    generate.args(["generate", "--model", "embedded", "--prompt", "2*3=", "--max-new-tokens", "4"]);
    generate.args(["--count", "300", "--temperature", "1"]);
    seen_enough(generate);
}

#[test]
fn an_evaluation_tells_how_far_it_is_at_most_twenty_times_and_no_line_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    let problems = folder.path().join("p.jsonl");
    let line = |number: u32| {
        format!("{{\"id\": \"{number}\", \"problem\": \"{number}*2=?\", \"answer\": \"{}\"}}\n", 2 * number)
    };
    fs::write(&problems, (1..=200).map(line).collect::<String>()).unwrap();
    let mut eval = stilld();
    eval.args(["eval", "--model", "embedded", "--prompt", "raw", "--max-new-tokens", "2", "--problems"]);
    let output = run({
        eval.arg(&problems);
        eval
    });
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}");
    let progress = told.lines().filter(|line| line.contains("of 200 answers")).count();
    assert!((1..=20).contains(&progress), "{told}");
}

#[test]
fn a_job_tells_what_it_read_otherwise_than_it_stands_there() {
    let folder = tempfile::tempdir().unwrap();
    let problems = folder.path().join("p.jsonl");
    fs::write(
        &problems,
        "{\"problem\": \"6*7=?\", \"answer\": \"42\", \"level\": \"hard\"}\n\
         {\"problem\": \"prove it\", \"answer\": \"proof\"}\n",
    )
    .unwrap();
    for words in [&["eval"][..], &["generate", "--count", "1", "--out", "drawn.jsonl"]] {
        let mut command = stilld();
        command.current_dir(folder.path()).args(words);
        command.args(["--model", "embedded", "--max-new-tokens", "2", "--problems"]).arg(&problems);
        let output = run(command);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{told}");
        for part in ["1 problems, 1 left out", "`level` is \"hard\"", "left out"] {
            assert!(told.contains(part), "`{part}` is missing in: {told}");
        }
    }
}

#[test]
fn several_responses_that_cannot_differ_are_refused() {
    let mut command = stilld();
    command.args(["generate", "--model", "embedded", "--prompt", "2*3=", "--count", "2"]);
    refused(command, 2, &["--temperature 0", "--count 1"]);
}

#[test]
fn a_data_directory_that_was_named_from_somewhere_is_told_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = stilld();
    command.current_dir(folder.path()).args(["run", "--config"]);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/quickstart.toml"));
    command.args(["--data-dir", "mine"]);
    for setting in small(&["http.listen=127.0.0.1:0", "training.imitation.steps=1000000"]) {
        command.args(["--set", setting]);
    }
    let mut daemon = Daemon::launch(command);
    daemon.wait_until_up();
    let data = folder.path().join("mine");
    let status = stillctl_json(&data, &["status"]);
    let told = Path::new(status["data_dir"].as_str().unwrap());
    assert!(told.is_absolute(), "{status}");
    assert_eq!(told.canonicalize().unwrap(), data.canonicalize().unwrap());
    assert!(stillctl(&data, &["stop"]).status.success());
    assert!(daemon.finish().0.success());
}

/// Reads the first byte of what a command prints, and no more.
fn seen_enough(mut command: Command) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 1];
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut first).unwrap();
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_prompt_that_is_no_text_is_told_so() {
    let mut command = stilld();
    command.args(["generate", "--model", "embedded", "--prompt", "-"]).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"2*\xff").unwrap();
    let output = child.wait_with_output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), message.contains("is not UTF-8")), (Some(4), true), "{message}");
}

#[test]
fn errors_of_jobs_are_json_where_answers_are() {
    let mut command = stilld();
    command.args(["score", "--model", "embedded", "--input", "/nowhere.jsonl", "--json"]);
    let told: Value = serde_json::from_str(&refused(command, 4, &[])).unwrap();
    assert_eq!(told["error"]["kind"], "bad_input");
    assert!(told["error"]["message"].as_str().unwrap().contains("/nowhere.jsonl"), "{told}");
}

#[test]
fn a_log_in_a_file_has_no_colours_and_a_line_of_its_start() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(Daemon::command(folder.path(), 1, &small(&["log.filter=info", "round.problems=8"])));
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{log}");
    assert!(!log.contains('\u{1b}'), "{log}");
    let start = log.lines().find(|line| line.contains("stilld starts")).unwrap();
    assert!(start.contains("embedded") && start.contains("seed=0"), "{start}");
}

#[test]
fn a_problem_that_has_become_too_long_is_told_once_and_never_attempted() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("data"), folder.path().join("long.jsonl"));
    fs::write(
        &file,
        format!("{{\"id\": \"long\", \"problem\": \"{}\", \"answer\": \"7\"}}\n", "1".repeat(60)),
    )
    .unwrap();
    let mut daemon = Daemon::start(&data, 1, &small(&["training.imitation.steps=1000000"]));
    daemon.wait_until_up();
    let imported = stillctl(&data, &["problems", "import", file.to_str().unwrap()]);
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    assert!(stillctl(&data, &["stop"]).status.success());
    assert!(daemon.finish().0.success());

    let shorter = small(&["task.max_prompt_tokens=20", "training.imitation.steps=60", "round.problems=8"]);
    let (status, said) = Daemon::start(&data, 1, &shorter).finish();
    assert!(status.success(), "{said}");
    let told: Vec<_> = said.lines().filter(|line| line.contains("are not attempted")).collect();
    assert!(
        told.len() == 1 && told[0].contains("`long`") && told[0].contains("task.max_prompt_tokens"),
        "{said}"
    );
    assert!(pool(&data).iter().all(|judged| judged["verdict"] != "error"));
}
