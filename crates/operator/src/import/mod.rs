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

mod container;
mod conversation;
mod demonstrations;
mod fields;
mod options;
mod problems;
mod rollouts;
mod strict;

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::Path,
};

use serde_json::Value;
use still_control::{Exit, ImportRemark, LineProblem};
use still_domain::{AnswerKind, Demonstration, Problem, Split};
use still_text::Format;
use thiserror::Error;

pub use self::rollouts::{ImportedResponse, ImportedRollout, ProblemKey};
use self::{
    fields::{FieldProblem, Fields},
    options::Counting,
    strict::Strict,
};

/// Different remarks that are kept; a file may give cause to any number.
const MAX_REMARKS: usize = 20;
/// Stands for the remarks beyond those.
const REST: &str = "and remarks in other words";

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed<T> {
    /// The records of the good lines, in order.
    pub records: Vec<T>,
    /// The line of each record, from 1.
    pub lines: Vec<u64>,
    /// Lines that repeat an earlier record.
    pub repeated: u64,
    /// Lines of which the file itself says that they cannot be used, in order.
    pub left_out: Vec<LineProblem>,
    /// What was read otherwise than it stands there.
    pub remarks: Vec<ImportRemark>,
    /// The broken lines, in order.
    pub broken: Vec<LineProblem>,
}

impl<T> Parsed<T> {
    /// What a file held, in lines for people.
    pub fn in_words(&self, path: &Path, what: &str) -> Vec<String> {
        let path = path.display();
        let mut text = format!("{path}: {} {what}", self.records.len());
        if self.repeated > 0 {
            text.push_str(&format!(", {} lines repeat others", self.repeated));
        }
        if let Some(first) = self.left_out.first() {
            let count = self.left_out.len();
            text.push_str(&format!(", {count} left out that have no answer, the first: {first}"));
        }
        let mut told = vec![text];
        told.extend(self.remarks.iter().map(|remark| format!("{path}: {remark}")));
        told
    }
}

/// Records on their way into the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch<T> {
    /// The records, in order.
    pub records: Vec<T>,
    /// The line that each stood on, from 1; fewer where records come from no file.
    pub lines: Vec<u64>,
}

/// What a line comes to, if it is not broken.
enum Reading<T> {
    /// A record, with what was read otherwise than it stands there.
    Record(T, Vec<String>),
    /// The line itself says that it cannot be used.
    LeftOut(FieldProblem),
}

/// What an import must tell apart.
trait Record {
    fn name(&self) -> &str;

    fn is_same_as(&self, other: &Self) -> bool;

    /// Whether both ask the same and only one of them can be right; so does one that asks the same under another
    /// name, which is a repetition.
    fn asks_the_same_as(&self, other: &Self) -> bool;

    /// What is asked, where that is asked once.
    fn question(&self) -> Option<&str>;
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
    #[error("`{path}`: {count} broken lines; the first: {first}")]
    Broken {
        /// The file.
        path: String,
        /// How many lines are broken.
        count: usize,
        /// The first of them.
        first: LineProblem,
    },
    /// No line holds a record.
    #[error("`{path}` holds no record{}", without_answers(*.left_out))]
    Empty {
        /// The file.
        path: String,
        /// Lines that say of themselves that they cannot be used.
        left_out: usize,
    },
}

impl ImportError {
    /// How the program ends.
    pub const fn exit(&self) -> Exit {
        Exit::BadInput
    }
}

impl<T> Parsed<T> {
    /// Nothing yet, and whether the text may be lines at all; if not, that is what is broken.
    fn begin(text: &[u8]) -> (Self, bool) {
        let problem = container::problem(text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text));
        let broken: Vec<_> = problem.map(|problem| problem.at(1)).into_iter().collect();
        let is_readable = broken.is_empty();
        let (records, lines, left_out, remarks) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        (Self { records, lines, repeated: 0, left_out, remarks, broken }, is_readable)
    }

    /// The records with their lines.
    pub fn into_batch(self) -> Batch<T> {
        Batch { records: self.records, lines: self.lines }
    }

    /// The good lines of a file whose every line must be sound.
    ///
    /// # Errors
    /// When a line is broken, or there is no record.
    pub fn all_sound(mut self, path: &Path) -> Result<Self, ImportError> {
        let path = path.display().to_string();
        let count = self.broken.len();
        if count > 0 {
            return Err(ImportError::Broken { path, count, first: self.broken.swap_remove(0) });
        }
        if self.records.is_empty() {
            let left_out = self.left_out.len();
            return Err(ImportError::Empty { path, left_out });
        }
        Ok(self)
    }
}

impl<T> Batch<T> {
    /// Records that come from no file.
    pub const fn unplaced(records: Vec<T>) -> Self {
        Self { records, lines: Vec::new() }
    }

    /// Adds what another file holds.
    pub fn extend(&mut self, other: Self) {
        self.lines.resize(self.records.len(), 0);
        self.records.extend(other.records);
        self.lines.extend(other.lines);
    }
}

impl<T> Default for Batch<T> {
    fn default() -> Self {
        Self::unplaced(Vec::new())
    }
}

impl<T> From<Vec<T>> for Batch<T> {
    fn from(records: Vec<T>) -> Self {
        Self::unplaced(records)
    }
}

impl Record for Problem {
    fn name(&self) -> &str {
        self.id.as_str()
    }

    fn is_same_as(&self, other: &Self) -> bool {
        Self::is_same_as(self, other)
    }

    fn asks_the_same_as(&self, other: &Self) -> bool {
        (&self.gold, self.kind) == (&other.gold, other.kind)
    }

    fn question(&self) -> Option<&str> {
        Some(self.text.trim())
    }
}

impl Record for Demonstration {
    fn name(&self) -> &str {
        self.id.as_str()
    }

    fn is_same_as(&self, other: &Self) -> bool {
        Self::is_same_as(self, other)
    }

    fn asks_the_same_as(&self, _: &Self) -> bool {
        true
    }

    fn question(&self) -> Option<&str> {
        None
    }
}

/// The problems of JSONL text.
pub fn problems(text: &[u8], source: &str, split: Split) -> Parsed<Problem> {
    problems_of_kind(text, source, split, AnswerKind::default())
}

/// The problems of JSONL text; `kind` holds where a line does not say how answers are compared.
pub fn problems_of_kind(text: &[u8], source: &str, split: Split, kind: AnswerKind) -> Parsed<Problem> {
    let mut counting = Counting::default();
    for fields in lines(text).filter_map(|(_, line)| object(line).ok()) {
        counting.look_at(&fields);
    }
    parse(text, |fields| problems::problem(fields, source, split, kind, counting))
}

/// The demonstrations of JSONL text, their responses in a format.
pub fn demonstrations(text: &[u8], source: &str, format: Format) -> Parsed<Demonstration> {
    parse(text, |fields| demonstrations::demonstration(fields, source, format))
}

/// The problems of a file, all lines sound.
///
/// # Errors
/// When it cannot be read, is empty, or holds a broken line.
pub fn problems_from_file(
    path: &Path,
    split: Split,
    kind: AnswerKind,
) -> Result<Parsed<Problem>, ImportError> {
    let (text, source) = read(path)?;
    problems_of_kind(&text, &source, split, kind).all_sound(path)
}

/// The demonstrations of a file, all lines sound, their responses in a format.
///
/// # Errors
/// When it cannot be read, is empty, or holds a broken line.
pub fn demonstrations_from_file(path: &Path, format: Format) -> Result<Parsed<Demonstration>, ImportError> {
    let (text, source) = read(path)?;
    demonstrations(&text, &source, format).all_sound(path)
}

/// How many problems there are of each kind, by the kind's name in JSONL.
pub fn kinds(problems: &[Problem]) -> BTreeMap<String, u64> {
    let mut kinds = BTreeMap::new();
    for problem in problems {
        let name = serde_json::to_value(problem.kind);
        let name = name.ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default();
        *kinds.entry(name).or_default() += 1;
    }
    kinds
}

/// The rollouts of a file, all lines sound. Two that say the same are two.
///
/// # Errors
/// When it cannot be read, is empty, or holds a broken line.
pub fn rollouts_from_file(path: &Path) -> Result<Vec<ImportedRollout>, ImportError> {
    let (text, _) = read(path)?;
    let (mut parsed, is_readable) = Parsed::begin(&text);
    for (number, line) in lines(&text).filter(|_| is_readable) {
        match object(line).and_then(|fields| rollouts::rollout(&fields)) {
            Ok(rollout) => {
                parsed.records.push(rollout);
                parsed.lines.push(number);
            }
            Err(problem) => parsed.broken.push(problem.at(number)),
        }
    }
    Ok(parsed.all_sound(path)?.records)
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

/// The lines that hold something, each with its number. A byte order mark says nothing.
fn lines(text: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let lines = text.split(|byte| *byte == b'\n').enumerate();
    lines.map(|(index, line)| (index as u64 + 1, line)).filter(|(_, line)| !line.trim_ascii().is_empty())
}

/// Reads every line with `read`; two different records of one name are a broken line, as are two that ask the same
/// and have different answers.
fn parse<T: Record>(text: &[u8], read: impl Fn(&Fields) -> Result<Reading<T>, FieldProblem>) -> Parsed<T> {
    let (mut parsed, is_readable) = Parsed::begin(text);
    if !is_readable {
        return parsed;
    }
    let mut by_name: HashMap<String, usize> = HashMap::new();
    let mut by_question: HashMap<String, usize> = HashMap::new();
    for (number, line) in lines(text) {
        let (record, remarks) = match object(line).and_then(|fields| read(&fields)) {
            Ok(Reading::Record(record, remarks)) => (record, remarks),
            Ok(Reading::LeftOut(problem)) => {
                parsed.left_out.push(problem.at(number));
                continue;
            }
            Err(problem) => {
                parsed.broken.push(problem.at(number));
                continue;
            }
        };
        for message in remarks {
            remark(&mut parsed.remarks, message, number);
        }
        let earlier = |index: &usize| {
            let line = parsed.lines.get(*index).copied().unwrap_or_default();
            parsed.records.get(*index).map(|known| (line, known))
        };
        if let Some((line, known)) = by_name.get(record.name()).and_then(earlier) {
            if known.is_same_as(&record) {
                parsed.repeated += 1;
                continue;
            }
            let name = fields::shown(record.name());
            let reason = format!("line {line} has the same name `{name}` and another content");
            let remedy = "give every record a name of its own, or leave the field out";
            parsed.broken.push(FieldProblem::new("id", reason, remedy).at(number));
            continue;
        }
        let question = record.question().map(str::to_owned);
        if let Some((line, known)) =
            question.as_ref().and_then(|question| by_question.get(question)).and_then(earlier)
        {
            if known.asks_the_same_as(&record) {
                parsed.repeated += 1;
                continue;
            }
            let reason = format!("line {line} asks the same and has another gold answer");
            parsed.broken.push(FieldProblem::whole(reason, "leave the wrong one of the two out").at(number));
            continue;
        }
        by_name.insert(record.name().to_owned(), parsed.records.len());
        by_question.extend(question.map(|question| (question, parsed.records.len())));
        parsed.records.push(record);
        parsed.lines.push(number);
    }
    parsed
}

/// Counts a remark to those of the same words; beyond so many different ones, to the rest.
fn remark(remarks: &mut Vec<ImportRemark>, message: String, line: u64) {
    let is_known = remarks.iter().any(|known| known.message == message);
    let message = if is_known || remarks.len() < MAX_REMARKS { message } else { REST.to_owned() };
    match remarks.iter_mut().find(|known| known.message == message) {
        Some(known) => known.count += 1,
        None => remarks.push(ImportRemark { message, count: 1, first_line: line }),
    }
}

fn object(line: &[u8]) -> Result<Fields, FieldProblem> {
    match serde_json::from_slice(line) {
        Ok(Strict(Value::Object(fields))) => Ok(Fields::new(fields)),
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

fn without_answers(count: usize) -> String {
    if count == 0 {
        String::new()
    } else {
        format!(": {count} lines say of themselves that they have no answer")
    }
}
