//! The command line of `stilld`.
//!
//! Without a command the daemon runs; every other command is a one-shot job on the same code.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use still_control::Exit;
use thiserror::Error;

use crate::config::{
    self, ConfigError, ConfigLayers, Device, LoadedConfig, ModelSource, QUICKSTART, QUICKSTART_NAME,
};

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
    /// Show, check or document the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Draw responses from a model.
    Generate(GenerateArguments),
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

/// How the daemon runs.
#[derive(Debug, Clone, Default, Args)]
pub struct RunArguments {
    /// Where the configuration comes from.
    #[command(flatten)]
    pub configuration: ConfigArguments,
    /// End with exit code 0 after this many promoted or rejected rounds: stands for `run.rounds`.
    #[arg(long, value_name = "N")]
    pub rounds: Option<u32>,
    /// Print the plan (device, memory, rounds) and end.
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
    /// JSON instead of a table; `pool` writes one object a line either way.
    #[arg(long)]
    pub json: bool,
}

/// What `inspect` looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum InspectSubject {
    /// Rounds with their accuracies.
    Rounds,
    /// Trajectories with their verdicts.
    Pool,
    /// Sealed training sets.
    Sets,
    /// Published policies.
    Policies,
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
    /// Check a file; says nothing and ends with 0 when it is sound.
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Print the JSON schema of a configuration file.
    Schema,
    /// Print every key with its meaning and default.
    Reference,
}

/// A model, where it runs and how tokens are drawn from it.
#[derive(Debug, Clone, Args)]
pub struct ModelArguments {
    /// `embedded`, `hf:owner/name`, `hf:owner/name@revision` or a Hugging Face folder.
    #[arg(long, value_name = "MODEL", value_parser = |text: &str| text.parse::<ModelSource>())]
    pub model: ModelSource,
    /// "cpu" or "cuda:0".
    #[arg(long, default_value = "cpu", value_parser = |text: &str| text.parse::<Device>())]
    pub device: Device,
    /// Never fetch from the hub.
    #[arg(long)]
    pub offline: bool,
    /// A folder of low-rank adapters in PEFT's layout, merged into the model as it is loaded.
    #[arg(long, value_name = "DIR")]
    pub adapter: Option<PathBuf>,
}

/// How tokens are drawn.
#[derive(Debug, Clone, Args)]
pub struct SamplingArguments {
    /// Divides the logits; 0 takes the likeliest token.
    #[arg(long, default_value_t = 0.0)]
    pub temperature: f32,
    /// Keeps the likeliest tokens, this many; 0 keeps all.
    #[arg(long, default_value_t = 0)]
    pub top_k: u32,
    /// Keeps the smallest set of tokens whose probability reaches this.
    #[arg(long, default_value_t = 1.0)]
    pub top_p: f32,
    /// Keeps tokens at least this many times as likely as the likeliest.
    #[arg(long, default_value_t = 0.0)]
    pub min_p: f32,
    /// Divides the logits of tokens seen before; 1 changes nothing.
    #[arg(long, default_value_t = 1.0)]
    pub repetition_penalty: f32,
    /// Longest response, in tokens.
    #[arg(long, default_value_t = 1024, value_name = "TOKENS")]
    pub max_new_tokens: u32,
    /// Seed of the draw.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

/// Draw responses from a model.
#[derive(Debug, Clone, Args)]
pub struct GenerateArguments {
    /// The model.
    #[command(flatten)]
    pub model: ModelArguments,
    /// The prompt; "-" reads standard input.
    #[arg(long)]
    pub prompt: String,
    /// Put the prompt into the user turn of the model's chat template.
    #[arg(long)]
    pub chat: bool,
    /// Draw this many responses.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub count: u32,
    /// How tokens are drawn.
    #[command(flatten)]
    pub sampling: SamplingArguments,
    /// One JSON object a response: prompt ids, token ids, log-probabilities, finish reason.
    #[arg(long)]
    pub json: bool,
}

/// Give the log-probability of every token of texts.
#[derive(Debug, Clone, Args)]
pub struct ScoreArguments {
    /// The model.
    #[command(flatten)]
    pub model: ModelArguments,
    /// JSONL with `text`, `messages` or `token_ids` on each line; "-" reads standard input.
    #[arg(long, value_name = "FILE.jsonl")]
    pub input: PathBuf,
    /// One JSON object a line.
    #[arg(long)]
    pub json: bool,
}

/// Judge predictions against gold answers.
#[derive(Debug, Clone, Args)]
pub struct GradeArguments {
    /// JSONL with `gold`, `prediction` and optionally `kind`; "-" reads standard input.
    #[arg(value_name = "FILE.jsonl")]
    pub file: PathBuf,
    /// Where the answer is read from.
    #[arg(long, value_enum, default_value_t = GradeProfile::Lenient)]
    pub profile: GradeProfile,
}

/// Where `grade` reads the answer from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GradeProfile {
    /// A box in the solution, nothing else.
    Strict,
    /// Phrases, bold text, last mathematics and bare answers too.
    Lenient,
}

/// Train a model on a file.
#[derive(Debug, Clone, Subcommand)]
pub enum TrainCommand {
    /// Supervised fine-tuning.
    Sft(TrainArguments),
    /// Direct preference optimisation.
    Dpo(TrainArguments),
}

/// Train a model on a file.
#[derive(Debug, Clone, Args)]
pub struct TrainArguments {
    /// The model to start from.
    #[command(flatten)]
    pub model: ModelArguments,
    /// JSONL: `messages`, `prompt`/`completion`, `prompt`/`chosen`/`rejected`, or the paper's own fields.
    #[arg(long, value_name = "FILE.jsonl")]
    pub data: PathBuf,
    /// Folder for the trained model and its checkpoints.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Go on from the newest checkpoint in the output folder.
    #[arg(long)]
    pub resume: bool,
    /// Seed of the data order.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// What to do at a broken line.
    #[arg(long, value_enum, default_value_t = OnError::Abort)]
    pub on_error: OnError,
    /// A configuration whose `[training.improvement]` holds the learner's settings.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Set one value, for example `training.improvement.steps=100`; may be given again.
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    pub set: Vec<String>,
    /// Low-rank adaptation.
    #[command(flatten)]
    pub lora: LoraArguments,
}

/// Low-rank adaptation: stands for `[training.lora]`.
#[derive(Debug, Clone, Default, Args)]
pub struct LoraArguments {
    /// Train adapters of this rank instead of all parameters; 0 trains all.
    #[arg(long = "lora-rank", value_name = "RANK")]
    pub rank: Option<u32>,
    /// The change of a projection is scaled by alpha / rank.
    #[arg(long = "lora-alpha", value_name = "ALPHA")]
    pub alpha: Option<f64>,
    /// Projections that are adapted, for example `q_proj,v_proj`.
    #[arg(long = "lora-targets", value_name = "NAMES", value_delimiter = ',')]
    pub targets: Vec<String>,
}

/// Score a model on problems with gold answers.
#[derive(Debug, Clone, Args)]
pub struct EvalArguments {
    /// The model.
    #[command(flatten)]
    pub model: ModelArguments,
    /// Problems as JSONL in any layout that `problems import` reads.
    #[arg(long, value_name = "FILE.jsonl")]
    pub problems: PathBuf,
    /// Answers drawn for a problem.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub samples: u32,
    /// Score only the first problems, this many; 0 scores all.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub limit: usize,
    /// How tokens are drawn.
    #[command(flatten)]
    pub sampling: SamplingArguments,
    /// Where the answer is read from.
    #[arg(long, value_enum, default_value_t = GradeProfile::Lenient)]
    pub profile: GradeProfile,
    /// JSON instead of a table.
    #[arg(long)]
    pub json: bool,
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

/// What to do at a broken line of an input file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnError {
    /// Keep the good lines and tell of the broken ones.
    Skip,
    /// Take nothing from the file.
    Abort,
}

impl Cli {
    /// The command, the default one made explicit.
    pub fn into_command(self) -> Command {
        self.command.unwrap_or(Command::Run(self.run))
    }
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
        self.layers()?.load()
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
            Self::Check { file } => {
                ConfigLayers::new().file(file)?.load()?;
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
        layers.load()
    }
}

impl TrainArguments {
    /// The defaults with the file and the values given, for the learner's settings.
    ///
    /// # Errors
    /// Names every key that cannot be used.
    pub fn load(&self) -> Result<LoadedConfig, ConfigError> {
        let mut layers = ConfigLayers::new();
        if let Some(path) = &self.config {
            layers = layers.file(path)?;
        }
        layers = layers.environment(environment());
        for assignment in &self.set {
            layers = layers.set(assignment);
        }
        self.lora.over(layers).load()
    }
}

impl LoraArguments {
    /// `layers` with what is given on top.
    fn over(&self, mut layers: ConfigLayers) -> ConfigLayers {
        if let Some(rank) = self.rank {
            layers = layers.option("training.lora.rank", rank, "--lora-rank");
        }
        if let Some(alpha) = self.alpha {
            layers = layers.option("training.lora.alpha", alpha, "--lora-alpha");
        }
        if !self.targets.is_empty() {
            layers = layers.option("training.lora.targets", self.targets.clone(), "--lora-targets");
        }
        layers
    }
}

fn pretty(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}

/// The environment, variables that are no Unicode left out.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
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
            &["config", "check", "f.toml"],
            &["generate", "--model", "m", "--prompt", "2+2", "--chat", "--temperature", "0", "--json"],
            &["score", "--model", "m", "--input", "f.jsonl", "--json"],
            &["grade", "-", "--profile", "strict"],
            &["train", "sft", "--model", "m", "--data", "f.jsonl", "--out", "o"],
            &["train", "dpo", "--model", "m", "--data", "f.jsonl", "--out", "o", "--resume"],
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
            train.load()
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
        assert!(parse(&["generate", "--model", "hf:nobody", "--prompt", "x"]).is_err());
    }

    #[test]
    fn config_shows_checks_and_documents() {
        let run = |words: &[&str]| {
            let Command::Config(command) = parse(words).unwrap().into_command() else { panic!("no config") };
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
