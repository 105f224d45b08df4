//! Where the configuration comes from, and the command that shows, checks and documents it.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::{Args, Subcommand};
use still_control::Exit;
use thiserror::Error;

use crate::config::{self, ConfigError, ConfigLayers, LoadedConfig, QUICKSTART, QUICKSTART_NAME};

/// Where the configuration comes from.
#[derive(Debug, Clone, Default, Args)]
pub struct ConfigArguments {
    /// A TOML file; without one the embedded quick start is in force.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Set one value over file and environment; may be given again.
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    pub set: Vec<String>,
    /// Folder of everything durable: stands for `run.data_dir`.
    #[arg(long, value_name = "DIR", env = "STILL_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
}

/// Show, check or document the configuration.
#[derive(Debug, Clone, Subcommand)]
pub enum ConfigCommand {
    /// Print the merged configuration, each value with where it comes from.
    Show {
        /// Where the configuration comes from.
        #[command(flatten)]
        configuration: ConfigArguments,
        /// JSON: `config` and `origins`.
        #[arg(long)]
        json: bool,
    },
    /// Check a file and what it names; says nothing and ends with 0 when all of it is sound.
    ///
    /// Beside the keys: the model, its tokenizer and template, the task's files line by line, whether prompts and
    /// memory fit, the devices, and whether the data directory belongs to this run. `stilld run --dry-run` tells
    /// what there is, too.
    Check {
        /// The file.
        file: PathBuf,
        /// Look at the keys alone: the model and the files may be on another machine.
        #[arg(long)]
        keys_only: bool,
    },
    /// Print the JSON schema of a configuration file.
    Schema,
    /// Print every key with its meaning and default.
    Reference,
}

/// Why `config` came to nothing.
#[derive(Debug, Error)]
pub enum ConfigCommandError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The answer cannot be written.
    #[error("the answer cannot be written: {0}")]
    Output(#[from] io::Error),
}

impl ConfigArguments {
    /// The layers: defaults, the file or the embedded quick start, the environment, the command line.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn layers(&self) -> Result<ConfigLayers, ConfigError> {
        let mut layers = ConfigLayers::new();
        layers = match &self.config {
            Some(path) => layers.file(path)?,
            None => layers.text(QUICKSTART_NAME, QUICKSTART),
        };
        layers = layers.environment(environment());
        for assignment in &self.set {
            layers = layers.set(assignment);
        }
        if let Some(path) = &self.data_dir {
            layers = layers.option("run.data_dir", path.to_string_lossy(), "--data-dir or STILL_DATA_DIR");
        }
        Ok(layers)
    }

    /// The merged, sound configuration.
    ///
    /// # Errors
    /// Names every key that cannot be used.
    pub fn load(&self) -> Result<LoadedConfig, ConfigError> {
        self.layers()?.load_run()
    }
}

impl ConfigCommand {
    /// Runs the command: `check` writes nothing when the file is sound.
    ///
    /// # Errors
    /// When the configuration cannot be used, or `out` not be written.
    pub fn run(&self, out: &mut dyn Write) -> Result<(), ConfigCommandError> {
        let text = match self {
            Self::Show { configuration, json: false } => config::show_toml(&configuration.load()?),
            Self::Show { configuration, json: true } => pretty(&config::show_json(&configuration.load()?)),
            Self::Check { file, .. } => {
                ConfigLayers::new().file(file)?.load_run()?;
                String::new()
            }
            Self::Schema => pretty(&config::schema()),
            Self::Reference => config::reference(),
        };
        out.write_all(text.as_bytes())?;
        out.flush()?;
        Ok(())
    }
}

impl ConfigCommandError {
    /// How the program ends.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Config(error) => error.exit(),
            Self::Output(_) => Exit::Internal,
        }
    }
}

fn pretty(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}

/// The environment, variables that are no Unicode left out.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    #[test]
    fn config_shows_checks_and_documents() {
        let run = |words: &[&str]| {
            let parsed = Cli::try_parse_from(std::iter::once(&"stilld").chain(words)).unwrap();
            let Command::Config(command) = parsed.into_command() else { panic!("no config") };
            let mut out = Vec::new();
            command.run(&mut out).map(|()| String::from_utf8(out).unwrap())
        };
        let text = run(&["config", "show", "--set", "run.seed=5"]).unwrap();
        assert!(text.contains("seed = 5  # --set run.seed=5"), "{text}");
        assert!(text.contains("problems = 900  # configs/quickstart.toml (built in):"), "{text}");
        let json = run(&["config", "show", "--json", "--data-dir", "d"]).unwrap();
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&json).unwrap()["config"]["run"]["data_dir"],
            "d"
        );
        assert!(run(&["config", "schema"]).unwrap().contains("\"$schema\""));
        let error = run(&["config", "check", "/nowhere.toml"]).unwrap_err();
        assert_eq!(error.exit(), Exit::Configuration);
    }
}
