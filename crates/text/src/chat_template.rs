//! Conversations to prompts, as `transformers` renders them.
//!
//! `transformers` compiles a model's template with jinja2: `trim_blocks`, `lstrip_blocks`, loop controls, a
//! `tojson` that writes as Python's `json.dumps` does, `raise_exception`, `strftime_now`, and
//! `{% generation %}` blocks that leave their content as it is. Here `minijinja` does the same.

use std::{fmt, sync::Arc};

use chrono::{DateTime, Local, NaiveDateTime, format::StrftimeItems};
use minijinja::{Environment, Error, ErrorKind, Value, context, syntax::SyntaxConfig, value::Serde};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::{error::TemplateError, tokenizer::SpecialTokens};

mod jinja2;
mod python_json;
mod python_methods;
mod python_percent;
mod python_range;
mod python_value;
mod source;

const NAME: &str = "chat_template";
/// Where a message's thought stands, if not in its text; the first is what most templates read.
pub(crate) const THOUGHTS: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

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
    /// What `strftime_now` tells, in seconds since 1970 (UTC); the local clock where it is `None`.
    pub now: Option<i64>,
}

/// A compiled chat template; cheap to clone.
#[derive(Clone)]
pub struct ChatTemplate {
    environment: Arc<Environment<'static>>,
    special_tokens: SpecialTokens,
    /// The template that is used in its place where there are tools.
    tool_use: Option<Box<ChatTemplate>>,
    tells_time: bool,
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
    /// Compiles `text`; the template sees `special_tokens` as variables.
    pub fn new(text: &str, special_tokens: SpecialTokens) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        let compiled = (|| {
            environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
            jinja2::install(&mut environment);
            environment
                .add_function("strftime_now", |format: String| strftime(Local::now().naive_local(), &format));
            environment.add_template_owned(NAME, source::rewritten(text))
        })();
        compiled.map_err(|error: Error| TemplateError::Compile(describe(&error)))?;
        let tells_time = text.contains("strftime_now");
        Ok(Self { environment: Arc::new(environment), special_tokens, tool_use: None, tells_time })
    }

    /// Whether what it renders may depend on the time.
    pub const fn tells_time(&self) -> bool {
        self.tells_time
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
        let messages = context.messages.iter().cloned().map(with_thought).collect();
        variables.insert("messages".to_owned(), Json::Array(messages));
        variables.insert("tools".to_owned(), context.tools.clone().map_or(Json::Null, Json::Array));
        variables.insert("documents".to_owned(), Json::Null);
        variables.insert("add_generation_prompt".to_owned(), Json::Bool(context.add_generation_prompt));
        let variables = Value::from(Serde(&variables));
        let variables = match context.now {
            Some(now) => context! { strftime_now => fixed_clock(now), ..variables },
            None => variables,
        };
        let render = || self.environment.get_template(NAME)?.render(variables);
        render().map_err(|error| TemplateError::Render(describe(&error)))
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

/// A message whose thought has the names that templates read, whatever name it came under.
fn with_thought(message: Json) -> Json {
    let Json::Object(mut fields) = message else { return message };
    let thought =
        THOUGHTS.iter().find_map(|name| fields.get(*name).filter(|value| !value.is_null()).cloned());
    if let Some(thought) = thought {
        fields.entry("thinking").or_insert_with(|| thought.clone());
        fields.insert("reasoning_content".to_owned(), thought);
    }
    Json::Object(fields)
}

/// A function of templates that always tells one time (seconds since 1970, UTC).
fn fixed_clock(now: i64) -> Value {
    let now = DateTime::from_timestamp(now, 0).unwrap_or_default().naive_utc();
    Value::from_function(move |format: String| strftime(now, &format))
}

fn strftime(now: NaiveDateTime, format: &str) -> Result<String, Error> {
    let items = StrftimeItems::new(format).parse().map_err(|_| {
        Error::new(ErrorKind::InvalidOperation, format!("`{format}` is not a format of strftime"))
    })?;
    Ok(now.format_with_items(items.iter()).to_string())
}
