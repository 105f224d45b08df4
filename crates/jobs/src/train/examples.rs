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

use serde_json::{Map, Value, json};
use still_control::{Exit, Failure, OrExit};
use still_domain::{Algorithm, Statement};
use still_operator::{
    cli::{OnError, TrainArguments},
    import,
};
use still_roles::{Example, PreferenceExample, Response, SftExample};
use still_text::{ChatContext, Conversation, PromptStyle, Prompter, Tokenizer};
use still_training_data::{EncodedExample, ExampleEncoder};

use crate::{chat_context, open_input};

/// Renders problems and conversations as the model reads them.
pub(super) struct Prompts {
    /// How a problem is asked, where there is a chat template.
    prompter: Prompter,
    /// What was rendered without a template, and is still to get the special tokens around a text.
    raw: HashSet<String>,
}

impl Prompts {
    /// Renders as the prompter's model reads it.
    pub(super) fn new(prompter: Prompter) -> Self {
        Self { prompter, raw: HashSet::new() }
    }

    fn tokenizer(&self) -> &Tokenizer {
        self.prompter.tokenizer()
    }

    /// Whether problems are asked as they are.
    fn is_raw(&self) -> bool {
        self.prompter.book().style == PromptStyle::Raw || self.tokenizer().chat_template().is_none()
    }

    /// A problem with its answer.
    fn of_problem(&self, problem: &str, response: &str) -> Result<Conversation, String> {
        if self.is_raw() {
            return Ok(Conversation::plain(problem, response));
        }
        self.prompter.conversation(problem, response).map_err(|error| error.to_string())
    }

    /// A conversation that ends in the assistant's answer; `fields` are those of the line.
    fn of_messages(&self, messages: Vec<Value>, fields: &Map<String, Value>) -> Result<Conversation, String> {
        if self.tokenizer().chat_template().is_some() {
            let context = ChatContext { messages, ..chat_context(fields)? };
            let conversation = Conversation::of_messages(self.tokenizer(), &context);
            return conversation.map_err(|error| error.to_string());
        }
        match messages.as_slice() {
            [question, answer] => {
                Ok(Conversation::plain(content(question, "user")?, content(answer, "assistant")?))
            }
            _ => {
                Err("the model has no chat template: write one `user` and one `assistant` message".to_owned())
            }
        }
    }

    /// A prompt given as text or as messages, with an answer in the field `name` given likewise. An answer that is a
    /// whole conversation brings its own question.
    fn of_values(
        &self,
        prompt: &Value,
        name: &str,
        answer: &Value,
        fields: &Map<String, Value>,
    ) -> Result<Conversation, String> {
        let role = |message: &Value| message.get("role").and_then(Value::as_str).map(str::to_owned);
        let named = |reason: String| format!("`{name}`: {reason}");
        match (prompt, answer) {
            (Value::String(problem), _) if problem.trim().is_empty() => {
                Err("`prompt` is empty; fill it".to_owned())
            }
            (_, Value::String(text)) if text.is_empty() => Err(format!("`{name}` is empty; fill it")),
            (_, Value::Array(messages)) if messages.is_empty() => Err(format!("`{name}` is empty; fill it")),
            (Value::String(problem), Value::String(text)) => self.of_problem(problem, text),
            (Value::String(problem), Value::Array(messages)) => {
                let first_of_user = messages.iter().find(|message| role(message).as_deref() == Some("user"));
                match (messages.as_slice(), first_of_user) {
                    ([only], None) => self.of_problem(problem, content(only, "assistant").map_err(named)?),
                    (_, Some(question))
                        if question.get("content").and_then(Value::as_str) == Some(problem) =>
                    {
                        self.of_messages(messages.clone(), fields).map_err(named)
                    }
                    _ => Err(format!(
                        "`prompt` is not what the conversation in `{name}` begins with: write the question of the \
                         conversation, or the answer alone"
                    )),
                }
            }
            (Value::Array(before), Value::String(text)) => {
                let answer = json!({ "role": "assistant", "content": text });
                let messages = before.iter().cloned().chain([answer]).collect();
                self.of_messages(messages, fields).map_err(|reason| format!("`prompt`: {reason}"))
            }
            (Value::Array(before), Value::Array(messages)) => {
                let is_whole = !before.is_empty() && messages.starts_with(before);
                let before = if is_whole { &[] } else { before.as_slice() };
                self.of_messages([before, messages].concat(), fields).map_err(named)
            }
            (Value::String(_) | Value::Array(_), _) => {
                Err(format!("`{name}` is no text and no list of messages; fill it"))
            }
            _ => Err("`prompt` is no text and no list of messages; fill it".to_owned()),
        }
    }

    /// Keeps in mind how the prompt of a conversation is tokenised.
    fn note(&mut self, conversation: &Conversation) {
        if conversation.is_plain {
            self.raw.insert(conversation.prompt.clone());
        }
    }

    fn sft(&mut self, fields: &Map<String, Value>, line: &str) -> Result<SftExample, String> {
        let conversation = if let Some(Value::Array(messages)) = fields.get("messages") {
            if messages.is_empty() {
                return Err("`messages` is empty; remove the line".to_owned());
            }
            self.of_messages(messages.clone(), fields).map_err(|reason| format!("`messages`: {reason}"))?
        } else if let (Some(prompt), Some(completion)) = (fields.get("prompt"), fields.get("completion")) {
            self.of_values(prompt, "completion", completion, fields)?
        } else {
            let parsed = import::demonstrations(line.as_bytes(), "", self.prompter.format());
            if let Some(problem) = parsed.broken.first() {
                let field =
                    problem.field.as_ref().map_or_else(String::new, |field| format!("field `{field}`: "));
                return Err(format!("{field}{}; {}", problem.reason, problem.remedy));
            }
            let record = parsed.records.into_iter().next().ok_or("there is no example on the line")?;
            self.of_problem(&record.problem, &record.response)?
        };
        self.note(&conversation);
        let Conversation { prompt, response, .. } = conversation;
        Ok(SftExample { problem: prompt.into(), response: Response::Text(response) })
    }

    fn pair(&mut self, fields: &Map<String, Value>) -> Result<PreferenceExample, String> {
        let field = |names: [&str; 3]| {
            let found = names.iter().find_map(|name| fields.get(*name));
            found.ok_or_else(|| format!("`{}` is missing; write `prompt`, `chosen` and `rejected`", names[0]))
        };
        let prompt = field(["prompt", "problem", "question"])?;
        let side = |name| self.of_values(prompt, name, field([name; 3])?, fields);
        let (chosen, rejected) = (side("chosen")?, side("rejected")?);
        if chosen.prompt != rejected.prompt {
            return Err("`chosen` and `rejected` answer different prompts, so that neither is preferred to the other; \
                        leave the line out"
                .to_owned());
        }
        self.note(&chosen);
        Ok(PreferenceExample {
            problem: chosen.prompt.into(),
            chosen: Response::Text(chosen.response),
            rejected: Response::Text(rejected.response),
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

/// Makes tokens of conversations that are rendered already.
pub(super) struct RenderedPrompts {
    prompts: Prompts,
}

impl RenderedPrompts {
    /// Of what `prompts` has rendered for the model.
    pub(super) const fn new(prompts: Prompts) -> Self {
        Self { prompts }
    }
}

impl ExampleEncoder for RenderedPrompts {
    fn encode(&self, problem: &Statement, response: &Response) -> Result<EncodedExample, String> {
        let Response::Text(response) = response else {
            return Err("its response is no text".to_owned());
        };
        let (prompt, response) = (problem.to_string(), response.clone());
        let is_plain = self.prompts.raw.contains(&prompt);
        let encoded = Conversation { prompt, response, is_plain }.encode(self.prompts.tokenizer());
        let encoded = encoded.map_err(|error| error.to_string())?;
        Ok(EncodedExample { tokens: encoded.ids, prompt_tokens: encoded.prompt_tokens })
    }

    fn thought(&self, response: &[u32]) -> Option<Range<usize>> {
        self.prompts.prompter.thought(response)
    }

    fn save(&self, folder: &Path) -> Result<(), String> {
        self.prompts.tokenizer().save(folder).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

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
            "{% for tool in tools or [] %}{{ tool }}{% endfor %}{% for message in messages %}\
             {{ '*' ~ (sign or '') if message.role == 'user' else '=' }}{{ message.content }}\
             {{ eos_token if message.role == 'assistant' }}{% endfor %}{{ '=' if add_generation_prompt }}",
        )
        .unwrap();
        fs::write(folder.path().join("generation_config.json"), r#"{"eos_token_id": [0, 1]}"#).unwrap();
        Tokenizer::load(folder.path()).unwrap()
    }

    fn prompts(style: PromptStyle) -> Prompts {
        Prompts::new(Prompter::new(chat_tokenizer(), style))
    }

    #[test]
    fn special_tokens_stand_before_plain_prompts_and_not_before_what_a_template_made() {
        let mut prompts = prompts(PromptStyle::Raw);
        let mut example = |line: Value| prompts.sft(line.as_object().unwrap(), &line.to_string()).unwrap();
        let plain = example(json!({"prompt": "1+2", "completion": "3"}));
        let messages = json!([{"role": "user", "content": "1+2"}]);
        let rendered = example(json!({"prompt": messages, "completion": "3"}));
        let tokenizer = prompts.tokenizer().clone();
        let asked = prompts.prompter.prompt("1+2").unwrap();
        let encoder = RenderedPrompts::new(prompts);
        let encoded = |example: &SftExample| {
            let EncodedExample { tokens, prompt_tokens } =
                encoder.encode(&example.problem, &example.response).unwrap();
            let (prompt, response) = tokens.split_at(prompt_tokens);
            (prompt.to_vec(), tokenizer.decode(prompt).unwrap(), tokenizer.decode(response).unwrap())
        };
        let (ids, prompt, response) = encoded(&plain);
        assert_eq!((prompt.as_str(), response.as_str()), ("+1+2", "3<eos>"));
        assert_eq!(ids, asked, "as it is asked when it generates");
        let (_, prompt, response) = encoded(&rendered);
        assert_eq!((prompt.as_str(), response.as_str()), ("*1+2=", "3<eos>"));
    }

    #[test]
    fn what_a_line_gives_its_template_beside_the_messages_is_heard() {
        let mut prompts = prompts(PromptStyle::Chat);
        let mut rendered = |beside: Value| {
            let mut line = json!({"messages": [
                {"role": "user", "content": "1+2"}, {"role": "assistant", "content": "3"}]});
            line.as_object_mut().unwrap().extend(beside.as_object().unwrap().clone());
            prompts.sft(line.as_object().unwrap(), &line.to_string()).map(|example| example.problem)
        };
        assert_eq!(&*rendered(json!({})).unwrap(), "*1+2=");
        let beside = json!({"tools": ["4", "5"], "chat_template_kwargs": {"sign": "-"}});
        assert_eq!(&*rendered(beside).unwrap(), "45*-1+2=");
        for (field, value) in [("tools", json!("4")), ("chat_template_kwargs", json!([]))] {
            let reason = rendered(json!({ field: value })).unwrap_err();
            assert!(reason.contains(field), "{reason}");
        }
    }

    #[test]
    fn every_layout_of_a_pair_is_the_same_conversation_and_nothing_of_it_is_dropped() {
        let mut prompts = prompts(PromptStyle::Chat);
        let turn = |role: &str, content: &str| json!({"role": role, "content": content});
        let mut pair = |prompt: Value, chosen: Value, rejected: Value| {
            let line = json!({"prompt": prompt, "chosen": chosen, "rejected": rejected});
            prompts.pair(line.as_object().unwrap()).map(|pair| (pair.problem.to_string(), pair.chosen))
        };
        let expected = ("*1+2=".to_owned(), Response::Text("3".to_owned()));
        let whole = |answer: &str| json!([turn("user", "1+2"), turn("assistant", answer)]);
        let answer = |answer: &str| json!([turn("assistant", answer)]);
        let question = json!([turn("user", "1+2")]);
        for (prompt, chosen, rejected) in [
            (json!("1+2"), json!("3"), json!("4")),
            (json!("1+2"), answer("3"), answer("4")),
            (json!("1+2"), whole("3"), whole("4")),
            (question.clone(), json!("3"), json!("4")),
            (question.clone(), answer("3"), answer("4")),
            (question, whole("3"), whole("4")),
        ] {
            assert_eq!(pair(prompt, chosen, rejected).unwrap(), expected);
        }
        let reason = pair(json!("2+2"), whole("3"), whole("4")).unwrap_err();
        assert!(reason.contains("`prompt`"), "{reason}");
        let longer = json!([turn("assistant", "5"), turn("user", "7"), turn("assistant", "3")]);
        let shorter = json!([turn("assistant", "6"), turn("user", "7"), turn("assistant", "3")]);
        let reason = pair(json!([turn("user", "1+2")]), longer, shorter).unwrap_err();
        assert!(reason.contains("different prompts"), "{reason}");
    }
}
