//! Files of predictions, a JSON line each: answers and programs in the same file.

use std::{
    io::{BufRead, Write},
    time::Instant,
};

use serde_json::{Map, Value};
use still_domain::Outcome;
use still_sandbox::Suite;
pub use still_verify::grade::FileError;
use still_verify::grade::{self, Graded, LineError, Summary};

use crate::{code::CODE_VERSION, verifier::StandardVerifier, verifier::graded};

/// The kind of a line that holds a program.
const CODE: &str = "code";

/// Grades every line of a reader and writes one line each, in order: [`grade::grade`], and the kind `code`,
/// whose `gold` holds the tests as an object or as its text.
///
/// A bad line is written with the verdict `error` and what is wrong with it, and handed to `report`. So is a
/// program that could not be judged, but it is not handed on: the line is sound.
///
/// # Errors
/// Only what reading and writing themselves give.
pub fn grade(
    reader: impl BufRead,
    writer: impl Write,
    verifier: &StandardVerifier,
    report: impl FnMut(&LineError),
) -> Result<Summary, FileError> {
    grade::grade_each(reader, writer, |line, json| grade_line(line, json, verifier), report)
}

fn grade_line(line: u64, json: &str, verifier: &StandardVerifier) -> Result<Graded, LineError> {
    match serde_json::from_str::<Map<String, Value>>(json) {
        Ok(fields) if fields.get("kind").is_some_and(|kind| kind == CODE) => {
            grade_program(line, &fields, verifier)
        }
        // whatever is wrong with the line is reported by the other judge
        _ => grade::grade_line(line, json, verifier.profile()).map_err(|error| match error {
            LineError::Field { line, field: "kind", reason } => {
                LineError::Field { line, field: "kind", reason: format!("{reason}, {CODE}") }
            }
            error => error,
        }),
    }
}

fn grade_program(
    line: u64,
    fields: &Map<String, Value>,
    verifier: &StandardVerifier,
) -> Result<Graded, LineError> {
    let started = Instant::now();
    let wrong = |field, reason: &str| LineError::Field { line, field, reason: reason.to_owned() };
    let tests = match fields.get("gold") {
        Some(Value::String(text)) => text.clone(),
        Some(tests @ Value::Object(_)) => tests.to_string(),
        Some(_) => return Err(wrong("gold", "must hold the tests as an object or as its text")),
        None => return Err(wrong("gold", "is missing")),
    };
    Suite::parse(&tests).map_err(|error| wrong("gold", &error.to_string()))?;
    let prediction = match fields.get("prediction") {
        Some(Value::String(text)) => text,
        Some(_) => return Err(wrong("prediction", "must be a string")),
        None => return Err(wrong("prediction", "is missing")),
    };
    let verdict = verifier.code().judge(&tests, prediction);
    let error = (verdict.outcome == Outcome::Error).then(|| verdict.rule.clone());
    Ok(Graded {
        verdict: graded(verdict.outcome),
        extracted: verdict.program,
        rule: Some(verdict.rule),
        verifier_version: CODE_VERSION,
        microseconds: started.elapsed().as_micros() as u64,
        detail: None,
        error,
    })
}

#[cfg(test)]
mod tests {
    use still_verify::Profile;

    use super::*;
    use crate::CodeSection;

    #[test]
    fn broken_lines_are_told_with_their_field() {
        let verifier = StandardVerifier::new(Profile::Lenient, CodeSection::default());
        for (json, part) in [
            (r#"{"kind": "code", "prediction": "x"}"#, "`gold`: is missing"),
            (r#"{"kind": "code", "gold": 4, "prediction": "x"}"#, "as an object"),
            (r#"{"kind": "code", "gold": {"tests": []}, "prediction": "x"}"#, "at least one"),
            (r#"{"kind": "code", "gold": {"test_list": ["assert f()"]}}"#, "`prediction`: is missing"),
            (r#"{"kind": "sum", "gold": "4", "prediction": "x"}"#, "regex, code"),
            ("[]", "not a JSON object"),
        ] {
            let error = grade_line(7, json, &verifier).unwrap_err().to_string();
            assert!(error.starts_with("line 7: ") && error.contains(part), "{json}: {error}");
        }
        let graded = grade_line(1, r#"{"gold": "4", "prediction": "\\boxed{4}"}"#, &verifier).unwrap();
        assert_eq!((graded.verdict, graded.rule.as_deref()), (still_verify::Outcome::Correct, Some("box")));
    }
}
