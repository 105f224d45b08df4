//! A conversation as one text: rendered once by the model's own template, tokenised once, with the answer as a span of it.
//!
//! | invariant | why |
//! |---|---|
//! | the tokens of the prompt are those that the model is asked with | what it learns follows what it will be given |
//! | the answer stands as the template puts it, and the turn ends as the template ends it | engines go by the template |
//! | a thought that the prompt has opened is gone on with | `<think>` twice is no thought |
//!
//! What a template leaves out of an answer is refused by name and never dropped.

use serde_json::{Map, Value as Json};

use crate::{
    chat_template::{ChatContext, THOUGHTS},
    error::{ConversationError, TemplateError, TokenizerError},
    thought::{BEGIN_OF_THINK, END_OF_THINK},
    tokenizer::Tokenizer,
};

/// What else an answer may hold that a template may leave out.
const CALLS: [&str; 2] = ["tool_calls", "function_call"];
/// What a template is asked to render to see how it ends a turn.
const PROBE: &str = "q8z";

/// A prompt with its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// All that stands before the answer.
    pub prompt: String,
    /// The answer, without what ends its turn.
    pub response: String,
    /// Whether it is text without a template: special tokens stand around it, and the end token behind it.
    pub is_plain: bool,
}

/// A conversation as tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedConversation {
    /// All of it, what ends the answer's turn included.
    pub ids: Vec<u32>,
    /// How many of them are the prompt's.
    pub prompt_tokens: usize,
}

impl Conversation {
    /// Text that goes on with a text.
    pub fn plain(prompt: impl Into<String>, response: impl Into<String>) -> Self {
        Self { prompt: prompt.into(), response: response.into(), is_plain: true }
    }

    /// The conversation of messages, the last of which is the assistant's answer.
    ///
    /// # Errors
    /// When there is no template or it refuses the messages, when it leaves out what the answer holds, and when it
    /// renders what stands before the answer otherwise once there is one.
    pub fn of_messages(tokenizer: &Tokenizer, context: &ChatContext) -> Result<Self, ConversationError> {
        let template = tokenizer.chat_template().ok_or(TemplateError::Missing)?;
        let (answer, before) = context.messages.split_last().ok_or(ConversationError::NoAnswer)?;
        let answer = Answer::read(answer, tokenizer)?;
        let messages = before.iter().cloned().chain([answer.message.clone()]).collect();
        let whole = ChatContext { messages, add_generation_prompt: false, ..context.clone() };
        let asked = ChatContext { messages: before.to_vec(), add_generation_prompt: true, ..context.clone() };
        let prompt = template.render_context(&asked)?;
        let whole = template.render_context(&whole)?;
        let end = tokenizer.turn_end();
        let shared = before_a_tag(&prompt, shared_prefix(&prompt, &whole));
        let (before, opening) = prompt.split_at(shared);
        let rendered = whole.get(shared..).unwrap_or_default();
        // white space at the end of the prompt is its own: a template may render less of it before an answer
        if opening.trim().is_empty() {
            let rendered = if opening.is_empty() { rendered } else { rendered.trim_start() };
            let response = match answer.rendered_in(rendered, end) {
                Some(response) => response.to_owned(),
                None => answer.going_on(&prompt, rendered)?,
            };
            return Ok(Self { prompt, response, is_plain: false });
        }
        let opened = opening.trim().strip_prefix(BEGIN_OF_THINK).ok_or(ConversationError::Rewritten)?;
        let is_open = opened.is_empty();
        if !is_open && (opened.trim() != END_OF_THINK || answer.has_thought()) {
            return Err(ConversationError::Rewritten);
        }
        if answer.has_thought() {
            return Ok(Self { response: answer.going_on(&prompt, rendered)?, prompt, is_plain: false });
        }
        let response = answer.rendered_in(rendered, end).ok_or(ConversationError::Rewritten)?;
        let (prompt, response) = match response.strip_prefix(END_OF_THINK) {
            // the prompt has thought of nothing already
            behind if !is_open => (prompt.as_str(), behind.unwrap_or(response)),
            // the template closes what the prompt opens
            Some(_) => (prompt.as_str(), response),
            // it renders such a turn without the tag
            None => (before, response),
        };
        Ok(Self { prompt: prompt.to_owned(), response: response.to_owned(), is_plain: false })
    }

    /// The tokens of the whole, tokenised once.
    ///
    /// # Errors
    /// When the tokenizer refuses the text.
    pub fn encode(&self, tokenizer: &Tokenizer) -> Result<EncodedConversation, TokenizerError> {
        let mut text = format!("{}{}", self.prompt, self.response);
        let ends_itself = self.response.is_empty() || tokenizer.ends_turn(&self.response);
        if !self.is_plain && !ends_itself {
            text.push_str(tokenizer.turn_end());
        }
        let mut prompt = tokenizer.encode(&self.prompt, false)?;
        let mut ids = continued(tokenizer, &prompt, &self.prompt, &text)?;
        if self.is_plain {
            let around = tokenizer.tokens_before();
            prompt.splice(0..0, around.iter().copied());
            ids.splice(0..0, around.iter().copied());
        }
        if !ids.last().is_some_and(|last| tokenizer.is_turn_end(*last)) {
            ids.extend(tokenizer.end_id());
        }
        Ok(EncodedConversation { ids, prompt_tokens: prompt.len() })
    }
}

/// The tokens of a text that begins with a prompt, whose own tokens are a prefix of them.
fn continued(
    tokenizer: &Tokenizer,
    prompt_ids: &[u32],
    prompt: &str,
    text: &str,
) -> Result<Vec<u32>, TokenizerError> {
    let ids = tokenizer.encode(text, false)?;
    if ids.starts_with(prompt_ids) {
        return Ok(ids);
    }
    // a token reaches over the end of the prompt: what the model is asked with ends there all the same
    let decoded = tokenizer.decode_with_ends(&ids)?;
    let mut joined = prompt_ids.to_vec();
    let first_behind = decoded.ends.partition_point(|&end| end <= prompt.len());
    let is_exact = tokenizer.bytes_are_exact() && decoded.text == text;
    let piece_end = if is_exact { decoded.ends.get(first_behind).copied() } else { None };
    match piece_end.and_then(|end| text.get(prompt.len()..end)) {
        Some(piece) => {
            joined.extend(tokenizer.encode(piece, false)?);
            joined.extend(ids.get(first_behind + 1..).unwrap_or_default());
        }
        None => joined.extend(tokenizer.encode(text.get(prompt.len()..).unwrap_or_default(), false)?),
    }
    Ok(joined)
}

/// How the template of a tokenizer ends the assistant's turn: the text behind an answer, up to and with the first special
/// token; `None` where there is no such token, or no template.
pub(crate) fn turn_end_of(tokenizer: &Tokenizer) -> Option<String> {
    let template = tokenizer.chat_template()?;
    let turn = |role: &str| serde_json::json!({ "role": role, "content": PROBE });
    let context = ChatContext { messages: vec![turn("user"), turn("assistant")], ..ChatContext::default() };
    let rendered = template.render_context(&context).ok()?;
    let tail = rendered.get(rendered.rfind(PROBE)? + PROBE.len()..)?;
    let end = tokenizer
        .special_texts()
        .filter_map(|token| Some((tail.find(token)?, token.len())))
        .min_by_key(|(at, length)| (*at, std::cmp::Reverse(*length)));
    end.and_then(|(at, length)| tail.get(..at + length)).map(str::to_owned)
}

/// The assistant's last message.
struct Answer {
    /// As the template is given it.
    message: Json,
    /// Its text, what ends its turn left out.
    content: String,
    /// Its thought, where that stands in a field of its own.
    thought: Option<String>,
    /// The field that the thought stands in.
    thought_field: &'static str,
    /// The field of its tool calls, where it has some.
    calls: Option<&'static str>,
    /// The name of the first tool called.
    called: Option<String>,
}

impl Answer {
    fn read(message: &Json, tokenizer: &Tokenizer) -> Result<Self, ConversationError> {
        let fields = message.as_object().ok_or(ConversationError::NoAnswer)?;
        if fields.get("role").and_then(Json::as_str) != Some("assistant") {
            return Err(ConversationError::NoAnswer);
        }
        let given = |name: &str| fields.get(name).filter(|value| !is_nothing(value));
        let calls = CALLS.into_iter().find(|name| given(name).is_some());
        let mut content = text_of(given("content"))?;
        while let Some(shorter) = tokenizer.without_turn_end(&content) {
            content.truncate(shorter);
        }
        let thought = THOUGHTS.into_iter().find_map(|name| Some((name, given(name)?.as_str()?.to_owned())));
        if content.trim().is_empty() && calls.is_none() {
            return Err(ConversationError::NoAnswer);
        }
        let mut message = fields.clone();
        if given("content").is_some_and(Json::is_string) {
            message.insert("content".to_owned(), Json::from(content.as_str()));
        }
        let called = given("tool_calls").and_then(|calls| {
            let call = calls.get(0)?;
            call.get("function").unwrap_or(call).get("name")?.as_str().map(str::to_owned)
        });
        let (thought_field, thought) = thought.map_or((THOUGHTS[0], None), |(name, text)| (name, Some(text)));
        let message = Json::Object(message);
        Ok(Self { message, content, thought, thought_field, calls, called })
    }

    /// Whether it thinks before it answers.
    fn has_thought(&self) -> bool {
        self.thought.is_some() || self.content.contains(END_OF_THINK)
    }

    /// Its thought, and what it says after it.
    fn parts(&self) -> (&str, &str) {
        let (thought, solution) = self.content.rsplit_once(END_OF_THINK).unwrap_or(("", &self.content));
        let thought = thought.trim_start().strip_prefix(BEGIN_OF_THINK).unwrap_or(thought);
        (self.thought.as_deref().unwrap_or(thought).trim(), solution.trim())
    }

    /// The answer as a template rendered it, what ends its turn left out; `None` when parts of it are missing there.
    fn rendered_in<'a>(&self, rendered: &'a str, turn_end: &str) -> Option<&'a str> {
        let (thought, solution) = self.parts();
        let turn = match rendered.rfind(turn_end) {
            Some(end) if !turn_end.is_empty() => rendered.get(..end)?,
            _ => rendered.trim_end(),
        };
        let after_thought = turn.find(thought)? + thought.len();
        let rest = turn.get(after_thought..)?;
        let said = rest.rfind(solution)?;
        if let Some(called) = &self.called {
            // calls stand behind the text
            return rest.contains(called.as_str()).then_some(turn);
        }
        turn.get(..after_thought + said + solution.len())
    }

    /// The answer as it goes on behind a prompt, where the template would leave its thought out, but not what it says.
    fn going_on(&self, prompt: &str, rendered: &str) -> Result<String, ConversationError> {
        if let Some(field) = self.calls {
            return Err(ConversationError::LeftOut(field));
        }
        let (_, solution) = self.parts();
        if !rendered.contains(solution) {
            return Err(ConversationError::LeftOut("content"));
        }
        let is_open = prompt.trim_end().ends_with(BEGIN_OF_THINK);
        match (&self.thought, is_open) {
            (Some(_), false) => Err(ConversationError::LeftOut(self.thought_field)),
            (Some(thought), true) => Ok(format!("{}\n{END_OF_THINK}\n\n{solution}", thought.trim())),
            (None, true) => {
                let open = self.content.trim_start();
                let open = open.strip_prefix(BEGIN_OF_THINK).unwrap_or(open);
                Ok(if prompt.ends_with('\n') { open.strip_prefix('\n').unwrap_or(open) } else { open }
                    .to_owned())
            }
            (None, false) if self.has_thought() => Ok(self.content.clone()),
            (None, false) => Err(ConversationError::LeftOut("content")),
        }
    }
}

fn is_nothing(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::Array(items) => items.is_empty(),
        Json::String(text) => text.is_empty(),
        Json::Object(fields) => fields.is_empty(),
        Json::Bool(_) | Json::Number(_) => false,
    }
}

/// The text of a message's content: text, or parts of text.
fn text_of(content: Option<&Json>) -> Result<String, ConversationError> {
    let part = |part: &Json| part.get("text").and_then(Json::as_str).map(str::to_owned);
    match content {
        None => Ok(String::new()),
        Some(Json::String(text)) => Ok(text.clone()),
        Some(Json::Array(parts)) => {
            parts.iter().map(part).collect::<Option<String>>().ok_or(ConversationError::NoAnswer)
        }
        Some(_) => Err(ConversationError::NoAnswer),
    }
}

/// Bytes that two texts begin with alike, up to a whole character.
fn shared_prefix(one: &str, other: &str) -> usize {
    let alike = one.chars().zip(other.chars()).take_while(|(one, other)| one == other);
    alike.map(|(character, _)| character.len_utf8()).sum()
}

/// What two texts share, but for half a tag: `<think>` and `</think>` begin alike.
fn before_a_tag(prompt: &str, shared: usize) -> usize {
    let tag = prompt.get(..shared).and_then(|shared| shared.rfind('<'));
    let is_cut = |at: &usize| {
        at + BEGIN_OF_THINK.len() > shared
            && prompt.get(*at..).is_some_and(|rest| rest.starts_with(BEGIN_OF_THINK))
    };
    tag.filter(is_cut).unwrap_or(shared)
}

/// The messages of a question: what the system says, where it says something, and the user's turn.
pub(crate) fn question(system: Option<&str>, user: &str) -> Vec<Json> {
    let turn = |role: &str, content: &str| {
        let fields: Map<String, Json> = [("role", role), ("content", content)]
            .map(|(name, value)| (name.to_owned(), value.into()))
            .into_iter()
            .collect();
        Json::Object(fields)
    };
    system.map(|system| turn("system", system)).into_iter().chain([turn("user", user)]).collect()
}
