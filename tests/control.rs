//! Every command of `stillctl` against a daemon that runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod harness;

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt, path::Path};

use harness::{Daemon, Watch, ids, pool, rounds, small, stillctl, stillctl_json, stillctl_refused};
use serde_json::Value;
use still_control::Exit;

/// Settings under which exploration goes on until somebody seals it, and every round is promoted.
const UNENDING: &[&str] = &[
    "round.problems=1000000",
    "exploration.attempts_per_problem=100000",
    "exploration.attempts_per_policy=100000",
    "exploration.stop_after_correct=100000",
    "gate.tolerance=1.0",
];

/// The actors, as `status` names them.
const ACTORS: [&str; 8] =
    ["publisher", "trainer", "sampler", "verifiers", "curator", "problem_supply", "conductor", "evaluator"];

fn message(data_dir: &Path, arguments: &[&str]) -> String {
    stillctl_json(data_dir, arguments)["message"].as_str().unwrap().to_owned()
}

fn actor(status: &Value, name: &str) -> Value {
    let actors = status["actors"].as_array().unwrap();
    actors.iter().find(|actor| actor["name"] == name).unwrap().clone()
}

fn lines(text: &[u8]) -> Vec<Value> {
    let text = str::from_utf8(text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn training_is_watched_paused_saved_gone_on_with_and_drained() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let mut daemon = Daemon::start(data, 1, &small(&["training.imitation.steps=1000000"]));
    daemon.wait_until_up();
    let mode = fs::metadata(data.join("stilld.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "the socket is its owner's alone");
    let mut watch = Watch::start(data);
    watch.wait_for("trained", |event| event["step"].as_u64().unwrap() >= 3);

    let status = stillctl_json(data, &["status"]);
    assert_eq!((&status["phase"], &status["round"]), (&"training".into(), &0.into()));
    assert_eq!((&status["policy"], &status["pid"]), (&Value::Null, &daemon.id().into()));
    assert!(status["step"].as_u64().unwrap() >= 3 && status["total_steps"] == 1_000_000);
    let names: Vec<_> = status["actors"].as_array().unwrap().iter().map(|actor| &actor["name"]).collect();
    assert_eq!(names, ACTORS);
    let table = String::from_utf8(stillctl(data, &["status"]).stdout).unwrap();
    assert!(table.contains("verifiers") && table.contains("training"), "{table}");

    assert_eq!(message(data, &["pause", "train"]), "training paused");
    let status = stillctl_json(data, &["status"]);
    assert_eq!((&status["training_paused"], &status["exploration_paused"]), (&true.into(), &false.into()));
    let saved = message(data, &["checkpoint"]);
    let id = saved.split(' ').find(|word| word.starts_with("round-0-step-")).unwrap();
    assert!(data.join("checkpoints").join(id).is_dir(), "{saved}");
    assert_eq!(message(data, &["checkpoint"]), saved, "no step is taken while training is paused");
    let step: u64 = id.rsplit('-').next().unwrap().parse().unwrap();
    watch.wait_for("checkpointed", |event| event["step"] == step);
    assert_eq!(actor(&stillctl_json(data, &["status"]), "trainer")["state"], "paused");
    assert_eq!(message(data, &["resume", "train"]), "training resumed");
    watch.wait_for("trained", |event| event["step"].as_u64().unwrap() > step + 3);

    for (arguments, reason) in [
        (&["seal"][..], "no round explores"),
        (&["policies", "rollback"], "no policy has been published"),
        (&["policies", "promote", "7"], "no policy has version 7"),
        (&["pool", "show", "nothing#1"], "holds no trajectory `nothing#1`"),
        (&["fault", "kill", "janitor"], "verifiers"),
    ] {
        let said = stillctl_refused(data, arguments, 10);
        assert!(said.starts_with("stillctl: ") && said.contains(reason), "{arguments:?}: {said}");
    }
    assert!(stillctl_refused(data, &["explode"], 2).contains("explode"));
    assert_eq!(stillctl_json(data, &["pool", "list"]), Value::Array(Vec::new()));

    assert!(message(data, &["drain"]).contains("then the daemon ends"));
    let (watched, events) = watch.finish();
    assert!(watched.success());
    let names: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert!(names.contains(&"draining"), "{names:?}");
    assert_eq!(names.last(), Some(&"finished"), "{names:?}");
    let last_step = events.iter().rev().find(|event| event["event"] == "trained").unwrap()["step"].clone();
    let saved = events.iter().rev().find(|event| event["event"] == "checkpointed").unwrap();
    assert_eq!(saved["step"], last_step, "a drain saves the step that it stops at");
    let (status, output) = daemon.finish();
    assert!(status.success(), "{output}");
    assert!(!data.join("stilld.sock").exists());
    assert!(stillctl_refused(data, &["status"], 9).contains("no daemon answers"));
}

#[test]
fn exploration_is_paused_sealed_and_what_it_brought_is_shown_and_published() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let mut daemon = Daemon::start(data, 0, &small(UNENDING));
    daemon.wait_until_up();
    let mut watch = Watch::start(data);
    watch.wait_for("explored", |event| event["judged"].as_u64().unwrap() > 20);
    assert_eq!(message(data, &["pause", "explore"]), "exploration paused");
    let status = stillctl_json(data, &["status"]);
    assert_eq!((&status["exploration_paused"], &status["phase"]), (&true.into(), &"exploring".into()));
    assert_eq!(actor(&status, "problem_supply")["state"], "paused");

    let listed = stillctl_json(data, &["pool", "list", "--limit", "10"]);
    let listed = ids(listed.as_array().unwrap());
    assert_eq!(listed.len(), 10);
    let id = listed.first().unwrap().as_str();
    let shown = stillctl_json(data, &["pool", "show", id]);
    assert_eq!(shown["trajectory"]["id"], id);
    assert!(!shown["trajectory"]["tokens"].as_array().unwrap().is_empty());
    let exported = stillctl(data, &["pool", "export"]);
    assert!(exported.status.success());
    let exported: Vec<_> = lines(&exported.stdout).iter().map(|line| line["trajectory"].clone()).collect();
    let exported = ids(&exported);
    assert!(exported.len() > 20 && exported.is_superset(&listed));
    let wrong = lines(&stillctl(data, &["pool", "export", "--verdict", "wrong", "--limit", "3"]).stdout);
    assert!(wrong.iter().all(|line| line["verdict"]["outcome"] == "wrong"));
    assert!(wrong.len() <= 3);

    import_records(data);
    let sealed = message(data, &["seal"]);
    assert!(sealed.contains("round 1"), "{sealed}");
    let event = watch.wait_for("sealed", |event| event["round"] == 1);
    assert_eq!(event["examples"].as_u64().unwrap(), 401 + event["selected"].as_u64().unwrap());
    watch.wait_for("round_ended", |event| event["round"] == 1 && event["phase"] == "promoted");

    let policies = |data| stillctl_json(data, &["policies", "list"]).as_array().unwrap().clone();
    watch.wait_for("phase", |event| event["round"] == 2 && event["phase"] == "exploring");
    assert_eq!(policies(data).len(), 2);
    assert!(message(data, &["policies", "rollback"]).contains("version 3"));
    watch.wait_for("published", |event| event["version"] == 3);
    assert_eq!(stillctl_json(data, &["status"])["policy"], 3);
    assert!(stillctl_refused(data, &["policies", "rollback"], 10).contains("no policy comes before"));
    assert!(message(data, &["policies", "promote", "2"]).contains("version 4"));
    watch.wait_for("published", |event| event["version"] == 4);
    let policies = policies(data);
    let versions: Vec<_> = policies.iter().map(|policy| policy["version"].as_u64().unwrap()).collect();
    assert_eq!(versions, [1, 2, 3, 4]);
    assert_eq!(policies[3]["checkpoint"], policies[1]["checkpoint"]);
    assert_eq!(policies[2]["checkpoint"], policies[0]["checkpoint"]);

    assert!(message(data, &["stop"]).contains("the daemon ends"));
    let (status, output) = daemon.finish();
    assert!(status.success(), "{output}");
    assert!(watch.finish().0.success());
    let kept = ids(&pool(data));
    assert!(kept.is_superset(&exported), "what was shown is durable");
    assert_eq!(rounds(data).len(), 3);
}

/// Imports problems and a demonstration twice, and lists what came of it.
fn import_records(data: &Path) {
    let problems = data.join("more.jsonl");
    let line = |number: u32| {
        format!("{{\"problem\": \"{number}*3=\", \"answer\": \"{}\", \"level\": 9}}\n", 3 * number)
    };
    fs::write(&problems, [line(7), line(8)].concat()).unwrap();
    let problems = problems.to_str().unwrap();
    let import = ["problems", "import", problems];
    let report = stillctl_json(data, &import);
    assert_eq!((&report["imported"], &report["known"]), (&2.into(), &0.into()));
    let report = stillctl_json(data, &import);
    assert_eq!((&report["imported"], &report["known"]), (&0.into(), &2.into()));
    let list = stillctl_json(data, &["problems", "list", "--level", "9", "--split", "explore"]);
    assert_eq!((&list["total"], &list["problems"][1]["gold"]), (&2.into(), &"24".into()));
    let tried = stillctl_json(data, &["problems", "list", "--split", "explore", "--limit", "1000000"]);
    let attempts = |line: &Value| line["attempts"].as_u64().unwrap();
    assert!(tried["problems"].as_array().unwrap().iter().map(attempts).sum::<u64>() > 20);

    let held_out = stillctl_json(data, &["problems", "list", "--split", "dev", "--limit", "1"]);
    let repeated = data.join("repeated.jsonl");
    let line = serde_json::json!({"problem": held_out["problems"][0]["text"], "answer": "1"});
    fs::write(&repeated, line.to_string()).unwrap();
    let report = stillctl_json(data, &["problems", "import", repeated.to_str().unwrap()]);
    assert_eq!((&report["imported"], &report["contaminated"]), (&0.into(), &1.into()));

    let refused = data.join("refused.jsonl");
    let text = list["problems"][0]["text"].as_str().unwrap();
    for (line, split, part) in [
        (serde_json::json!({"problem": text, "answer": "21", "id": "late"}), "dev", "`late` repeats"),
        (serde_json::json!({"problem": "x", "answer": "?", "kind": "regex"}), "explore", "cannot be used"),
    ] {
        fs::write(&refused, line.to_string()).unwrap();
        let import = ["problems", "import", refused.to_str().unwrap(), "--split", split];
        let message = stillctl_refused(data, &import, 4);
        assert!(message.contains(part), "{message}");
    }

    let demonstrations = data.join("shown.jsonl");
    fs::write(
        &demonstrations,
        "{\"problem\": \"7*3=\", \"thought\": \"3*7=21;\", \"solution\": \"\\\\boxed{21}\"}\n",
    )
    .unwrap();
    let import = ["demonstrations", "import", demonstrations.to_str().unwrap()];
    let report = stillctl_json(data, &import);
    assert_eq!((&report["imported"], &report["faults"]["too_short"]), (&0.into(), &1.into()), "{report}");
    let rows = (1..=12).map(|factor| format!("{factor} times 3 is {}.", factor * 3));
    let thought = format!("It stands in the table of products.\n{}", rows.collect::<Vec<_>>().join("\n"));
    let long = serde_json::json!({"problem": "7*3=", "thought": thought, "solution": "\\boxed{21}"});
    fs::write(&demonstrations, long.to_string()).unwrap();
    assert_eq!(stillctl_json(data, &import)["imported"], 1);
    assert_eq!(stillctl_json(data, &import)["known"], 1);
}

#[test]
fn the_readme_tells_every_exit_code() {
    let readme = fs::read_to_string("README.md").unwrap();
    for exit in Exit::ALL {
        assert!(readme.contains(&format!("| {} | {} |", exit.code(), exit.meaning())), "{exit:?}");
    }
}

#[test]
fn killing_any_actor_restarts_it_and_the_rounds_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let settings = [
        "exploration.attempts_per_problem=100000",
        "exploration.attempts_per_policy=100000",
        "exploration.stop_after_correct=100000",
        "supervision.max_restarts=100",
        "supervision.first_backoff_ms=1",
    ];
    let mut daemon = Daemon::start(data, 0, &small(&settings));
    daemon.wait_until_up();
    let mut watch = Watch::start(data);
    let mut ended = watch.wait_for("round_ended", |event| event["round"] == 1)["round"].clone();
    for name in ACTORS {
        assert_eq!(message(data, &["fault", "kill", name]), format!("the {name} is killed"));
        watch.wait_for("restarted", |event| event["actor"] == name);
        let event = watch.wait_for("round_ended", |_| true);
        assert!(event["round"].as_u64() > ended.as_u64(), "{name}: {event}");
        ended = event["round"].clone();
    }
    watch.wait_for("round_ended", |event| event["round"].as_u64() > ended.as_u64());
    let status = stillctl_json(data, &["status"]);
    for name in ACTORS {
        assert_eq!(actor(&status, name)["restarts"], 1, "{name}");
    }
    assert!(message(data, &["stop"]).contains("the daemon ends"));
    let (status, output) = daemon.finish();
    assert!(status.success(), "{output}");
    let rounds = rounds(data);
    assert!(rounds.len() as u64 > ended.as_u64().unwrap());
    let numbers: BTreeSet<_> = rounds.iter().map(|round| round["round"].as_u64().unwrap()).collect();
    assert_eq!(numbers.len(), rounds.len(), "every round is there once");
    assert!(!ids(&pool(data)).is_empty());
}
