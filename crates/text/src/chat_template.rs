//! Conversations to prompts, as `transformers` renders them.
//!
//! `transformers` compiles a model's template with jinja2: `trim_blocks`, `lstrip_blocks`, loop controls, a
//! `tojson` that writes as Python's `json.dumps` does, `raise_exception`, `strftime_now`, and
//! `{% generation %}` blocks that leave their content as it is. Here `minijinja` does the same.

use std::{fmt, sync::Arc};

use chrono::{DateTime, Local, NaiveDateTime, format::StrftimeItems};
use minijinja::{Environment, Error, ErrorKind, Value, syntax::SyntaxConfig, value::Serde};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::{error::TemplateError, tokenizer::SpecialTokens};

mod jinja2;
mod python_json;
mod python_methods;
mod python_value;

const NAME: &str = "chat_template";

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// Who speaks: `system`, `user`, `assistant`, `tool`.
    pub role: String,
    /// What is said.
    pub content: String,
}

/// What a template renders.
#[derive(Debug, Clone, Default)]
pub struct ChatContext {
    /// The messages: an array of objects with `role`, `content` and whatever else the template reads.
    pub messages: Vec<Json>,
    /// JSON schemas of the tools on offer.
    pub tools: Option<Vec<Json>>,
    /// Whether the prompt ends with the opening of the assistant's turn.
    pub add_generation_prompt: bool,
    /// More variables by name, such as `enable_thinking`.
    pub variables: Map<String, Json>,
}

/// A compiled chat template; cheap to clone.
#[derive(Clone)]
pub struct ChatTemplate {
    environment: Arc<Environment<'static>>,
    special_tokens: SpecialTokens,
    /// The template that is used in its place where there are tools.
    tool_use: Option<Box<ChatTemplate>>,
}

impl ChatMessage {
    /// A message of `role`.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self { role: role.into(), content: content.into() }
    }

    /// A message of the user.
    pub fn user(content: impl Into<String>) -> Self {
        Self::new("user", content)
    }

    /// A message of the assistant.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self::new("assistant", content)
    }
}

impl ChatTemplate {
    /// Compiles `source`; the template sees `special_tokens` as variables. `strftime_now` tells local time.
    pub fn new(source: &str, special_tokens: SpecialTokens) -> Result<Self, TemplateError> {
        Self::compile(source, special_tokens, || Local::now().naive_local())
    }

    /// As [`Self::new`], with `strftime_now` telling the fixed time `unix_seconds` (UTC): prompts that hold
    /// a date come out the same every day.
    pub fn with_fixed_time(
        source: &str,
        special_tokens: SpecialTokens,
        unix_seconds: i64,
    ) -> Result<Self, TemplateError> {
        let now = DateTime::from_timestamp(unix_seconds, 0).unwrap_or_default().naive_utc();
        Self::compile(source, special_tokens, move || now)
    }

    /// With another template in its place where there are tools.
    pub(crate) fn with_tool_use(self, source: &str) -> Result<Self, TemplateError> {
        let tool_use = Self::new(source, self.special_tokens.clone())?;
        Ok(Self { tool_use: Some(Box::new(tool_use)), ..self })
    }

    /// Renders plain messages.
    pub fn render(
        &self,
        messages: &[ChatMessage],
        add_generation_prompt: bool,
    ) -> Result<String, TemplateError> {
        let messages = messages
            .iter()
            .map(|message| serde_json::json!({ "role": message.role, "content": message.content }))
            .collect();
        self.render_context(&ChatContext { messages, add_generation_prompt, ..ChatContext::default() })
    }

    /// Renders everything a template may read: tools, tool calls, extra variables.
    pub fn render_context(&self, context: &ChatContext) -> Result<String, TemplateError> {
        if let (Some(tool_use), Some(_)) = (&self.tool_use, &context.tools) {
            return tool_use.render_context(context);
        }
        let mut variables: Map<String, Json> = self
            .special_tokens
            .iter()
            .map(|(name, token)| (name.clone(), Json::from(token.as_str())))
            .collect();
        variables.extend(context.variables.clone());
        variables.insert("messages".to_owned(), Json::Array(context.messages.clone()));
        variables.insert("tools".to_owned(), context.tools.clone().map_or(Json::Null, Json::Array));
        variables.insert("documents".to_owned(), Json::Null);
        variables.insert("add_generation_prompt".to_owned(), Json::Bool(context.add_generation_prompt));
        let render = || self.environment.get_template(NAME)?.render(Value::from(Serde(&variables)));
        render().map_err(|error| TemplateError::Render(describe(&error)))
    }

    fn compile(
        source: &str,
        special_tokens: SpecialTokens,
        now: impl Fn() -> NaiveDateTime + Send + Sync + 'static,
    ) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        let compiled = (|| {
            environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
            jinja2::install(&mut environment);
            environment.add_function("strftime_now", move |format: String| strftime(now(), &format));
            environment.add_template_owned(NAME, without_generation_blocks(source))
        })();
        compiled.map_err(|error: Error| TemplateError::Compile(describe(&error)))?;
        Ok(Self { environment: Arc::new(environment), special_tokens, tool_use: None })
    }
}

impl fmt::Debug for ChatTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatTemplate").field("special_tokens", &self.special_tokens).finish_non_exhaustive()
    }
}

/// The message, the line, and what a template's own `raise_exception` said.
fn describe(error: &Error) -> String {
    let line = error.line().map_or_else(String::new, |line| format!(" (line {line})"));
    format!("{}{line}", error.detail().map_or_else(|| error.kind().to_string(), str::to_owned))
}

fn strftime(now: NaiveDateTime, format: &str) -> Result<String, Error> {
    let items = StrftimeItems::new(format).parse().map_err(|_| {
        Error::new(ErrorKind::InvalidOperation, format!("`{format}` is not a format of strftime"))
    })?;
    Ok(now.format_with_items(items.iter()).to_string())
}

/// `{% generation %}` marks what the assistant said; for the prompt's text it is a block whose variables are its own.
fn without_generation_blocks(source: &str) -> String {
    let mut output = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let Some(length) = rest.get(start..).and_then(|tag| tag.find("%}")) else { break };
        let end = start + length + 2;
        let (before, tag) = (rest.get(..start).unwrap_or_default(), rest.get(start..end).unwrap_or_default());
        output.push_str(before);
        let name = tag.trim_start_matches("{%").trim_end_matches("%}").trim_matches(['-', '+']).trim();
        match name {
            "generation" => output.push_str(&tag.replacen("generation", "with", 1)),
            "endgeneration" => output.push_str(&tag.replacen("endgeneration", "endwith", 1)),
            _ => output.push_str(tag),
        }
        rest = rest.get(end..).unwrap_or_default();
    }
    output.push_str(rest);
    output
}
