//! `[log]`: what the daemon tells on its standard error and output.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_settings::Findings;

/// What the daemon tells on its standard error and output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogSection {
    /// Which events are logged: `error`, `warn`, `info`, `debug`, `trace`, or a list of `target=level`.
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
    /// Bars on a terminal, lines on a pipe.
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
    /// Notes an empty filter.
    pub fn validate(&self, findings: &mut Findings) {
        findings.require(!self.filter.is_empty(), "log.filter", || "write for example \"info\"".to_owned());
    }
}
