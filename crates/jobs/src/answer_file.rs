//! The answers of an evaluation in a file: one JSON object a line, with everything that the score was made of.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use still_control::{Exit, Failure, OrExit};
use still_domain::{AttemptId, Outcome, Problem, Trajectory, Verdict};

/// The answers of an evaluation in a file.
pub(super) struct AnswerFile {
    path: PathBuf,
    file: BufWriter<File>,
}

impl AnswerFile {
    /// A new file; one that is there already is somebody's, and refused.
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        let file = File::create_new(path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                format!("`{}` is there already: name another file for --out, or remove it", path.display())
            }
            _ => format!("`{}` (--out): {error}", path.display()),
        });
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file.or_exit(Exit::BadInput)?) })
    }

    /// Adds an answer with its verdict.
    pub(super) fn add(
        &mut self,
        problem: &Problem,
        trajectory: &Trajectory,
        verdict: &Verdict,
    ) -> Result<(), Failure> {
        self.write(&json!({
            "id": trajectory.id,
            "problem": problem.id,
            "sample": trajectory.id.number,
            "level": problem.level,
            "statement": problem.text,
            "gold": problem.gold,
            "kind": problem.kind,
            "response": trajectory.text,
            "extracted": verdict.extracted,
            "verdict": verdict.outcome,
            "rule": verdict.rule,
            "verifier": verdict.verifier,
            "finish": trajectory.finish,
            "tokens": trajectory.tokens.len(),
            "seed": trajectory.seed,
        }))
    }

    /// Adds what could not be answered.
    pub(super) fn add_unanswered(
        &mut self,
        problem: &Problem,
        id: &AttemptId,
        reason: &str,
    ) -> Result<(), Failure> {
        self.write(&json!({
            "id": id,
            "problem": problem.id,
            "sample": id.number,
            "statement": problem.text,
            "gold": problem.gold,
            "kind": problem.kind,
            "response": Value::Null,
            "verdict": Outcome::Error,
            "rule": format!("unanswered: {reason}"),
        }))
    }

    /// Brings everything onto the disk.
    pub(super) fn end(&mut self) -> Result<(), Failure> {
        let ended = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        ended.map_err(|error| self.failed(&error)).or_exit(Exit::Store)
    }

    fn write(&mut self, line: &Value) -> Result<(), Failure> {
        writeln!(self.file, "{line}").map_err(|error| self.failed(&error)).or_exit(Exit::Store)
    }

    fn failed(&self, error: &io::Error) -> String {
        format!("`{}`: {error}", self.path.display())
    }
}
