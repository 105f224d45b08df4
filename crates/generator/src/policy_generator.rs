//! [`StepGenerator`] on the engine of `still-rollout`.

use std::{collections::HashMap, sync::Arc};

use still_domain::{AttemptId, PolicyRef, ProblemId, Provenance, ProvenanceId, Trajectory};
use still_embedded::{GeneratorError, GeneratorStep, StepGenerator, Unserved};
use still_library::{PolicyLibrary, Weights};
use still_roles::{FinishedRollout, Rollout};
use still_rollout::{Engine, EngineConfig, Finished, Request, StepError, StepModel, TokenText};
use still_text::Prompter;

use crate::{measure::measured, question_of};

/// What makes a model of the first weights that are published.
type BuildModel<M> = Box<dyn FnMut(&Weights) -> Result<M, StepError> + Send>;

/// How problems become rollouts.
#[derive(Debug, Clone)]
pub struct GeneratorConfig {
    /// How a problem becomes a prompt, and a response is read.
    pub prompter: Prompter,
    /// Strings that end a response.
    pub stop_strings: Vec<String>,
    /// Rollouts that are worth holding at once, active and waiting.
    pub capacity: usize,
    /// How the engine uses its model.
    pub engine: EngineConfig,
    /// What its trajectories are said to be drawn by.
    pub provenance: Provenance,
}

/// A policy that works on many rollouts at once.
pub struct PolicyGenerator<M: StepModel<Weights = Weights>> {
    library: Arc<PolicyLibrary>,
    config: GeneratorConfig,
    stop_ids: Arc<[u32]>,
    stop_strings: Arc<[String]>,
    provenance: (ProvenanceId, Arc<Provenance>),
    build_model: BuildModel<M>,
    /// Absent until the first policy is in force.
    engine: Option<Engine<M, AttemptId>>,
    pending: HashMap<AttemptId, Pending>,
    /// The prompt of the latest problem: the rollouts of one problem come together.
    latest_prompt: Option<(ProblemId, Arc<[u32]>)>,
}

/// What the engine does not need to know of a rollout under way.
struct Pending {
    rollout: Rollout,
    prompt_token_count: u32,
}

impl<M: StepModel<Weights = Weights>> PolicyGenerator<M> {
    /// A generator that looks policies up in a library and builds its model from the first.
    pub fn new(
        library: Arc<PolicyLibrary>,
        config: GeneratorConfig,
        build_model: impl FnMut(&Weights) -> Result<M, StepError> + Send + 'static,
    ) -> Self {
        Self {
            library,
            stop_ids: config.prompter.tokenizer().stop_ids().into(),
            stop_strings: config.stop_strings.clone().into(),
            provenance: (config.provenance.id(), Arc::new(config.provenance.clone())),
            config,
            build_model: Box::new(build_model),
            engine: None,
            pending: HashMap::new(),
            latest_prompt: None,
        }
    }

    fn prompt_of(&mut self, rollout: &Rollout) -> Result<Arc<[u32]>, GeneratorError> {
        if let Some((problem, prompt)) = &self.latest_prompt
            && *problem == rollout.id.problem
        {
            return Ok(Arc::clone(prompt));
        }
        let encoded = self.config.prompter.prompt(question_of(&rollout.problem));
        let prompt: Arc<[u32]> = encoded.map_err(|error| refuse(&rollout.id, &error))?.into();
        self.latest_prompt = Some((rollout.id.problem.clone(), Arc::clone(&prompt)));
        Ok(prompt)
    }

    /// A rollout that the engine ended; the inner error is of one whose tokens are no text.
    fn conclude(
        &mut self,
        ended: Finished<AttemptId>,
    ) -> Result<Result<FinishedRollout, Unserved>, GeneratorError> {
        let Pending { rollout, prompt_token_count } = self.pending.remove(&ended.id).ok_or_else(|| {
            GeneratorError::Device(format!("the engine ended {}, which nobody asked for", ended.id))
        })?;
        let known = Some(ended.log_probabilities.as_slice());
        let response = match measured(&self.config.prompter, &ended.tokens, ended.finish, known) {
            Ok(response) => response,
            Err(error) => return Ok(Err(Unserved { id: ended.id, reason: error.to_string() })),
        };
        let is_unmodified = rollout.sampling.is_unmodified();
        let sampling_log_probabilities =
            if is_unmodified { Vec::new() } else { ended.sampling_log_probabilities };
        Ok(Ok(FinishedRollout {
            measures: response.measures,
            is_well_formed: response.is_well_formed,
            provenance: Some(Arc::clone(&self.provenance.1)),
            trajectory: Trajectory {
                id: ended.id,
                prompt_token_count,
                tokens: ended.tokens,
                log_probabilities: ended.log_probabilities,
                sampling_log_probabilities,
                text: response.text,
                sampling: rollout.sampling,
                seed: rollout.seed,
                finish: ended.finish,
                versions: ended.versions,
                provenance: Some(self.provenance.0.clone()),
            },
        }))
    }
}

impl<M: StepModel<Weights = Weights> + Send> StepGenerator for PolicyGenerator<M> {
    fn adopt(&mut self, policy: &PolicyRef) -> Result<(), GeneratorError> {
        let found = self.library.host_weights(policy);
        let weights = found.map_err(|error| GeneratorError::Policy(error.to_string()))?;
        if let Some(engine) = &mut self.engine {
            return engine.publish(policy.name, weights).map_err(|error| device(&error));
        }
        let model = (self.build_model)(&weights).map_err(|error| device(&error))?;
        let tokenizer = self.config.prompter.tokenizer().clone();
        let token_text: Arc<dyn TokenText> = Arc::new(move |token: u32, text: &mut Vec<u8>| {
            text.extend_from_slice(tokenizer.token_bytes(token));
        });
        self.engine = Some(Engine::new(model, policy.name, self.config.engine).with_token_text(token_text));
        Ok(())
    }

    fn submit(&mut self, rollout: Rollout) -> Result<(), GeneratorError> {
        let prompt = self.prompt_of(&rollout)?;
        let engine = self.engine.as_mut().ok_or(GeneratorError::NoPolicy)?;
        let request = Request {
            id: rollout.id.clone(),
            prompt: Arc::clone(&prompt),
            settings: rollout.sampling,
            seed: rollout.seed,
            stop_ids: Arc::clone(&self.stop_ids),
            stop_strings: Arc::clone(&self.stop_strings),
        };
        engine.submit(request).map_err(|error| refuse(&rollout.id, &error))?;
        let pending = Pending { prompt_token_count: prompt.len() as u32, rollout };
        self.pending.insert(pending.rollout.id.clone(), pending);
        Ok(())
    }

    fn cancel(&mut self, id: &AttemptId) {
        if let Some(engine) = &mut self.engine {
            engine.cancel(id);
        }
    }

    fn step(&mut self) -> Result<GeneratorStep, GeneratorError> {
        let engine = self.engine.as_mut().ok_or(GeneratorError::NoPolicy)?;
        let report = engine.step().map_err(|error| device(&error))?;
        let mut step = GeneratorStep {
            tokens: report.tokens as u64,
            is_stalled: report.is_stalled,
            ..GeneratorStep::default()
        };
        for lost in report.abandoned {
            self.pending.remove(&lost.id);
            step.lost.push(Unserved { id: lost.id, reason: lost.reason });
        }
        for ended in report.finished {
            match self.conclude(ended)? {
                Ok(rollout) => step.finished.push(rollout),
                Err(refused) => step.refused.push(refused),
            }
        }
        Ok(step)
    }

    fn capacity(&self) -> usize {
        self.config.capacity
    }

    fn is_idle(&self) -> bool {
        self.engine.as_ref().is_none_or(Engine::is_idle)
    }
}

fn refuse(id: &AttemptId, error: &dyn ToString) -> GeneratorError {
    GeneratorError::Refused { id: id.clone(), reason: error.to_string() }
}

fn device(error: &dyn ToString) -> GeneratorError {
    GeneratorError::Device(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use still_decoder::{DecoderConfig, DecoderWeights};
    use still_domain::{AttemptNumber, CheckpointId, PolicyVersion, SamplingSettings, seed};
    use still_library::BaseModel;
    use still_rollout::Span;
    use still_text::{PromptStyle, Tokenizer};

    use super::*;

    /// A model that writes its prompt's first character again and again, then the stop token.
    struct Parrot;

    impl StepModel for Parrot {
        type Weights = Weights;

        fn vocabulary_size(&self) -> usize {
            26
        }

        fn slot_count(&self) -> usize {
            2
        }

        fn slot_capacity_tokens(&self) -> usize {
            64
        }

        fn step(&mut self, spans: &[Span<'_>], logits: &mut Vec<f32>) -> Result<(), StepError> {
            logits.clear();
            for span in spans.iter().filter(|span| span.wants_logits) {
                let mut row = vec![0.0; 26];
                let last = span.start + span.tokens.len();
                row[if last >= 12 { 1 } else { 8 }] = 100.0;
                logits.extend(row);
            }
            Ok(())
        }

        fn copy_prefix(&mut self, _: usize, _: usize, _: usize) -> Result<(), StepError> {
            Ok(())
        }

        fn set_weights(&mut self, _: Weights) -> Result<(), StepError> {
            Ok(())
        }
    }

    fn generator() -> PolicyGenerator<Parrot> {
        let config = GeneratorConfig {
            prompter: Prompter::new(Tokenizer::quick_start().unwrap(), PromptStyle::Raw),
            stop_strings: Vec::new(),
            capacity: 8,
            engine: EngineConfig::default(),
            provenance: provenance(),
        };
        PolicyGenerator::new(library(), config, |_| Ok(Parrot))
    }

    fn provenance() -> Provenance {
        Provenance {
            engine: "embedded".to_owned(),
            name: "cpu".to_owned(),
            version: None,
            precision: Some("f32".to_owned()),
            prompt: "raw".to_owned(),
            is_retokenized: false,
        }
    }

    fn rollout(number: u32) -> Rollout {
        let id = AttemptId { problem: ProblemId::new("p"), number: AttemptNumber(number) };
        let seed = seed::of_attempt(0, &id);
        Rollout { id, problem: "7*4827=?".into(), sampling: SamplingSettings::default(), seed }
    }

    fn library() -> Arc<PolicyLibrary> {
        let json = serde_json::json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 8,
            "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 26,
            "num_key_value_heads": 2, "rms_norm_eps": 1e-5, "max_position_embeddings": 64,
            "hidden_act": "silu", "rope_theta": 10000.0, "tie_word_embeddings": true
        });
        let config = DecoderConfig::from_hugging_face(&json).unwrap();
        let base = BaseModel::in_memory(None, Arc::new(DecoderWeights::random(&config, 0)));
        let nowhere = |checkpoint: &CheckpointId| PathBuf::from(checkpoint.as_str());
        Arc::new(PolicyLibrary::new(base, nowhere, |_| Err("no such folder".to_owned())))
    }

    fn policy(version: u64) -> PolicyRef {
        PolicyRef { name: PolicyVersion(version).into(), checkpoint: None }
    }

    #[test]
    fn nothing_is_taken_before_a_policy_is_there() {
        let error = generator().submit(rollout(0)).unwrap_err();
        assert!(matches!(error, GeneratorError::NoPolicy), "{error}");
    }

    #[test]
    fn a_rollout_comes_back_with_text_provenance_and_measures() {
        let mut generator = generator();
        generator.adopt(&policy(3)).unwrap();
        for number in 0..3 {
            generator.submit(rollout(number)).unwrap();
        }
        let mut finished = Vec::new();
        while !generator.is_idle() {
            finished.extend(generator.step().unwrap().finished);
        }
        assert_eq!(finished.len(), 3);
        let first = &finished[0];
        assert_eq!(first.trajectory.text, "0000");
        assert_eq!(first.trajectory.tokens, [8, 8, 8, 8, 1]);
        assert_eq!(first.trajectory.prompt_token_count, 8);
        assert_eq!(first.trajectory.policy_version(), PolicyVersion(3));
        assert_eq!(first.trajectory.provenance, Some(provenance().id()));
        assert_eq!(first.provenance.as_deref(), Some(&provenance()));
        assert!(!first.is_well_formed);
    }

    #[test]
    fn a_problem_that_cannot_be_served_is_refused_by_name() {
        let mut generator = generator();
        generator.adopt(&policy(0)).unwrap();
        let error = generator.submit(Rollout { problem: "1".repeat(80).into(), ..rollout(0) }).unwrap_err();
        assert!(matches!(error, GeneratorError::Refused { .. }), "{error}");
        assert!(generator.is_idle());
    }

    #[test]
    fn a_policy_that_cannot_be_had_is_no_failure_of_the_device() {
        let mut generator = generator();
        let missing = PolicyRef { checkpoint: Some(CheckpointId::new("round-9-step-1")), ..policy(9) };
        let error = generator.adopt(&missing).unwrap_err();
        assert!(
            matches!(&error, GeneratorError::Policy(reason) if reason.contains("round-9-step-1")),
            "{error}"
        );
    }
}
