//! The log: on standard error, as text or JSON. Text has colours on a terminal and nowhere else.

use std::io::{self, IsTerminal};

use still_control::{Exit, Failure, OrExit};
use still_operator::config::{LogFormat, LogSection};
use tracing_subscriber::EnvFilter;

/// What a filter may say without naming a part of the program.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// What is logged.
pub(crate) fn filter(config: &LogSection) -> Result<EnvFilter, Failure> {
    let named = |error: String| {
        format!(
            "`log.filter` is `{}`: {error}; write for example \"info\" or \"warn,still=debug\"",
            config.filter
        )
    };
    if let Some(word) = config.filter.split(',').map(str::trim).find(|part| is_no_level(part)) {
        let reason =
            format!("`{word}` is no level, and would be taken for a part of the program that is so called");
        return Err(named(reason)).or_exit(Exit::Configuration);
    }
    EnvFilter::try_new(&config.filter).map_err(|error| named(error.to_string())).or_exit(Exit::Configuration)
}

/// Whether a part of a filter is a word alone that is meant for a level and is none: `verbose`, `warning`.
fn is_no_level(part: &str) -> bool {
    let is_word = !part.is_empty() && part.chars().all(|one| one.is_ascii_alphabetic());
    is_word && !part.starts_with("still") && !LEVELS.iter().any(|level| level.eq_ignore_ascii_case(part))
}

/// Starts the log.
pub(crate) fn start(config: &LogSection) -> Result<(), Failure> {
    let is_coloured = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let builder = tracing_subscriber::fmt().with_env_filter(filter(config)?).with_writer(io::stderr);
    let started = match config.format {
        LogFormat::Json => builder.json().try_init(),
        LogFormat::Text => builder.with_ansi(is_coloured).try_init(),
    };
    started.or_exit(Exit::Internal)
}
