//! One demonstration of a long thought.

use serde_json::{Map, Value};
use still_domain::{Demonstration, DemonstrationId};
use still_text::{FormatError, thought};

use super::fields::{FieldProblem, first, hashed_name, kind, level, name, required_text, text};

/// Names of the statement.
const STATEMENT: [&str; 6] = ["problem", "question", "prompt", "instruction", "input", "query"];
/// Names of a whole response.
const RESPONSE: [&str; 6] = ["response", "completion", "combined_text", "output", "chosen", "generation"];
/// Names of the thought alone.
const THOUGHT: [&str; 5] = ["thought", "long_cot", "reasoning", "reasoning_content", "thinking"];
/// Names of the solution alone.
const SOLUTION: [&str; 4] = ["solution", "answer", "final", "content"];
/// Names of a conversation.
const CONVERSATION: [&str; 2] = ["messages", "conversations"];

/// Reads a demonstration from the fields of a line.
pub(super) fn demonstration(
    fields: &Map<String, Value>,
    source: &str,
) -> Result<Demonstration, FieldProblem> {
    let (problem, response) = if let Some((field, conversation)) = first(fields, &CONVERSATION) {
        from_conversation(field, conversation)?
    } else {
        let problem = required_text(fields, &STATEMENT, "the problem's statement")?;
        (problem.to_owned(), from_fields(fields)?)
    };
    let id = name(fields)?.unwrap_or_else(|| hashed_name("demonstration", &[&problem, &response]));
    Ok(Demonstration {
        id: DemonstrationId::new(id),
        problem,
        response,
        level: level(fields),
        source: source.to_owned(),
    })
}

fn from_fields(fields: &Map<String, Value>) -> Result<String, FieldProblem> {
    if let Some((_, thought)) = text(fields, &THOUGHT)? {
        let solution = required_text(fields, &SOLUTION, "the solution that belongs to the thought")?;
        return canonical("solution", &thought::render(thought, solution));
    }
    if let Some((field, response)) = text(fields, &RESPONSE)? {
        return canonical(field, response);
    }
    let remedy = "add `response` with both in their tags, or `thought` and `solution`";
    Err(FieldProblem::new("response", "the thought and the solution are missing", remedy))
}

/// The one question and the one answer of a conversation; what the system says is left out.
fn from_conversation(field: &'static str, conversation: &Value) -> Result<(String, String), FieldProblem> {
    let wrong = |reason: String| {
        FieldProblem::new(
            field,
            reason,
            "write a list of one `user` and one `assistant` message with `content`",
        )
    };
    let messages =
        conversation.as_array().ok_or_else(|| wrong(format!("is {}, not a list", kind(conversation))))?;
    let (mut question, mut answer) = (None, None);
    for (index, message) in messages.iter().enumerate() {
        let part =
            |names: [&str; 2]| names.iter().find_map(|name| message.get(*name)).and_then(Value::as_str);
        let role = part(["role", "from"]).ok_or_else(|| wrong(format!("message {index} has no `role`")))?;
        let content =
            part(["content", "value"]).ok_or_else(|| wrong(format!("message {index} has no `content`")))?;
        let part = match role {
            "system" | "developer" => continue,
            "user" | "human" => &mut question,
            "assistant" | "gpt" => &mut answer,
            other => return Err(wrong(format!("message {index} has the unknown role `{other}`"))),
        };
        if part.replace(content).is_some() {
            return Err(wrong(format!("has more than one message of `{role}`")));
        }
    }
    match (question, answer) {
        (Some(question), Some(answer)) if !question.trim().is_empty() => {
            Ok((question.to_owned(), canonical(field, answer)?))
        }
        (Some(_), None) => Err(wrong("has no message of the assistant".to_owned())),
        _ => Err(wrong("has no message of the user".to_owned())),
    }
}

/// The response with thought and solution in the paper's tags. One that keeps the format already stays as
/// it is to the byte, and so does a solution without a thought.
fn canonical(field: &str, response: &str) -> Result<String, FieldProblem> {
    match thought::parse(response) {
        Ok(_) if response.contains(thought::BEGIN_OF_THOUGHT) => Ok(response.to_owned()),
        Ok(parts) => Ok(thought::render(parts.thought, parts.solution)),
        Err(FormatError::MissingTag(_))
            if !response.contains(thought::BEGIN_OF_THOUGHT) && thought::solution_of(response).is_some() =>
        {
            Ok(response.to_owned())
        }
        Err(error) => {
            let remedy = format!(
                "write {}...{}{}...{}, or <think>...</think> and then the solution",
                thought::BEGIN_OF_THOUGHT,
                thought::END_OF_THOUGHT,
                thought::BEGIN_OF_SOLUTION,
                thought::END_OF_SOLUTION,
            );
            Err(FieldProblem::new(field, error.to_string(), remedy))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TAGGED: &str = "<|begin_of_thought|>t<|end_of_thought|><|begin_of_solution|>s<|end_of_solution|>";

    fn read(value: Value) -> Result<Demonstration, FieldProblem> {
        let Value::Object(fields) = value else { panic!("no object") };
        demonstration(&fields, "f.jsonl")
    }

    #[test]
    fn every_layout_gives_the_same_thought_and_solution() {
        for value in [
            json!({"problem": "p", "thought": "t", "solution": "s"}),
            json!({"prompt": "p", "completion": TAGGED}),
            json!({"question": "p", "combined_text": TAGGED}),
            json!({"prompt": "p", "response": "<think>t</think>s"}),
            json!({"messages": [
                {"role": "system", "content": "be slow"},
                {"role": "user", "content": "p"},
                {"role": "assistant", "content": TAGGED},
            ]}),
            json!({"conversations": [{"from": "human", "value": "p"}, {"from": "gpt", "value": TAGGED}]}),
        ] {
            let read = read(value.clone()).unwrap_or_else(|problem| panic!("{}", problem.at(1)));
            let parts = thought::parse(&read.response).unwrap();
            assert_eq!((read.problem.as_str(), parts.thought, parts.solution), ("p", "t", "s"), "{value}");
        }
        assert_eq!(
            read(json!({"prompt": "p", "response": TAGGED})).unwrap().response,
            TAGGED,
            "kept to the byte"
        );
    }

    #[test]
    fn what_is_missing_or_misshapen_is_named_with_its_remedy() {
        for (value, field, part) in [
            (json!({"response": TAGGED}), "problem", "`question`"),
            (json!({"problem": "p"}), "response", "`thought` and `solution`"),
            (json!({"problem": "p", "thought": "t"}), "solution", "`answer`"),
            (json!({"problem": "p", "response": "just text"}), "response", "<think>"),
            (json!({"problem": "p", "response": "<|begin_of_thought|>t"}), "response", "<think>"),
            (json!({"messages": "hi"}), "messages", "a list"),
            (json!({"messages": [{"role": "user", "content": "p"}]}), "messages", "`assistant`"),
            (json!({"messages": [{"content": "p"}]}), "messages", "a list"),
        ] {
            let problem = read(value).unwrap_err().at(9);
            assert_eq!(problem.field.as_deref(), Some(field), "{problem}");
            assert!(problem.remedy.contains(part), "{problem}");
        }
    }
}
