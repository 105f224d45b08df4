//! Conversations as data sets write them: messages with `role` and `content`, or `from` and `value`.

use serde_json::Value;

use super::fields::{FieldProblem, kind};

/// What a message may hold that nothing here could use.
const REFUSED: [(&str, &str); 8] = [
    ("tool_calls", "calls tools"),
    ("function_call", "calls a function"),
    ("tool_call_id", "answers a tool"),
    ("images", "comes with images"),
    ("image", "comes with an image"),
    ("audio", "comes with sound"),
    ("weight", "has a weight of its own"),
    ("train", "says whether it is trained on"),
];
/// Where a message's thought stands, if not in its text.
const THOUGHT: [&str; 3] = ["reasoning_content", "reasoning", "thinking"];

/// One question, and its answer where there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Conversation {
    pub(super) question: String,
    pub(super) answer: Option<Turn>,
    /// Whether a message of the system was left out.
    pub(super) had_system: bool,
}

/// What the assistant says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) content: String,
    /// The thought, where it stands in a field of its own.
    pub(super) thought: Option<String>,
}

impl Conversation {
    /// Reads the conversation in a field: one message of the user, at most one of the assistant behind it; what the
    /// system says is left out.
    pub(super) fn read(field: &str, conversation: &Value) -> Result<Self, FieldProblem> {
        let remedy = "write a list of one `user` and one `assistant` message with `content`";
        let wrong = |reason: String| FieldProblem::new(field, reason, remedy);
        let not_a_list = || wrong(format!("is {}, not a list", kind(conversation)));
        let messages = conversation.as_array().ok_or_else(not_a_list)?;
        let (mut question, mut answer, mut had_system) = (None, None, false);
        for (index, message) in messages.iter().enumerate() {
            let named = |reason: String| wrong(format!("message {index} {reason}"));
            let role = part(message, &["role", "from"]).and_then(Value::as_str);
            let role = role.ok_or_else(|| named("has no `role`".to_owned()))?;
            if let Some((name, what)) = REFUSED.iter().find(|(name, _)| part(message, &[*name]).is_some()) {
                return Err(named(format!("{what} (`{name}`), which nothing here can use")));
            }
            let content = part(message, &["content", "value"]).map_or(Ok(None), content).map_err(named)?;
            let content = content.ok_or_else(|| named("has no `content`".to_owned()))?;
            let thought = part(message, &THOUGHT).and_then(Value::as_str).map(str::to_owned);
            let turn = Turn { content, thought };
            let place = match role {
                "system" | "developer" => {
                    had_system = true;
                    continue;
                }
                "user" | "human" => &mut question,
                "assistant" | "gpt" => &mut answer,
                other => return Err(named(format!("has the unknown role `{other}`"))),
            };
            if place.replace(turn).is_some() {
                return Err(wrong(format!("has more than one message of `{role}`")));
            }
        }
        match question {
            Some(Turn { content, thought: None }) if !content.trim().is_empty() => {
                Ok(Self { question: content, answer, had_system })
            }
            Some(Turn { thought: Some(_), .. }) => {
                Err(wrong("has a thought in the user's message".to_owned()))
            }
            _ => Err(wrong("has no message of the user".to_owned())),
        }
    }
}

/// The first part of those names that is there; `null` and empty lists count as absent.
fn part<'a>(message: &'a Value, names: &[&str]) -> Option<&'a Value> {
    let found = names.iter().find_map(|name| message.get(*name));
    found.filter(|value| !value.is_null() && value.as_array().is_none_or(|items| !items.is_empty()))
}

/// The text of a message: text, or a list of parts of text.
fn content(value: &Value) -> Result<Option<String>, String> {
    match value {
        Value::String(text) => Ok(Some(text.clone())),
        Value::Array(parts) => {
            let text = |part: &Value| match (part.get("type").and_then(Value::as_str), part.get("text")) {
                (Some("text") | None, Some(Value::String(text))) => Ok(text.clone()),
                (Some(other), _) => {
                    Err(format!("has a part of the type `{other}`, which nothing here can use"))
                }
                (None, _) => Err("has a part without `text`".to_owned()),
            };
            parts.iter().map(text).collect::<Result<String, _>>().map(Some)
        }
        other => Err(format!("has a `content` that is {}", kind(other))),
    }
}
