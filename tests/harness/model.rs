//! A model that servers can load.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::stilld;

/// A model in a folder, trained a little: servers load no model that is made of a seed.
pub fn model(folder: &Path) -> PathBuf {
    let line = |number: usize| {
        let (factor, product) = (number % 7 + 2, (number + 12) * (number % 7 + 2));
        let problem = format!("{}*{factor}=", number + 12);
        let completion = format!(
            "<|begin_of_thought|>{product};<|end_of_thought|><|begin_of_solution|>{product}<|end_of_solution|>"
        );
        serde_json::json!({"prompt": problem, "completion": completion}).to_string()
    };
    let (data, out) = (folder.join("first.jsonl"), folder.join("base"));
    fs::write(&data, (0..22).map(line).collect::<Vec<_>>().join("\n")).unwrap();
    let mut command = stilld();
    command.args(["train", "sft", "--model", "embedded", "--data"]).arg(&data).arg("--out").arg(&out);
    for setting in [
        "training.improvement.steps=10",
        "training.improvement.batch_sequences=4",
        "training.improvement.peak_learning_rate=3e-3",
        "training.precision=f32",
        "device.learner_threads=1",
    ] {
        command.args(["--set", setting]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    out
}
