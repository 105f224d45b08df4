//! Rounds whose training a command does: the same rounds, evaluation, gate and lineage, also across `kill -9`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod harness;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use harness::{Daemon, Watch, pool, rounds, small, stilld};
use serde_json::Value;

/// A trainer that saves after two steps and waits to be killed, the first time; otherwise it brings what it began with.
const TRAINER: &str = r#"#!/bin/sh
starts="$STILL_JOB/starts"
echo "${STILL_RESUME:-anew}" >> "$starts"
base=$(sed -n 's/^ *"base": "\(.*\)",$/\1/p' "$STILL_JOB/job.json")
say() { printf '%s\n' "$1"; }
progress() { say '{"event":"progress","step":'"$1"',"loss":2.5,"learning_rate":1e-3,"tokens":40}'; }
case "$(wc -l < "$starts")$STILL_JOB" in
1*/round-0-*)
    echo $$ > "$STILL_JOB/trainer"
    while [ ! -e "$STILL_JOB/../go" ]; do sleep 0.05; done
    progress 1; progress 2
    mkdir "$STILL_JOB/checkpoints/two"
    echo '{"step":2}' > "$STILL_JOB/checkpoints/two/complete.json"
    say '{"event":"checkpoint","folder":"checkpoints/two","step":2}'
    while :; do sleep 1; done ;;
esac
echo "it goes on" >&2
progress 3
mkdir "$STILL_JOB/output"
cp "$base/config.json" "$base"/*.safetensors "$STILL_JOB/output"
echo '{}' > "$STILL_JOB/output/complete.json"
say '{"event":"done"}'
"#;

/// Problems with a thought and a solution, right and wrong.
fn lines(is_pairs: bool) -> String {
    let line = |number: usize| {
        let (factor, product) = (number % 7 + 2, (number + 12) * (number % 7 + 2));
        let problem = format!("{}*{factor}=", number + 12);
        let response = |thought: String, answer: usize| {
            format!(
                "<|begin_of_thought|>{thought}<|end_of_thought|><|begin_of_solution|>{answer}<|end_of_solution|>"
            )
        };
        let right = response(format!("{product};{}+{number}", "1+".repeat(number % 4)), product);
        let line = if is_pairs {
            let wrong = response(format!("{number};"), product + 1);
            serde_json::json!({"prompt": problem, "chosen": right, "rejected": wrong})
        } else {
            serde_json::json!({"prompt": problem, "completion": right})
        };
        line.to_string()
    };
    (0..22).map(line).collect::<Vec<_>>().join("\n")
}

/// A model in a folder, trained a little.
fn model(folder: &Path) -> PathBuf {
    let (data, out) = (folder.join("first.jsonl"), folder.join("base"));
    fs::write(&data, lines(false)).unwrap();
    train("sft", Path::new("embedded"), &data, &out, &["training.improvement.steps=10"]);
    out
}

/// `stilld train`, with the losses of its steps.
fn train(algorithm: &str, model: &Path, data: &Path, out: &Path, settings: &[&str]) -> Vec<Value> {
    let mut command = stilld();
    command.args(["train", algorithm, "--model"]).arg(model).arg("--data").arg(data).arg("--out").arg(out);
    for setting in [
        "training.improvement.batch_sequences=4",
        "training.improvement.peak_learning_rate=3e-3",
        "training.precision=f32",
        "device.learner_threads=1",
    ]
    .iter()
    .chain(settings)
    {
        command.args(["--set", setting]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let losses = fs::read_to_string(out.join("loss.jsonl")).unwrap();
    losses.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What each start of a round's trainer was told to go on from.
fn starts(data_dir: &Path, round: u32) -> Vec<String> {
    let prefix = format!("round-{round}-");
    let folders = fs::read_dir(data_dir.join("training")).unwrap().map(|entry| entry.unwrap());
    let folder = folders.into_iter().find(|entry| entry.file_name().to_string_lossy().starts_with(&prefix));
    let text = fs::read_to_string(folder.expect("the round has a job").path().join("starts")).unwrap();
    text.lines().map(|line| line.rsplit('/').next().unwrap().to_owned()).collect()
}

#[test]
fn rounds_trained_by_a_command_go_on_after_the_daemon_and_the_trainer_were_killed() {
    let folder = tempfile::tempdir().unwrap();
    let base = model(folder.path());
    let trainer = folder.path().join("trainer");
    fs::write(&trainer, TRAINER).unwrap();
    fs::set_permissions(&trainer, fs::Permissions::from_mode(0o755)).unwrap();
    let data_dir = folder.path().join("data");
    let start = || {
        let (source, program) = (
            format!("model.source={}", base.display()),
            format!("training.command.program={}", trainer.display()),
        );
        let settings = small(&["training.engine=command"]);
        let settings: Vec<&str> = settings.into_iter().chain([&*source, &*program]).collect();
        Daemon::start(&data_dir, 1, &settings)
    };
    let mut daemon = start();
    daemon.wait_until_up();
    let mut watch = Watch::start(&data_dir);
    fs::create_dir_all(data_dir.join("training")).unwrap();
    fs::write(data_dir.join("training/go"), "").unwrap();
    watch.wait_for("checkpointed", |event| event["step"] == 2);
    let jobs = fs::read_dir(data_dir.join("training")).unwrap().map(|entry| entry.unwrap().path());
    let ids: Vec<_> = jobs.filter_map(|job| fs::read_to_string(job.join("trainer")).ok()).collect();
    let [id] = &ids[..] else { panic!("one trainer: {ids:?}") };
    assert!(Path::new(&format!("/proc/{}", id.trim())).exists());
    daemon.kill();
    // the kernel ends it with its parent: nobody has told it anything
    let status = Command::new("tail").args(["-f", "/dev/null", "--pid", id.trim()]).status().unwrap();
    assert!(status.success());

    let (status, output) = start().finish();
    assert!(status.success(), "{output}");
    assert_eq!(starts(&data_dir, 0), ["anew", "round-0-step-2"]);
    assert_eq!(starts(&data_dir, 1), ["anew"]);
    let rounds = rounds(&data_dir);
    assert_eq!(rounds.len(), 2);
    assert!(rounds.iter().all(|round| round["phase"] == "promoted"), "{rounds:?}");
    assert!(!pool(&data_dir).is_empty(), "the policy that came back was explored with");
    let checkpoints = fs::read_dir(data_dir.join("checkpoints")).unwrap();
    let kept: Vec<_> = checkpoints.map(|entry| entry.unwrap().path()).collect();
    assert!(kept.iter().all(|one| one.join("external.json").exists()), "{kept:?}");
}

#[test]
fn a_program_that_cannot_be_run_is_told_by_the_check_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.toml");
    fs::write(
        &file,
        "[training]\nengine = \"command\"\n[training.command]\nprogram = \"/nowhere/trainer\"\n",
    )
    .unwrap();
    let output = stilld().args(["config", "check"]).arg(&file).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{message}");
    assert!(
        message.contains("training.command.program") && message.contains("install it there"),
        "{message}"
    );
}

/// What trains, and how it is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Launch {
    /// TRL in one process.
    Alone,
    /// In two, which share examples out.
    Two,
    /// In two, among which the recipe of `trainers/accelerate-zero3.yaml` shards the model.
    Zero3,
    /// LLaMA-Factory in one process.
    LlamaFactory,
}

/// Settings that have a trainer that comes along train, in the environment that a variable names.
fn trainer(launch: Launch) -> Vec<String> {
    let (variable, program) = match launch {
        Launch::LlamaFactory => ("STILL_LLAMAFACTORY_PYTHON", "trainers/llamafactory_trainer.py"),
        Launch::Alone | Launch::Two | Launch::Zero3 => ("STILL_TRL_PYTHON", "trainers/trl_trainer.py"),
    };
    let python = std::env::var(variable).unwrap_or_else(|_| panic!("{variable} names a Python with it"));
    let words: &[&str] = match launch {
        Launch::Alone | Launch::LlamaFactory => &[],
        Launch::Two => &["--cpu", "--num_machines", "1"],
        Launch::Zero3 => &["--config_file", "trainers/accelerate-zero3.yaml"],
    };
    let accelerate = ["-m", "accelerate.commands.launch", "--num_processes", "2"];
    let plain = ["--mixed_precision", "no", "--dynamo_backend", "no"];
    let launched: Vec<&str> = match launch {
        Launch::Alone | Launch::LlamaFactory => Vec::new(),
        Launch::Two | Launch::Zero3 => [&accelerate, words, &plain].concat(),
    };
    let words: String = launched.iter().flat_map(|word| ["\"", word, "\", "]).collect();
    let mut settings = vec![
        "training.engine=command".to_owned(),
        format!("training.command.program={python}"),
        format!("training.command.arguments=[{words}\"{program}\"]"),
    ];
    if launch == Launch::Zero3 {
        // it compiles something, with the `ninja` of that environment
        let folder = Path::new(&python).parent().unwrap().display();
        let path = std::env::var("PATH").unwrap();
        settings.push(format!(
            "training.command.environment={{PATH = \"{folder}:{path}\", DS_ACCELERATOR = \"cpu\"}}"
        ));
    }
    settings
}

#[test]
#[ignore = "needs TRL and LLaMA-Factory: run by .ci/long"]
fn trainers_that_come_along_take_the_very_steps_of_the_embedded_learner() {
    let folder = tempfile::tempdir().unwrap();
    let base = model(folder.path());
    for (algorithm, launch) in [
        ("sft", Launch::Alone),
        ("dpo", Launch::Two),
        ("sft", Launch::Zero3),
        ("dpo", Launch::Zero3),
        ("sft", Launch::LlamaFactory),
    ] {
        let data = folder.path().join(format!("{algorithm}.jsonl"));
        fs::write(&data, lines(algorithm == "dpo")).unwrap();
        // 22 examples in steps of four: the last step of a pass has two, and parts of steps are filled up
        let settings =
            ["training.improvement.steps=8", "training.micro_batch_tokens=48", "checkpoints.every_steps=3"];
        let trainer = trainer(launch);
        let command: Vec<&str> = settings.into_iter().chain(trainer.iter().map(String::as_str)).collect();
        let ours = train(
            algorithm,
            &base,
            &data,
            &folder.path().join(format!("{algorithm}-here-{launch:?}")),
            &settings,
        );
        let theirs = train(
            algorithm,
            &base,
            &data,
            &folder.path().join(format!("{algorithm}-there-{launch:?}")),
            &command,
        );
        assert_eq!((ours.len(), theirs.len()), (8, 8));
        let fields: &[&str] = match algorithm {
            "sft" => &["loss", "gradient_norm", "learning_rate", "tokens"],
            _ => &[
                "loss",
                "gradient_norm",
                "learning_rate",
                "tokens",
                "margin",
                "accuracy",
                "kl",
                "chosen_log_probability",
                "rejected_log_probability",
            ],
        };
        for (ours, theirs) in ours.iter().zip(&theirs) {
            for field in fields {
                let (ours, theirs) = (ours[*field].as_f64().unwrap(), theirs[*field].as_f64().unwrap());
                let apart = (ours - theirs).abs() / ours.abs().max(1e-2);
                eprintln!(
                    "{algorithm} {launch:?} {field}: {ours:.7} here, {theirs:.7} there, {apart:.1e} apart"
                );
                assert!(apart < 1e-4, "{algorithm} {launch:?} {field}: {ours} and {theirs}");
            }
        }
    }
}

#[test]
#[ignore = "needs TRL: run by .ci/long"]
fn rounds_trained_by_trl_are_promoted_and_survive_the_end_of_daemon_and_trainer() {
    let folder = tempfile::tempdir().unwrap();
    let base = model(folder.path());
    let data_dir = folder.path().join("data");
    let start = |rounds: u32| {
        let source = format!("model.source={}", base.display());
        let trl = trainer(Launch::Alone);
        let settings = small(&[
            "training.imitation.steps=24",
            "training.improvement.steps=8",
            // the quick start's is one that TRL has not
            "training.imitation.optimizer=adamw",
            "training.improvement.optimizer=adamw",
            "training.imitation.peak_learning_rate=3e-3",
            "training.improvement.peak_learning_rate=2e-3",
            "checkpoints.every_steps=4",
        ]);
        let settings: Vec<&str> =
            settings.into_iter().chain([&*source]).chain(trl.iter().map(String::as_str)).collect();
        Daemon::start(&data_dir, rounds, &settings)
    };
    let mut daemon = start(1);
    daemon.wait_until_up();
    let mut watch = Watch::start(&data_dir);
    watch.wait_for("checkpointed", |event| event["step"].as_u64() >= Some(8));
    daemon.kill();
    let (status, output) = start(1).finish();
    assert!(status.success(), "{output}");
    let rounds = rounds(&data_dir);
    assert!(rounds.iter().all(|round| round["phase"] == "promoted"), "{rounds:#?}");
    for round in &rounds {
        eprintln!(
            "round {}: loss {}, accuracy {}",
            round["round"], round["training_loss"], round["evaluation"]["accuracy"]
        );
    }
    // TRL writes a line for every step: what was saved was not taken again
    let jobs = fs::read_dir(data_dir.join("training")).unwrap().map(|entry| entry.unwrap().path());
    let steps =
        jobs.map(|job| fs::read_to_string(job.join("trainer.log")).unwrap().matches("'loss'").count());
    let steps: Vec<_> = steps.collect();
    assert!(steps.contains(&8) && steps.iter().any(|count| (24..=28).contains(count)), "{steps:?}");
}
