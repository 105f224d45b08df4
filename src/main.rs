//! `stilld`: the daemon, and one-shot jobs on the same code.

mod boot;
mod logging;
mod plane;
mod settings;
mod task;

use std::{io::stdout, process::ExitCode};

use clap::Parser;
use still_control::{Exit, Failure};
use still_operator::cli::{Cli, Command, TrainCommand};

fn main() -> ExitCode {
    let command = Cli::parse().into_command();
    // not for `run`, whose verifiers and device threads allocate at once and would wait for one another
    if matches!(command, Command::Train(_)) {
        still_learning::keep_freed_memory();
    }
    let ended = match &command {
        Command::Run(arguments) => boot::run(arguments),
        Command::Inspect(arguments) => still_jobs::inspect(arguments),
        Command::Config(command) => {
            let ran = command.run(&mut stdout().lock());
            ran.map(|()| Exit::Success).map_err(|error| Failure::new(error.exit(), error))
        }
        Command::Generate(arguments) => still_jobs::generate(arguments),
        Command::Score(arguments) => still_jobs::score(arguments),
        Command::Grade(arguments) => still_jobs::grade(arguments),
        Command::Train(command) => train(command),
        Command::Eval(arguments) => still_jobs::evaluate(arguments),
    };
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => {
            eprintln!("stilld: {}", failure.message);
            failure.exit.into()
        }
    }
}

/// The one job that is configured as the daemon is, and keeps a log.
fn train(command: &TrainCommand) -> Result<Exit, Failure> {
    let loaded = command.arguments().load().map_err(|error| Failure::new(error.exit(), error))?;
    logging::start(&loaded.config.log)?;
    still_jobs::train(command, &loaded.config)
}
