//! Grading files: one JSON line in, one JSON line out, in order.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read, Write};
use std::time::Instant;

use serde::Serialize;
use serde_json::{Number, Value};

use crate::VERIFIER_VERSION;
use crate::fault::GoldFault;
use crate::gold::Gold;
use crate::judge::{Detail, Judgement, judge};
use crate::outcome::{Kind, Outcome, Profile};

/// Of a gold answer, a message shows so many characters.
const SHOWN_CHARACTERS: usize = 80;
/// No line is longer than this many bytes.
const MAXIMUM_LINE_BYTES: u64 = 64 << 20;

/// A line that cannot be graded.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// No JSON object.
    #[error("line {line}: not a JSON object: {reason}")]
    Json {
        /// Counted from one.
        line: u64,
        /// What the parser said.
        reason: String,
    },
    /// A field is missing or has the wrong type.
    #[error("line {line}: field `{field}`: {reason}")]
    Field {
        /// Counted from one.
        line: u64,
        /// The field's name.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// No answer can be judged against the gold answer.
    #[error("line {line}: field `gold`: {reason}")]
    Gold {
        /// Counted from one.
        line: u64,
        /// What is wrong with it, and what helps.
        reason: String,
    },
    /// It is longer than lines are read.
    #[error("line {line}: longer than {MAXIMUM_LINE_BYTES} bytes: write one JSON object on every line")]
    TooLong {
        /// Counted from one.
        line: u64,
    },
    /// The file is in another encoding; no line of it is graded.
    #[error("line 1: the file is in UTF-16: save it as UTF-8")]
    Encoding,
}

impl LineError {
    /// The verdict of such a line.
    pub const fn outcome(&self) -> Outcome {
        match self {
            Self::Gold { .. } => Outcome::BadGold,
            Self::Json { .. } | Self::Field { .. } | Self::TooLong { .. } | Self::Encoding => Outcome::Error,
        }
    }
}

/// Why a file could not be graded to its end.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The input failed.
    #[error("the input cannot be read: {0}")]
    Read(#[source] io::Error),
    /// The output failed.
    #[error("the output cannot be written: {0}")]
    Write(#[source] io::Error),
}

/// One line of the result.
#[derive(Debug, Clone, Serialize)]
pub struct Graded {
    /// How it ended.
    pub verdict: Outcome,
    /// The answer's text, if one was found.
    pub extracted: Option<String>,
    /// The rule that found it.
    pub rule: Option<String>,
    /// The verifier that judged.
    pub verifier_version: &'static str,
    /// Wall time of this judgement, gold included.
    pub microseconds: u64,
    /// Why, where the verdict alone does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Detail>,
    /// What is wrong with the line, for a verdict of `error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Counts over a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Lines graded, bad ones included.
    pub lines: u64,
    /// Lines that could not be graded.
    pub bad_lines: u64,
    /// Lines by verdict.
    pub verdicts: BTreeMap<&'static str, u64>,
    /// Microseconds spent on judgements.
    pub microseconds: u64,
}

impl Summary {
    /// Adds one graded line.
    pub fn count(&mut self, graded: &Graded) {
        self.lines += 1;
        self.bad_lines += u64::from(graded.error.is_some());
        *self.verdicts.entry(graded.verdict.name()).or_default() += 1;
        self.microseconds += graded.microseconds;
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} lines", self.lines)?;
        for (verdict, count) in &self.verdicts {
            write!(formatter, ", {count} {verdict}")?;
        }
        if self.bad_lines > 0 {
            write!(formatter, " ({} lines could not be graded)", self.bad_lines)?;
        }
        write!(formatter, "; {} microseconds, verifier {VERIFIER_VERSION}", self.microseconds)
    }
}

/// Whether a number of a JSON text was whole and beyond what a 64-bit float, as which it was read, holds
/// exactly: 2⁵³.
fn loses_digits(number: &Number) -> bool {
    let float = number.as_f64().filter(|_| number.is_f64());
    float.is_some_and(|float| float.fract() == 0.0 && float.abs() >= 9_007_199_254_740_992.0)
}

/// Grades one line, `line` counted from one.
///
/// The fields are `gold`, `prediction` and optionally `kind`; others are ignored.
///
/// # Errors
///
/// [`LineError`] names the line and the field.
pub fn grade_line(line: u64, json: &str, profile: Profile) -> Result<Graded, LineError> {
    let started = Instant::now();
    let value: Value =
        serde_json::from_str(json).map_err(|error| LineError::Json { line, reason: error.to_string() })?;
    let object = value
        .as_object()
        .ok_or_else(|| LineError::Json { line, reason: "the line holds another JSON value".to_owned() })?;
    let text = |field: &'static str| match object.get(field) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Number(number)) if loses_digits(number) => {
            let reason = format!("was read as {number}, of which digits are lost: write it as a string");
            Err(LineError::Field { line, field, reason })
        }
        Some(Value::Number(number)) => Ok(number.to_string()),
        Some(_) => Err(LineError::Field { line, field, reason: "must be a string".to_owned() }),
        None => Err(LineError::Field { line, field, reason: "is missing".to_owned() }),
    };
    let gold = text("gold")?;
    let prediction = text("prediction")?;
    let kind = match object.get("kind") {
        None | Some(Value::Null) => Kind::Math,
        Some(kind) => serde_json::from_value(kind.clone()).map_err(|_| LineError::Field {
            line,
            field: "kind",
            reason: "must be one of math, integer, multiple_choice, exact, regex".to_owned(),
        })?,
    };
    let gold =
        Gold::parse(kind, &gold).map_err(|error| LineError::Gold { line, reason: error.to_string() })?;
    let Judgement { outcome, extracted, rule, detail } = judge(&gold, &prediction, profile);
    // a gold that its own text meets may still contradict itself; what cannot be read says nothing else
    match gold.fault() {
        Some(fault) if outcome != Outcome::Correct || fault == GoldFault::Contradictory => {
            let shown: String = gold.text().chars().take(SHOWN_CHARACTERS).collect();
            return Err(LineError::Gold { line, reason: format!("the gold answer `{shown}` {fault}") });
        }
        _ => {}
    }
    Ok(Graded {
        verdict: outcome,
        extracted,
        rule: rule.map(|rule| rule.to_string()),
        verifier_version: VERIFIER_VERSION,
        microseconds: started.elapsed().as_micros() as u64,
        detail,
        error: None,
    })
}

/// Grades every line of a reader and writes one line each, in order.
///
/// A bad line is written with the verdict `error`, or `bad_gold` where its gold answer is at fault, with what
/// is wrong with it, and handed to `report`; empty lines are skipped, and so is a byte order mark.
///
/// # Errors
///
/// Only what reading and writing themselves give.
pub fn grade(
    reader: impl BufRead,
    writer: impl Write,
    profile: Profile,
    report: impl FnMut(&LineError),
) -> Result<Summary, FileError> {
    grade_each(reader, writer, |line, json| grade_line(line, json, profile), report)
}

/// As [`grade`], with a judge of the caller's own for each line, which is counted from one.
///
/// # Errors
///
/// Only what reading and writing themselves give.
pub fn grade_each(
    mut reader: impl BufRead,
    mut writer: impl Write,
    mut judge: impl FnMut(u64, &str) -> Result<Graded, LineError>,
    mut report: impl FnMut(&LineError),
) -> Result<Summary, FileError> {
    let mut summary = Summary::default();
    let mut bytes = Vec::new();
    let mut line = 0;
    loop {
        bytes.clear();
        let read = (&mut reader).take(MAXIMUM_LINE_BYTES + 1).read_until(b'\n', &mut bytes);
        if read.map_err(FileError::Read)? == 0 {
            break;
        }
        line += 1;
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").filter(|_| line == 1).unwrap_or(&bytes);
        if text.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let is_wide = line == 1 && (text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff"));
        let is_long = text.len() as u64 > MAXIMUM_LINE_BYTES;
        let result = if is_wide {
            Err(LineError::Encoding)
        } else if is_long {
            Err(LineError::TooLong { line })
        } else {
            match std::str::from_utf8(text) {
                Ok(text) => judge(line, text),
                Err(error) => Err(LineError::Json { line, reason: error.to_string() }),
            }
        };
        let graded = result.unwrap_or_else(|error| {
            report(&error);
            Graded {
                verdict: error.outcome(),
                extracted: None,
                rule: None,
                verifier_version: VERIFIER_VERSION,
                microseconds: 0,
                detail: None,
                error: Some(error.to_string()),
            }
        });
        summary.count(&graded);
        serde_json::to_writer(&mut writer, &graded).map_err(|error| FileError::Write(error.into()))?;
        writer.write_all(b"\n").map_err(FileError::Write)?;
        if is_wide {
            break;
        }
        if is_long && bytes.last() != Some(&b'\n') {
            reader.skip_until(b'\n').map_err(FileError::Read)?;
        }
    }
    writer.flush().map_err(FileError::Write)?;
    Ok(summary)
}
