//! `stilld`: the daemon, and one-shot jobs on the same code.

mod boot;
mod farewell;
mod logging;
mod plane;
mod preflight;
mod settings;
mod task;
mod work;

use std::{io::stdout, path::Path, process::ExitCode};

use clap::Parser;
use still_control::{Exit, Failure};
use still_operator::{
    cli::{Cli, Command, ConfigCommand, TrainCommand},
    config::ConfigLayers,
};

fn main() -> ExitCode {
    let command = Cli::parse().into_command();
    // not for `run`, whose verifiers and device threads allocate at once and would wait for one another
    if matches!(command, Command::Train(_)) {
        still_learning::keep_freed_memory();
    }
    let ended = match &command {
        Command::Run(arguments) => boot::run(arguments),
        Command::Inspect(arguments) => still_jobs::inspect(arguments),
        Command::Check(arguments) => still_jobs::check(arguments),
        Command::Policies(arguments) => still_jobs::policies(arguments),
        Command::Pool(command) => still_jobs::pool(command),
        Command::Config(command) => {
            let ran = command.run(&mut stdout().lock());
            let ran = ran.map_err(|error| Failure::new(error.exit(), error));
            match command {
                ConfigCommand::Check { file, keys_only: false } => ran.and_then(|()| check(file)),
                _ => ran.map(|()| Exit::Success),
            }
        }
        Command::Generate(arguments) => still_jobs::generate(arguments),
        Command::Distill(arguments) => still_jobs::distill(arguments),
        Command::Score(arguments) => still_jobs::score(arguments),
        Command::Grade(arguments) => still_jobs::grade(arguments),
        Command::Train(command) => train(command),
        Command::Eval(arguments) => still_jobs::evaluate(arguments),
    };
    match ended {
        Ok(exit) => exit.into(),
        // whoever read has seen enough
        Err(Failure { exit: Exit::Success, .. }) => Exit::Success.into(),
        Err(failure) => {
            if command.is_json() {
                eprintln!("{}", failure.as_json());
            } else {
                eprintln!("stilld: {}", failure.message);
            }
            failure.exit.into()
        }
    }
}

/// A file whose keys are sound, with everything that it names.
fn check(file: &Path) -> Result<Exit, Failure> {
    let loaded = ConfigLayers::new().file(file).and_then(ConfigLayers::load);
    preflight::check(&loaded.map_err(|error| Failure::new(error.exit(), error))?.config)
}

/// The one job that is configured as the daemon is, and keeps a log.
fn train(command: &TrainCommand) -> Result<Exit, Failure> {
    let loaded = command.load().map_err(|error| Failure::new(error.exit(), error))?;
    logging::start(&loaded.config.log)?;
    still_jobs::train(command, &loaded.config)
}
