//! A problem to a prompt.

use serde::{Deserialize, Serialize};

use crate::{
    chat_template::ChatMessage,
    error::{TemplateError, TokenizerError},
    tokenizer::Tokenizer,
};

/// Stands for the problem in a prompt text.
pub const PROBLEM_PLACEHOLDER: &str = "{problem}";

/// Asks for a long thought before the solution, in the paper's tags (arXiv 2412.09413, section 2; in this
/// project's own words).
pub const EXPLORATION_PROMPT: &str = "\
Work on the question below as a careful problem solver who thinks for a long time before answering. \
Explore it systematically: analyse what is asked, gather what is known, break it into parts, try ideas, \
check every step, look back at what you did, correct what turns out to be wrong, and take another way when \
one leads nowhere.

Give your response in two parts, Thought and Solution.

Thought: write down your whole course of reasoning between the tags below, in steps that are separated by a \
blank line. A step may analyse the question, collect findings, propose ideas, verify a result, refine a \
mistake, or return to an earlier step.
<|begin_of_thought|>
{steps, separated by blank lines}
<|end_of_thought|>

Solution: from what proved right in the thought, write the final, precise solution with the steps that are \
needed to follow it, between the tags below. Put the final answer into \\boxed{}.
<|begin_of_solution|>
{the solution, with the final answer in \\boxed{}}
<|end_of_solution|>

Now solve the following question in this way.

{problem}";

/// How a problem becomes a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptStyle {
    /// The problem as it is, for base models and the quick start.
    Raw,
    /// The problem as the user's turn of the model's chat template.
    Chat,
    /// [`EXPLORATION_PROMPT`] with the problem, as the user's turn of the model's chat template.
    #[default]
    Paper,
}

impl PromptStyle {
    /// The prompt text of `problem`.
    pub fn render(self, problem: &str, tokenizer: &Tokenizer) -> Result<String, TemplateError> {
        let user_turn = match self {
            Self::Raw => return Ok(problem.to_owned()),
            Self::Chat => problem.to_owned(),
            Self::Paper => EXPLORATION_PROMPT.replace(PROBLEM_PLACEHOLDER, problem),
        };
        let template = tokenizer.chat_template().ok_or(TemplateError::Missing)?;
        template.render(&[ChatMessage::user(user_turn)], true)
    }

    /// The prompt's token ids. A raw prompt gets the special tokens that the model puts around a text; a
    /// chat template brings its own.
    pub fn encode(self, problem: &str, tokenizer: &Tokenizer) -> Result<Vec<u32>, TokenizerError> {
        let text = self.render(problem, tokenizer).map_err(|error| TokenizerError::Refused {
            action: "render the prompt",
            reason: error.to_string(),
        })?;
        tokenizer.encode(&text, self == Self::Raw)
    }
}
