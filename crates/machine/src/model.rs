//! The model of a run: its sizes, parameters, tokenizer and how problems become prompts.

use std::{
    fmt,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use still_control::{Exit, Failure, OrExit};
use still_decoder::{
    Architecture, CpuDecoder, DecoderConfig, DecoderError, DecoderWeights, RopeConfig, SpecialTokens,
    hugging_face::{load_config, load_folder, load_folder_as_stored},
};
use still_domain::{CheckpointId, PolicyRef, PolicyVersion, Provenance, Statement, seed};
use still_embedded::StepGenerator;
use still_generator::{GeneratorConfig, PolicyGenerator, prompt_name, question_of};
use still_hub::{Hub, HubConfig};
use still_learning::{BasePolicy, ModelName, holds_policy, load_policy};
use still_library::{BaseModel, PolicyLibrary, Weights};
use still_operator::{
    cli::ModelArguments,
    config::{Config, Device, EmbeddedModel, ModelSource},
};
use still_roles::{OpenLearnerScorer, OpenScorer, Response};
use still_rollout::EngineConfig;
use still_tensor_decoder::{CacheSize, DeviceDecoder, DeviceName, TensorPrecision, peft};
use still_text::{Prompter, Tokenizer};
use still_training_data::{EncodedExample, ExampleEncoder};

use crate::{
    PolicyScorer, PromptedScorer,
    placement::{GPU_PREFILL_TOKENS, device_name, weight_precision},
};

/// How a Hugging Face folder is read.
type LoadFolder = fn(&Path) -> Result<(DecoderConfig, DecoderWeights), DecoderError>;

/// Reads a model's weights, each time that it is called.
type ReadWeights = Arc<dyn Fn() -> Result<Weights, String> + Send + Sync>;

/// A model with everything that belongs to it but its weights, which are read when they are wanted.
#[derive(Clone)]
pub struct Model {
    /// What others load it by, if they can.
    pub name: Option<ModelName>,
    /// Its Hugging Face folder; `None` where it is made of a seed or something is merged into it.
    pub folder: Option<PathBuf>,
    /// Its sizes.
    pub config: DecoderConfig,
    /// Its tokenizer, chat template included.
    pub tokenizer: Tokenizer,
    read: ReadWeights,
}

impl Model {
    /// Loads the model that the configuration names.
    pub fn load(config: &Config) -> Result<Self, Failure> {
        match &config.model.source {
            ModelSource::Embedded => Self::embedded(&config.model.embedded, config.run.seed),
            source => Self::from_source(source, config.model.offline),
        }
    }

    /// Loads the model that a job's command line names, with its adapter merged in.
    pub fn from_arguments(arguments: &ModelArguments) -> Result<Self, Failure> {
        Self::with_adapter(arguments, load_folder)
    }

    /// The same for a job that only generates: matrices that are stored in bf16 stay so.
    pub fn to_generate(arguments: &ModelArguments) -> Result<Self, Failure> {
        Self::with_adapter(arguments, load_folder_as_stored)
    }

    fn with_adapter(arguments: &ModelArguments, load: LoadFolder) -> Result<Self, Failure> {
        let mut model = Self::loaded(&arguments.model, arguments.offline, load)?;
        if let Some(folder) = &arguments.adapter {
            let adapters = peft::load(folder, &model.config).or_exit(Exit::BadInput)?;
            let merged = Arc::new(adapters.merge(&*model.weights()?, &model.config));
            model.read = Arc::new(move || Ok(Arc::clone(&merged)));
            (model.name, model.folder) = (None, None);
        }
        Ok(model)
    }

    /// Loads a model by name: a folder, or a repository of the hub.
    pub fn from_source(source: &ModelSource, offline: bool) -> Result<Self, Failure> {
        Self::loaded(source, offline, load_folder)
    }

    fn loaded(source: &ModelSource, offline: bool, load: LoadFolder) -> Result<Self, Failure> {
        if *source == ModelSource::Embedded {
            return Self::embedded(&EmbeddedModel::default(), 0);
        }
        let named = source.to_string().parse().or_exit(Exit::Configuration)?;
        let hub = Hub::new(HubConfig { offline, ..HubConfig::default() });
        let folder = hub.resolve(&named).or_exit(Exit::BadInput)?;
        let model = Self::from_folder(&folder, load)?;
        Ok(match source {
            ModelSource::Hub { repository, .. } => {
                // the cache's folder of a snapshot is named by its commit
                let revision = folder.file_name().map(|commit| commit.to_string_lossy().into_owned());
                Self { name: Some(ModelName { name: repository.clone(), revision }), ..model }
            }
            _ => model,
        })
    }

    /// Loads a Hugging Face folder.
    fn from_folder(folder: &Path, load: LoadFolder) -> Result<Self, Failure> {
        let config = load_config(folder).or_exit(Exit::BadInput)?;
        let tokenizer = Tokenizer::load(folder).or_exit(Exit::BadInput)?;
        // whoever loads adapters by it stands in another folder
        let named = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let name = ModelName { name: named.display().to_string(), revision: None };
        let folder = folder.to_owned();
        let of = folder.clone();
        let read = Arc::new(move || {
            let (_, weights) = load(&of).map_err(|error| error.to_string())?;
            Ok(Arc::new(weights))
        });
        Ok(Self { name: Some(name), folder: Some(folder), config, tokenizer, read })
    }

    /// The quick start's model with fresh weights from the run's seed.
    fn embedded(model: &EmbeddedModel, run_seed: u64) -> Result<Self, Failure> {
        let tokenizer = Tokenizer::quick_start().or_exit(Exit::Internal)?;
        let config = DecoderConfig {
            architecture: Architecture::Llama,
            vocabulary_size: tokenizer.vocabulary_size(),
            hidden_size: model.width,
            intermediate_size: model.feed_forward,
            layer_count: model.layers,
            attention_head_count: model.heads,
            key_value_head_count: model.heads,
            head_dim: model.width / model.heads,
            rms_norm_epsilon: 1e-5,
            rope: RopeConfig { theta: model.rope_base, scaling: None },
            tied_embeddings: true,
            attention_bias: false,
            query_key_norm: false,
            embedding_multiplier: (model.width as f32).sqrt(),
            max_position_count: model.context_tokens,
            special_tokens: SpecialTokens::default(),
        };
        config.validate().or_exit(Exit::Configuration)?;
        let name = ModelName { name: ModelSource::Embedded.to_string(), revision: None };
        let sizes = config.clone();
        let read = Arc::new(move || {
            let seed = seed::derive(run_seed, &["initial weights"]);
            Ok(Arc::new(DecoderWeights::random(&sizes, seed)))
        });
        Ok(Self { name: Some(name), folder: None, config, tokenizer, read })
    }

    /// Its sizes in words that never change for the same sizes: a run's checkpoints fit no other model.
    pub fn sizes(&self) -> String {
        let DecoderConfig {
            architecture,
            vocabulary_size,
            hidden_size,
            intermediate_size,
            layer_count,
            attention_head_count,
            key_value_head_count,
            head_dim,
            ..
        } = &self.config;
        let family = match architecture {
            Architecture::Llama => "llama",
            Architecture::Qwen2 => "qwen2",
            Architecture::Qwen3 => "qwen3",
        };
        format!(
            "{family}, {layer_count} layers of width {hidden_size} and {intermediate_size}, {attention_head_count} \
             and {key_value_head_count} heads of {head_dim}, {vocabulary_size} tokens"
        )
    }

    /// Reads its weights.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn weights(&self) -> Result<Weights, Failure> {
        (self.read)().or_exit(Exit::BadInput)
    }

    /// The model as the base of a run, whose checkpoints `folder_of` finds.
    pub fn library(
        &self,
        folder_of: impl Fn(&CheckpointId) -> PathBuf + Send + Sync + 'static,
    ) -> PolicyLibrary {
        let read = Arc::clone(&self.read);
        let base = BaseModel { folder: self.folder.clone(), read: Box::new(move || read()) };
        PolicyLibrary::new(base, folder_of, |folder| {
            if holds_policy(folder) {
                load_policy(folder).map(|(_, weights)| weights).map_err(|error| error.to_string())
            } else {
                load_folder(folder).map(|(_, weights)| weights).map_err(|error| error.to_string())
            }
        })
    }

    /// The model alone, as a library without checkpoints.
    pub fn alone(&self) -> PolicyLibrary {
        self.library(|checkpoint| PathBuf::from(checkpoint.as_str()))
    }

    /// The model by name, as a library knows it.
    pub fn policy() -> PolicyRef {
        PolicyRef { name: PolicyVersion(0).into(), checkpoint: None }
    }

    /// The model as the learner's first policy.
    pub fn base_policy(&self) -> BasePolicy {
        BasePolicy { name: self.name.clone(), config: self.config.clone() }
    }

    /// A generator on a device, of the policies in a library.
    ///
    /// # Errors
    /// When the device is not there, with the remedy.
    pub fn generator(
        &self,
        library: &Arc<PolicyLibrary>,
        shape: &GeneratorShape,
    ) -> Result<Box<dyn StepGenerator>, String> {
        let mut generator = GeneratorConfig {
            prompter: shape.prompter.clone(),
            stop_strings: shape.stop_strings.clone(),
            capacity: shape.rollouts * 2,
            engine: EngineConfig::default(),
            provenance: shape.provenance(),
        };
        let library = Arc::clone(library);
        let (config, shape) = (self.config.clone(), shape.clone());
        let name = device_name(shape.device);
        generator.engine.sampling_threads = shape.threads.max(1);
        if name == DeviceName::Cpu {
            return Ok(Box::new(PolicyGenerator::new(library, generator, move |weights| {
                let (precision, slots, tokens) =
                    (weight_precision(shape.precision), shape.rollouts, shape.tokens);
                Ok(CpuDecoder::with_precision(
                    config.clone(),
                    weights,
                    precision,
                    slots,
                    tokens,
                    shape.threads,
                ))
            })));
        }
        let device = name.open().map_err(|error| error.to_string())?;
        generator.engine.prefill_tokens_per_step = GPU_PREFILL_TOKENS;
        Ok(Box::new(PolicyGenerator::new(library, generator, move |weights| {
            DeviceDecoder::new(config.clone(), weights, &device, shape.precision, shape.cache_size())
        })))
    }

    /// Scorers of trajectories under the policies of a library, on a device.
    pub fn scorers(&self, library: &Arc<PolicyLibrary>, device: Device, prompter: &Prompter) -> OpenScorer {
        let open = self.prompted(library, device, prompter);
        Arc::new(move || Ok(Box::new(open()?)))
    }

    /// The learner's arithmetic on trajectories under the policies of a library, on a device.
    pub fn learner_scorers(
        &self,
        library: &Arc<PolicyLibrary>,
        device: Device,
        prompter: &Prompter,
    ) -> OpenLearnerScorer {
        let open = self.prompted(library, device, prompter);
        Arc::new(move || Ok(Box::new(open()?)))
    }

    /// Opens scorers of this process.
    fn prompted(
        &self,
        library: &Arc<PolicyLibrary>,
        device: Device,
        prompter: &Prompter,
    ) -> impl Fn() -> Result<PromptedScorer<PolicyScorer>, String> + Send + Sync + use<> {
        let (model, library, prompter) = (self.clone(), Arc::clone(library), prompter.clone());
        move || {
            let precision = match device {
                Device::Cpu => TensorPrecision::F32,
                Device::Cuda(_) => TensorPrecision::Bf16,
            };
            let (library, config) = (Arc::clone(&library), model.config.clone());
            let scorer = PolicyScorer::new(library, config, device_name(device), precision);
            Ok(PromptedScorer::new(scorer.map_err(|failure| failure.message)?, prompter.clone()))
        }
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model")
            .field("name", &self.name)
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

/// How many rollouts a generator holds, where, and how long they may get.
#[derive(Debug, Clone)]
pub struct GeneratorShape {
    /// Where it runs.
    pub device: Device,
    /// What matrices are stored in; on a GPU, keys and values as well.
    pub precision: TensorPrecision,
    /// Threads of the processor, for the decoder where it runs there and for sampling.
    pub threads: usize,
    /// Rollouts at once.
    pub rollouts: usize,
    /// Tokens of a rollout, prompt included.
    pub tokens: usize,
    /// How a problem is asked, and a response read.
    pub prompter: Prompter,
    /// Texts that end a rollout.
    pub stop_strings: Vec<String>,
}

impl GeneratorShape {
    /// How what is drawn so is drawn.
    fn provenance(&self) -> Provenance {
        Provenance {
            engine: "embedded".to_owned(),
            name: self.device.to_string(),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            precision: Some(self.arithmetic().to_owned()),
            prompt: prompt_name(&self.prompter),
            is_retokenized: false,
        }
    }

    /// What it calculates in, as provenances name it.
    fn arithmetic(&self) -> &'static str {
        match self.precision {
            TensorPrecision::F32 => "f32",
            TensorPrecision::Bf16
                if self.device == Device::Cpu && !weight_precision(self.precision).rounds_inputs() =>
            {
                "f32 (weights in bf16)"
            }
            TensorPrecision::Bf16 => "bf16",
        }
    }

    /// The key-value cache that they take.
    pub const fn cache_size(&self) -> CacheSize {
        CacheSize { slots: self.rollouts, slot_capacity_tokens: self.tokens }
    }
}

/// Why a response cannot stand behind the prompt that asks for it.
const UNOPENED: &str = "the model's chat template opens a thought at the end of the prompt, and the response has none: \
    write task.format = \"think\", or turn the thought off (task.prompts.variables = { enable_thinking = false })";

/// Makes tokens of problems and responses as the sampler does.
pub struct Encoder {
    prompter: Prompter,
}

impl Encoder {
    /// One that asks as `prompter` does.
    pub const fn new(prompter: Prompter) -> Self {
        Self { prompter }
    }
}

impl ExampleEncoder for Encoder {
    fn encode(&self, problem: &Statement, response: &Response) -> Result<EncodedExample, String> {
        let question = question_of(problem);
        match response {
            Response::Tokens(drawn) => {
                let mut tokens = self.prompter.prompt(question).map_err(|error| error.to_string())?;
                let prompt_tokens = tokens.len();
                tokens.extend(drawn);
                Ok(EncodedExample { tokens, prompt_tokens })
            }
            Response::Text(text) => {
                let conversation =
                    self.prompter.conversation(question, text).map_err(|error| error.to_string())?;
                let asked = self.prompter.render(question).map_err(|error| error.to_string())?;
                if conversation.prompt != asked {
                    return Err(UNOPENED.to_owned());
                }
                let encoded =
                    conversation.encode(self.prompter.tokenizer()).map_err(|error| error.to_string())?;
                Ok(EncodedExample { tokens: encoded.ids, prompt_tokens: encoded.prompt_tokens })
            }
        }
    }

    fn thought(&self, response: &[u32]) -> Option<Range<usize>> {
        self.prompter.thought(response)
    }

    fn save(&self, folder: &Path) -> Result<(), String> {
        self.prompter.tokenizer().save(folder).map_err(|error| error.to_string())
    }
}
