//! `[task]`: what the model learns to solve.

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_domain::AnswerKind;
use still_quickstart::QuickStartTask;
use still_settings::Findings;

/// What the model learns to solve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TaskSection {
    /// Where problems and demonstrations come from.
    pub source: TaskSource,
    /// How a problem is put to the model.
    pub prompt: PromptStyle,
    /// How a response keeps its thought and its solution apart.
    pub format: ResponseFormat,
    /// What the prompts say, where the style alone does not say it.
    pub prompts: PromptTexts,
    /// Longest prompt, in tokens: every rollout's slot has room for it. A problem with a longer one is refused.
    pub max_prompt_tokens: usize,
    /// The JSONL files, read once when the daemon starts with `source = "files"`.
    pub files: TaskFiles,
    /// The embedded task: digits times a digit, worked with carries.
    pub quickstart: QuickStartTask,
}

impl Default for TaskSection {
    fn default() -> Self {
        Self {
            source: TaskSource::default(),
            prompt: PromptStyle::default(),
            format: ResponseFormat::default(),
            prompts: PromptTexts::default(),
            max_prompt_tokens: 2_048,
            files: TaskFiles::default(),
            quickstart: QuickStartTask::default(),
        }
    }
}

/// Where problems and demonstrations come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskSource {
    /// The embedded task of `[task.quickstart]`.
    #[default]
    Quickstart,
    /// The files of `[task.files]`, and what `stillctl` imports later.
    Files,
}

impl TaskSource {
    /// The name used in configurations and in a run's identity, which is durable.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quickstart => "quickstart",
            Self::Files => "files",
        }
    }
}

/// How a problem is put to the model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PromptStyle {
    /// The problem alone, as the embedded model reads it.
    #[default]
    Raw,
    /// The paper's instruction with the problem, in the user turn of the model's chat template.
    Paper,
    /// The problem alone, in the user turn of the model's chat template.
    Chat,
}

/// How a response keeps its thought and its solution apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResponseFormat {
    /// The tags of the paper: `<|begin_of_thought|>`, `<|end_of_thought|>`, `<|begin_of_solution|>`, `<|end_of_solution|>`.
    /// What a model writes as `<think>` is understood, and imitated in these tags.
    #[default]
    Paper,
    /// `<think>...</think>` and then the solution, as DeepSeek-R1 and Qwen3 write it; the chat template may open the
    /// thought itself.
    Think,
    /// No tags: a response reasons in words, and all of it is its solution.
    None,
}

/// What the prompts say. Files are UTF-8 text with `{problem}` where the problem belongs; their paths are relative to the
/// folder the daemon is started in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PromptTexts {
    /// What the system says before the user; nothing where it is empty, and a chat template may then say something of its
    /// own. Before a raw prompt it stands as it is.
    pub system: String,
    /// The file of the user's turn, in place of the style's.
    pub template: Option<PathBuf>,
    /// Files for kinds of answers, by name: `code = "prompts/code.txt"`. They go before `template`.
    pub by_kind: BTreeMap<String, PathBuf>,
    /// Files for sources of problems, by name: `"aime.jsonl" = "prompts/aime.txt"`. They go before `by_kind`.
    pub by_source: BTreeMap<String, PathBuf>,
    /// Variables of the model's chat template, for example `enable_thinking = true`.
    pub variables: serde_json::Map<String, serde_json::Value>,
}

/// The JSONL files of a task. Paths are relative to the folder the daemon is started in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TaskFiles {
    /// Problems to explore.
    pub problems: Vec<PathBuf>,
    /// Long thoughts to imitate; without any the base model explores as it is, as one that reasons already may.
    pub demonstrations: Vec<PathBuf>,
    /// Rollouts that were made elsewhere, of problems to explore: judged and counted like the run's own.
    pub rollouts: Vec<PathBuf>,
    /// Problems held out that candidates are compared on: the gate sees these alone.
    pub evaluation: Vec<PathBuf>,
    /// Problems held out whose scores are only reported: nothing is chosen by them, so they tell what a policy is
    /// worth where the score that chose it is the luckier for having chosen.
    pub test: Vec<PathBuf>,
    /// What to do with a problem that the data directory knows with another gold answer or kind of answer.
    pub on_conflict: OnConflict,
}

/// What to do with a problem that is known with another gold answer or kind of answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnConflict {
    /// The start is refused, and the problem named.
    #[default]
    Abort,
    /// The known gold answer stays.
    Keep,
    /// The known problem gets the file's; what was judged by the old one stays judged so.
    Replace,
}

impl From<OnConflict> for still_control::OnConflict {
    fn from(on_conflict: OnConflict) -> Self {
        match on_conflict {
            OnConflict::Abort => Self::Abort,
            OnConflict::Keep => Self::Keep,
            OnConflict::Replace => Self::Replace,
        }
    }
}

impl PromptStyle {
    /// The name used in configurations and on command lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Paper => "paper",
            Self::Chat => "chat",
        }
    }
}

impl From<ResponseFormat> for still_text::Format {
    fn from(format: ResponseFormat) -> Self {
        match format {
            ResponseFormat::Paper => Self::Paper,
            ResponseFormat::Think => Self::Think,
            ResponseFormat::None => Self::Plain,
        }
    }
}

impl From<PromptStyle> for still_text::PromptStyle {
    fn from(style: PromptStyle) -> Self {
        match style {
            PromptStyle::Raw => Self::Raw,
            PromptStyle::Paper => Self::Paper,
            PromptStyle::Chat => Self::Chat,
        }
    }
}

impl TaskSection {
    /// Notes what cannot be served.
    pub fn validate(&self, findings: &mut Findings) {
        findings.require(self.max_prompt_tokens > 0, "task.max_prompt_tokens", || {
            "0 leaves no room for a prompt: write at least 1".to_owned()
        });
        for name in self.prompts.by_kind.keys() {
            let is_kind = serde_json::from_value::<AnswerKind>(name.as_str().into()).is_ok();
            findings.require(is_kind, "task.prompts.by_kind", || {
                format!("`{name}` is no kind of answer: write math, integer, multiple_choice, exact, regex or code")
            });
        }
        match self.source {
            TaskSource::Quickstart => {
                if let Err(error) = self.quickstart.generate(0) {
                    findings.note("task.quickstart", error.to_string());
                }
            }
            TaskSource::Files => {
                findings.require(!self.files.evaluation.is_empty(), "task.files.evaluation", || {
                    "source = \"files\" needs held-out problems: without them no policy can be promoted"
                        .to_owned()
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_called_what_it_is_called_in_a_configuration() {
        for source in [TaskSource::Quickstart, TaskSource::Files] {
            assert_eq!(serde_json::to_value(source).unwrap(), source.name());
        }
    }
}
