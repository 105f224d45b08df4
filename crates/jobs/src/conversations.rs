//! Conversations that a model is asked to go on with, as they stand: `--messages` of `generate` and `eval`.

use std::{io::Read, path::Path};

use serde_json::{Map, Value};
use still_control::{Exit, Failure};
use still_domain::{AnswerKind, Problem, Split};
use still_operator::import;
use still_text::{ChatContext, Tokenizer};

use super::{chat_context, open_input};

/// Names of a conversation on a line, and of what the chat template is given beside it.
const CONVERSATION: [&str; 2] = ["messages", "prompt"];
const BESIDE: [&str; 2] = ["tools", "chat_template_kwargs"];

/// The text that asks a model to go on with a conversation: `messages` in its chat template, with the opening of the
/// assistant's turn. `fields` are what stands beside them, `variables` the command line's.
///
/// # Errors
/// Why the template cannot be asked so.
pub(super) fn rendered(
    messages: Vec<Value>,
    fields: &Map<String, Value>,
    variables: &[(String, Value)],
    tokenizer: &Tokenizer,
) -> Result<String, String> {
    let template = tokenizer
        .chat_template()
        .ok_or("the model has no chat template for messages; ask it by a plain text")?;
    let is_answer = |message: &Value| message.get("role").is_some_and(|role| role == "assistant");
    if messages.is_empty() || messages.last().is_some_and(is_answer) {
        return Err("`messages` ends in no question: leave the assistant's last message out".to_owned());
    }
    let mut context = ChatContext { messages, add_generation_prompt: true, ..chat_context(fields)? };
    context.variables.extend(variables.iter().cloned());
    template.render_context(&context).map_err(|error| error.to_string())
}

/// The problems of a file whose lines ask by a conversation each: the statement is the whole prompt as it is rendered,
/// and the rest of a line is read as that of any problem.
///
/// # Errors
/// Names the file, the line and what is wrong with it.
pub(super) fn problems(
    path: &Path,
    variables: &[(String, Value)],
    tokenizer: &Tokenizer,
) -> Result<Vec<Problem>, Failure> {
    let shown = path.display();
    let refused = |reason: String| Failure::new(Exit::BadInput, reason);
    let mut text = String::new();
    let read = open_input(path)?.read_to_string(&mut text);
    read.map_err(|error| refused(format!("`{shown}`: {error}")))?;
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            lines.push(String::new());
            continue;
        }
        let asked = asked(line, variables, tokenizer)
            .map_err(|reason| refused(format!("`{shown}`, line {}: {reason}", index + 1)))?;
        lines.push(asked);
    }
    let source = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let parsed =
        import::problems_of_kind(lines.join("\n").as_bytes(), &source, Split::Dev, AnswerKind::default());
    let parsed = parsed.all_sound(path).map_err(|error| refused(error.to_string()))?;
    Ok(parsed.records)
}

/// A line with the rendered prompt in the place of its conversation.
fn asked(line: &str, variables: &[(String, Value)], tokenizer: &Tokenizer) -> Result<String, String> {
    let mut fields: Map<String, Value> =
        serde_json::from_str(line).map_err(|error| format!("it is no JSON object: {error}"))?;
    let field = CONVERSATION.into_iter().find(|name| fields.get(*name).is_some_and(Value::is_array));
    let Some(Value::Array(messages)) = field.and_then(|name| fields.remove(name)) else {
        return Err("`messages` is missing; write [{\"role\": \"user\", \"content\": \"...\"}]".to_owned());
    };
    let options =
        ["choices", "options", "answer_choices"].into_iter().find(|name| fields.contains_key(*name));
    if let Some(name) = options {
        return Err(format!(
            "`{name}` would be no part of the conversation: write the options into its last message, the right \
             option's letter into `answer`, and \"kind\": \"multiple_choice\""
        ));
    }
    let prompt = rendered(messages, &fields, variables, tokenizer)?;
    for name in BESIDE {
        fields.remove(name);
    }
    if let Some(other) = ["problem", "question"].into_iter().find(|name| fields.contains_key(*name)) {
        fields.remove(other);
    }
    fields.insert("problem".to_owned(), prompt.into());
    Ok(Value::Object(fields).to_string())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn tokenizer() -> Tokenizer {
        let folder = tempfile::tempdir().unwrap();
        Tokenizer::quick_start().unwrap().save(folder.path()).unwrap();
        let template = "{% for m in messages %}{{ {'system': '+', 'user': '*', 'assistant': '='}[m.role] ~ m.content }}\
                        {% endfor %}{{ tools|length if tools else '' }}{{ sign or '' }}{{ '=' if add_generation_prompt }}";
        fs::write(folder.path().join("chat_template.jinja"), template).unwrap();
        Tokenizer::load(folder.path()).unwrap()
    }

    fn read(lines: &str) -> Result<Vec<(String, String)>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("asked.jsonl");
        fs::write(&path, lines).unwrap();
        let variables = [("sign".to_owned(), Value::from("-"))];
        let read = problems(&path, &variables, &tokenizer()).map_err(|failure| failure.message)?;
        Ok(read.into_iter().map(|problem| (problem.text, problem.gold)).collect())
    }

    #[test]
    fn a_conversation_is_asked_as_it_stands_with_all_that_is_beside_it() {
        let turns = r#"[{"role": "system", "content": "1"}, {"role": "user", "content": "2"}, {"role": "assistant", "content": "3"}, {"role": "user", "content": "4"}]"#;
        let found = read(&format!(
            "{{\"messages\": {turns}, \"answer\": \"7\", \"tools\": [{{}}]}}\n\n{{\"prompt\": [{{\"role\": \"user\", \"content\": \"5\"}}], \"reward_model\": {{\"ground_truth\": \"8\"}}}}\n"
        ));
        let pair = |text: &str, gold: &str| (text.to_owned(), gold.to_owned());
        assert_eq!(found.unwrap(), [pair("+1*2=3*41-=", "7"), pair("*5-=", "8")]);
    }

    #[test]
    fn what_cannot_be_asked_so_is_refused_by_file_line_and_field() {
        for (line, part) in [
            (r#"{"problem": "p", "answer": "1"}"#, "`messages`"),
            (r#"{"messages": [{"role": "assistant", "content": "a"}], "answer": "1"}"#, "no question"),
            (
                r#"{"messages": [{"role": "user", "content": "q"}], "choices": ["a", "b"], "answer": "A"}"#,
                "`choices`",
            ),
            (r#"{"messages": [{"role": "user", "content": "q"}]}"#, "`answer`"),
            (r#"{"messages": [{"role": "user", "content": "q"}], "tools": 3, "answer": "1"}"#, "`tools`"),
            ("nonsense", "no JSON object"),
        ] {
            let refused = read(&format!("\n{line}\n")).unwrap_err();
            assert!(
                refused.contains("asked.jsonl") && refused.contains("line 2") && refused.contains(part),
                "{refused}"
            );
        }
    }
}
