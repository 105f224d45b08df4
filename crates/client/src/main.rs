//! `stillctl`: asks a running `stilld` over its control socket.
//!
//! Small on purpose: no tensors, no asynchronous runtime, one blocking connection per command. JSON with
//! `--json`, errors as well, tables for people otherwise; the exit code says how it went.
//!
//! | module | what it holds |
//! |---|---|
//! | [`cli`] | the command line |
//! | [`connection`] | one HTTP/1.1 exchange over the Unix domain socket |
//! | [`commands`] | what each command asks, and how the answer is shown |
//! | [`tables`] | answers as tables for people |
//! | [`figures`] | figures and texts in cells and lines |
//! | [`watch`] | which events are worth a line |
//! | [`clock`] | the time of day |

mod cli;
mod clock;
mod commands;
mod connection;
mod error;
mod figures;
mod tables;
mod watch;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use still_control::Exit;

use self::{cli::Cli, error::ClientError};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let stdout = io::stdout();
    let mut out = io::BufWriter::new(stdout.lock());
    let result = commands::run(&cli, &mut out).and_then(|()| out.flush().map_err(ClientError::Output));
    match result {
        Ok(()) => Exit::Success.into(),
        // whoever reads has seen enough
        Err(ClientError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Success.into(),
        Err(error) => {
            let told = if cli.json { error.as_json() } else { format!("stillctl: {error}") };
            // standard error may be closed: the exit code still tells
            let _ = writeln!(io::stderr(), "{told}");
            error.exit().into()
        }
    }
}
