//! What is run: a command, and the source that it reads from its scratch directory.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use thiserror::Error;

/// Stands for the path of the source file in a command.
const SOURCE_PLACEHOLDER: &str = "{source}";
/// Where the source lies inside.
pub(crate) const SCRATCH: &str = "/tmp";
/// Where a Python interpreter is looked for first: shims on `PATH` are slow.
const SYSTEM_PYTHON: &str = "/usr/bin/python3";

/// A candidate program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The command; `{source}` in an argument stands for the path of the source file. The first word is an
    /// absolute path or the name of a program under `/usr/bin`, `/bin` or `/usr/local/bin`.
    pub command: Vec<String>,
    /// The source.
    pub source: String,
    /// Name of the source file in the scratch directory, without a folder.
    pub file_name: String,
    /// Files and folders outside `/usr`, `/bin` and `/lib*` that the command needs to read.
    pub readable: Vec<PathBuf>,
}

/// A Python interpreter of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Python {
    /// The interpreter itself, no shim and no link.
    pub executable: PathBuf,
    /// Its standard library, where it lies outside `/usr`.
    pub readable: Vec<PathBuf>,
}

/// No Python interpreter was found.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no python3 works here: install it at /usr/bin/python3 or put it on PATH")]
pub struct NoPython;

impl Program {
    /// A program run by any command.
    pub fn new(command: Vec<String>, file_name: impl Into<String>, source: impl Into<String>) -> Self {
        Self { command, source: source.into(), file_name: file_name.into(), readable: Vec::new() }
    }

    /// A Python program, isolated from user settings and the environment.
    pub fn python(python: &Python, source: impl Into<String>) -> Self {
        let executable = python.executable.to_string_lossy().into_owned();
        let command = [executable.as_str(), "-I", "-B", "-X", "utf8", SOURCE_PLACEHOLDER];
        Self {
            readable: python.readable.clone(),
            ..Self::new(command.map(String::from).to_vec(), "main.py", source)
        }
    }

    /// The path of the source file inside.
    pub(crate) fn source_path(&self) -> String {
        format!("{SCRATCH}/{}", self.file_name)
    }

    /// The command with the source file's path filled in.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let path = self.source_path();
        self.command.iter().map(|word| word.replace(SOURCE_PLACEHOLDER, &path)).collect()
    }
}

impl Python {
    /// Finds an interpreter: the system's, else the first on `PATH`, resolved through shims and links.
    ///
    /// # Errors
    /// When none is there or none starts.
    pub fn find() -> Result<Self, NoPython> {
        let on_path = env::var_os("PATH").unwrap_or_default();
        let candidates = env::split_paths(&on_path).map(|folder| folder.join("python3"));
        std::iter::once(PathBuf::from(SYSTEM_PYTHON))
            .chain(candidates)
            .filter(|path| path.is_file())
            .find_map(|path| Self::ask(&path))
            .ok_or(NoPython)
    }

    /// Asks an interpreter where it and its library lie.
    pub fn ask(path: &Path) -> Option<Self> {
        let question =
            "import sys; print(sys.executable); print(sys.base_prefix); print(sys.base_exec_prefix)";
        let answer =
            Command::new(path).args(["-I", "-S", "-c", question]).stdin(Stdio::null()).output().ok()?;
        let text = String::from_utf8(answer.stdout).ok().filter(|_| answer.status.success())?;
        let mut paths = text.lines().map(|line| Path::new(line).canonicalize().ok());
        let executable = paths.next()??;
        let mut readable: Vec<PathBuf> = paths.collect::<Option<Vec<_>>>()?;
        readable.push(executable.clone());
        readable.retain(|path| !path.starts_with("/usr"));
        readable.sort();
        let mut outermost: Vec<PathBuf> = Vec::new();
        for path in readable {
            if !outermost.iter().any(|outer| path.starts_with(outer)) {
                outermost.push(path);
            }
        }
        Some(Self { executable, readable: outermost })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_path_is_filled_into_the_command() {
        let program = Program::new(vec!["sh".into(), "-e".into(), "{source}".into()], "main.sh", "true");
        assert_eq!(program.arguments(), ["sh", "-e", "/tmp/main.sh"]);
    }

    #[test]
    fn an_interpreter_that_is_found_is_no_shim_and_one_that_is_missing_is_none() {
        assert_eq!(Python::ask(Path::new("/nonexistent/python3")), None);
        assert_eq!(Python::ask(Path::new("/bin/false")), None);
        match Python::find() {
            Ok(python) => assert!(python.executable.is_absolute() && python.executable.is_file()),
            Err(error) => assert!(error.to_string().contains("/usr/bin/python3")),
        }
    }
}
