//! The arguments of the one-shot jobs: generate, score, grade, train and eval.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use still_domain::AnswerKind;
use still_recipe::Precision;

use super::configuration::{ConfigArguments, environment};
use crate::config::{
    ConfigError, ConfigLayers, Device, LoadedConfig, ModelSource, PromptStyle, PromptTexts, ResponseFormat,
    TaskSection,
};

/// Where a model draws, and in what.
#[derive(Debug, Clone, Copy, Args)]
pub struct PlaceArguments {
    /// "cpu" or "cuda:0".
    #[arg(long, default_value = "cpu", value_parser = |text: &str| text.parse::<Device>())]
    pub device: Device,
    /// What matrices are held in, "f32" or "bf16", as `device.precision` says it for the daemon; by default f32 on the
    /// processor and bf16 on a GPU.
    #[arg(long, value_name = "PRECISION", value_parser = precision)]
    pub precision: Option<Precision>,
}

/// A model.
#[derive(Debug, Clone, Args)]
pub struct ModelArguments {
    /// `embedded`, `hf:owner/name`, `hf:owner/name@revision` or a Hugging Face folder.
    #[arg(long, value_name = "MODEL", value_parser = |text: &str| text.parse::<ModelSource>())]
    pub model: ModelSource,
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
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
    pub temperature: f32,
    /// Keeps the likeliest tokens, this many; 0 keeps all.
    #[arg(long, default_value_t = 0)]
    pub top_k: u32,
    /// Keeps the smallest set of tokens whose probability reaches this.
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    pub top_p: f32,
    /// Keeps tokens at least this many times as likely as the likeliest.
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
    pub min_p: f32,
    /// Divides the logits of tokens seen before; 1 changes nothing.
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    pub repetition_penalty: f32,
    /// Longest response, in tokens.
    #[arg(long, default_value_t = 1024, value_name = "TOKENS")]
    pub max_new_tokens: u32,
    /// Seed of the draw.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

/// What problems are asked by, as the `[task]` section says it for the daemon.
#[derive(Debug, Clone, Default, Args)]
pub struct PromptArguments {
    /// What the system says before the user: `task.prompts.system`.
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
    /// A file of the user's turn with `{problem}` where the problem belongs: `task.prompts.template`.
    #[arg(long = "prompt-template", value_name = "FILE")]
    pub template: Option<PathBuf>,
    /// A variable of the model's chat template, for example `enable_thinking=false`; may be given again.
    #[arg(long = "template-variable", value_name = "NAME=JSON", value_parser = variable)]
    pub variables: Vec<(String, serde_json::Value)>,
    /// How a response keeps its thought and its solution apart, which the prompt of the style "paper" asks for: "paper",
    /// "think" or "none".
    #[arg(long, value_name = "FORMAT", value_parser = response_format)]
    pub format: Option<ResponseFormat>,
}

impl PromptArguments {
    /// The section that asks so, in a style.
    pub fn section(&self, prompt: PromptStyle) -> TaskSection {
        let prompts = PromptTexts {
            system: self.system.clone().unwrap_or_default(),
            template: self.template.clone(),
            variables: self.variables.iter().cloned().collect(),
            ..PromptTexts::default()
        };
        TaskSection { prompt, prompts, format: self.format.unwrap_or_default(), ..TaskSection::default() }
    }
}

/// Draw responses from a model.
#[derive(Debug, Clone, Args)]
pub struct GenerateArguments {
    /// The model.
    #[command(flatten)]
    pub model: ModelArguments,
    /// Where it draws.
    #[command(flatten)]
    pub place: PlaceArguments,
    /// The prompt; "-" reads standard input.
    #[arg(long, required_unless_present_any = ["messages", "problems"])]
    pub prompt: Option<String>,
    /// Problems as JSONL in any layout that `problems import` reads: `--count` responses to each go to `--out`. The same
    /// command goes on where it was ended.
    #[arg(long, value_name = "FILE.jsonl", requires = "out", conflicts_with_all = ["prompt", "messages", "json"])]
    pub problems: Option<PathBuf>,
    /// The file that responses to `--problems` are added to, one JSON object a line, as `pool import` reads them.
    #[arg(long, value_name = "FILE.jsonl", requires = "problems")]
    pub out: Option<PathBuf>,
    /// A JSON file of a conversation (a list of messages, or an object with `messages` and perhaps `tools`), which the
    /// response goes on from in the model's chat template.
    #[arg(long, value_name = "FILE.json", conflicts_with_all = ["prompt", "chat", "style", "system", "template", "kind"])]
    pub messages: Option<PathBuf>,
    /// The kind of answer that the prompt asks for: the style "paper" asks "code" problems for a program.
    #[arg(long, value_name = "KIND", value_parser = answer_kind)]
    pub kind: Option<AnswerKind>,
    /// Put the prompt into the user turn of the model's chat template: `--style chat`.
    #[arg(long, conflicts_with = "style")]
    pub chat: bool,
    /// How the prompt is put to the model, as `task.prompt` says it for the daemon: "raw" (as it is), "chat" or "paper".
    #[arg(long, value_name = "STYLE", value_parser = prompt_style)]
    pub style: Option<PromptStyle>,
    /// What asks.
    #[command(flatten)]
    pub asked: PromptArguments,
    /// End a response at this text; may be given again.
    #[arg(long = "stop", value_name = "TEXT")]
    pub stops: Vec<String>,
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

/// Make demonstrations of right answers, a teacher's or one's own.
#[derive(Debug, Clone, Args)]
pub struct DistillArguments {
    /// Where the configuration comes from, with the teacher in `[teacher]`; `task.prompt` and `task.format` say how problems
    /// are asked, `[verifier]` how answers are judged, `run.seed` seeds the draws.
    #[command(flatten)]
    pub configuration: ConfigArguments,
    /// Problems with gold answers as JSONL in any layout that `problems import` reads.
    #[arg(long, value_name = "FILE.jsonl")]
    pub problems: PathBuf,
    /// The file that demonstrations are written to, whole, whenever the command ends.
    #[arg(long, value_name = "FILE.jsonl")]
    pub out: PathBuf,
    /// The file that every answer is added to with its verdict; by default beside `--out`, as NAME.answers.jsonl.
    #[arg(long, value_name = "FILE.jsonl")]
    pub attempts: Option<PathBuf>,
    /// In place of a teacher's answers those that `stilld generate --problems` has drawn for the same problems.
    #[arg(long, value_name = "FILE.jsonl")]
    pub responses: Option<PathBuf>,
    /// Ask for the first problems only, this many; 0 asks for all.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub limit: usize,
}

impl DistillArguments {
    /// The merged, sound configuration.
    ///
    /// # Errors
    /// Names every key that cannot be used.
    pub fn load(&self) -> Result<LoadedConfig, ConfigError> {
        self.configuration.load()
    }
}

/// Give the log-probability of every token of texts.
#[derive(Debug, Clone, Args)]
pub struct ScoreArguments {
    /// The model.
    #[command(flatten)]
    pub model: ModelArguments,
    /// "cpu" or "cuda:0".
    #[arg(long, default_value = "cpu", value_parser = |text: &str| text.parse::<Device>())]
    pub device: Device,
    /// JSONL with `text`, `messages` (and `tools`, `chat_template_kwargs`) or `token_ids` on each line; "-" reads
    /// standard input.
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

impl TrainCommand {
    /// The settings of either kind of training.
    pub const fn arguments(&self) -> &TrainArguments {
        match self {
            Self::Sft(arguments) | Self::Dpo(arguments) => arguments,
        }
    }

    /// The settings that it obeys.
    ///
    /// # Errors
    /// Names every key that cannot be used.
    pub fn load(&self) -> Result<LoadedConfig, ConfigError> {
        let Self::Dpo(arguments) = self else { return self.arguments().load(&[]) };
        // a training that an earlier program began goes on by what it was told
        if !arguments.resume {
            arguments.load(&[])?.require_settings_of_pairs_in_files()?;
        }
        arguments.load(&arguments.set_for_pairs())
    }
}

/// Train a model on a file.
#[derive(Debug, Clone, Args)]
pub struct TrainArguments {
    /// The model to start from.
    #[command(flatten)]
    pub model: ModelArguments,
    /// Devices that share the work, for example `cuda:0,cuda:1`; stands for `device.learners`.
    #[arg(
        long = "device",
        value_name = "DEVICES",
        value_delimiter = ',',
        value_parser = |text: &str| text.parse::<Device>()
    )]
    pub devices: Vec<Device>,
    /// JSONL: `messages`, `prompt`/`completion`, `prompt`/`chosen`/`rejected`, or the paper's own fields.
    #[arg(long, value_name = "FILE.jsonl")]
    pub data: PathBuf,
    /// Folder for the trained model and its checkpoints.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Precision of the trained model's file; checkpoints hold what training goes on from in f32 all the same.
    #[arg(long, value_enum, default_value_t = WrittenPrecision::F32)]
    pub precision: WrittenPrecision,
    /// Go on from the newest checkpoint in the output folder.
    #[arg(long)]
    pub resume: bool,
    /// Seed of the data order.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// What to do at a broken line.
    #[arg(long, value_enum, default_value_t = OnError::Abort)]
    pub on_error: OnError,
    /// A configuration whose `[training.improvement]`, or of pairs `[training.preference]`, holds the learner's settings.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Set one value, for example `training.improvement.steps=100`, which for pairs stands for
    /// `training.preference.steps`; may be given again.
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    pub set: Vec<String>,
    /// Low-rank adaptation.
    #[command(flatten)]
    pub lora: LoraArguments,
}

/// How the numbers of a trained model are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WrittenPrecision {
    /// As they were trained.
    F32,
    /// Rounded to half the size, as most models are published.
    Bf16,
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
    /// Where it draws.
    #[command(flatten)]
    pub place: PlaceArguments,
    /// Problems as JSONL in any layout that `problems import` reads.
    #[arg(long, value_name = "FILE.jsonl", required_unless_present = "messages")]
    pub problems: Option<PathBuf>,
    /// In their place: JSONL whose lines hold a conversation each (`messages`, perhaps `tools`) beside the gold answer. Each
    /// is asked as it stands, in the model's chat template.
    #[arg(long, value_name = "FILE.jsonl", conflicts_with_all = ["problems", "prompt", "system", "template"])]
    pub messages: Option<PathBuf>,
    /// How a problem is put to the model: "raw", "chat" or "paper"; by default "paper" where the model has
    /// a chat template, else "raw".
    #[arg(long, value_name = "STYLE", value_parser = prompt_style)]
    pub prompt: Option<PromptStyle>,
    /// What asks.
    #[command(flatten)]
    pub asked: PromptArguments,
    /// Answers drawn for a problem; more than one needs a temperature above 0.
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
    /// Write every answer with its verdict into this new file, one JSON object a line.
    #[arg(long, value_name = "FILE.jsonl")]
    pub out: Option<PathBuf>,
    /// JSON instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// A style by its name in the configuration.
fn prompt_style(name: &str) -> Result<PromptStyle, String> {
    serde_json::from_value(name.into()).map_err(|_| "write raw, chat or paper".to_owned())
}

/// A precision by its name in the configuration.
fn precision(name: &str) -> Result<Precision, String> {
    serde_json::from_value(name.into()).map_err(|_| "write f32 or bf16".to_owned())
}

/// A format by its name in the configuration.
fn response_format(name: &str) -> Result<ResponseFormat, String> {
    serde_json::from_value(name.into()).map_err(|_| "write paper, think or none".to_owned())
}

/// A kind of answer by its name in JSONL.
fn answer_kind(name: &str) -> Result<AnswerKind, String> {
    serde_json::from_value(name.into())
        .map_err(|_| "write math, integer, multiple_choice, exact, regex or code".to_owned())
}

/// A name with its value; what is no JSON is text.
fn variable(assignment: &str) -> Result<(String, serde_json::Value), String> {
    let (name, value) =
        assignment.split_once('=').ok_or("write NAME=JSON, for example enable_thinking=false")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
    Ok((name.to_owned(), value))
}

/// What to do at a broken line of an input file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnError {
    /// Keep the good lines and tell of the broken ones.
    Skip,
    /// Take nothing from the file.
    Abort,
}

impl TrainArguments {
    /// What is set by hand in the section of other examples, as it is called for pairs: it can be meant for the one job
    /// that there is alone.
    fn set_for_pairs(&self) -> Vec<String> {
        let key = |assignment: &String| {
            Some(format!("training.preference.{}", assignment.trim().strip_prefix("training.improvement.")?))
        };
        self.set.iter().filter_map(key).collect()
    }

    /// The defaults with the file, then `more` values and those given, for the learner's settings.
    ///
    /// # Errors
    /// Names every key that cannot be used.
    pub(super) fn load(&self, more: &[String]) -> Result<LoadedConfig, ConfigError> {
        let mut layers = ConfigLayers::new();
        if let Some(path) = &self.config {
            layers = layers.file(path)?;
        }
        layers = layers.environment(environment());
        for assignment in more.iter().chain(&self.set) {
            layers = layers.set(assignment);
        }
        if !self.devices.is_empty() {
            let devices: Vec<String> = self.devices.iter().map(Device::to_string).collect();
            layers = layers.option("device.learners", devices, "--device");
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
