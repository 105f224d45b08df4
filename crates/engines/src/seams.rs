//! What a fleet needs of the house: texts as tokens, policies as folders, and what they think of a probe.

use std::{fmt, path::PathBuf};

use still_domain::{FinishReason, Measures, PolicyRef, Statement};

/// A response as text, with what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadResponse {
    /// The text, stop token left out.
    pub text: String,
    /// Lengths and perplexities.
    pub measures: Measures,
    /// Whether the thought and solution format is kept.
    pub is_well_formed: bool,
}

/// Texts as the run's tokenizer and prompt make them.
pub trait Texts: Send + Sync {
    /// The prompt that a problem makes.
    ///
    /// # Errors
    /// When the problem cannot be asked.
    fn prompt(&self, problem: &Statement) -> Result<Vec<u32>, String>;

    /// Reads a response of these tokens, the stop token included.
    ///
    /// # Errors
    /// When the tokens are no text.
    fn read(
        &self,
        tokens: &[u32],
        finish: FinishReason,
        log_probabilities: &[f32],
    ) -> Result<ReadResponse, String>;

    /// The tokens of a text, special ones where it writes them, and none besides.
    ///
    /// # Errors
    /// When the tokenizer cannot write it.
    fn tokens(&self, text: &str) -> Result<Vec<u32>, String>;

    /// The text of tokens, special ones written out.
    ///
    /// # Errors
    /// When the tokens are no text.
    fn text(&self, tokens: &[u32]) -> Result<String, String>;

    /// Names what asks, as provenances name it.
    fn prompt_name(&self) -> &str;

    /// Tokens that end a response.
    fn stop_ids(&self) -> &[u32];

    /// Tokens that every policy is asked about, more than one and fewer than the shortest context. Always the same.
    fn probe(&self) -> Vec<u32>;
}

impl fmt::Debug for dyn Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Texts").field("prompt", &self.prompt_name()).finish_non_exhaustive()
    }
}

/// The policies of the run.
pub trait Policies: Send + Sync {
    /// The folder that holds a policy, complete.
    ///
    /// # Errors
    /// When there is none.
    fn folder(&self, policy: &PolicyRef) -> Result<PathBuf, String>;

    /// The folder of the adapter that makes a policy of the run's base model, in the layout of PEFT, where there is one.
    fn adapter(&self, policy: &PolicyRef) -> Option<PathBuf>;

    /// The log-probability of every token but the first under a policy, in nats, computed here. Blocks.
    ///
    /// # Errors
    /// When the policy cannot be had.
    fn log_probabilities(&self, policy: &PolicyRef, tokens: &[u32]) -> Result<Vec<f32>, String>;
}
