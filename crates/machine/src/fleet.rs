//! The servers that draw rollouts where `[[engines]]` names some, and what they are told of texts and policies.

use std::{fmt, path::PathBuf, sync::Arc};

use still_control::{Exit, Failure, OrExit};
use still_decoder::DecoderConfig;
use still_domain::{FinishReason, PolicyRef, Statement};
use still_engines::{Fleet, FleetSeams, Policies, ReadResponse, Texts};
use still_generator::{measured, prompt_name, question_of};
use still_library::PolicyLibrary;
use still_operator::config::Config;
use still_roles::{OpenScorer, ScoreRequest};
use still_tensor_decoder::{DeviceName, TensorPrecision};
use still_text::Prompter;
use tokio::runtime::Handle;

use crate::{Model, PolicyScorer, PromptedScorer};

/// What every policy is asked about.
const PROBE: &str = "What is 12*34? Let us multiply: 12*30=360 and 12*4=48, so 360+48=408. Check: 408/12=34.";
/// Folder of an adapter of the base model inside a checkpoint, as learners write it.
const ADAPTER_FOLDER: &str = "adapter";
/// Tokens of the probe, where the model's context has room for as many.
const PROBE_TOKENS: usize = 48;

/// Takes the servers in that the configuration names.
///
/// # Errors
/// When the base model lies in no folder that a server could read, or a key cannot be had. Servers that are not there are
/// waited for.
pub fn fleet(
    config: &Config,
    model: &Model,
    prompter: &Prompter,
    library: &Arc<PolicyLibrary>,
    publications: PathBuf,
    runtime: &Handle,
) -> Result<Fleet, Failure> {
    library.base_folder().or_exit(Exit::Configuration)?;
    let texts = RunTexts {
        prompter: prompter.clone(),
        prompt_name: prompt_name(prompter),
        vocabulary: model.config.vocabulary_size,
        context: model.config.max_position_count,
    };
    let policies = RunPolicies { library: Arc::clone(library), config: model.config.clone() };
    let seams = FleetSeams { texts: Arc::new(texts), policies: Arc::new(policies), publications };
    Fleet::start(&config.engines, seams, runtime).or_exit(Exit::Configuration)
}

/// Scorers of trajectories on the servers that draw.
pub fn fleet_scorers(fleet: &Fleet, prompter: &Prompter) -> OpenScorer {
    let (fleet, prompter) = (fleet.clone(), prompter.clone());
    Arc::new(move || Ok(Box::new(PromptedScorer::new(fleet.scorer(), prompter.clone()))))
}

/// Texts as the run's prompter makes and reads them.
struct RunTexts {
    prompter: Prompter,
    prompt_name: String,
    vocabulary: usize,
    context: usize,
}

impl Texts for RunTexts {
    fn prompt(&self, problem: &Statement) -> Result<Vec<u32>, String> {
        self.prompter.prompt(question_of(problem)).map_err(|error| error.to_string())
    }

    fn read(
        &self,
        tokens: &[u32],
        finish: FinishReason,
        log_probabilities: &[f32],
    ) -> Result<ReadResponse, String> {
        let read = measured(&self.prompter, tokens, finish, Some(log_probabilities));
        let read = read.map_err(|error| error.to_string())?;
        Ok(ReadResponse { text: read.text, measures: read.measures, is_well_formed: read.is_well_formed })
    }

    fn tokens(&self, text: &str) -> Result<Vec<u32>, String> {
        self.prompter.tokenizer().encode(text, false).map_err(|error| error.to_string())
    }

    fn text(&self, tokens: &[u32]) -> Result<String, String> {
        self.prompter.tokenizer().decode(tokens).map_err(|error| error.to_string())
    }

    fn prompt_name(&self) -> &str {
        &self.prompt_name
    }

    fn stop_ids(&self) -> &[u32] {
        self.prompter.tokenizer().stop_ids()
    }

    fn probe(&self) -> Vec<u32> {
        // one more is drawn after it
        let wanted = PROBE_TOKENS.min(self.context.saturating_sub(2)).max(2);
        let mut tokens = self.prompter.tokenizer().encode(PROBE, false).unwrap_or_default();
        // a small vocabulary has little of the text: it is filled up with what it has
        tokens.extend((0..wanted).map(|place| (place * 7 % self.vocabulary.max(1)) as u32));
        tokens.truncate(wanted);
        tokens
    }
}

/// The policies of the run's library, scored on the processor.
struct RunPolicies {
    library: Arc<PolicyLibrary>,
    config: DecoderConfig,
}

impl Policies for RunPolicies {
    fn folder(&self, policy: &PolicyRef) -> Result<PathBuf, String> {
        let folder = self.library.folder(policy).map_err(|error| error.to_string())?;
        std::path::absolute(&folder).map_err(|error| format!("`{}`: {error}", folder.display()))
    }

    fn adapter(&self, policy: &PolicyRef) -> Option<PathBuf> {
        // one that a trainer made of another policy has another name
        let folder = self.folder(policy).ok()?.join(ADAPTER_FOLDER);
        folder.join("adapter_config.json").is_file().then_some(folder)
    }

    fn log_probabilities(&self, policy: &PolicyRef, tokens: &[u32]) -> Result<Vec<f32>, String> {
        let (library, config) = (Arc::clone(&self.library), self.config.clone());
        let scorer = PolicyScorer::new(library, config, DeviceName::Cpu, TensorPrecision::F32);
        let request = ScoreRequest { tokens: tokens.to_vec(), from: 1 };
        let scored = scorer.map_err(|failure| failure.message)?.log_probabilities(policy, &request);
        scored.map_err(|error| error.to_string())
    }
}

impl fmt::Debug for RunPolicies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RunPolicies")
    }
}

#[cfg(test)]
mod tests {
    use still_operator::config::ModelSource;
    use still_text::PromptStyle;

    use super::*;

    #[test]
    fn the_probe_fits_the_model_and_is_always_the_same() {
        let model = Model::from_source(&ModelSource::Embedded, true).unwrap();
        let texts = |context| RunTexts {
            prompter: Prompter::new(model.tokenizer.clone(), PromptStyle::Raw),
            prompt_name: String::new(),
            vocabulary: model.config.vocabulary_size,
            context,
        };
        let probe = texts(1000).probe();
        assert_eq!((probe.len(), &probe), (PROBE_TOKENS, &texts(1000).probe()));
        assert!(probe.iter().all(|token| (*token as usize) < model.config.vocabulary_size));
        assert_eq!(texts(10).probe().len(), 8);
        let policies = RunPolicies { library: Arc::new(model.alone()), config: model.config.clone() };
        let scored = policies.log_probabilities(&Model::policy(), &probe).unwrap();
        assert_eq!(scored.len(), PROBE_TOKENS - 1);
        assert!(policies.folder(&Model::policy()).unwrap_err().contains("model.source"));
    }
}
