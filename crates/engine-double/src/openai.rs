//! What a double answers that speaks as `OpenAI`'s servers do: texts that a test makes up.

use std::{fmt, sync::Arc};

use hyper::Method;
use serde_json::{Value, json};

use crate::protocol::{Answer, error, not_found, ok};

/// What a teacher is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Lesson {
    /// The user's words, or the prompt.
    pub text: String,
    /// The seed, where one was told.
    pub seed: Option<i64>,
    /// The longest answer, in tokens.
    pub max_tokens: u64,
}

/// Makes answers up: the response, the thought before it where it is told apart, and why it ended.
#[derive(Clone)]
pub struct Teacher(Arc<dyn Fn(&Lesson) -> Taught + Send + Sync>);

/// An answer.
type Taught = (String, Option<String>, &'static str);

impl Teacher {
    /// A teacher that answers so.
    pub fn new(answer: impl Fn(&Lesson) -> Taught + Send + Sync + 'static) -> Self {
        Self(Arc::new(answer))
    }
}

impl fmt::Debug for Teacher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Teacher")
    }
}

/// The model's name there.
const MODEL: &str = "teacher-1";

/// Answers a question.
pub(crate) fn obey(teacher: &Teacher, method: &Method, path: &str, json: &Value) -> Answer {
    match (path, method == Method::GET) {
        ("/v1/models", true) => ok(json!({"object": "list", "data": [{"id": MODEL, "object": "model"}]})),
        ("/v1/chat/completions" | "/v1/completions", false) => answer(teacher, path, json),
        _ => not_found(),
    }
}

fn answer(teacher: &Teacher, path: &str, json: &Value) -> Answer {
    if json["model"] != MODEL {
        return error(404, "NotFoundError", &format!("The model `{}` does not exist.", json["model"]));
    }
    let is_chat = path.contains("chat");
    let text = if is_chat {
        json["messages"].as_array().and_then(|messages| messages.last()).map(|message| &message["content"])
    } else {
        Some(&json["prompt"])
    };
    let Some(text) = text.and_then(Value::as_str) else {
        return error(400, "BadRequestError", "messages or a prompt are wanted");
    };
    let longest = ["max_completion_tokens", "max_tokens"].iter().find_map(|name| json[name].as_u64());
    let lesson =
        Lesson { text: text.to_owned(), seed: json["seed"].as_i64(), max_tokens: longest.unwrap_or(16) };
    let (text, thought, finish) = (teacher.0)(&lesson);
    let choice = if is_chat {
        let mut message = json!({"role": "assistant", "content": text});
        if let Some(thought) = thought {
            message["reasoning_content"] = json!(thought);
        }
        json!({"index": 0, "message": message, "finish_reason": finish})
    } else {
        json!({"index": 0, "text": text, "finish_reason": finish})
    };
    ok(json!({"id": "x", "model": MODEL, "choices": [choice], "usage": {"completion_tokens": 5}}))
}
