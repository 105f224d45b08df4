//! `stilld train` as its user sees it: every layout, interruption, damage, adapters, and errors with a remedy.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod harness;

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use harness::stilld;
use serde_json::Value;

/// One line of every layout that imitation reads.
const DEMONSTRATIONS: [&str; 4] = [
    r#"{"messages": [{"role": "user", "content": "7*12=?"}, {"role": "assistant", "content": "84"}]}"#,
    r#"{"prompt": "7*13=?", "completion": "91"}"#,
    r#"{"prompt": [{"role": "user", "content": "2*21=?"}], "completion": [{"role": "assistant", "content": "42"}]}"#,
    r#"{"question": "3*31=?", "thought": "3*1+0=03;3*3+0=09;", "solution": "\\boxed{93}"}"#,
];
/// One line of every layout that preference optimisation reads.
const PAIRS: [&str; 3] = [
    r#"{"prompt": "7*12=?", "chosen": "84", "rejected": "85"}"#,
    r#"{"question": "2*21=?", "chosen": "42", "rejected": "43"}"#,
    r#"{"prompt": [{"role": "user", "content": "7*13=?"}], "chosen": [{"role": "assistant", "content": "91"}], "rejected": [{"role": "assistant", "content": "19"}]}"#,
];

/// A folder with a training file in it.
struct Workspace(tempfile::TempDir);

impl Workspace {
    fn new(lines: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("data.jsonl"), lines.join("\n")).unwrap();
        Self(folder)
    }

    fn out(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The command that trains the embedded model into `out`.
    fn train(&self, algorithm: &str, out: &str, steps: u32, more: &[&str]) -> Command {
        let mut command = stilld();
        command.args(["train", algorithm, "--model", "embedded", "--data"]).arg(self.out("data.jsonl"));
        command.arg("--out").arg(self.out(out)).args(["--set", "device.learner_threads=1"]);
        let section = if algorithm == "dpo" { "preference" } else { "improvement" };
        for setting in ["batch_sequences=2".to_owned(), format!("steps={steps}")] {
            command.args(["--set", &format!("training.{section}.{setting}")]);
        }
        command.args(more);
        command
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs a command that must succeed, and gives what it said.
fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}: {}", output.status, text(&output));
    text(&output)
}

fn losses(folder: &Path) -> Vec<Value> {
    let lines = fs::read_to_string(folder.join("loss.jsonl")).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn weights(folder: &Path) -> Vec<u8> {
    fs::read(folder.join("model.safetensors")).unwrap()
}

/// What a model answers, with its log-probabilities.
fn generated(model: &[&str]) -> Value {
    let mut command = stilld();
    command
        .args(["generate", "--prompt", "7*12=?", "--max-new-tokens", "6", "--json", "--model"])
        .args(model);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn imitation_trains_on_every_layout_and_leaves_a_model_and_a_picture() {
    let workspace = Workspace::new(&DEMONSTRATIONS);
    let said = succeed(&mut workspace.train(
        "sft",
        "out",
        30,
        &["--set", "training.improvement.peak_learning_rate=3e-3"],
    ));
    assert!(said.contains("0 of 30 steps are taken") && said.contains("step 30/30 (100 %)"), "{said}");
    let losses = losses(&workspace.out("out"));
    assert_eq!(losses.len(), 30);
    let at = |step: usize| losses[step]["loss"].as_f64().unwrap();
    assert!(at(29) < 0.7 * at(0), "{losses:?}");
    assert!(losses[0].get("margin").is_none());
    let picture = fs::read_to_string(workspace.out("out").join("loss.svg")).unwrap();
    assert!(picture.contains("optimizer step") && picture.contains("nats a token"), "{picture}");
    assert_eq!(picture.split("points=\"").nth(1).unwrap().split('"').next().unwrap().split(' ').count(), 30);
    assert!(generated(&[workspace.out("out").to_str().unwrap()])["token_ids"].is_array());
}

#[test]
fn a_trained_model_is_written_in_the_precision_that_is_asked_for() {
    let workspace = Workspace::new(&DEMONSTRATIONS);
    let settings = ["--set", "training.improvement.peak_learning_rate=3e-3"];
    succeed(&mut workspace.train("sft", "whole", 2, &settings));
    let half: Vec<_> = settings.into_iter().chain(["--precision", "bf16"]).collect();
    succeed(&mut workspace.train("sft", "half", 2, &half));
    let (whole, half) = (weights(&workspace.out("whole")), weights(&workspace.out("half")));
    assert!(half.len() < whole.len() * 6 / 10, "{} of {}", half.len(), whole.len());
    let numbers = |file: &[u8]| -> Vec<f32> {
        let tensors = safetensors::SafeTensors::deserialize(file).unwrap();
        let data = tensors.tensor("model.norm.weight").unwrap();
        match data.dtype() {
            safetensors::Dtype::F32 => {
                data.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
            }
            _ => data
                .data()
                .as_chunks::<2>()
                .0
                .iter()
                .map(|bytes| f32::from_le_bytes([0, 0, bytes[0], bytes[1]]))
                .collect(),
        }
    };
    let (whole, half) = (numbers(&whole), numbers(&half));
    assert!(whole.iter().zip(&half).all(|(one, other)| (one - other).abs() <= one.abs() / 256.0));
    assert_ne!(whole, half, "it was rounded");
    assert!(generated(&[workspace.out("half").to_str().unwrap()])["token_ids"].is_array());
}

#[test]
fn preference_optimisation_trains_on_every_layout_and_records_margins() {
    let workspace = Workspace::new(&PAIRS);
    let rate = ["--set", "training.preference.peak_learning_rate=3e-3"];
    let said = succeed(&mut workspace.train("dpo", "out", 20, &rate));
    assert!(said.contains("preferred 100 %"), "{said}");
    let losses = losses(&workspace.out("out"));
    assert!((losses[0]["loss"].as_f64().unwrap() - std::f64::consts::LN_2).abs() < 1e-4, "{losses:?}");
    let last = losses.last().unwrap();
    assert!(last["margin"].as_f64().unwrap() > 0.1 && last["accuracy"] == 1.0, "{last}");
    for field in ["kl", "chosen_drift", "chosen_log_probability", "rejected_log_probability"] {
        assert!(last[field].is_number(), "{last}");
    }
}

#[test]
fn preference_optimisation_says_where_it_comes_near_a_bound_and_ends_beyond_it() {
    let workspace = Workspace::new(&PAIRS);
    let (rate, bound) = ("training.preference.peak_learning_rate=3e-3", "training.dpo.max_margin=0.3");
    let said = text(&workspace.train("dpo", "out", 200, &["--set", rate, "--set", bound]).output().unwrap());
    assert!(said.contains("preference optimisation is at a mean reward margin of 0."), "{said}");
    assert!(said.contains("lower `training.preference.peak_learning_rate`"), "{said}");
    assert!(!workspace.out("out").join("model.safetensors").exists());
    let last = losses(&workspace.out("out")).last().unwrap()["margin"].as_f64().unwrap();
    assert!((0.15..=0.3).contains(&last), "the step beyond the bound is not taken: {last}");
    // the bound is no part of what the training is
    let unbounded = ["--set", rate, "--set", "training.dpo.max_margin=0", "--resume"];
    let said = succeed(&mut workspace.train("dpo", "out", 200, &unbounded));
    assert!(said.contains("going on from"), "{said}");
}

#[test]
fn settings_of_pairs_in_the_section_of_other_examples_are_taken_by_hand_and_refused_in_a_file() {
    let workspace = Workspace::new(&PAIRS);
    let train = |out: &str, more: &[&str]| {
        let mut command = stilld();
        command.args(["train", "dpo", "--model", "embedded", "--data"]).arg(workspace.out("data.jsonl"));
        let output = command.arg("--out").arg(workspace.out(out)).args(more).output().unwrap();
        (output.status.success(), text(&output))
    };
    let (succeeded, said) = train("by-hand", &["--set", "training.improvement.steps=2"]);
    assert!(succeeded, "{said}");
    assert_eq!(losses(&workspace.out("by-hand")).len(), 2);
    let both = ["--set", "training.preference.steps=3", "--set", "training.improvement.steps=2"];
    let (succeeded, said) = train("both", &both);
    assert!(succeeded, "{said}");
    assert_eq!(losses(&workspace.out("both")).len(), 3, "what is named for pairs goes before");

    // a file may be that of a run, whose other rounds it is meant for
    let file = workspace.out("run.toml");
    fs::write(&file, "[training.improvement]\npeak_learning_rate = 1e-6\n").unwrap();
    let from_file = ["--config", file.to_str().unwrap(), "--set", "training.improvement.steps=2"];
    let (succeeded, said) = train("from-file", &from_file);
    assert!(!succeeded && said.contains("`training.preference.peak_learning_rate`"), "{said}");
}

#[test]
fn an_interrupted_training_writes_a_checkpoint_and_ends_in_the_same_bits() {
    let workspace = Workspace::new(&DEMONSTRATIONS);
    let steps = 1_500;
    succeed(&mut workspace.train("sft", "whole", steps, &[]));
    let mut child = workspace.train("sft", "cut", steps, &[]).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    lines.find(|line| line.starts_with("step ")).expect("a line of progress");
    let signalled = Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status().unwrap();
    assert!(signalled.success());
    let rest: Vec<String> = lines.collect();
    let status = child.wait().unwrap();
    assert!(!status.success() && rest.iter().any(|line| line.contains("go on with --resume")), "{rest:?}");
    assert!(!workspace.out("cut").join("model.safetensors").exists(), "it is not trained to its end");

    let again = workspace.train("sft", "cut", steps, &[]).output().unwrap();
    assert!(!again.status.success() && text(&again).contains("--resume"), "{}", text(&again));
    let said = succeed(&mut workspace.train("sft", "cut", steps, &["--resume"]));
    assert!(said.contains("going on from"), "{said}");
    assert!(weights(&workspace.out("cut")) == weights(&workspace.out("whole")));
    assert_eq!(losses(&workspace.out("cut")).len(), steps as usize);
}

#[test]
fn several_devices_end_in_the_same_bits_and_one_that_is_not_there_is_refused() {
    let workspace = Workspace::new(&DEMONSTRATIONS);
    let parts = ["--set", "training.micro_batch_tokens=8", "--set", "checkpoints.every_steps=4"];
    succeed(&mut workspace.train("sft", "one", 8, &parts));
    succeed(&mut workspace.train("sft", "two", 8, &[&parts[..], &["--device", "cpu,cpu"]].concat()));
    assert!(weights(&workspace.out("one")) == weights(&workspace.out("two")));
    let refused = workspace.train("sft", "gpu", 8, &["--device", "cuda:0,cuda:1"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(7), "{}", text(&refused));
    assert!(text(&refused).contains("cuda:0") && !workspace.out("gpu").exists(), "{}", text(&refused));
}

#[test]
fn training_that_diverges_with_no_state_in_memory_goes_back_to_its_checkpoint() {
    let workspace = Workspace::new(&DEMONSTRATIONS);
    let settings = [
        "--set",
        "training.improvement.weight_decay=1e36",
        "--set",
        "training.improvement.warm_up_fraction=0",
        "--set",
        "training.max_skipped_steps=1",
        "--set",
        "training.max_kept_parameters=0",
        "--set",
        "checkpoints.every_steps=1",
    ];
    let ended = workspace.train("sft", "out", 8, &settings).output().unwrap();
    let said = text(&ended);
    assert!(!ended.status.success() && said.matches("diverged: back to step 1").count() == 3, "{said}");
    assert!(said.contains("was diverging already") && said.contains("3 times gone back before"), "{said}");
}

#[test]
fn a_damaged_checkpoint_is_passed_over_with_a_warning() {
    let workspace = Workspace::new(&DEMONSTRATIONS);
    let every = ["--set", "checkpoints.every_steps=2"];
    succeed(&mut workspace.train("sft", "out", 6, &every));
    let expected = weights(&workspace.out("out"));
    let newest = workspace.out("out").join("checkpoints/step-6/learner.safetensors");
    let mut bytes = fs::read(&newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&newest, bytes).unwrap();
    let said = succeed(&mut workspace.train("sft", "out", 6, &[&every[..], &["--resume"]].concat()));
    assert!(said.contains("warning: ") && said.contains("step-6"), "{said}");
    assert!(said.contains("`learner.safetensors` is not what was written"), "{said}");
    assert!(said.contains("going on from") && said.contains("4 of 6 steps are taken"), "{said}");
    assert!(weights(&workspace.out("out")) == expected);

    // where none is whole, nothing is begun over them
    for checkpoint in fs::read_dir(workspace.out("out").join("checkpoints")).unwrap() {
        fs::write(checkpoint.unwrap().path().join("learner.safetensors"), "damaged").unwrap();
    }
    let refused = workspace.train("sft", "out", 6, &["--resume"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(4), "{}", text(&refused));
    assert!(text(&refused).contains("no other checkpoint is left"), "{}", text(&refused));
}

#[test]
fn adapters_are_written_beside_the_merged_model_and_read_back() {
    let workspace = Workspace::new(&DEMONSTRATIONS);
    let mut lora = vec!["--lora-rank", "4", "--lora-alpha", "8", "--lora-targets", "q_proj,v_proj"];
    lora.extend(["--set", "training.improvement.peak_learning_rate=1e-1"]);
    succeed(&mut workspace.train("sft", "out", 6, &lora));
    let out = workspace.out("out");
    let config: Value =
        serde_json::from_slice(&fs::read(out.join("adapter/adapter_config.json")).unwrap()).unwrap();
    assert_eq!(
        (&config["r"], &config["target_modules"]),
        (&4.into(), &serde_json::json!(["q_proj", "v_proj"]))
    );
    assert_eq!(config["base_model_name_or_path"], "embedded");
    let (out, adapter) = (out.to_str().unwrap(), out.join("adapter"));
    let merged = generated(&[out]);
    assert_eq!(merged, generated(&["embedded", "--adapter", adapter.to_str().unwrap()]));
    assert_ne!(merged["log_probabilities"], generated(&["embedded"])["log_probabilities"]);
}

#[test]
fn adapters_name_a_base_given_by_a_relative_path_so_that_it_is_found_from_anywhere() {
    let workspace = Workspace::new(&DEMONSTRATIONS);
    succeed(&mut workspace.train("sft", "base", 1, &[]));
    let train = workspace.train("sft", "adapted", 1, &["--lora-rank", "2"]);
    let relative = train.get_args().map(|word| if word == "embedded" { "./base".as_ref() } else { word });
    succeed(stilld().args(relative).current_dir(workspace.out("")));
    let out = workspace.out("adapted/adapter/adapter_config.json");
    let config: Value = serde_json::from_slice(&fs::read(out).unwrap()).unwrap();
    let named = Path::new(config["base_model_name_or_path"].as_str().unwrap());
    assert!(named.is_absolute() && named.join("config.json").exists(), "{}", named.display());
}

#[test]
fn a_pair_that_prefers_nothing_is_a_broken_line() {
    let workspace = Workspace::new(&[r#"{"prompt": "7*12=?", "chosen": "84", "rejected": "84"}"#]);
    let output = workspace.train("dpo", "out", 2, &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    assert!(
        text(&output).contains("line 1") && text(&output).contains("nothing is preferred"),
        "{}",
        text(&output)
    );
}

#[test]
fn what_is_longer_than_the_model_has_positions_is_left_out_and_refused_where_nothing_else_is_there() {
    let long = format!(r#"{{"prompt": "1=?", "completion": "{}"}}"#, "1".repeat(300));
    let workspace = Workspace::new(&[&long, DEMONSTRATIONS[1]]);
    let said = succeed(&mut workspace.train("sft", "out", 1, &[]));
    assert!(said.contains("left_out=1") && said.contains("positions=256"), "{said}");
    let output = Workspace::new(&[&long]).train("sft", "out", 1, &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    assert!(
        text(&output).contains("no example is left") && text(&output).contains("256"),
        "{}",
        text(&output)
    );
}

#[test]
fn broken_lines_are_named_with_their_field_and_the_remedy() {
    let broken = [
        (r#"{"prompt": "7*12=?"}"#, "response"),
        (r#"{"messages": []}"#, "`messages` is empty; remove the line"),
        (
            r#"{"messages": [{"role": "user", "content": "7"}, {"role": "user", "content": "8"}]}"#,
            "`messages`",
        ),
        (r#"{"prompt": "7*12=?", "completion": 84}"#, "`completion`"),
        ("{", "no JSON object"),
    ];
    for (line, named) in broken {
        let workspace = Workspace::new(&[DEMONSTRATIONS[0], line]);
        let output = workspace.train("sft", "out", 2, &[]).output().unwrap();
        let said = text(&output);
        assert!(!output.status.success() && said.contains("line 2: ") && said.contains(named), "{said}");
        assert!(said.contains("--on-error skip"), "{said}");
        assert!(!workspace.out("out").join("model.safetensors").exists());
    }
    let workspace = Workspace::new(&[PAIRS[0], r#"{"prompt": "7*12=?", "chosen": "84"}"#]);
    let said = text(&workspace.train("dpo", "out", 2, &[]).output().unwrap());
    assert!(said.contains("line 2: `rejected` is missing"), "{said}");
    succeed(&mut workspace.train("dpo", "out", 2, &["--on-error", "skip"]));
    let workspace = Workspace::new(&[PAIRS[0], r#"{"prompt": "7*12=?", "chosen": "84", "rejected": "84"}"#]);
    let said = text(&workspace.train("dpo", "out", 2, &[]).output().unwrap());
    assert!(said.contains("line 2: `chosen` and `rejected` are the same"), "{said}");
}
