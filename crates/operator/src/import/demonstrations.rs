//! One demonstration of a long thought.

use serde_json::Value;
use still_domain::{AnswerKind, Demonstration, DemonstrationId};
use still_judge::stated_answer;
use still_text::{Format, FormatError, thought};

use super::{
    Reading,
    conversation::{Conversation, Turn},
    fields::{FieldProblem, Fields, Refused, hashed_name},
};

/// Names of the statement.
const STATEMENT: [&str; 6] = ["problem", "question", "prompt", "instruction", "input", "query"];
/// Names of a whole response.
const RESPONSE: [&str; 7] =
    ["response", "completion", "combined_text", "combined", "output", "chosen", "generation"];
/// Names of the thought alone, with those of the solution that belongs to it.
const PARTS: [(&[&str], &[&str]); 4] = [
    (
        &["thought", "long_cot", "reasoning", "reasoning_content", "thinking"],
        &["solution", "answer", "final", "content"],
    ),
    (&["thinking_trajectories"], &["attempt"]),
    (&["deepseek_thinking_trajectory"], &["deepseek_attempt"]),
    (&["gemini_thinking_trajectory"], &["gemini_attempt"]),
];
/// Names of a response that reasons in words, where the format has no thought apart.
const SOLUTION: [&str; 2] = ["solution", "answer"];
/// Names of the gold answer, those left out that may hold the solution itself.
const GOLD: [&str; 5] = ["gold", "final_answer", "expected_answer", "ground_truth", "reference_answer"];
/// Names of a conversation.
const CONVERSATION: [&str; 2] = ["messages", "conversations"];
/// What a demonstration may come with that has no meaning here.
const REFUSED: [Refused; 2] = [
    Refused {
        names: &["tools", "functions", "chat_template_kwargs"],
        reason: "has no meaning here: what is imitated is asked as problems are, by the prompt of `task.prompt`",
        remedy: "leave the field out, or train on the file with `stilld train sft`, which renders it",
    },
    Refused {
        names: &["image", "images", "audio", "video"],
        reason: "comes with the question, and no model here sees or hears it",
        remedy: "leave the line out, or the field if the statement can do without",
    },
];

/// Reads a demonstration from the fields of a line.
pub(super) fn demonstration(
    fields: &Fields,
    source: &str,
    format: Format,
) -> Result<Reading<Demonstration>, FieldProblem> {
    fields.refuse(&REFUSED)?;
    let mut remarks = Vec::new();
    let (problem, response) = if let Some((field, conversation)) = fields.first(&CONVERSATION) {
        let read = Conversation::read(field, conversation)?;
        if read.had_system {
            remarks.push(format!("the system's message in `{field}` is left out: what is imitated is asked by the prompt of `task.prompt`"));
        }
        from_conversation(field, read, format)?
    } else {
        let Some((_, problem)) = fields.text(&STATEMENT)? else {
            return Err(fields.missing(&STATEMENT, "the problem's statement"));
        };
        (problem.to_owned(), from_fields(fields, format, &mut remarks)?)
    };
    if let Some((name, _)) = fields.first(&["system", "system_prompt"]) {
        remarks
            .push(format!("`{name}` is left out: what is imitated is asked by the prompt of `task.prompt`"));
    }
    if let Some((name, _)) = fields.first(&["rejected"]) {
        remarks.push(format!("`{name}` is left out: only what was chosen is imitated"));
    }
    let (level, remark) = fields.level();
    remarks.extend(remark);
    let id = fields.name()?.unwrap_or_else(|| hashed_name("demonstration", &[&problem, &response]));
    let id = DemonstrationId::new(id);
    let gold = gold(fields)?;
    let source = source.to_owned();
    Ok(Reading::Record(Demonstration { id, problem, response, gold, level, source }, remarks))
}

/// The gold answer that the demonstration must agree with, where there is one.
fn gold(fields: &Fields) -> Result<Option<String>, FieldProblem> {
    if let Some((_, Value::Number(number))) = fields.first(&GOLD) {
        return Ok(Some(number.to_string()));
    }
    let gold = fields.text(&GOLD)?.map(|(_, gold)| gold.trim().to_owned());
    let stated = gold.as_deref().and_then(|gold| stated_answer(AnswerKind::Math, gold).ok().flatten());
    Ok(stated.or(gold).filter(|gold| still_curation::gold::is_answer(gold)))
}

fn from_fields(fields: &Fields, format: Format, remarks: &mut Vec<String>) -> Result<String, FieldProblem> {
    let mut thoughts = PARTS.iter().filter_map(|(names, solutions)| Some((fields.first(names)?, *solutions)));
    if let Some(((name, value), solutions)) = thoughts.next() {
        if let Some(((other, _), _)) = thoughts.next() {
            remarks.push(format!("`{name}` is imitated, and `{other}` left out"));
        }
        let thought = one_text(name, value)?;
        let Some((_, solution)) = fields.text(solutions)? else {
            return Err(fields.missing(solutions, "the solution that belongs to the thought"));
        };
        return canonical("solution", &thought::render(thought, solution), format);
    }
    if let Some((field, response)) = fields.text(&RESPONSE)? {
        return canonical(field, response, format);
    }
    if format == Format::Plain
        && let Some((field, response)) = fields.text(&SOLUTION)?
    {
        return canonical(field, response, format);
    }
    let remedy = "add `response` with both in their tags, or `thought` and `solution`";
    let reason = "the thought and the solution are missing";
    Err(FieldProblem::new("response", reason, format!("{remedy}{}", fields.found())))
}

/// A text, or a list of a single one.
fn one_text<'a>(name: &str, value: &'a Value) -> Result<&'a str, FieldProblem> {
    let only = match value {
        Value::Array(items) if items.len() == 1 => items.first().and_then(Value::as_str),
        other => other.as_str(),
    };
    only.filter(|text| !text.trim().is_empty())
        .ok_or_else(|| FieldProblem::new(name, "is no text, and no list of a single one", "write text"))
}

/// The one question and the one answer of a conversation.
fn from_conversation(
    field: &str,
    read: Conversation,
    format: Format,
) -> Result<(String, String), FieldProblem> {
    let remedy = "write a list of one `user` and one `assistant` message with `content`";
    let missing = || FieldProblem::new(field, "has no message of the assistant", remedy);
    let Turn { content, thought } = read.answer.ok_or_else(missing)?;
    let response = match thought {
        Some(thought) => canonical(field, &thought::render(&thought, &content), format)?,
        None => canonical(field, &content, format)?,
    };
    Ok((read.question, response))
}

/// The response with thought and solution in a format. One that keeps the format already stays as it is to the byte, and
/// so does a solution without a thought in the paper's tags, or a text without any where the format has none.
fn canonical(field: &str, response: &str, format: Format) -> Result<String, FieldProblem> {
    let parsed = thought::parse(response);
    match parsed {
        Ok(_) if format == Format::Think && !response.contains(thought::BEGIN_OF_THOUGHT) => {
            Ok(response.to_owned())
        }
        Ok(parts) if format != Format::Paper => Ok(format.render(parts.thought, parts.solution)),
        Err(_) if format == Format::Plain && !has_tags(response) => Ok(response.to_owned()),
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

fn has_tags(response: &str) -> bool {
    let tags =
        [thought::BEGIN_OF_THOUGHT, thought::END_OF_THOUGHT, thought::BEGIN_OF_THINK, thought::END_OF_THINK];
    tags.iter().any(|tag| response.contains(tag))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TAGGED: &str = "<|begin_of_thought|>t<|end_of_thought|><|begin_of_solution|>s<|end_of_solution|>";

    fn read(value: Value) -> Result<Demonstration, FieldProblem> {
        let Value::Object(fields) = value else { panic!("no object") };
        demonstration(&Fields::new(fields), "f.jsonl", Format::Paper).map(|reading| match reading {
            Reading::Record(record, _) => record,
            Reading::LeftOut(_) => panic!("left out"),
        })
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
            json!({"question": "p", "combined": TAGGED}),
            json!({"question": "p", "thinking_trajectories": ["t"], "attempt": "s", "solution": "128"}),
            json!({"question": "p", "deepseek_thinking_trajectory": "t", "deepseek_attempt": "s"}),
            json!({"messages": [
                {"role": "user", "content": [{"type": "text", "text": "p"}]},
                {"role": "assistant", "content": "s", "reasoning_content": "t", "tool_calls": null},
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
    fn a_response_is_brought_into_the_runs_format() {
        let read = |value: Value, format| {
            let Value::Object(fields) = value else { panic!("no object") };
            demonstration(&Fields::new(fields), "f.jsonl", format).map(|reading| match reading {
                Reading::Record(record, _) => record.response,
                Reading::LeftOut(_) => panic!("left out"),
            })
        };
        let parts = json!({"problem": "p", "thought": "t", "solution": "s"});
        let thinking = "<think>\nt</think>s";
        assert_eq!(read(parts.clone(), Format::Think).unwrap(), "<think>\nt\n</think>\n\ns");
        assert_eq!(read(parts, Format::Plain).unwrap(), "t\n\ns");
        let tagged = json!({"problem": "p", "response": TAGGED});
        assert_eq!(read(tagged.clone(), Format::Think).unwrap(), "<think>\nt\n</think>\n\ns");
        assert_eq!(read(tagged, Format::Plain).unwrap(), "t\n\ns");
        let kept = json!({"problem": "p", "response": thinking});
        assert_eq!(read(kept, Format::Think).unwrap(), thinking, "kept to the byte");
        let words = json!({"question": "p", "answer": "2 and 2 is 4.\n#### 4"});
        assert_eq!(read(words.clone(), Format::Plain).unwrap(), "2 and 2 is 4.\n#### 4");
        for format in [Format::Paper, Format::Think] {
            assert!(read(words.clone(), format).unwrap_err().at(1).reason.contains("missing"));
        }
        let open = json!({"problem": "p", "response": "<think>t"});
        assert!(read(open, Format::Plain).is_err(), "a thought that never ends");
    }

    #[test]
    fn a_gold_answer_beside_the_demonstration_is_kept_and_the_solution_is_none() {
        let gold = |value| read(value).unwrap().gold;
        let shown = json!({"problem": "p", "thought": "t", "answer": "s"});
        assert_eq!(gold(shown.clone()), None);
        for (given, kept) in [
            (json!("7"), Some("7")),
            (json!(7), Some("7")),
            (json!("The answer is 7."), Some("7")),
            (json!("proof"), None),
        ] {
            let mut line = shown.clone();
            line["expected_answer"] = given;
            assert_eq!(gold(line).as_deref(), kept);
        }
    }

    #[test]
    fn what_is_missing_or_misshapen_is_named_with_its_remedy() {
        for (value, field, part) in [
            (json!({"response": TAGGED}), "problem", "`question`"),
            (json!({"problem": "p"}), "response", "`thought` and `solution`"),
            (json!({"problem": "p", "thought": "t"}), "solution", "`answer`"),
            (json!({"problem": "p", "response": "just text"}), "response", "<think>"),
            (json!({"problem": "p", "response": "<|begin_of_thought|>t"}), "response", "<think>"),
            (json!({"problem": "p", "Text": "x"}), "response", "found: problem, Text"),
            (json!({"problem": "p", "response": TAGGED, "tools": [{"name": "f"}]}), "tools", "train sft"),
            (
                json!({"messages": [
                    {"role": "user", "content": "p"},
                    {"role": "assistant", "content": TAGGED, "tool_calls": [{"id": "1"}]},
                ]}),
                "messages",
                "`content`",
            ),
            (
                json!({"messages": [
                    {"role": "user", "content": [{"type": "image_url", "image_url": "x"}]},
                    {"role": "assistant", "content": TAGGED},
                ]}),
                "messages",
                "`content`",
            ),
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
