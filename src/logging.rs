//! The log: on standard error, as text or JSON. Text has colours on a terminal and nowhere else.

use std::io::{self, IsTerminal};

use still_control::{Exit, Failure, OrExit};
use still_operator::config::{LogFormat, LogSection};
use tracing_subscriber::EnvFilter;

/// What is logged.
pub(crate) fn filter(config: &LogSection) -> Result<EnvFilter, Failure> {
    let named = |error| {
        format!(
            "`log.filter` is `{}`: {error}; write for example \"info\" or \"warn,still=debug\"",
            config.filter
        )
    };
    EnvFilter::try_new(&config.filter).map_err(named).or_exit(Exit::Configuration)
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
