//! The examples of a training file, in every layout that such files come in.
//!
//! | layout | SFT | DPO |
//! |---|---|---|
//! | `messages`: a conversation that ends in the assistant's turn | yes | |
//! | `prompt` and `completion`, each text or messages | yes | |
//! | `prompt`, `chosen` and `rejected`, each text or messages | | yes |
//! | the paper's own fields, as `demonstrations import` reads them | yes | |

use std::{io::BufRead, ops::Range, path::Path};

use serde_json::{Map, Value};
use still_control::Exit;
use still_daemon::{
    cli::{OnError, TrainArguments},
    import,
};
use still_domain::Algorithm;
use still_learning::ExampleEncoder;
use still_roles::{PreferenceExample, Response, SftExample, TrainingExamples};
use still_text::{ChatContext, PromptStyle, Tokenizer};

use crate::{
    failure::{Failure, OrExit},
    jobs::open_input,
    model::{Encoder, Model},
};

/// Renders problems and conversations as the model reads them.
pub(super) struct Prompts {
    pub(super) tokenizer: Tokenizer,
    /// How a problem is asked, where there is a chat template.
    pub(super) style: PromptStyle,
}

impl Prompts {
    fn of_problem(&self, problem: &str) -> Result<String, String> {
        let style = if self.tokenizer.chat_template().is_some() { self.style } else { PromptStyle::Raw };
        style.render(problem, &self.tokenizer).map_err(|error| error.to_string())
    }

    /// Everything up to the answer, which begins where this ends.
    fn of_messages(&self, messages: &[Value]) -> Result<String, String> {
        if let Some(template) = self.tokenizer.chat_template() {
            let context = ChatContext {
                messages: messages.to_vec(),
                add_generation_prompt: true,
                ..ChatContext::default()
            };
            return template.render_context(&context).map_err(|error| error.to_string());
        }
        match messages {
            [only] => Ok(content(only, "user")?.to_owned()),
            _ => {
                Err("the model has no chat template: write one `user` and one `assistant` message".to_owned())
            }
        }
    }

    /// A prompt given as text or as messages.
    fn of_value(&self, prompt: &Value) -> Result<String, String> {
        match prompt {
            Value::String(problem) if !problem.trim().is_empty() => self.of_problem(problem),
            Value::Array(messages) => {
                self.of_messages(messages).map_err(|reason| format!("`prompt`: {reason}"))
            }
            _ => Err("`prompt` is no text and no list of messages; fill it".to_owned()),
        }
    }

    fn sft(&self, fields: &Map<String, Value>, line: &str) -> Result<SftExample, String> {
        let (problem, text) = if let Some(Value::Array(messages)) = fields.get("messages") {
            let (last, before) = messages.split_last().ok_or("`messages` is empty; remove the line")?;
            let named = |reason: String| format!("`messages`: {reason}");
            let prompt = self.of_messages(before).map_err(named)?;
            (prompt, content(last, "assistant").map_err(named)?.to_owned())
        } else if let (Some(prompt), Some(completion)) = (fields.get("prompt"), fields.get("completion")) {
            (self.of_value(prompt)?, answer("completion", completion)?)
        } else {
            let parsed = import::demonstrations(line.as_bytes(), "");
            if let Some(problem) = parsed.broken.first() {
                let field =
                    problem.field.as_ref().map_or_else(String::new, |field| format!("field `{field}`: "));
                return Err(format!("{field}{}; {}", problem.reason, problem.remedy));
            }
            let record = parsed.records.into_iter().next().ok_or("there is no example on the line")?;
            (self.of_problem(&record.problem)?, record.response)
        };
        Ok(SftExample { problem, response: Response::Text(text) })
    }

    fn pair(&self, fields: &Map<String, Value>) -> Result<PreferenceExample, String> {
        let field = |names: [&str; 3]| {
            let found = names.iter().find_map(|name| fields.get(*name));
            found.ok_or_else(|| format!("`{}` is missing; write `prompt`, `chosen` and `rejected`", names[0]))
        };
        let problem = self.of_value(field(["prompt", "problem", "question"])?)?;
        let response = |name| Ok::<_, String>(Response::Text(answer(name, field([name; 3])?)?));
        Ok(PreferenceExample { problem, chosen: response("chosen")?, rejected: response("rejected")? })
    }
}

/// A response given as text or as messages that end in the assistant's.
fn answer(name: &str, value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) if !text.is_empty() => Ok(text.clone()),
        Value::Array(messages) if !messages.is_empty() => {
            let text = messages.last().map_or(Ok(""), |last| content(last, "assistant"));
            text.map(str::to_owned).map_err(|reason| format!("`{name}`: {reason}"))
        }
        _ => Err(format!("`{name}` is no text and no list of messages; fill it")),
    }
}

fn content<'a>(message: &'a Value, role: &str) -> Result<&'a str, String> {
    let part = |name: &str| message.get(name).and_then(Value::as_str);
    match (part("role"), part("content")) {
        (Some(found), Some(content)) if found == role && !content.is_empty() => Ok(content),
        _ => Err(format!(
            "a message of `{role}` with `content` is missing; write the user's turn, then the assistant's"
        )),
    }
}

/// The examples of the file; broken lines are told one by one.
pub(super) fn read_examples(
    algorithm: Algorithm,
    arguments: &TrainArguments,
    prompts: &Prompts,
) -> Result<TrainingExamples, Failure> {
    let (mut sft, mut pairs, mut broken) = (Vec::new(), Vec::new(), 0_usize);
    let shown = arguments.data.display();
    for (index, line) in open_input(&arguments.data)?.lines().enumerate() {
        let line = line
            .map_err(|error| format!("`{shown}`, line {}: {error}", index + 1))
            .or_exit(Exit::BadInput)?;
        if line.trim().is_empty() {
            continue;
        }
        let fields = serde_json::from_str(&line).map_err(|error| format!("no JSON object: {error}"));
        let read = fields.and_then(|fields| {
            match algorithm {
                Algorithm::Sft => sft.push(prompts.sft(&fields, &line)?),
                Algorithm::Dpo => pairs.push(prompts.pair(&fields)?),
            }
            Ok::<_, String>(())
        });
        if let Err(reason) = read {
            broken += 1;
            eprintln!("`{shown}`, line {}: {reason}", index + 1);
        }
    }
    if broken > 0 && arguments.on_error == OnError::Abort {
        let message =
            format!("`{shown}` has {broken} broken lines: mend them, or leave them out with --on-error skip");
        return Err(Failure::new(Exit::BadInput, message));
    }
    if sft.is_empty() && pairs.is_empty() {
        return Err(Failure::new(Exit::BadInput, format!("`{shown}` holds no example")));
    }
    Ok(match algorithm {
        Algorithm::Sft => TrainingExamples::Sft(sft),
        Algorithm::Dpo => TrainingExamples::Dpo(pairs),
    })
}

/// Makes tokens of prompts that are rendered already.
pub(super) struct RenderedPrompts {
    encoder: Encoder,
    tokenizer: Tokenizer,
}

impl RenderedPrompts {
    /// Of the model's own tokenizer.
    pub(super) fn new(model: &Model) -> Self {
        Self { encoder: model.encoder(PromptStyle::Raw), tokenizer: model.tokenizer.clone() }
    }
}

impl ExampleEncoder for RenderedPrompts {
    fn prompt(&self, rendered: &str) -> Result<Vec<u32>, String> {
        // a chat template brings its own special tokens
        let is_raw = self.tokenizer.chat_template().is_none();
        self.tokenizer.encode(rendered, is_raw).map_err(|error| error.to_string())
    }

    fn response(&self, response: &Response) -> Result<Vec<u32>, String> {
        self.encoder.response(response)
    }

    fn thought(&self, response: &[u32]) -> Option<Range<usize>> {
        self.encoder.thought(response)
    }

    fn save(&self, folder: &Path) -> Result<(), String> {
        self.encoder.save(folder)
    }
}
