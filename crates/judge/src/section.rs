//! `[verifier.code]`: how programs are run, for answers of the kind `code`.

use std::{path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_sandbox::Limits;
use still_settings::Findings;

/// Least scratch directory: the source of a program must fit in.
const MIN_SCRATCH_BYTES: u64 = 1 << 20;

/// How programs are run, for answers of the kind `code`: confined, or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CodeSection {
    /// The command, its words as a list; `{source}` stands for the file of the program. Empty takes the
    /// Python 3 of this machine, which alone takes calls and assertions; others take output cases.
    pub command: Vec<String>,
    /// Names by which a fenced code block says that it holds a program.
    pub block_names: Vec<String>,
    /// Name of the program's file, without a folder; for commands that look at its ending.
    pub file_name: String,
    /// Files and folders outside /usr, /bin and /lib that the command needs to read.
    pub readable: Vec<PathBuf>,
    /// Time by the clock on the wall for one test, in seconds.
    pub wall_seconds: u64,
    /// Processor time of all processes of a test together, in seconds.
    pub cpu_seconds: u64,
    /// Time by the clock on the wall for all tests of an answer, in seconds.
    pub judgement_seconds: u64,
    /// Memory of all processes of a test together, in MiB.
    pub memory_mebibytes: u64,
    /// Processes and threads of a test alive at a time.
    pub processes: u64,
    /// Standard output and standard error of a test together, in bytes.
    pub output_bytes: u64,
    /// The private scratch directory of a test, in bytes; it is memory too.
    pub scratch_bytes: u64,
}

impl Default for CodeSection {
    fn default() -> Self {
        Self {
            command: Vec::new(),
            block_names: ["python", "python3", "py"].map(String::from).to_vec(),
            file_name: "main.py".to_owned(),
            readable: Vec::new(),
            wall_seconds: 10,
            cpu_seconds: 8,
            judgement_seconds: 60,
            memory_mebibytes: 512,
            processes: 32,
            output_bytes: 1 << 20,
            scratch_bytes: 64 << 20,
        }
    }
}

impl CodeSection {
    /// Notes what no program could be run with.
    pub fn validate(&self, findings: &mut Findings) {
        let least = [
            ("wall_seconds", self.wall_seconds, 1),
            ("cpu_seconds", self.cpu_seconds, 1),
            ("judgement_seconds", self.judgement_seconds, self.wall_seconds),
            ("memory_mebibytes", self.memory_mebibytes, 16),
            ("processes", self.processes, 2),
            ("output_bytes", self.output_bytes, 1),
            ("scratch_bytes", self.scratch_bytes, MIN_SCRATCH_BYTES),
        ];
        for (key, value, least) in least {
            findings.require(value >= least, &format!("verifier.code.{key}"), || {
                format!("{value} is too little for any program: write at least {least}")
            });
        }
        findings.require(self.memory_mebibytes <= 1 << 20, "verifier.code.memory_mebibytes", || {
            format!("{} MiB are more than a TiB", self.memory_mebibytes)
        });
        findings.require(!self.block_names.is_empty(), "verifier.code.block_names", || {
            "is empty: no code block could hold a program".to_owned()
        });
        let is_plain = !self.file_name.is_empty() && !self.file_name.contains(['/', '\0']);
        findings.require(is_plain && self.file_name != "..", "verifier.code.file_name", || {
            format!("`{}` is no plain name of a file", self.file_name)
        });
        let names_source = self.command.iter().any(|word| word.contains("{source}"));
        findings.require(self.command.is_empty() || names_source, "verifier.code.command", || {
            "never names `{source}`, the file of the program".to_owned()
        });
    }

    /// What one test may use up.
    pub fn limits(&self) -> Limits {
        Limits {
            wall_milliseconds: self.wall_seconds.saturating_mul(1000),
            cpu_seconds: self.cpu_seconds,
            memory_bytes: self.memory_mebibytes << 20,
            processes: self.processes,
            scratch_bytes: self.scratch_bytes,
            // one file may fill the scratch directory, which an operator alone bounds
            file_bytes: self.scratch_bytes,
            output_bytes: self.output_bytes,
            ..Limits::default()
        }
    }

    /// Time by the clock on the wall for all tests of an answer.
    pub const fn judgement_time(&self) -> Duration {
        Duration::from_secs(self.judgement_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_limits_that_a_sandbox_takes() {
        let section = CodeSection::default();
        let mut findings = Findings::default();
        section.validate(&mut findings);
        assert_eq!(findings, Findings::default());
        assert!(section.limits().validate().is_ok());
    }
}
