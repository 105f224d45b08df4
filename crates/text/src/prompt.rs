//! A problem to a prompt, and back: how a model is asked, and what its answers are to look like.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::{
    chat_template::{ChatContext, ChatTemplate},
    conversation::{self, Conversation, EncodedConversation},
    error::{ConversationError, TemplateError, TokenizerError},
    thought::{self, Format},
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

/// The same in the tags of DeepSeek-R1.
const THINK_PROMPT: &str = "\
Work on the question below as a careful problem solver who thinks for a long time before answering: analyse \
what is asked, try ideas, check every step, and correct what turns out to be wrong. Write your whole course of \
reasoning between <think> and </think>, then the final, precise solution. Put the final answer into \\boxed{}.

{problem}";

/// The same without tags.
const PLAIN_PROMPT: &str = "\
Work on the question below as a careful problem solver: reason step by step, check every step, and correct what \
turns out to be wrong. Put the final answer into \\boxed{}.

{problem}";

/// What asks for an answer in a box, and for a program in its place.
const ANSWER_IN_CODE: [(&str, &str); 2] = [
    (
        "Put the final answer into \\boxed{}.",
        "End it with the complete program in one block that begins with ```python and ends with ```.",
    ),
    ("with the final answer in \\boxed{}", "with the program in a block at its end"),
];

/// The name of the kind of problem whose answer is a program.
const CODE: &str = "code";

/// How a problem becomes a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptStyle {
    /// The problem as it is, for base models and the quick start.
    Raw,
    /// The text as it is, with nothing around it: it has been rendered already.
    Rendered,
    /// The problem as the user's turn of the model's chat template.
    Chat,
    /// [`EXPLORATION_PROMPT`] with the problem, as the user's turn of the model's chat template.
    #[default]
    Paper,
}

/// A problem as far as it matters to how it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Question<'a> {
    /// The statement.
    pub text: &'a str,
    /// The name of its kind of answer; empty where it is not known.
    pub kind: &'a str,
    /// Where it comes from: a file's name or a task's; may be empty.
    pub source: &'a str,
}

/// What problems are asked by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PromptBook {
    /// How a problem becomes a prompt where no text below says it.
    pub style: PromptStyle,
    /// How a response keeps thought and solution apart.
    pub format: Format,
    /// What the system says; nothing where it is empty.
    pub system: String,
    /// The user's turn with [`PROBLEM_PLACEHOLDER`], where the style is not to say it.
    pub text: Option<String>,
    /// The same for kinds of problems, by name.
    pub by_kind: BTreeMap<String, String>,
    /// The same for sources; goes before the kind's.
    pub by_source: BTreeMap<String, String>,
    /// More variables of the chat template, such as `enable_thinking`.
    pub variables: Map<String, Json>,
    /// The time that templates are told, in seconds since 1970 (UTC); the local clock where it is `None`.
    pub now: Option<i64>,
}

/// A tokenizer with what problems are asked by; cheap to clone.
#[derive(Debug, Clone)]
pub struct Prompter {
    tokenizer: Tokenizer,
    book: Arc<PromptBook>,
}

impl<'a> From<&'a str> for Question<'a> {
    fn from(text: &'a str) -> Self {
        Self { text, ..Self::default() }
    }
}

impl PromptStyle {
    /// Whether the model's chat template stands around a problem.
    const fn is_templated(self) -> bool {
        matches!(self, Self::Chat | Self::Paper)
    }

    /// The name used in configurations and in a run's identity, which is durable.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Rendered => "rendered",
            Self::Chat => "chat",
            Self::Paper => "paper",
        }
    }
}

impl From<PromptStyle> for PromptBook {
    fn from(style: PromptStyle) -> Self {
        Self { style, ..Self::default() }
    }
}

impl PromptBook {
    /// The user's turn of a question.
    pub fn user_turn(&self, question: &Question<'_>) -> String {
        let own = self.by_source.get(question.source).or_else(|| self.by_kind.get(question.kind));
        if let Some(text) = own.or(self.text.as_ref()) {
            return text.replace(PROBLEM_PLACEHOLDER, question.text);
        }
        if self.style != PromptStyle::Paper {
            return question.text.to_owned();
        }
        let asked = match self.format {
            Format::Paper => EXPLORATION_PROMPT,
            Format::Think => THINK_PROMPT,
            Format::Plain => PLAIN_PROMPT,
        };
        let mut asked = asked.to_owned();
        if question.kind == CODE {
            for (answer, program) in ANSWER_IN_CODE {
                asked = asked.replace(answer, program);
            }
        }
        asked.replace(PROBLEM_PLACEHOLDER, question.text)
    }

    /// All of it as one text: problems are asked otherwise where it differs.
    pub fn identity(&self) -> String {
        let Self { style, format: _, system, text, by_kind, by_source, variables, now: _ } = self;
        let built_in: Vec<_> = if *style == PromptStyle::Paper {
            let question = |kind| Question { kind, ..Question::default() };
            [question(""), question(CODE)].iter().map(|question| self.user_turn(question)).collect()
        } else {
            Vec::new()
        };
        serde_json::json!([style.name(), system, text, by_kind, by_source, variables, built_in]).to_string()
    }
}

impl Prompter {
    /// Asks by `book`, in the tokens of `tokenizer`.
    pub fn new(tokenizer: Tokenizer, book: impl Into<PromptBook>) -> Self {
        Self { tokenizer, book: Arc::new(book.into()) }
    }

    /// The tokenizer.
    pub const fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// What it asks by.
    pub fn book(&self) -> &PromptBook {
        &self.book
    }

    /// How responses keep thought and solution apart.
    pub fn format(&self) -> Format {
        self.book.format
    }

    /// What asks, by name: where one of these differs a problem is another prompt, or an answer is read otherwise.
    pub fn identity(&self) -> [(&'static str, String); 4] {
        let hash = |text: &str| blake3::hash(text.as_bytes()).to_hex().chars().take(16).collect();
        [
            ("prompt style", self.book.style.name().to_owned()),
            ("prompt", hash(&self.book.identity())),
            ("format", self.book.format.name().to_owned()),
            ("tokenizer and chat template", self.tokenizer.fingerprint().chars().take(16).collect()),
        ]
    }

    /// Whether prompts may depend on the time.
    pub fn tells_time(&self) -> bool {
        self.book.style.is_templated() && self.tokenizer.chat_template().is_some_and(ChatTemplate::tells_time)
    }

    /// The prompt text of a problem.
    ///
    /// # Errors
    /// When there is no chat template, or it refuses the question.
    pub fn render<'a>(&self, question: impl Into<Question<'a>>) -> Result<String, TemplateError> {
        let user_turn = self.book.user_turn(&question.into());
        if !self.book.style.is_templated() {
            return Ok(format!("{}{user_turn}", self.book.system));
        }
        let template = self.tokenizer.chat_template().ok_or(TemplateError::Missing)?;
        template.render_context(&ChatContext { add_generation_prompt: true, ..self.context(&user_turn) })
    }

    /// The prompt's token ids. A raw prompt gets the special tokens that the model puts before a text; a chat template
    /// brings its own.
    ///
    /// # Errors
    /// When the problem cannot be asked, or the tokenizer refuses it.
    pub fn prompt<'a>(&self, question: impl Into<Question<'a>>) -> Result<Vec<u32>, TokenizerError> {
        let text = self.render(question).map_err(|error| TokenizerError::Refused {
            action: "render the prompt",
            reason: error.to_string(),
        })?;
        let ids = self.tokenizer.encode(&text, false)?;
        let before = if self.book.style == PromptStyle::Raw { self.tokenizer.tokens_before() } else { &[] };
        Ok([before, &ids].concat())
    }

    /// A problem with its answer: one text, tokenised once. A thought that the prompt opens is gone on with.
    ///
    /// # Errors
    /// When the problem cannot be asked, or the chat template leaves out what the answer holds.
    pub fn answered<'a>(
        &self,
        question: impl Into<Question<'a>>,
        response: &str,
    ) -> Result<EncodedConversation, ConversationError> {
        Ok(self.conversation(question, response)?.encode(&self.tokenizer)?)
    }

    /// The text of a problem with its answer.
    ///
    /// # Errors
    /// As of [`Self::answered`].
    pub fn conversation<'a>(
        &self,
        question: impl Into<Question<'a>>,
        response: &str,
    ) -> Result<Conversation, ConversationError> {
        let question = question.into();
        if !self.book.style.is_templated() {
            let is_plain = self.book.style == PromptStyle::Raw;
            let prompt = self.render(question)?;
            return Ok(Conversation { prompt, response: response.to_owned(), is_plain });
        }
        let mut context = self.context(&self.book.user_turn(&question));
        context.messages.push(serde_json::json!({ "role": "assistant", "content": response }));
        Conversation::of_messages(&self.tokenizer, &context)
    }

    /// A problem with what a policy wrote behind its prompt, word for word.
    ///
    /// # Errors
    /// When the problem cannot be asked, or the tokenizer refuses the text.
    pub fn gone_on<'a>(
        &self,
        question: impl Into<Question<'a>>,
        response: &str,
    ) -> Result<EncodedConversation, ConversationError> {
        let is_plain = self.book.style == PromptStyle::Raw;
        let prompt = self.render(question)?;
        Ok(Conversation { prompt, response: response.to_owned(), is_plain }.encode(&self.tokenizer)?)
    }

    /// Which of a response's tokens make up its thought; `None` when it has none.
    pub fn thought(&self, response: &[u32]) -> Option<std::ops::Range<usize>> {
        let shown = match response.split_last() {
            Some((last, before)) if self.tokenizer.is_turn_end(*last) => before,
            _ => response,
        };
        let decoded = self.tokenizer.decode_with_ends(shown).ok()?;
        let span = self.format().parse(&decoded.text).ok()?.thought_span;
        Some(decoded.tokens_of(span)).filter(|tokens| !tokens.is_empty())
    }

    /// Whether the prompt of a problem ends in a thought that is open.
    pub fn opens_thought(&self) -> bool {
        self.render("1+1=?").is_ok_and(|prompt| prompt.trim_end().ends_with(thought::BEGIN_OF_THINK))
    }

    fn context(&self, user_turn: &str) -> ChatContext {
        let system = Some(self.book.system.as_str()).filter(|system| !system.is_empty());
        ChatContext {
            messages: conversation::question(system, user_turn),
            variables: self.book.variables.clone(),
            now: self.book.now,
            ..ChatContext::default()
        }
    }
}
