//! The quick start's model and data at test size.
#![allow(clippy::unwrap_used, missing_docs, dead_code, unreachable_pub)]

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use still_decoder::{DecoderConfig, DecoderWeights};
use still_domain::{Algorithm, CheckpointId, Recipe, RoundNumber, Statement, TrainingSetId};
use still_embedded::{Learner, LearnerJob};
use still_learning::{
    BasePolicy, Footprint, LearnerConfig, LearnerDevice, ModelName, Place, PolicyLearner, load_policy,
};
use still_library::{BaseModel, PolicyLibrary};
use still_quickstart::QuickStartTask;
use still_recipe::{LearnerSettings, LoraSettings, Precision, Schedule, TrainingSection};
use still_roles::{
    Example, ExamplesInMemory, NoCheckpoints, PreferenceExample, Response, SftExample, TrainingJob,
};
#[cfg(feature = "tensors")]
use still_tensor_decoder::Device;
use still_text::{Tokenizer, thought};
use still_training_data::{EncodedExample, ExampleEncoder};

/// The quick start's tokenizer as the learner wants it.
pub struct Encoder(pub Tokenizer);

impl ExampleEncoder for Encoder {
    fn encode(&self, problem: &Statement, response: &Response) -> Result<EncodedExample, String> {
        let mut tokens = self.0.encode(problem, false).map_err(|error| error.to_string())?;
        let prompt_tokens = tokens.len();
        match response {
            Response::Tokens(drawn) => tokens.extend(drawn),
            Response::Text(text) => {
                tokens.extend(self.0.encode(text, false).map_err(|error| error.to_string())?);
                tokens.extend(self.0.end_id());
            }
        }
        Ok(EncodedExample { tokens, prompt_tokens })
    }

    fn thought(&self, response: &[u32]) -> Option<Range<usize>> {
        let decoded = self.0.decode_with_ends(response).ok()?;
        let span = thought::parse(decoded.text.trim_end_matches("<eos>")).ok()?.thought_span;
        Some(decoded.tokens_of(span))
    }

    fn save(&self, folder: &Path) -> Result<(), String> {
        self.0.save(folder).map_err(|error| error.to_string())
    }
}

pub fn decoder_config(width: usize, layers: usize) -> DecoderConfig {
    let json = serde_json::json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": width,
        "intermediate_size": width * 11 / 4, "num_hidden_layers": layers, "num_attention_heads": 4,
        "num_key_value_heads": 4, "vocab_size": 26, "rms_norm_eps": 1e-5, "max_position_embeddings": 256,
        "hidden_act": "silu", "rope_theta": 10000.0, "tie_word_embeddings": true
    });
    let config = DecoderConfig::from_hugging_face(&json).unwrap();
    DecoderConfig { embedding_multiplier: (width as f32).sqrt(), ..config }
}

pub fn job_config(steps: u64) -> LearnerSettings {
    LearnerSettings {
        steps,
        batch_sequences: 16,
        peak_learning_rate: 3e-3,
        warm_up_fraction: 0.05,
        final_fraction: 0.1,
        schedule: Schedule::Cosine,
        betas: [0.9, 0.98],
        weight_decay: 0.01,
        decay_embeddings: true,
        ..LearnerSettings::default()
    }
}

pub fn learner(width: usize, layers: usize, steps: u64, threads: usize) -> PolicyLearner {
    learner_with(width, layers, LearnerConfig { threads, ..learner_config(steps, |_| {}) })
}

/// One thread, whole numbers, and what `change` makes of the rest.
pub fn learner_config(steps: u64, change: impl FnOnce(&mut TrainingSection)) -> LearnerConfig {
    let mut training = TrainingSection {
        imitation: job_config(steps),
        improvement: job_config(steps),
        preference: job_config(steps),
        precision: Precision::F32,
        ..TrainingSection::default()
    };
    change(&mut training);
    LearnerConfig { training, threads: 1 }
}

/// Adapters of every projection.
pub fn lora(rank: u32, alpha: f64) -> LoraSettings {
    LoraSettings { rank, alpha, ..LoraSettings::default() }
}

pub fn learner_with(width: usize, layers: usize, settings: LearnerConfig) -> PolicyLearner {
    learner_on(1, width, layers, settings)
}

/// On so many replicas.
pub fn learner_on(replicas: usize, width: usize, layers: usize, settings: LearnerConfig) -> PolicyLearner {
    let config = decoder_config(width, layers);
    let library = library(DecoderWeights::random(&config, 1));
    let encoder = Arc::new(Encoder(Tokenizer::quick_start().unwrap()));
    let name = ModelName { name: "owner/base".to_owned(), revision: Some("c0ffee".to_owned()) };
    let base = BasePolicy { name: Some(name), config };
    PolicyLearner::new(settings, base, library, encoder, vec![LearnerDevice::Processor; replicas])
}

/// A base model in memory, and whatever checkpoints are asked for by the names of their folders.
pub fn library(weights: impl Into<Arc<DecoderWeights>>) -> Arc<PolicyLibrary> {
    let base = BaseModel::in_memory(None, weights.into());
    let folder_of = |checkpoint: &CheckpointId| PathBuf::from(checkpoint.as_str());
    let read =
        |folder: &Path| load_policy(folder).map(|(_, weights)| weights).map_err(|error| error.to_string());
    Arc::new(PolicyLibrary::new(base, folder_of, read))
}

pub fn sft_examples() -> Vec<Example> {
    let task = QuickStartTask::default().generate(0).unwrap();
    let example = |demonstration: still_domain::Demonstration| {
        Example::Sft(SftExample {
            problem: demonstration.problem.into(),
            response: Response::Text(demonstration.response),
        })
    };
    task.demonstrations.into_iter().map(example).collect()
}

/// Each demonstration against one with its first step spoilt.
pub fn preference_examples() -> Vec<Example> {
    let pair = |example| {
        let Example::Sft(SftExample { problem, response: Response::Text(text) }) = example else {
            unreachable!()
        };
        let rejected = Response::Text(text.replacen('=', "=9", 1));
        Example::Preference(PreferenceExample { problem, rejected, chosen: Response::Text(text) })
    };
    sft_examples().into_iter().take(48).map(pair).collect()
}

pub fn job(examples: Vec<Example>) -> LearnerJob {
    let objective = match examples.first() {
        Some(Example::Preference(_)) => Algorithm::Dpo,
        _ => Algorithm::Sft,
    };
    LearnerJob::fresh(TrainingJob {
        round: RoundNumber(0),
        training_set: TrainingSetId::new("set"),
        legacy_training_set: None,
        recipe: Recipe::Imitation,
        objective,
        examples: Arc::new(ExamplesInMemory(examples)),
        start: None,
        seed: 5,
        checkpoint_every_steps: 0,
        checkpoints: Arc::new(NoCheckpoints),
    })
}

/// Ways to work of which memory is measured: by the processor's kernels,
pub const PROCESSOR_MODES: [&str; 3] = ["kept", "recomputed", "adapters"];
/// and, in builds with tensors, by the operators of GPUs.
pub const TENSOR_MODES: [&str; 4] =
    ["composed", "composed-bf16", "composed-adapters", "composed-bf16-adapters"];

/// All that this build has.
pub fn memory_modes() -> Vec<&'static str> {
    let tensors = if cfg!(feature = "tensors") { &TENSOR_MODES[..] } else { &[] };
    [&PROCESSOR_MODES, tensors].concat()
}

/// Whether it is one of the former.
pub fn is_on_processor(mode: &str) -> bool {
    PROCESSOR_MODES.contains(&mode)
}

/// How a learner works in such a mode.
fn memory_settings(mode: &str, threads: usize) -> LearnerConfig {
    let settings = learner_config(3, |training| {
        training.recompute_activations = mode == "recomputed";
        training.precision = if mode.contains("bf16") { Precision::Bf16 } else { Precision::F32 };
        training.lora = lora(if mode.ends_with("adapters") { 16 } else { 0 }, 32.0);
    });
    LearnerConfig { threads, ..settings }
}

/// Bytes estimated of a process that takes [`steps_of_one_sequence`].
pub fn estimated_bytes(config: &DecoderConfig, mode: &str, threads: usize, tokens: usize) -> usize {
    let settings = memory_settings(mode, threads);
    let place = if is_on_processor(mode) { Place::Processor } else { Place::Gpus };
    // beside the learner: the base policy, which adapters share
    let base = if settings.lora().is_some() { 0 } else { config.parameter_count() * size_of::<f32>() };
    let footprint = Footprint::new(config, &settings, tokens, place);
    base + footprint.total() + footprint.summed(1, false, place)
}

/// Takes three steps on a sequence of so many tokens.
pub fn steps_of_one_sequence(config: DecoderConfig, mode: &str, threads: usize, tokens: usize) {
    let vocabulary = config.vocabulary_size as u32;
    let library = library(DecoderWeights::random(&config, 1));
    let base = BasePolicy { name: None, config };
    let encoder = Arc::new(Encoder(Tokenizer::quick_start().unwrap()));
    let settings = memory_settings(mode, threads);
    let device = match is_on_processor(mode) {
        #[cfg(feature = "tensors")]
        false => LearnerDevice::Tensors(Device::flex().autodiff(), settings.precision()),
        _ => LearnerDevice::Processor,
    };
    let mut learner = PolicyLearner::new(settings, base, library, encoder, vec![device]);
    let example = SftExample {
        problem: "1+1=".into(),
        response: Response::Tokens(
            (0..tokens as u32 - 3).map(|position| position * 7_919 % vocabulary).collect(),
        ),
    };
    learner.begin(&job(vec![Example::Sft(example)])).unwrap();
    learner.step().unwrap();
    // as after a checkpoint: the state to go back to is no longer the one that the job began with
    let _written_elsewhere = learner.snapshot().unwrap();
    learner.step().unwrap();
    learner.step().unwrap();
}
