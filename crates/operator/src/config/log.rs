//! `[log]`: what the daemon tells on its standard error and output.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_settings::Findings;

/// What the daemon tells on its standard error and output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogSection {
    /// Which events are logged: `error`, `warn`, `info`, `debug`, `trace`, or a list of `target=level`; the libraries'
    /// own are left out by for example `warn,still=debug,still_actors=debug`.
    pub filter: String,
    /// How a log line is written.
    pub format: LogFormat,
    /// How progress is shown.
    pub progress: ProgressStyle,
}

/// How a log line is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProgressStyle {
    /// Bars on a terminal, lines on a pipe, nothing beside a log of JSON.
    #[default]
    Auto,
    /// Bars and a table after every round.
    Bars,
    /// Lines.
    Lines,
    /// Nothing.
    Off,
}

impl Default for LogSection {
    fn default() -> Self {
        Self { filter: "warn".to_owned(), format: LogFormat::Text, progress: ProgressStyle::Auto }
    }
}

impl LogSection {
    /// Whether progress is shown at all.
    pub fn shows_progress(&self) -> bool {
        self.progress != ProgressStyle::Off && !self.is_for_programs()
    }

    /// Whether what is told goes to programs, which read no progress.
    const fn is_for_programs(&self) -> bool {
        matches!((self.format, self.progress), (LogFormat::Json, ProgressStyle::Auto))
    }

    /// How progress is shown: with a log of JSON not at all, unless a style is asked for.
    pub const fn progress_style(&self) -> ProgressStyle {
        if self.is_for_programs() { ProgressStyle::Off } else { self.progress }
    }

    /// Notes an empty filter.
    pub fn validate(&self, findings: &mut Findings) {
        findings.require(!self.filter.is_empty(), "log.filter", || "write for example \"info\"".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_a_log_for_programs_no_progress_stands_between_unless_it_is_asked_for() {
        let section = |format, progress| LogSection { format, progress, ..LogSection::default() };
        assert!(section(LogFormat::Text, ProgressStyle::Auto).shows_progress());
        assert!(!section(LogFormat::Json, ProgressStyle::Auto).shows_progress());
        assert_eq!(section(LogFormat::Json, ProgressStyle::Auto).progress_style(), ProgressStyle::Off);
        assert!(section(LogFormat::Json, ProgressStyle::Lines).shows_progress());
    }
}
