//! Failing cases of a hunt through public reports and probes around each kind, with labels made by reading.

use serde_json::Value;
use still_verify::{Gold, Kind, Outcome, Profile, judge};

/// Cases whose labels are contested: gold, prediction, reason.
const CONTESTED: [(&str, &str, &str); 0] = [];

#[test]
fn every_label_is_met() {
    let mut failures = Vec::new();
    let mut count = 0;
    for line in include_str!("fixtures/grading_failures_2026_11.jsonl").lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let text = |field: &str| case[field].as_str().unwrap();
        let kind: Kind = serde_json::from_value(case["kind"].clone()).unwrap();
        let (gold, prediction) = (text("gold"), text("prediction"));
        count += 1;
        if CONTESTED.iter().any(|(known, other, _)| (*known, *other) == (gold, prediction)) {
            continue;
        }
        let judgement = judge(&Gold::parse(kind, gold).unwrap(), prediction, Profile::Lenient);
        let correct = judgement.outcome == Outcome::Correct;
        if judgement.outcome == Outcome::Error || correct != case["equivalent"].as_bool().unwrap() {
            let label = if correct { "FALSE POSITIVE" } else { "false negative" };
            failures.push(format!(
                "{label} {}: {gold} | {prediction} ({}, {:?})",
                text("category"),
                judgement.outcome,
                judgement.extracted
            ));
        }
    }
    assert_eq!(count, 517);
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}
