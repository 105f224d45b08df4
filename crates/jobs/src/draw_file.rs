//! Responses to problems in a file, one JSON object a line: drawn once, whatever ends the job in between.
//!
//! A line counts once it is on the disk. What is there when the job starts again is not drawn again; a last line without
//! its end was being written when the job was ended, and is cut off.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use serde_json::Value;
use still_control::{Exit, Failure, OrExit};
use still_domain::{AttemptId, AttemptNumber, ProblemId, fingerprint::NamedFields};

/// Hexadecimal digits of the settings' name.
const DIGITS: usize = 16;

/// The file.
pub(super) struct DrawFile {
    path: PathBuf,
    file: File,
    /// Names what the lines were drawn by.
    settings: String,
    lines: BTreeMap<AttemptId, Value>,
}

impl DrawFile {
    /// Opens a file, or makes it. `settings` are what the draws depend on.
    ///
    /// # Errors
    /// When a line is no draw, or of other settings: nothing is lost then.
    pub(super) fn open(path: &Path, settings: &NamedFields) -> Result<Self, Failure> {
        let mut settings = settings.finish();
        settings.truncate(DIGITS);
        let failed = |error: io::Error| format!("`{}` (--out): {error}", path.display());
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = opened.map_err(failed).or_exit(Exit::BadInput)?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed).or_exit(Exit::BadInput)?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        file.set_len(whole as u64)
            .and_then(|()| file.seek(SeekFrom::End(0)))
            .map_err(failed)
            .or_exit(Exit::Store)?;
        let lines = draws(path, text.get(..whole).unwrap_or_default())?;
        if let Some(other) = lines.values().find(|draw| draw.line["settings"] != settings) {
            return Err(broken(
                path,
                other.number,
                "it was drawn by other settings (model, prompt, sampling or seed), and would be mixed with what is \
                 drawn now",
            ));
        }
        let lines = lines.into_iter().map(|(id, draw)| (id, draw.line)).collect();
        Ok(Self { path: path.to_owned(), file, settings, lines })
    }

    /// The draws of a problem, by sample.
    pub(super) fn of<'a>(&'a self, problem: &ProblemId) -> impl Iterator<Item = (&'a AttemptId, &'a Value)> {
        let first = AttemptId { problem: problem.clone(), number: AttemptNumber(0) };
        let problem = problem.clone();
        self.lines.range(first..).take_while(move |(id, _)| id.problem == problem)
    }

    pub(super) fn has(&self, id: &AttemptId) -> bool {
        self.lines.contains_key(id)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Adds a draw, and brings it onto the disk.
    pub(super) fn add(&mut self, id: AttemptId, mut line: Value) -> Result<(), Failure> {
        line["problem_id"] = id.problem.as_str().into();
        line["sample"] = id.number.0.into();
        line["settings"] = self.settings.as_str().into();
        let written = writeln!(self.file, "{line}").and_then(|()| self.file.sync_data());
        written.map_err(|error| format!("`{}`: {error}", self.path.display())).or_exit(Exit::Store)?;
        self.lines.insert(id, line);
        Ok(())
    }
}

/// The draws of a file that a command has written and none adds to now.
///
/// # Errors
/// When it cannot be read, or a line is no draw.
pub(super) fn read_draws(path: &Path) -> Result<BTreeMap<AttemptId, Value>, Failure> {
    let text = fs::read_to_string(path).map_err(|error| format!("`{}`: {error}", path.display()));
    let draws = draws(path, &text.or_exit(Exit::BadInput)?)?;
    Ok(draws.into_iter().map(|(id, draw)| (id, draw.line)).collect())
}

/// A draw, and the line that it stands on.
struct Draw {
    number: usize,
    line: Value,
}

fn draws(path: &Path, text: &str) -> Result<BTreeMap<AttemptId, Draw>, Failure> {
    let mut draws = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line: Value =
            serde_json::from_str(line).map_err(|_| broken(path, number, "it is no JSON object"))?;
        let id = id_of(&line)
            .ok_or_else(|| broken(path, number, "it is no response that this command has drawn"))?;
        draws.insert(id, Draw { number, line });
    }
    Ok(draws)
}

fn broken(path: &Path, number: usize, reason: &str) -> Failure {
    let message =
        format!("`{}`, line {number}: {reason}; name another file, or remove the line", path.display());
    Failure::new(Exit::BadInput, message)
}

fn id_of(line: &Value) -> Option<AttemptId> {
    let number = u32::try_from(line["sample"].as_u64()?).ok()?;
    Some(AttemptId { problem: ProblemId::new(line["problem_id"].as_str()?), number: AttemptNumber(number) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(seed: u64) -> NamedFields {
        NamedFields::new("test 1").number("seed", seed)
    }

    fn id(text: &str) -> AttemptId {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_there_stays_and_a_torn_last_line_is_drawn_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("draws.jsonl");
        let mut file = DrawFile::open(&path, &settings(1)).unwrap();
        for name in ["a#0", "a#1", "b#0"] {
            file.add(id(name), json!({"response": name})).unwrap();
        }
        drop(file);
        let whole = fs::read_to_string(&path).unwrap();
        let (kept, _) = whole.split_at(whole.len() - 5);
        fs::write(&path, kept).unwrap();
        let mut file = DrawFile::open(&path, &settings(1)).unwrap();
        assert_eq!((file.len(), file.has(&id("a#1")), file.has(&id("b#0"))), (2, true, false));
        file.add(id("b#0"), json!({"response": "b#0"})).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), whole);
        let of_a: Vec<_> =
            file.of(&ProblemId::new("a")).map(|(id, line)| (id.number.0, &line["response"])).collect();
        assert_eq!(of_a, [(0, &json!("a#0")), (1, &json!("a#1"))]);
    }

    #[test]
    fn a_file_of_other_settings_or_of_something_else_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("draws.jsonl");
        DrawFile::open(&path, &settings(1)).unwrap().add(id("a#0"), json!({})).unwrap();
        let before = fs::read(&path).unwrap();
        let told = DrawFile::open(&path, &settings(2)).err().unwrap().message;
        assert!(told.contains("other settings") && told.contains("line 1"), "{told}");
        assert_eq!(fs::read(&path).unwrap(), before);
        fs::write(&path, "{\"problem\": \"1+1\"}\n").unwrap();
        let told = DrawFile::open(&path, &settings(1)).err().unwrap().message;
        assert!(told.contains("no response that this command has drawn"), "{told}");
    }
}
