//! The command line of `stilld`.
//!
//! Without a command the daemon runs; every other command is a one-shot job on the same code.

mod configuration;
mod jobs;
mod pool;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use still_control::Exit;

pub use self::{
    configuration::{ConfigArguments, ConfigCommand, ConfigCommandError, environment},
    jobs::{
        DistillArguments, EvalArguments, GenerateArguments, GradeArguments, GradeProfile, ModelArguments,
        OnError, PlaceArguments, SamplingArguments, ScoreArguments, TrainArguments, TrainCommand,
        WrittenPrecision,
    },
    pool::{
        EvictArguments, PoolCommand, RescoreArguments, RevisionArguments, RolloutArguments, SuspectsArguments,
    },
};
use crate::config::{ConfigError, LoadedConfig};

/// Imitate, explore, self-improve: turns a language model into a slow-thinking reasoner, round after round.
///
/// Without a command, runs the daemon; without a configuration, on the embedded quick start.
#[derive(Debug, Clone, Parser)]
#[command(name = "stilld", version, args_conflicts_with_subcommands = true, after_help = Exit::table())]
pub struct Cli {
    /// What to do; the daemon runs when nothing is named.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How the daemon runs.
    #[command(flatten)]
    pub run: RunArguments,
}

/// What to do.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Run the daemon (the default).
    Run(RunArguments),
    /// Look into a stopped daemon's data directory, read only.
    Inspect(InspectArguments),
    /// Check a stopped daemon's data directory: every record, and every file of every checkpoint.
    Check(CheckArguments),
    /// List a stopped daemon's published policies, or put one in force again.
    Policies(PoliciesArguments),
    /// Judge or inspect a stopped daemon's pool anew, or put some of it out.
    #[command(subcommand)]
    Pool(PoolCommand),
    /// Show, check or document the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Draw responses from a model.
    Generate(GenerateArguments),
    /// Make demonstrations of a teacher's right answers.
    ///
    /// Every problem is asked until enough answers are right. The same command goes on where it was ended.
    Distill(DistillArguments),
    /// Give the log-probability of every token of texts.
    Score(ScoreArguments),
    /// Judge predictions against gold answers, one JSON line each.
    Grade(GradeArguments),
    /// Train a model on a file.
    #[command(subcommand)]
    Train(TrainCommand),
    /// Score a model on problems with gold answers.
    Eval(EvalArguments),
}

/// How the daemon runs.
#[derive(Debug, Clone, Default, Args)]
pub struct RunArguments {
    /// Where the configuration comes from.
    #[command(flatten)]
    pub configuration: ConfigArguments,
    /// End with exit code 0 after this many promoted or rejected rounds: stands for `run.rounds`.
    #[arg(long, value_name = "N")]
    pub rounds: Option<u32>,
    /// Look at everything that a start looks at, print what the run would be (files, memory, rounds, steps, attempts)
    /// and end as the start would.
    #[arg(long)]
    pub dry_run: bool,
}

/// What to look at in a stopped daemon's data directory.
#[derive(Debug, Clone, Args)]
pub struct InspectArguments {
    /// What to look at.
    pub subject: InspectSubject,
    /// The data directory.
    #[arg(long, value_name = "DIR", env = "STILL_DATA_DIR", default_value = "data")]
    pub data_dir: PathBuf,
    /// JSON instead of a table; `pool`, `answers` and problems are one object a line either way.
    #[arg(long)]
    pub json: bool,
}

/// Which data directory to check.
#[derive(Debug, Clone, Args)]
pub struct CheckArguments {
    /// The data directory.
    #[arg(value_name = "DIR", env = "STILL_DATA_DIR", default_value = "data")]
    pub data_dir: PathBuf,
    /// JSON instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// What to do with the published policies of a stopped daemon.
#[derive(Debug, Clone, Args)]
pub struct PoliciesArguments {
    /// What to do.
    #[command(subcommand)]
    pub command: PoliciesCommand,
    /// The data directory.
    #[arg(long, global = true, value_name = "DIR", env = "STILL_DATA_DIR", default_value = "data")]
    pub data_dir: PathBuf,
}

/// What to do with published policies.
#[derive(Debug, Clone, Subcommand)]
pub enum PoliciesCommand {
    /// List them, each with the Hugging Face folder that it is.
    List,
    /// Put one in force again, under a new version, whose checkpoint is whole.
    Promote {
        /// The version to copy.
        version: u64,
    },
}

/// What `inspect` looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum InspectSubject {
    /// Rounds with their accuracies.
    Rounds,
    /// What every policy that was scored has gained on the base model and on the imitated one: exact paired tests.
    Results,
    /// Trajectories with their verdicts.
    Pool,
    /// What each sealing decided of the trajectories, as far as it is otherwise than before: one JSON object a line.
    Decisions,
    /// Sealed training sets.
    Sets,
    /// Published policies.
    Policies,
    /// Problems to explore, one JSON object a line.
    Problems,
    /// Held-out problems, one JSON object a line, as `eval` reads them.
    HeldOut,
    /// How trajectories were drawn: engine, version, precision and prompt, by the name that each trajectory carries.
    Provenances,
    /// The answers that policies were scored by, as lines that `stilld grade` reads.
    Answers,
}

impl Cli {
    /// The command, the default one made explicit.
    pub fn into_command(self) -> Command {
        self.command.unwrap_or(Command::Run(self.run))
    }
}

impl Command {
    /// Whether answers and errors are for programs.
    pub const fn is_json(&self) -> bool {
        match self {
            Self::Inspect(arguments) => arguments.json,
            Self::Check(arguments) => arguments.json,
            Self::Generate(arguments) => arguments.json,
            Self::Score(arguments) => arguments.json,
            Self::Eval(arguments) => arguments.json,
            Self::Pool(command) => command.is_json(),
            Self::Config(ConfigCommand::Show { json, .. }) => *json,
            Self::Run(_)
            | Self::Policies(_)
            | Self::Config(_)
            | Self::Distill(_)
            | Self::Grade(_)
            | Self::Train(_) => false,
        }
    }
}

impl RunArguments {
    /// The merged, sound configuration.
    ///
    /// # Errors
    /// Names every key that cannot be used.
    pub fn load(&self) -> Result<LoadedConfig, ConfigError> {
        let mut layers = self.configuration.layers()?;
        if let Some(rounds) = self.rounds {
            layers = layers.option("run.rounds", rounds, "--rounds");
        }
        layers.load_run()
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(words: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once(&"stilld").chain(words))
    }

    #[test]
    fn the_command_line_is_sound_and_names_every_exit_code() {
        Cli::command().debug_assert();
        let help = Cli::command().render_help().to_string();
        assert!(Exit::ALL.iter().all(|exit| help.contains(exit.meaning())), "{help}");
    }

    #[test]
    fn options_of_the_daemon_stand_with_and_without_the_command() {
        for words in
            [&["--rounds", "3", "--set", "run.seed=4"][..], &["run", "--rounds=3", "--set=run.seed=4"]]
        {
            let Command::Run(run) = parse(words).unwrap().into_command() else { panic!("not a run") };
            let config = run.load().unwrap().config;
            assert_eq!((config.run.rounds, config.run.seed, config.round.problems), (3, 4, 900));
        }
    }

    #[test]
    fn jobs_take_the_arguments_that_the_documents_promise() {
        for words in [
            &["inspect", "rounds", "--data-dir", "d", "--json"][..],
            &["inspect", "held-out"],
            &["check", "d", "--json"],
            &["policies", "promote", "3", "--data-dir", "d"],
            &["config", "check", "f.toml"],
            &["generate", "--model", "m", "--prompt", "2+2", "--chat", "--temperature", "0", "--json"],
            &["score", "--model", "m", "--input", "f.jsonl", "--json"],
            &["grade", "-", "--profile", "strict"],
            &["train", "sft", "--model", "m", "--data", "f.jsonl", "--out", "o"],
            &["train", "dpo", "--model", "m", "--data", "f.jsonl", "--out", "o", "--resume"],
            &["pool", "suspects", "--data-dir", "d", "--json"],
            &["pool", "reverify", "--config", "f.toml", "--data-dir", "d", "--dry-run"],
            &["pool", "reinspect", "--set", "hygiene.max_loop_characters=500", "--json"],
            &["pool", "evict", "--id", "p#3", "--id", "p#4", "--reason", "a reward hack"],
            &["pool", "evict", "--problem", "p", "--undo"],
            &["pool", "import", "f.jsonl", "--config", "f.toml", "--data-dir", "d"],
            &["pool", "rescore", "--policy", "3", "--dry-run"],
            &["eval", "--model", "m", "--problems", "f.jsonl", "--samples", "4"],
        ] {
            assert!(parse(words).is_ok(), "{words:?}");
        }
    }

    #[test]
    fn adapters_are_asked_for_on_the_command_line_and_unknown_projections_refused() {
        let load = |targets: &str| {
            let lora = ["--lora-rank", "8", "--lora-alpha", "16", "--lora-targets", targets];
            let words = [&["train", "sft", "--model", "m", "--data", "f", "--out", "o"][..], &lora].concat();
            let Command::Train(TrainCommand::Sft(train)) = parse(&words).unwrap().into_command() else {
                panic!("no training")
            };
            train.load(&[])
        };
        let lora = load("q_proj,v_proj").unwrap().config.training.lora;
        assert_eq!((lora.rank, lora.alpha), (8, 16.0));
        assert_eq!(lora.targets, ["q_proj", "v_proj"]);
        let error = load("lm_head").unwrap_err().to_string();
        assert!(error.contains("`lm_head`") && error.contains("--lora-targets"), "{error}");
    }

    #[test]
    fn an_unknown_command_ends_with_the_usage_code() {
        let error = parse(&["explode"]).unwrap_err();
        assert_eq!(error.exit_code(), i32::from(Exit::Usage.code()));
        assert!(parse(&["generate", "--model", "hf:a/b/c", "--prompt", "x"]).is_err());
    }
}
