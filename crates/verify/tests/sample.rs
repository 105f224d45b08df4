//! The labelled sample of completions: every label met, no false positive.

use std::io::Cursor;

use still_verify::Profile;
use still_verify::grade::grade;

#[test]
fn every_label_is_met() {
    let sample = include_str!("fixtures/grading_sample.jsonl");
    let mut graded = Vec::new();
    let summary =
        grade(Cursor::new(sample), &mut graded, Profile::Lenient, |error| panic!("{error}")).unwrap();
    assert_eq!(summary.lines, 239);
    let mut failures = Vec::new();
    for (case, result) in sample.lines().zip(String::from_utf8(graded).unwrap().lines()) {
        let case: serde_json::Value = serde_json::from_str(case).unwrap();
        let result: serde_json::Value = serde_json::from_str(result).unwrap();
        if (result["verdict"] == "correct") != case["equivalent"].as_bool().unwrap() {
            failures.push(format!("{case}\n  {result}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn bad_lines_are_answered_in_order() {
    let input = concat!(
        r#"{"gold": "1", "prediction": "1"}"#,
        "\n\n",
        "no json\n",
        r#"{"gold": "1"}"#,
        "\n",
        r#"{"gold": "1", "prediction": "1", "kind": "poem"}"#,
        "\n",
        r#"{"gold": "a+", "prediction": "aaa", "kind": "regex", "other": 7}"#,
        "\n",
        r#"{"gold": 123456789012345678901234, "prediction": "\\boxed{123456789012345678901234}"}"#,
    );
    let mut out = Vec::new();
    let mut errors = Vec::new();
    let summary =
        grade(Cursor::new(input), &mut out, Profile::Lenient, |error| errors.push(error.to_string()))
            .unwrap();
    assert_eq!((summary.lines, summary.bad_lines), (6, 4));
    let verdicts: Vec<String> = String::from_utf8(out)
        .unwrap()
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["verdict"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(verdicts, ["correct", "error", "error", "error", "correct", "error"]);
    assert!(errors[1].contains("line 4") && errors[1].contains("prediction"), "{errors:?}");
    assert!(errors[2].contains("line 5") && errors[2].contains("kind"), "{errors:?}");
    assert!(errors[3].contains("`gold`") && errors[3].contains("digits are lost"), "{errors:?}");
}
