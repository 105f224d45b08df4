//! `stilld`: the daemon, and one-shot jobs on the same code.

mod boot;
mod failure;
mod jobs;
mod logging;
mod model;
mod placement;
mod plan;
mod plane;
mod settings;
mod task;
mod verifier;

use std::{io::stdout, process::ExitCode};

use clap::Parser;
use still_control::Exit;
use still_daemon::cli::{Cli, Command};

use crate::failure::Failure;

fn main() -> ExitCode {
    let command = Cli::parse().into_command();
    // not for `run`, whose verifiers and device threads allocate at once and would wait for one another
    if matches!(command, Command::Train(_)) {
        still_learning::keep_freed_memory();
    }
    let ended = match &command {
        Command::Run(arguments) => boot::run(arguments),
        Command::Inspect(arguments) => jobs::inspect(arguments),
        Command::Config(command) => {
            let ran = command.run(&mut stdout().lock());
            ran.map(|()| Exit::Success).map_err(|error| Failure::new(error.exit(), error))
        }
        Command::Generate(arguments) => jobs::generate(arguments),
        Command::Score(arguments) => jobs::score(arguments),
        Command::Grade(arguments) => jobs::grade(arguments),
        Command::Train(command) => jobs::train(command),
        Command::Eval(arguments) => jobs::evaluate(arguments),
    };
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => {
            eprintln!("stilld: {}", failure.message);
            failure.exit.into()
        }
    }
}
