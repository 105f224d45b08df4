//! One rollout that was made elsewhere.

use serde_json::Value;
use still_domain::{FinishReason, PolicyVersion, ProblemId};

use super::fields::{FieldProblem, Fields, kind};

/// Names of the problem's statement.
const STATEMENT: [&str; 5] = ["problem", "question", "prompt", "input", "query"];
/// Names of the problem's own name.
const NAMES: [&str; 2] = ["problem_id", "id"];
/// Names of the response.
const RESPONSE: [&str; 6] = ["response", "completion", "output", "generation", "prediction", "text"];
/// Names of the response's tokens.
const TOKENS: [&str; 3] = ["tokens", "token_ids", "output_ids"];
/// Names of the tokens' log-probabilities.
const LOG_PROBABILITIES: [&str; 2] = ["log_probabilities", "logprobs"];

/// A rollout that was made elsewhere, as a line tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedRollout {
    /// The problem attempted.
    pub problem: ProblemKey,
    /// What was written.
    pub response: ImportedResponse,
    /// Log-probabilities of the tokens under the policy's unmodified distribution, in nats, one each; `None` where they
    /// are not told.
    pub log_probabilities: Option<Vec<f32>>,
    /// Why generation ended; `None` where it is not told.
    pub finish: Option<FinishReason>,
    /// The temperature that tokens were drawn at.
    pub temperature: f32,
    /// The policy that drew it.
    pub policy: PolicyVersion,
}

/// Which problem of the store a rollout attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProblemKey {
    /// The one of this name.
    Name(ProblemId),
    /// The one with this statement.
    Statement(String),
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportedResponse {
    /// As text.
    Text(String),
    /// As tokens of the model's own tokenizer.
    Tokens(Vec<u32>),
}

/// Reads a rollout from the fields of a line.
pub(super) fn rollout(fields: &Fields) -> Result<ImportedRollout, FieldProblem> {
    let problem = match (fields.text(&STATEMENT)?, name(fields)) {
        (Some((_, statement)), _) => ProblemKey::Statement(statement.to_owned()),
        (None, Some(name)) => ProblemKey::Name(ProblemId::new(name)),
        (None, None) => {
            let remedy = "add `problem` with its statement, or `problem_id` with its name in the store";
            return Err(FieldProblem::new("problem", "the problem is missing", remedy));
        }
    };
    let response = match (list(fields, &TOKENS)?, fields.text(&RESPONSE)?) {
        (Some((_, tokens)), _) => ImportedResponse::Tokens(tokens),
        (None, Some((_, response))) => ImportedResponse::Text(response.to_owned()),
        (None, None) => {
            let remedy = "add `response` with its text, or `tokens` with the ids of the model's tokenizer";
            return Err(FieldProblem::new("response", "the response is missing", remedy));
        }
    };
    let log_probabilities: Option<(&str, Vec<f32>)> = list(fields, &LOG_PROBABILITIES)?;
    if let Some((field, values)) = &log_probabilities {
        let fits = matches!(&response, ImportedResponse::Tokens(tokens) if tokens.len() == values.len());
        if !fits {
            let reason = format!("has {} values that belong to no as many `tokens`", values.len());
            return Err(FieldProblem::new(
                field,
                reason,
                "add `tokens`, one for every value, or leave it out",
            ));
        }
    }
    Ok(ImportedRollout {
        problem,
        response,
        log_probabilities: log_probabilities.map(|(_, values)| values),
        finish: finish(fields)?,
        temperature: number(fields, "temperature")?.unwrap_or(1.0) as f32,
        policy: PolicyVersion(number(fields, "policy_version")?.unwrap_or(0.0) as u64),
    })
}

fn name(fields: &Fields) -> Option<String> {
    match fields.first(&NAMES)?.1 {
        Value::String(name) => Some(name.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The list of the first field of `names` that is there.
fn list<'a, T: serde::de::DeserializeOwned>(
    fields: &'a Fields,
    names: &[&str],
) -> Result<Option<(&'a str, Vec<T>)>, FieldProblem> {
    let Some((name, value)) = fields.first(names) else { return Ok(None) };
    if let Ok(items) = serde_json::from_value(value.clone()) {
        Ok(Some((name, items)))
    } else {
        let reason = format!("is {}, not a list of numbers", kind(value));
        Err(FieldProblem::new(name, reason, "write one number for every token"))
    }
}

fn number(fields: &Fields, name: &str) -> Result<Option<f64>, FieldProblem> {
    let Some((name, value)) = fields.first(&[name]) else { return Ok(None) };
    match value.as_f64().filter(|number| *number >= 0.0) {
        Some(number) => Ok(Some(number)),
        None => Err(FieldProblem::new(name, format!("is {value}, no number from 0 on"), "write a number")),
    }
}

/// Why generation ended, in the words of this program and of `OpenAI`'s interface.
fn finish(fields: &Fields) -> Result<Option<FinishReason>, FieldProblem> {
    let Some((name, word)) = fields.text(&["finish", "finish_reason"])? else { return Ok(None) };
    match word {
        "stop" => Ok(Some(FinishReason::Stop)),
        "stop_string" => Ok(Some(FinishReason::StopString)),
        "length" => Ok(Some(FinishReason::Length)),
        _ => Err(FieldProblem::new(name, format!("`{word}` is no end"), "write stop, stop_string or length")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<ImportedRollout, FieldProblem> {
        let Value::Object(fields) = value else { panic!("no object") };
        rollout(&Fields::new(fields))
    }

    #[test]
    fn text_and_tokens_are_read_with_what_is_told_of_them() {
        let plain = read(json!({"question": "2+2?", "completion": "4"})).unwrap();
        assert_eq!(plain.problem, ProblemKey::Statement("2+2?".to_owned()));
        assert_eq!(plain.response, ImportedResponse::Text("4".to_owned()));
        assert_eq!((plain.log_probabilities, plain.finish, plain.policy), (None, None, PolicyVersion(0)));
        let whole = read(json!({
            "problem_id": 7, "tokens": [3, 1], "logprobs": [-0.5, -0.25], "finish_reason": "length",
            "temperature": 0.6, "policy_version": 2
        }));
        let whole = whole.unwrap();
        assert_eq!(whole.problem, ProblemKey::Name(ProblemId::new("7")));
        assert_eq!(whole.response, ImportedResponse::Tokens(vec![3, 1]));
        assert_eq!(whole.log_probabilities, Some(vec![-0.5, -0.25]));
        assert_eq!((whole.finish, whole.policy), (Some(FinishReason::Length), PolicyVersion(2)));
    }

    #[test]
    fn what_is_missing_or_misshapen_is_named_with_its_remedy() {
        for (value, field, part) in [
            (json!({"response": "4"}), "problem", "`problem_id`"),
            (json!({"problem": "p"}), "response", "`tokens`"),
            (json!({"problem": "p", "tokens": "4"}), "tokens", "every token"),
            (json!({"problem": "p", "response": "4", "logprobs": [-1.0]}), "logprobs", "leave it out"),
            (
                json!({"problem": "p", "tokens": [1, 2], "logprobs": [-1.0]}),
                "logprobs",
                "one for every value",
            ),
            (json!({"problem": "p", "response": "4", "finish": "bored"}), "finish", "length"),
            (json!({"problem": "p", "response": "4", "temperature": -1}), "temperature", "a number"),
        ] {
            let problem = read(value).unwrap_err().at(9);
            assert_eq!(problem.field.as_deref(), Some(field), "{problem}");
            assert!(problem.remedy.contains(part), "{problem}");
        }
    }
}
