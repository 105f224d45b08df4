//! A thousand broken lines, configurations and models: whatever is changed in them, the program says what it makes of
//! it, with its place, or takes it for what it says; it never panics.
//!
//! What is changed follows from the number of the case, which a failure prints.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod harness;

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use harness::stilld;
use serde_json::Value;
use still_domain::Split;
use still_operator::{
    config::{ConfigLayers, show_json},
    import,
};

const LINES: u64 = 600;
const CONFIGURATIONS: u64 = 300;
const MODELS: u64 = 100;

/// Lines of the layouts that most data sets have.
const SOUND: [&str; 6] = [
    r#"{"id": "one", "problem": "What is 6*7?", "answer": "42", "level": 3}"#,
    r#"{"question": "How many eggs?", "answer": "She has <<2*9=18>>18.\n#### 18"}"#,
    r#"{"problem": "Find x.", "solution": "So $x = \\boxed{\\frac{3}{4}}$.", "subject": "Algebra"}"#,
    r#"{"question": "The capital?", "options": ["Rome", "Paris"], "answer": "B", "answer_index": 1}"#,
    r#"{"prompt": [{"role": "user", "content": "What is 2+2?"}], "reward_model": {"ground_truth": "4"}}"#,
    r#"{"problem": "Square it.", "kind": "code", "tests": [{"output": {"input": "3", "expected": "9"}}]}"#,
];
/// What is put in somewhere.
const SCRAPS: [&str; 16] = [
    "null",
    "\"",
    "}",
    "{",
    "[]",
    "-1",
    "1e999",
    "\u{0}",
    "\u{feff}",
    "\\u0000",
    ", \"answer\": 7",
    "\n",
    "😀",
    "true",
    "\"image\": \"x\", ",
    "NaN",
];

/// Numbers that follow from a seed (`SplitMix64`).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % end.max(1) as u64) as usize
    }

    /// `bytes` with one to three places cut out, doubled, overwritten or filled.
    fn broken(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.below(3) {
            let start = self.below(bytes.len() + 1);
            let end = bytes.len().min(start + 1 + self.below(12));
            match self.below(5) {
                0 => drop(bytes.drain(start..end)),
                1 => {
                    let part = bytes[start..end].to_vec();
                    bytes.splice(start..start, part);
                }
                2 => bytes[start..end].iter_mut().for_each(|byte| *byte ^= 0x20),
                3 => bytes.truncate(start),
                _ => drop(bytes.splice(start..start, SCRAPS[self.below(SCRAPS.len())].bytes())),
            }
        }
        bytes
    }
}

/// Every text in a value, and every number as a text.
fn texts(value: &Value, all: &mut Vec<String>) {
    match value {
        Value::String(text) => all.push(text.clone()),
        Value::Number(number) => all.push(number.to_string()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, all)),
        Value::Object(fields) => fields.values().for_each(|value| texts(value, all)),
        Value::Null | Value::Bool(_) => {}
    }
}

#[test]
#[ignore = "a thousand cases: .ci/long"]
fn a_broken_line_is_told_with_its_place_or_means_what_it_says() {
    for case in 0..LINES {
        let mut chance = Chance(case);
        let which = chance.below(SOUND.len());
        let line = chance.broken(SOUND[which].as_bytes());
        let file = [SOUND[0].as_bytes(), &line, SOUND[1].as_bytes()].join(&b'\n');
        let shown = String::from_utf8_lossy(&line).into_owned();
        let parsed = import::problems(&file, "file.jsonl", Split::Explore);
        let filled =
            file.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count() as u64;
        let told =
            (parsed.records.len() + parsed.broken.len() + parsed.left_out.len()) as u64 + parsed.repeated;
        // a file that is none of lines at all is one word
        assert!(told == filled || (parsed.records.is_empty() && parsed.broken.len() == 1), "{case}: {shown}");
        for problem in parsed.broken.iter().chain(&parsed.left_out) {
            assert!(
                problem.line >= 1 && !problem.reason.is_empty() && !problem.remedy.is_empty(),
                "{case}: {shown}"
            );
        }
        let own = parsed.records.iter().zip(&parsed.lines).filter(|(_, line)| **line > 1 && **line < filled);
        for (problem, _) in own {
            let mut said = Vec::new();
            for line in line.split(|byte| *byte == b'\n') {
                if let Ok(value) = serde_json::from_slice(line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line))
                {
                    texts(&value, &mut said);
                }
            }
            let is_said =
                |text: &str| said.iter().any(|said| said.contains(text) || text.contains(said.trim()));
            assert!(is_said(&problem.text) && !problem.gold.is_empty(), "{case}: {shown}\n{problem:?}");
        }
    }
}

/// The keys whose value is another one than what stands there.
fn compare(said: &toml::Value, meant: &Value, key: &str, other: &mut Vec<String>) {
    let is_meant = match said {
        toml::Value::Table(table) => {
            return table
                .iter()
                .for_each(|(name, said)| compare(said, &meant[name], &format!("{key}.{name}"), other));
        }
        toml::Value::Array(items) => {
            let count = meant.as_array().map_or(0, Vec::len);
            // what is a set has its items in an order of its own
            count == items.len()
        }
        toml::Value::String(text) => meant == text.as_str(),
        toml::Value::Boolean(truth) => meant == *truth,
        toml::Value::Integer(number) => is_near(meant, *number as f64),
        toml::Value::Float(number) => is_near(meant, *number),
        toml::Value::Datetime(_) => false,
    };
    if !is_meant {
        other.push(format!("{key}: {said} is taken as {meant}"));
    }
}

/// Whether a setting is a number that was written, in the precision of f32.
fn is_near(meant: &Value, said: f64) -> bool {
    meant.as_f64().is_some_and(|meant| (meant - said).abs() <= 1e-6 * said.abs())
}

#[test]
#[ignore = "a thousand cases: .ci/long"]
fn a_broken_configuration_is_told_by_its_line_or_loads() {
    let sound = fs::read("configs/reference.toml").unwrap();
    for case in 0..CONFIGURATIONS {
        let broken = Chance(case).broken(&sound);
        let Ok(text) = String::from_utf8(broken) else { continue };
        match ConfigLayers::new().text("my.toml", &text).load() {
            Err(error) => {
                let told = error.to_string();
                assert!(told.contains("my.toml"), "{case}: {told}");
            }
            Ok(loaded) => {
                let said = text.parse::<toml::Table>().unwrap();
                let meant = show_json(&loaded)["config"].clone();
                let mut other = Vec::new();
                compare(&said.into(), &meant, "", &mut other);
                assert!(other.is_empty(), "{case}: {other:?}");
            }
        }
    }
}

fn score(model: &Path, input: &Path) -> Output {
    let mut command: Command = stilld();
    command.args(["score", "--json", "--model"]).arg(model).arg("--input").arg(input);
    command.output().unwrap()
}

#[test]
#[ignore = "a thousand cases: .ci/long"]
fn a_broken_model_is_told_by_its_file_or_scores() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    fs::write(place("data.jsonl"), "{\"prompt\": \"6*7=?\", \"completion\": \"42\"}\n").unwrap();
    fs::write(place("text.jsonl"), "{\"text\": \"6*7=?42\"}\n").unwrap();
    let mut train = stilld();
    train.args(["train", "sft", "--model", "embedded", "--set", "training.improvement.steps=1", "--data"]);
    let trained = train.arg(place("data.jsonl")).arg("--out").arg(place("model")).output().unwrap();
    assert!(trained.status.success(), "{}", String::from_utf8_lossy(&trained.stderr));
    let sound = score(&place("model"), &place("text.jsonl"));
    assert!(sound.status.success());
    let files = [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "generation_config.json",
    ];
    for case in 0..MODELS {
        let mut chance = Chance(case);
        let broken = place("broken");
        fs::create_dir_all(&broken).unwrap();
        let present: Vec<_> = files.iter().filter(|name| place("model").join(name).exists()).collect();
        let changed = present[chance.below(present.len())];
        for name in &present {
            let bytes = fs::read(place("model").join(name)).unwrap();
            // of weights the header is what can be misunderstood
            let bytes = match (*name == changed, **name) {
                (false, _) => bytes,
                (true, "model.safetensors") => {
                    let (head, rest) = bytes.split_at(600.min(bytes.len()));
                    [chance.broken(head), rest.to_vec()].concat()
                }
                (true, _) => chance.broken(&bytes),
            };
            fs::write(broken.join(name), bytes).unwrap();
        }
        let output = score(&broken, &place("text.jsonl"));
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!told.contains("panicked"), "{case}, {changed}: {told}");
        match output.status.code() {
            Some(0) => {}
            Some(3 | 4 | 11) => {
                let message = serde_json::from_str::<Value>(told.lines().last().unwrap()).unwrap();
                let message = message["error"]["message"].as_str().unwrap();
                assert!(!message.is_empty(), "{case}, {changed}: {told}");
            }
            code => panic!("{case}, {changed}: {code:?}: {told}"),
        }
    }
}
