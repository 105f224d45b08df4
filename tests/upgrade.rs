//! What the version before wrote is gone on with: its store, its checkpoints and its adapters, to the same bits.
//!
//! The folders are in `tests/fixtures/before-seams`, whose README says how they were made. Bits are those of a processor
//! with the same instructions: with others a sum is rounded elsewhere, and numbers are compared but for rounding. Under
//! `valgrind --tool=none --trace-children=yes` any processor shows the instructions of AVX2 alone.
//!
//! What is computed otherwise since (adapters beside their projections, losses of pairs in double precision) is computed in
//! these jobs as it was.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod harness;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use harness::{rounds, stilld};
use serde_json::{Value, json};

/// The checkpoint that `stilld run` was killed after, and the last step of its job.
const RUN_STEPS: (u64, u64) = (160, 240);
/// The same of `stilld train`.
const TRAIN_STEPS: (u64, u64) = (60, 80);

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/before-seams")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A copy of the fixture that may be gone on with.
fn before() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(&fixture(), folder.path());
    folder
}

/// The instructions that sums are made with here.
fn cpu() -> Value {
    #[cfg(target_arch = "x86_64")]
    let found = json!({
        "avx2": is_x86_feature_detected!("avx2"),
        "fma": is_x86_feature_detected!("fma"),
        "avx512f": is_x86_feature_detected!("avx512f"),
    });
    #[cfg(not(target_arch = "x86_64"))]
    let found = json!({});
    found
}

fn expected(name: &str) -> Value {
    serde_json::from_slice(&fs::read(fixture().join("expected").join(name)).unwrap()).unwrap()
}

/// Compares a file with what the version before made of the same: where the processor computes as that one's did to the
/// bit, elsewhere number by number but for rounding.
fn assert_same_bits(made: &Path, name: &str) {
    let known = fixture().join("expected").join(name);
    if cpu() == expected("cpu.json") {
        assert!(
            fs::read(made).unwrap() == fs::read(known).unwrap(),
            "{} differs from {name}",
            made.display()
        );
        return;
    }
    eprintln!("the bits of {name} are those of another processor: compared but for rounding");
    let (made, known) = (numbers(made), numbers(&known));
    assert_eq!(made.len(), known.len(), "{name}");
    let largest = known.iter().fold(0.0_f32, |largest, number| largest.max(number.abs()));
    let apart = made.iter().zip(&known).map(|(made, known)| (made - known).abs());
    let furthest = apart.fold(0.0_f32, f32::max);
    assert!(furthest <= 1e-3 * largest, "{name}: {furthest} apart where the largest is {largest}");
}

/// Every number of a safetensors file of f32, in its order.
fn numbers(path: &Path) -> Vec<f32> {
    let bytes = fs::read(path).unwrap();
    let (length, rest) = bytes.split_first_chunk::<8>().unwrap();
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header: serde_json::Map<String, Value> = serde_json::from_slice(header).unwrap();
    let mut tensors = header.values().filter_map(|tensor| tensor["dtype"].as_str());
    assert!(tensors.all(|dtype| dtype == "F32"), "{} holds other numbers", path.display());
    data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

fn text(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8(text).unwrap()
}

#[test]
fn a_run_of_the_version_before_goes_on_from_its_checkpoint() {
    let folder = before();
    let mut command = stilld();
    command.current_dir(folder.path()).args(["run", "--config", "run.toml", "--data-dir", "data"]);
    command.args(["--set", "log.format=json", "--set", "log.filter=warn,still_telemetry=debug"]);
    // what the version before gated by when nothing was said: six held-out problems prove nothing
    command.args(["--set", "gate.evidence=difference", "--set", "evaluation.score_base=false"]);
    let output = command.output().unwrap();
    let said = text(&output);
    assert!(output.status.success(), "{said}");

    let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let taken = lines.filter(|line| line["fields"]["message"] == "optimizer step taken");
    let steps: Vec<_> = taken.filter_map(|line| line["fields"]["step"].as_u64()).collect();
    assert_eq!(steps, (RUN_STEPS.0 + 1..=RUN_STEPS.1).collect::<Vec<_>>(), "{said}");

    let (mut found, mut known) = (rounds(&folder.path().join("data")), expected("rounds.json"));
    for round in found.iter_mut().chain(known.as_array_mut().unwrap()) {
        let round = round.as_object_mut().unwrap();
        round.remove("ended_at_ms").expect("the round is over");
        // today's names the rival it was compared with
        round.remove("decision").expect("the round is decided");
    }
    for (round, known) in found.iter().zip(known.as_array().unwrap()) {
        assert_eq!(round["training_set"], known["training_set"]);
        assert_eq!(round["tally"], known["tally"]);
    }
    if cpu() == expected("cpu.json") {
        assert_eq!(Value::from(found), known);
    }
    let policy = folder.path().join(format!("data/checkpoints/round-1-step-{}", RUN_STEPS.1));
    assert_same_bits(&policy.join("model.safetensors"), "run.safetensors");
}

/// Goes on with a folder of `stilld train`.
fn go_on(name: &str, arguments: &[&str]) -> tempfile::TempDir {
    let folder = before();
    let mut command = stilld();
    command.current_dir(folder.path()).arg("train").args(arguments);
    command.args(["--model", "data/checkpoints/round-0-step-600", "--config", "train.toml"]);
    let output = command.args(["--out", name, "--resume"]).output().unwrap();
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    let (checkpoint, last) = TRAIN_STEPS;
    assert!(said.contains(&format!("going on from `{name}/checkpoints/step-{checkpoint}`")), "{said}");
    assert!(!said.contains("warning"), "{said}");

    let losses = fs::read_to_string(folder.path().join(name).join("loss.jsonl")).unwrap();
    let steps = losses.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["step"].as_u64());
    assert!(steps.eq((1..=last).map(Some)), "{losses}");
    folder
}

#[test]
fn imitation_of_the_version_before_goes_on_from_its_checkpoint() {
    let folder = go_on("sft", &["sft", "--data", "sft.jsonl"]);
    assert_same_bits(&folder.path().join("sft/model.safetensors"), "sft.safetensors");
}

#[test]
fn preference_optimisation_of_the_version_before_goes_on_from_its_checkpoint() {
    let folder = go_on("dpo", &["dpo", "--data", "dpo.jsonl"]);
    assert_same_bits(&folder.path().join("dpo/model.safetensors"), "dpo.safetensors");
}

#[test]
fn adapters_of_the_version_before_go_on_from_their_checkpoint() {
    let folder = go_on("lora", &["sft", "--data", "sft.jsonl", "--lora-rank", "2"]);
    assert_same_bits(&folder.path().join("lora/model.safetensors"), "lora.safetensors");
    let adapter = folder.path().join("lora/adapter/adapter_model.safetensors");
    assert_same_bits(&adapter, "lora-adapter.safetensors");
}
