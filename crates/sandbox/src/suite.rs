//! Test cases as data sets write them: one JSON object a problem, in any of three layouts.
//!
//! | layout | from |
//! |---|---|
//! | `{"tests": [{"output": {"input": "2 3\\n", "expected": "5"}}, {"assertions": "assert f(2) == 4"}, ...]}` | this crate's own: every kind of [`TestCase`] |
//! | `{"inputs": ["2 3\\n", ...], "outputs": ["5", ...]}` | programs on standard input and output (APPS, TACO) |
//! | `{"test_list": ["assert f(2) == 4", ...], "test_setup_code": "import math"}` | functions by assertions (MBPP) |

use serde::Deserialize;
use serde_json::{Map, Number, Value};
use thiserror::Error;

use crate::testing::TestCase;

/// Whole numbers up to here are held exactly by a 64-bit float: 2⁵³.
const EXACT_FLOATS: f64 = 9_007_199_254_740_992.0;

/// The test cases of one problem; at least one.
#[derive(Debug, Clone, PartialEq)]
pub struct Suite {
    cases: Vec<TestCase>,
}

/// Why test cases cannot be read.
#[derive(Debug, Error)]
pub enum SuiteError {
    /// No JSON object.
    #[error("the tests are no JSON object ({0}): write {{\"tests\": [...]}}")]
    Json(#[from] serde_json::Error),
    /// None of the three layouts.
    #[error("the tests stand in no known field: write `tests`, `inputs` with `outputs`, or `test_list`")]
    Layout,
    /// A field holds something else.
    #[error("`{field}` {reason}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is wrong with it, and what would be right.
        reason: String,
    },
}

impl Suite {
    /// Reads test cases; fields that no layout knows are passed over, as data sets carry many.
    ///
    /// # Errors
    /// Names the field that cannot be read.
    pub fn parse(json: &str) -> Result<Self, SuiteError> {
        let fields: Map<String, Value> = serde_json::from_str(json)?;
        let cases = if let Some(tests) = fields.get("tests") {
            if let Some(number) = inexact_number(tests) {
                let reason =
                    format!("holds {number}, of which digits are lost: write it in an assertion, as text");
                return Err(SuiteError::Field { field: "tests", reason });
            }
            read(tests, "tests")?
        } else if let Some(inputs) = fields.get("inputs") {
            outputs(inputs, &fields)?
        } else if let Some(list) = fields.get("test_list") {
            assertions(list, &fields)?
        } else {
            return Err(SuiteError::Layout);
        };
        if cases.is_empty() {
            let reason = "no test that a program could fail: give at least one".to_owned();
            return Err(SuiteError::Field { field: "tests", reason });
        }
        Ok(Self { cases })
    }

    /// The cases, in order.
    pub fn cases(&self) -> &[TestCase] {
        &self.cases
    }

    /// Whether every case is one that programs of any language can take.
    pub fn is_for_any_language(&self) -> bool {
        self.cases.iter().all(|case| matches!(case, TestCase::Output { .. }))
    }
}

fn outputs(inputs: &Value, fields: &Map<String, Value>) -> Result<Vec<TestCase>, SuiteError> {
    if fields.get("fn_name").is_some_and(|name| !name.is_null()) {
        let reason = "names a function to call: write its tests as {\"call\": {\"function\": ..., \"arguments\": \
                      [...], \"expected\": ...}} under `tests`";
        return Err(SuiteError::Field { field: "fn_name", reason: reason.to_owned() });
    }
    let inputs: Vec<Text> = read(inputs, "inputs")?;
    let outputs: Vec<Text> = read(fields.get("outputs").unwrap_or(&Value::Null), "outputs")?;
    if inputs.len() != outputs.len() {
        let reason = format!("holds {} texts for {} inputs: give one for each", outputs.len(), inputs.len());
        return Err(SuiteError::Field { field: "outputs", reason });
    }
    let case = |(input, expected): (Text, Text)| TestCase::Output {
        input: input.into_string(),
        expected: expected.into_string(),
    };
    Ok(inputs.into_iter().zip(outputs).map(case).collect())
}

fn assertions(list: &Value, fields: &Map<String, Value>) -> Result<Vec<TestCase>, SuiteError> {
    let setup: Option<String> =
        read(fields.get("test_setup_code").unwrap_or(&Value::Null), "test_setup_code")?;
    let setup = setup.unwrap_or_default();
    let list: Vec<String> = read(list, "test_list")?;
    Ok(list.into_iter().map(|test| TestCase::Assertions(format!("{setup}\n{test}"))).collect())
}

/// The first whole number beyond what a float holds exactly, which it was read as: beyond 64 bits, or
/// written with an exponent.
fn inexact_number(value: &Value) -> Option<&Number> {
    match value {
        Value::Number(number) => {
            let float = number.as_f64().filter(|_| number.is_f64())?;
            (float.fract() == 0.0 && float.abs() >= EXACT_FLOATS).then_some(number)
        }
        Value::Array(items) => items.iter().find_map(inexact_number),
        Value::Object(fields) => fields.values().find_map(inexact_number),
        _ => None,
    }
}

/// A text, or its lines.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Text {
    Whole(String),
    Lines(Vec<String>),
}

impl Text {
    fn into_string(self) -> String {
        match self {
            Self::Whole(text) => text,
            Self::Lines(lines) => lines.join("\n"),
        }
    }
}

fn read<'value, T: Deserialize<'value>>(value: &'value Value, field: &'static str) -> Result<T, SuiteError> {
    T::deserialize(value)
        .map_err(|error| SuiteError::Field { field, reason: format!("cannot be read: {error}") })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cases(value: &Value) -> Vec<TestCase> {
        Suite::parse(&value.to_string()).unwrap().cases().to_vec()
    }

    #[test]
    fn every_layout_is_read() {
        let output =
            |input: &str, expected: &str| TestCase::Output { input: input.into(), expected: expected.into() };
        let own = json!({"tests": [
            {"output": {"input": "2", "expected": "4"}},
            {"call": {"function": "f", "arguments": [2], "expected": 4}},
            {"assertions": "assert f(2) == 4"},
        ]});
        assert_eq!(cases(&own).len(), 3);
        assert_eq!(cases(&own)[0], output("2", "4"));
        assert!(!Suite::parse(&own.to_string()).unwrap().is_for_any_language());
        let stdin = json!({"inputs": ["2\n", ["3", "4"]], "outputs": ["4", ["9", "16"]], "fn_name": null});
        assert_eq!(cases(&stdin), [output("2\n", "4"), output("3\n4", "9\n16")]);
        assert!(Suite::parse(&stdin.to_string()).unwrap().is_for_any_language());
        let listed = json!({"test_list": ["assert f(2) == 4"], "test_setup_code": "x = 1", "task_id": 3});
        assert_eq!(cases(&listed), [TestCase::Assertions("x = 1\nassert f(2) == 4".into())]);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (value, part) in [
            (json!("4"), "no JSON object"),
            (json!({"answer": 4}), "`test_list`"),
            (json!({"tests": []}), "at least one"),
            (json!({"tests": [{"output": {"input": "2"}}]}), "`tests`"),
            (json!({"tests": [{"shell": "x"}]}), "`tests`"),
            (json!({"inputs": ["2"], "outputs": []}), "0 texts for 1 inputs"),
            (json!({"inputs": [[1]], "outputs": ["1"]}), "`inputs`"),
            (json!({"inputs": [[1]], "outputs": [1], "fn_name": "f"}), "`fn_name`"),
            (json!({"test_list": "assert True"}), "`test_list`"),
        ] {
            let error = Suite::parse(&value.to_string()).unwrap_err().to_string();
            assert!(error.contains(part), "{value}: {error}");
        }
    }

    #[test]
    fn whole_numbers_that_json_readers_round_are_refused_and_others_are_not() {
        let call = |argument: &str, expected: &str| {
            let call = format!(r#"{{"function": "f", "arguments": [[{argument}]], "expected": {expected}}}"#);
            Suite::parse(&format!(r#"{{"tests": [{{"call": {call}}}]}}"#))
        };
        for (argument, expected) in [("18446744073709551615", "1"), ("-3", "0.5"), ("1e3", "1e15")] {
            assert!(call(argument, expected).is_ok(), "{argument} {expected}");
        }
        for (argument, expected) in
            [("18446744073709551616", "1"), ("1", "1e16"), ("-9223372036854775809", "1")]
        {
            let error = call(argument, expected).unwrap_err().to_string();
            assert!(error.contains("digits are lost: write it in an assertion"), "{error}");
        }
    }
}
