//! Problems and demonstrations from JSONL, in the layouts that data sets come in.
//!
//! Every line stands for itself: a broken one is reported with its number, the field and the remedy, and the
//! caller decides whether the good ones are kept. Names are taken from the file or made from the text, so
//! that importing a file twice changes nothing.
//!
//! ```
//! use still_operator::import;
//! use still_domain::Split;
//! let file = br#"{"question": "2+2?", "answer": "It is four.\n#### 4"}"#;
//! let parsed = import::problems(file, "sums.jsonl", Split::Explore);
//! assert_eq!(parsed.records[0].gold, "4");
//! ```

mod demonstrations;
mod fields;
mod problems;

use std::{collections::HashMap, fs, io, path::Path};

use serde_json::{Map, Value};
use still_control::{Exit, LineProblem};
use still_domain::{AnswerKind, Demonstration, Problem, Split};
use thiserror::Error;

use self::fields::FieldProblem;

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed<T> {
    /// The records of the good lines, in order.
    pub records: Vec<T>,
    /// Lines that repeat an earlier record.
    pub repeated: u64,
    /// The broken lines, in order.
    pub broken: Vec<LineProblem>,
}

/// Why a file cannot be imported.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The file cannot be read.
    #[error("`{path}` cannot be read: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// It is a directory.
    #[error("`{path}` is a directory: name a file in it")]
    Directory {
        /// The directory.
        path: String,
    },
    /// A line is broken.
    #[error("`{path}`: {count} broken lines; {first}")]
    Broken {
        /// The file.
        path: String,
        /// How many lines are broken.
        count: usize,
        /// The first of them.
        first: LineProblem,
    },
    /// No line holds a record.
    #[error("`{path}` holds no record")]
    Empty {
        /// The file.
        path: String,
    },
}

impl ImportError {
    /// How the program ends.
    pub const fn exit(&self) -> Exit {
        Exit::BadInput
    }
}

/// The problems of JSONL text.
pub fn problems(text: &[u8], source: &str, split: Split) -> Parsed<Problem> {
    problems_of_kind(text, source, split, AnswerKind::default())
}

/// The problems of JSONL text; `kind` holds where a line does not say how answers are compared.
pub fn problems_of_kind(text: &[u8], source: &str, split: Split, kind: AnswerKind) -> Parsed<Problem> {
    let read = |fields: &Map<String, Value>| problems::problem(fields, source, split, kind);
    parse(text, read, |problem| problem.id.to_string(), Problem::is_same_as)
}

/// The demonstrations of JSONL text.
pub fn demonstrations(text: &[u8], source: &str) -> Parsed<Demonstration> {
    let read = |fields: &Map<String, Value>| demonstrations::demonstration(fields, source);
    parse(text, read, |record| record.id.to_string(), Demonstration::is_same_as)
}

/// The problems of a file, all lines sound.
///
/// # Errors
/// When it cannot be read, is empty, or holds a broken line.
pub fn problems_from_file(path: &Path, split: Split, kind: AnswerKind) -> Result<Vec<Problem>, ImportError> {
    let (text, source) = read(path)?;
    all_sound(path, problems_of_kind(&text, &source, split, kind))
}

/// The demonstrations of a file, all lines sound.
///
/// # Errors
/// When it cannot be read, is empty, or holds a broken line.
pub fn demonstrations_from_file(path: &Path) -> Result<Vec<Demonstration>, ImportError> {
    let (text, source) = read(path)?;
    all_sound(path, demonstrations(&text, &source))
}

fn read(path: &Path) -> Result<(Vec<u8>, String), ImportError> {
    if path.is_dir() {
        return Err(ImportError::Directory { path: path.display().to_string() });
    }
    let text =
        fs::read(path).map_err(|source| ImportError::Read { path: path.display().to_string(), source })?;
    let name = path.file_name().unwrap_or(path.as_os_str());
    Ok((text, name.to_string_lossy().into_owned()))
}

fn all_sound<T>(path: &Path, parsed: Parsed<T>) -> Result<Vec<T>, ImportError> {
    let path = path.display().to_string();
    let count = parsed.broken.len();
    match parsed.broken.into_iter().next() {
        Some(first) => Err(ImportError::Broken { path, count, first }),
        None if parsed.records.is_empty() => Err(ImportError::Empty { path }),
        None => Ok(parsed.records),
    }
}

/// Reads every line with `read`; two different records of one name are a broken line.
fn parse<T>(
    text: &[u8],
    read: impl Fn(&Map<String, Value>) -> Result<T, FieldProblem>,
    name: impl Fn(&T) -> String,
    is_same: impl Fn(&T, &T) -> bool,
) -> Parsed<T> {
    let mut parsed = Parsed { records: Vec::new(), repeated: 0, broken: Vec::new() };
    let mut lines_by_name: HashMap<String, (usize, u64)> = HashMap::new();
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    // one word on the whole file instead of one on every line
    if text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff") {
        let problem = FieldProblem::whole("the file is in UTF-16", "save it as UTF-8");
        parsed.broken.push(problem.at(1));
        return parsed;
    }
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let number = index as u64 + 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let record = match object(line).and_then(|fields| read(&fields)) {
            Ok(record) => record,
            Err(problem) => {
                parsed.broken.push(problem.at(number));
                continue;
            }
        };
        match lines_by_name.get(&name(&record)) {
            Some((position, _))
                if parsed.records.get(*position).is_some_and(|known| is_same(known, &record)) =>
            {
                parsed.repeated += 1;
            }
            Some((_, earlier)) => {
                let problem = FieldProblem::new(
                    "id",
                    format!(
                        "line {earlier} has the same name `{}` and another content",
                        fields::shown(&name(&record))
                    ),
                    "give every record a name of its own, or leave the field out",
                );
                parsed.broken.push(problem.at(number));
            }
            None => {
                lines_by_name.insert(name(&record), (parsed.records.len(), number));
                parsed.records.push(record);
            }
        }
    }
    parsed
}

fn object(line: &[u8]) -> Result<Map<String, Value>, FieldProblem> {
    match serde_json::from_slice(line) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(FieldProblem::whole("the line is no JSON object", "write one `{...}` on every line")),
        Err(error) => {
            // the position inside the line is the column alone
            let reason = error.to_string().replace("at line 1 column", "at column");
            let remedy = if error.is_eof() {
                "the line is cut off: write the whole object on one line"
            } else {
                "write one JSON object on every line, in UTF-8"
            };
            Err(FieldProblem::whole(reason, remedy))
        }
    }
}
