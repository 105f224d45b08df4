//! The log: on standard error, as text or JSON.

use std::io;

use still_control::{Exit, Failure, OrExit};
use still_operator::config::{LogFormat, LogSection};
use tracing_subscriber::EnvFilter;

/// Starts the log.
pub(crate) fn start(config: &LogSection) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&config.filter).or_exit(Exit::Configuration)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = match config.format {
        LogFormat::Json => builder.json().try_init(),
        LogFormat::Text => builder.try_init(),
    };
    started.or_exit(Exit::Internal)
}
