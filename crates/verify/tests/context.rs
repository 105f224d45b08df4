//! The place of an answer: what stands beside and around a box, what announces an answer, what follows it, what
//! only decorates it; options of multiple choice and thoughts of every format. `context.jsonl` holds labelled
//! completions by category.

use std::collections::BTreeMap;

use serde_json::Value;
use still_verify::{Gold, Kind, Outcome, Profile, judge};

#[test]
fn every_label_is_met() {
    let mut failures = Vec::new();
    let mut counts: BTreeMap<(String, bool), u64> = BTreeMap::new();
    for line in include_str!("context.jsonl").lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let kind: Kind = serde_json::from_value(case["kind"].clone()).unwrap();
        let gold = Gold::parse(kind, case["gold"].as_str().unwrap()).unwrap();
        let judgement = judge(&gold, case["prediction"].as_str().unwrap(), Profile::Lenient);
        let label = case["equivalent"].as_bool().unwrap();
        *counts.entry((case["category"].as_str().unwrap().to_owned(), label)).or_default() += 1;
        if (judgement.outcome == Outcome::Correct) != label {
            failures.push(format!("{line}\n  {judgement:?}"));
        }
    }
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
    assert!(counts.values().sum::<u64>() > 400, "{counts:?}");
}

#[test]
fn the_strict_profile_reads_the_same_boxes() {
    for line in include_str!("context.jsonl").lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let kind: Kind = serde_json::from_value(case["kind"].clone()).unwrap();
        let gold = Gold::parse(kind, case["gold"].as_str().unwrap()).unwrap();
        let prediction = case["prediction"].as_str().unwrap();
        let strict = judge(&gold, prediction, Profile::Strict).outcome;
        if strict == Outcome::Correct {
            assert_eq!(judge(&gold, prediction, Profile::Lenient).outcome, Outcome::Correct, "{line}");
        }
    }
}
