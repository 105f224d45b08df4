//! How fast this machine draws and trains, measured in a second or two: on layers of the model's own form with random
//! weights, fewer or narrower ones where the model is large. What is measured is scaled by the number of parameters, as the
//! work of a token is; attention over long texts comes on top, and what else runs on the machine slows it.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use still_decoder::{CpuDecoder, DecoderConfig, DecoderWeights, Span};
use still_domain::{Algorithm, Recipe, RoundNumber, Statement, TrainingSetId};
use still_embedded::{Learner, LearnerJob};
use still_learning::{BasePolicy, PolicyLearner};
use still_library::{BaseModel, PolicyLibrary};
use still_operator::config::{Config, Device};
use still_recipe::{LearnerSettings, TrainingEngine};
use still_roles::{Example, ExamplesInMemory, NoCheckpoints, Response, SftExample, TrainingJob};
use still_training_data::{EncodedExample, ExampleEncoder};

use crate::{
    placement::{GeneratorPlacement, Placement, open_learners, weight_precision},
    settings,
};

/// Parameters of a layer that is measured, at most.
const MAX_LAYER_PARAMETERS: usize = 4 << 20;
/// Narrower than this nothing is made.
const MIN_WIDTH: usize = 512;
/// Layers that are measured, at most, where they are large.
const LAYERS: usize = 2;
/// Tokens of a vocabulary that is measured, at most.
const MAX_VOCABULARY: usize = 2_048;
/// Rollouts at once that are measured, at most.
const MAX_ROLLOUTS: usize = 64;
/// Tokens of a step of training that is measured, about.
const STEP_TOKENS: usize = 2_048;
/// Tokens of a sequence that is measured, at most.
const MAX_SEQUENCE: usize = 256;
/// Time that a measurement takes, about, behind a first step that is not counted.
const MEASURED: Duration = Duration::from_millis(300);

/// Tokens a second of the processor; of others who do the work as the configuration expects them, or `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pace {
    /// Drawn by the samplers.
    pub drawing: Option<f64>,
    /// Drawn by the evaluator.
    pub scoring: Option<f64>,
    /// Trained on.
    pub training: Option<f64>,
}

impl Pace {
    /// Measures what the processor will do in a run, and takes the rest as it is expected.
    pub fn measure(config: &Config, decoder: &DecoderConfig, placement: &Placement) -> Self {
        let form = small_form(decoder);
        let weights = Arc::new(DecoderWeights::random(&form, 0));
        // the work of a token grows with the parameters that it passes through
        let share = form.parameter_count() as f64 / decoder.parameter_count() as f64;
        let on_processor = |placed: &&GeneratorPlacement| placed.device == Device::Cpu;
        let drawn = |placed: &GeneratorPlacement, threads| {
            share * drawing(&form, &weights, placed, settings::threads(threads))
        };
        let device = &config.device;
        let sampler = placement.samplers.iter().find(on_processor);
        let evaluator = placement.evaluator.as_ref().filter(on_processor);
        let trains_here = device.learns_on_cpu();
        let expected = still_engines::expected_tokens_per_second(&config.engines);
        Self {
            drawing: sampler.map(|placed| drawn(placed, device.sampler_threads)).or(expected),
            scoring: evaluator.map(|placed| drawn(placed, device.evaluator_threads)).or(expected),
            training: match config.training.engine {
                TrainingEngine::Command => config.training.command.expected_tokens_per_second,
                TrainingEngine::Embedded if trains_here => {
                    training(config, &form, &weights).map(|pace| share * pace)
                }
                TrainingEngine::Embedded => None,
            },
        }
    }
}

/// The model's form with less of it: of a small model all.
fn small_form(decoder: &DecoderConfig) -> DecoderConfig {
    let mut form = decoder.clone();
    let layer = |form: &DecoderConfig| {
        let alone = DecoderConfig { layer_count: 1, vocabulary_size: 1, ..form.clone() };
        alone.parameter_count()
    };
    if layer(&form) * form.layer_count <= MAX_LAYER_PARAMETERS * LAYERS
        && form.vocabulary_size <= MAX_VOCABULARY
    {
        return form;
    }
    while layer(&form) > MAX_LAYER_PARAMETERS && form.hidden_size > MIN_WIDTH {
        form.hidden_size /= 2;
        form.intermediate_size /= 2;
        let shared_by = form.attention_head_count / form.key_value_head_count;
        form.key_value_head_count = (form.key_value_head_count / 2).max(1);
        form.attention_head_count = form.key_value_head_count * shared_by;
    }
    form.layer_count = form.layer_count.min(LAYERS);
    form.vocabulary_size = form.vocabulary_size.min(MAX_VOCABULARY);
    form
}

/// Tokens a second that a decoder of this form draws, the choice of tokens left out.
fn drawing(
    form: &DecoderConfig,
    weights: &DecoderWeights,
    placed: &GeneratorPlacement,
    threads: usize,
) -> f64 {
    let precision = weight_precision(placed.precision);
    let slots = placed.rollouts.clamp(1, MAX_ROLLOUTS);
    let tokens = placed.tokens.clamp(2, MAX_SEQUENCE);
    let mut decoder = CpuDecoder::with_precision(form.clone(), weights, precision, slots, tokens, threads);
    let mut logits = Vec::new();
    let mut step = |start: usize| {
        let spans: Vec<_> =
            (0..slots).map(|slot| Span { slot, start, tokens: &[0], wants_logits: true }).collect();
        decoder.step(&spans, &mut logits);
    };
    step(0);
    let (began, mut drawn) = (Instant::now(), 0);
    for start in 1..tokens {
        step(start);
        drawn += slots;
        if began.elapsed() >= MEASURED {
            break;
        }
    }
    drawn as f64 / began.elapsed().as_secs_f64().max(f64::EPSILON)
}

/// Tokens a second that a learner of this form trains on; `None` where it cannot be had.
fn training(config: &Config, form: &DecoderConfig, weights: &Arc<DecoderWeights>) -> Option<f64> {
    let length = form.max_position_count.min(MAX_SEQUENCE);
    let count = (STEP_TOKENS / length.max(1)).max(1);
    let job =
        LearnerSettings { steps: u64::MAX, batch_sequences: count as u32, ..LearnerSettings::default() };
    let mut learner = settings::learner(config);
    learner.training.imitation = job;
    let library = PolicyLibrary::new(
        BaseModel::in_memory(None, Arc::clone(weights)),
        |checkpoint| PathBuf::from(checkpoint.as_str()),
        |folder| Err(format!("`{}` is no policy", folder.display())),
    );
    let devices = open_learners(&config.device, learner.precision()).ok()?;
    let base = BasePolicy { name: None, config: form.clone() };
    let encoder = Arc::new(SameLength(length));
    let mut learner = PolicyLearner::new(learner, base, Arc::new(library), encoder, devices);
    let example = Example::Sft(SftExample { problem: "".into(), response: Response::Tokens(Vec::new()) });
    let examples = ExamplesInMemory(vec![example; count]);
    let begun = learner.begin(&LearnerJob::fresh(TrainingJob {
        round: RoundNumber(0),
        training_set: TrainingSetId::new("measured"),
        legacy_training_set: None,
        recipe: Recipe::Imitation,
        objective: Algorithm::Sft,
        examples: Arc::new(examples),
        start: None,
        seed: 0,
        checkpoint_every_steps: 0,
        checkpoints: Arc::new(NoCheckpoints),
    }));
    begun.ok()?;
    learner.step().ok()?;
    let (began, mut tokens) = (Instant::now(), 0);
    while began.elapsed() < MEASURED {
        tokens += learner.step().ok()?.tokens;
    }
    Some(tokens as f64 / began.elapsed().as_secs_f64())
}

/// Examples of one length, of which the loss covers all but the first token.
struct SameLength(usize);

impl ExampleEncoder for SameLength {
    fn encode(&self, _: &Statement, _: &Response) -> Result<EncodedExample, String> {
        Ok(EncodedExample { tokens: vec![0; self.0.max(2)], prompt_tokens: 1 })
    }

    fn thought(&self, _: &[u32]) -> Option<Range<usize>> {
        None
    }

    fn save(&self, _: &Path) -> Result<(), String> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use still_operator::config::{ConfigLayers, QUICKSTART};

    use super::*;
    use crate::{Model, plan};

    fn quick_start(more: &[&str]) -> Config {
        let layers = ConfigLayers::new().text("q", QUICKSTART);
        more.iter().fold(layers, |layers, one| layers.set(one)).load().unwrap().config
    }

    #[test]
    fn the_processor_is_measured_and_nobody_elses_work() {
        let config = quick_start(&[]);
        let decoder = Model::load(&config).unwrap().config;
        let placement = plan::place(&config, &decoder).unwrap();
        let Pace { drawing, scoring, training } = Pace::measure(&config, &decoder, &placement);
        for pace in [drawing, scoring, training] {
            assert!(pace.is_some_and(|pace| pace.is_finite() && pace > 1.0), "{pace:?}");
        }
        let command = quick_start(&["training.engine=command", "training.command.program=sh"]);
        assert_eq!(Pace::measure(&command, &decoder, &placement).training, None);
        let expected = quick_start(&[
            "training.engine=command",
            "training.command.program=sh",
            "training.command.expected_tokens_per_second=900",
        ]);
        assert_eq!(Pace::measure(&expected, &decoder, &placement).training, Some(900.0));
    }

    #[test]
    fn of_a_large_model_a_small_form_is_measured_that_can_be_computed() {
        let small = Model::load(&quick_start(&[])).unwrap().config;
        assert_eq!(small_form(&small).parameter_count(), small.parameter_count());
        let large = DecoderConfig {
            vocabulary_size: 152_064,
            hidden_size: 3_584,
            intermediate_size: 18_944,
            layer_count: 28,
            attention_head_count: 28,
            key_value_head_count: 4,
            head_dim: 128,
            ..small
        };
        let form = small_form(&large);
        form.validate().unwrap();
        assert_eq!(form.layer_count, LAYERS);
        assert!(form.parameter_count() < large.parameter_count() / 50, "{form:?}");
    }
}
