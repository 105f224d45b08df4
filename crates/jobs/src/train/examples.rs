//! The examples of a training file, in every layout that such files come in.
//!
//! | layout | SFT | DPO |
//! |---|---|---|
//! | `messages`: a conversation that ends in the assistant's turn | yes | |
//! | `prompt` and `completion`, each text or messages | yes | |
//! | `prompt`, `chosen` and `rejected`, each text or messages | | yes |
//! | the paper's own fields, as `demonstrations import` reads them | yes | |
//!
//! Beside messages, `tools` and `chat_template_kwargs` are what the model's chat template reads them as.

use std::{collections::HashSet, io::BufRead, ops::Range, path::Path};

use serde_json::{Map, Value};
use still_control::{Exit, Failure, OrExit};
use still_domain::Algorithm;
use still_machine::{Encoder, Model};
use still_operator::{
    cli::{OnError, TrainArguments},
    import,
};
use still_roles::{Example, PreferenceExample, Response, SftExample};
use still_text::{ChatContext, PromptStyle, Tokenizer};
use still_training_data::ExampleEncoder;

use crate::{chat_context, open_input};

/// Renders problems and conversations as the model reads them.
pub(super) struct Prompts {
    pub(super) tokenizer: Tokenizer,
    /// How a problem is asked, where there is a chat template.
    pub(super) style: PromptStyle,
    /// What was rendered without a template, and is still to get the special tokens around a text.
    pub(super) raw: HashSet<String>,
}

impl Prompts {
    /// Renders as the tokenizer's model reads it.
    pub(super) fn new(tokenizer: Tokenizer, style: PromptStyle) -> Self {
        Self { tokenizer, style, raw: HashSet::new() }
    }

    fn of_problem(&mut self, problem: &str) -> Result<String, String> {
        if self.style == PromptStyle::Raw || self.tokenizer.chat_template().is_none() {
            return Ok(self.plain(problem));
        }
        self.style.render(problem, &self.tokenizer).map_err(|error| error.to_string())
    }

    fn plain(&mut self, text: &str) -> String {
        self.raw.insert(text.to_owned());
        text.to_owned()
    }

    /// Everything up to the answer, which begins where this ends; `fields` are those of the line.
    fn of_messages(&mut self, messages: &[Value], fields: &Map<String, Value>) -> Result<String, String> {
        if let Some(template) = self.tokenizer.chat_template() {
            let context = ChatContext {
                messages: messages.to_vec(),
                add_generation_prompt: true,
                ..chat_context(fields)?
            };
            return template.render_context(&context).map_err(|error| error.to_string());
        }
        match messages {
            [only] => Ok(self.plain(content(only, "user")?)),
            _ => {
                Err("the model has no chat template: write one `user` and one `assistant` message".to_owned())
            }
        }
    }

    /// A prompt given as text or as messages.
    fn of_value(&mut self, prompt: &Value, fields: &Map<String, Value>) -> Result<String, String> {
        match prompt {
            Value::String(problem) if !problem.trim().is_empty() => self.of_problem(problem),
            Value::Array(messages) => {
                self.of_messages(messages, fields).map_err(|reason| format!("`prompt`: {reason}"))
            }
            _ => Err("`prompt` is no text and no list of messages; fill it".to_owned()),
        }
    }

    fn sft(&mut self, fields: &Map<String, Value>, line: &str) -> Result<SftExample, String> {
        let (problem, text) = if let Some(Value::Array(messages)) = fields.get("messages") {
            let (last, before) = messages.split_last().ok_or("`messages` is empty; remove the line")?;
            let named = |reason: String| format!("`messages`: {reason}");
            let prompt = self.of_messages(before, fields).map_err(named)?;
            (prompt, content(last, "assistant").map_err(named)?.to_owned())
        } else if let (Some(prompt), Some(completion)) = (fields.get("prompt"), fields.get("completion")) {
            (self.of_value(prompt, fields)?, answer("completion", completion)?)
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
        Ok(SftExample { problem: problem.into(), response: Response::Text(text) })
    }

    fn pair(&mut self, fields: &Map<String, Value>) -> Result<PreferenceExample, String> {
        let field = |names: [&str; 3]| {
            let found = names.iter().find_map(|name| fields.get(*name));
            found.ok_or_else(|| format!("`{}` is missing; write `prompt`, `chosen` and `rejected`", names[0]))
        };
        let problem = self.of_value(field(["prompt", "problem", "question"])?, fields)?;
        let response = |name| Ok::<_, String>(Response::Text(answer(name, field([name; 3])?)?));
        Ok(PreferenceExample {
            problem: problem.into(),
            chosen: response("chosen")?,
            rejected: response("rejected")?,
        })
    }
}

/// A pair that prefers one response to another.
fn distinct(pair: PreferenceExample) -> Result<PreferenceExample, String> {
    if pair.chosen == pair.rejected {
        return Err(
            "`chosen` and `rejected` are the same, so nothing is preferred; leave the line out".to_owned()
        );
    }
    Ok(pair)
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

/// The examples of the file; broken lines are reported one by one.
pub(super) fn read_examples(
    algorithm: Algorithm,
    arguments: &TrainArguments,
    prompts: &mut Prompts,
) -> Result<Vec<Example>, Failure> {
    let (mut examples, mut broken) = (Vec::new(), 0_usize);
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
            examples.push(match algorithm {
                Algorithm::Sft => Example::Sft(prompts.sft(&fields, &line)?),
                Algorithm::Dpo => Example::Preference(distinct(prompts.pair(&fields)?)?),
            });
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
    if examples.is_empty() {
        return Err(Failure::new(Exit::BadInput, format!("`{shown}` holds no example")));
    }
    Ok(examples)
}

/// Makes tokens of prompts that are rendered already.
pub(super) struct RenderedPrompts {
    encoder: Encoder,
    prompts: Prompts,
}

impl RenderedPrompts {
    /// Of what `prompts` has rendered for the model.
    pub(super) fn new(model: &Model, prompts: Prompts) -> Self {
        Self { encoder: model.encoder(PromptStyle::Raw), prompts }
    }
}

impl ExampleEncoder for RenderedPrompts {
    fn prompt(&self, rendered: &str) -> Result<Vec<u32>, String> {
        // a chat template brings its own special tokens
        let is_raw = self.prompts.raw.contains(rendered);
        self.prompts.tokenizer.encode(rendered, is_raw).map_err(|error| error.to_string())
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

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;
    use still_operator::config::ModelSource;

    use super::*;

    /// The quick start's tokenizer with a chat template, a token before every text, and a stop id below the
    /// one that ends a text.
    fn chat_tokenizer() -> Tokenizer {
        let folder = tempfile::tempdir().unwrap();
        Tokenizer::quick_start().unwrap().save(folder.path()).unwrap();
        let path = folder.path().join("tokenizer.json");
        let mut file: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let (begin, text) = (
            json!({"SpecialToken": {"id": "+", "type_id": 0}}),
            |sequence: &str| json!({"Sequence": {"id": sequence, "type_id": 0}}),
        );
        file["post_processor"] = json!({
            "type": "TemplateProcessing",
            "single": [begin, text("A")], "pair": [begin, text("A"), text("B")],
            "special_tokens": {"+": {"id": "+", "ids": [18], "tokens": ["+"]}}
        });
        fs::write(&path, file.to_string()).unwrap();
        fs::write(
            folder.path().join("chat_template.jinja"),
            "*{{ sign }}{{ messages[0].content }}={% for tool in tools or [] %}{{ tool }}{% endfor %}",
        )
        .unwrap();
        fs::write(folder.path().join("generation_config.json"), r#"{"eos_token_id": [0, 1]}"#).unwrap();
        Tokenizer::load(folder.path()).unwrap()
    }

    #[test]
    fn special_tokens_stand_before_plain_prompts_and_not_before_what_a_template_made() {
        let tokenizer = chat_tokenizer();
        let mut prompts = Prompts::new(tokenizer.clone(), PromptStyle::Raw);
        let messages = json!([{"role": "user", "content": "1+2"}]);
        let plain = prompts.of_value(&json!("1+2"), &Map::new()).unwrap();
        let rendered = prompts.of_value(&messages, &Map::new()).unwrap();
        let mut model = Model::from_source(&ModelSource::Embedded, true).unwrap();
        model.tokenizer = tokenizer;
        let encoder = RenderedPrompts::new(&model, prompts);
        let text = |tokens: Vec<u32>| model.tokenizer.decode(&tokens).unwrap();
        assert_eq!(text(encoder.prompt(&plain).unwrap()), "+1+2");
        assert_eq!(text(encoder.prompt(&rendered).unwrap()), "*1+2=");
        let asked = PromptStyle::Raw.encode("1+2", &model.tokenizer).unwrap();
        assert_eq!(encoder.prompt(&plain).unwrap(), asked, "as it is asked when it generates");
    }

    #[test]
    fn what_a_line_gives_its_template_beside_the_messages_is_heard() {
        let mut prompts = Prompts::new(chat_tokenizer(), PromptStyle::Chat);
        let mut rendered = |beside: Value| {
            let mut line = json!({"messages": [
                {"role": "user", "content": "1+2"}, {"role": "assistant", "content": "3"}]});
            line.as_object_mut().unwrap().extend(beside.as_object().unwrap().clone());
            prompts.sft(line.as_object().unwrap(), &line.to_string()).map(|example| example.problem)
        };
        assert_eq!(&*rendered(json!({})).unwrap(), "*1+2=");
        let beside = json!({"tools": ["4", "5"], "chat_template_kwargs": {"sign": "-"}});
        assert_eq!(&*rendered(beside).unwrap(), "*-1+2=45");
        for (field, value) in [("tools", json!("4")), ("chat_template_kwargs", json!([]))] {
            let reason = rendered(json!({ field: value })).unwrap_err();
            assert!(reason.contains(field), "{reason}");
        }
    }

    #[test]
    fn a_response_ends_in_the_token_that_ends_a_text_whatever_else_stops_generation() {
        let mut model = Model::from_source(&ModelSource::Embedded, true).unwrap();
        model.tokenizer = chat_tokenizer();
        assert_eq!(model.tokenizer.stop_ids(), [0, 1]);
        let response = model.encoder(PromptStyle::Raw).response(&Response::Text("3".to_owned())).unwrap();
        assert_eq!(response.last(), Some(&1));
    }
}
