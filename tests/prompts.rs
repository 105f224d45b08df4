//! What asks is data, and one for all of a run: formats, texts and templates are heard from the configuration to the
//! tokens, and a change is refused by its name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod harness;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use harness::{Daemon, pool, small, stilld};
use serde_json::{Value, json};

/// One round on problems of three digits, in seconds.
const ONE_ROUND: &[&str] = &["round.problems=8", "gate.tolerance=1.0"];
/// The user's turn, and the answer between marks that the embedded tokenizer knows.
const TEMPLATE: &str = "{{ system | default('') }}{% for m in messages %}{{ '' if m.role == 'assistant' else '*' }}\
    {{ m.content }}{{ eos_token if m.role == 'assistant' else '=' }}{% endfor %}";

fn printed(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn refused(mut command: Command, code: i32, parts: &[&str]) {
    let output = command.output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{message}");
    for part in parts {
        assert!(message.contains(part), "`{part}` is missing in: {message}");
    }
}

/// The policy in force of a run, as a folder with a chat template.
fn chat_model(run: &Path, place: &Path) -> PathBuf {
    let mut inspect = stilld();
    inspect.args(["inspect", "policies", "--json", "--data-dir"]).arg(run);
    let policies: Vec<Value> = serde_json::from_str(&printed(inspect)).unwrap();
    let checkpoint = policies.last().unwrap()["checkpoint"].as_str().unwrap();
    let model = place.join("model");
    fs::create_dir(&model).unwrap();
    for entry in fs::read_dir(run.join("checkpoints").join(checkpoint)).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), model.join(entry.file_name())).unwrap();
        }
    }
    fs::write(model.join("chat_template.jinja"), TEMPLATE).unwrap();
    model
}

#[test]
fn what_asks_is_one_for_all_of_a_run_and_formats_are_heard_from_the_file_to_the_pool() {
    let folder = tempfile::tempdir().unwrap();
    let (run, place) = (folder.path().join("run"), folder.path());
    let (status, said) = Daemon::start(&run, 1, &small(ONE_ROUND)).finish();
    assert!(status.success(), "{said}");
    for (setting, part) in [
        ("task.format=think", "format `paper` is now `think`"),
        ("task.prompts.system=1+1", "prompt `"),
        ("task.prompts.variables.thinks=true", "prompt `"),
    ] {
        refused(Daemon::command(&run, 2, &small(&[setting])), 5, &[part, "another run"]);
    }
    let (status, said) = Daemon::start(&run, 1, &small(ONE_ROUND)).finish();
    assert!(status.success(), "as it was it goes on: {said}");

    let model = chat_model(&run, place);
    let lines = |name: &str, lines: &[Value]| {
        let path = place.join(name);
        fs::write(&path, lines.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")).unwrap();
        path
    };
    let shown = lines("shown.jsonl", &[json!({"question": "6*9=?", "answer": "6*9=54;54 54 54 54"})]);
    let explored =
        lines("explored.jsonl", &[json!({"question": "7*8=?", "answer": "56", "kind": "integer"})]);
    let held_out =
        lines("held-out.jsonl", &[json!({"question": "6*7=?", "answer": "42", "kind": "integer"})]);
    let text = place.join("integers.txt");
    fs::write(&text, "0+{problem}\n").unwrap();
    let settings = [
        format!("model.source={}", model.display()),
        "task.source=files".to_owned(),
        "task.prompt=chat".to_owned(),
        "task.format=none".to_owned(),
        "task.prompts.system=9".to_owned(),
        format!("task.prompts.by_kind.integer={}", text.display()),
        format!("task.files.demonstrations=[{shown:?}]"),
        format!("task.files.problems=[{explored:?}]"),
        format!("task.files.evaluation=[{held_out:?}]"),
        "cleaning.min_characters=1".to_owned(),
        "hygiene.min_thought_tokens=1".to_owned(),
        "round.problems=1".to_owned(),
        "training.imitation.steps=40".to_owned(),
        "gate.tolerance=1.0".to_owned(),
    ];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let data = place.join("words");
    let (status, said) = Daemon::start(&data, 1, &settings).finish();
    assert!(status.success() || said.contains("no result"), "{said}");
    let drawn = pool(&data);
    assert!(!drawn.is_empty(), "{said}");
    assert!(drawn.iter().all(|judged| judged["rejection"] != "broken_format"), "{drawn:?}");
    assert!(drawn.iter().all(|judged| judged["verdict"] != "error"), "{drawn:?}");

    // as the daemon asks, so can be asked: `*9=*0+7*8=?=`, the system, then the text of the kind with the problem
    let mut generate = stilld();
    generate.args(["generate", "--json", "--max-new-tokens", "1", "--style", "chat", "--model"]).arg(&model);
    generate.args(["--system", "9", "--prompt", "7*8=?", "--prompt-template"]).arg(&text);
    let answer: Value = serde_json::from_str(printed(generate).trim()).unwrap();
    assert_eq!(answer["prompt_ids"].as_array().unwrap().len(), 12);
    let messages = place.join("messages.json");
    let turns = json!([{"role": "system", "content": "9"}, {"role": "user", "content": "0+7*8=?"}]);
    fs::write(&messages, turns.to_string()).unwrap();
    let mut generate = stilld();
    generate.args(["generate", "--json", "--max-new-tokens", "1", "--model"]).arg(&model);
    generate.arg("--messages").arg(&messages);
    let same: Value = serde_json::from_str(printed(generate).trim()).unwrap();
    assert_eq!(same["prompt_ids"], answer["prompt_ids"]);
}
