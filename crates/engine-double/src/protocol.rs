//! vLLM's answers, in its own words.

use serde_json::{Value, json};
use still_domain::{FinishReason, SamplingSettings};

use crate::model::{Draw, Drawn, Sizes};

/// A status and a body.
pub(crate) type Answer = (u16, Body);

/// What an answer holds.
pub(crate) enum Body {
    Json(Value),
    Text(String),
}

pub(crate) const fn ok(value: Value) -> Answer {
    (200, Body::Json(value))
}

pub(crate) fn error(status: u16, kind: &str, message: &str) -> Answer {
    let body = json!({"error": {"message": message, "type": kind, "param": null, "code": status}});
    (status, Body::Json(body))
}

pub(crate) fn not_found() -> Answer {
    (404, Body::Json(json!({"detail": "Not Found"})))
}

/// What a request asks for, or how it is refused. `parameters` are those of sampling, `prompt` the ids.
pub(crate) fn read(prompt: &Value, parameters: &Value, sizes: &Sizes) -> Result<(Draw, bool), Answer> {
    let bad = |message: String| error(400, "BadRequestError", &message);
    let ids = prompt.as_array().ok_or_else(|| bad("token ids are wanted".to_owned()))?;
    let ids: Option<Vec<u32>> = ids.iter().map(|id| u32::try_from(id.as_u64()?).ok()).collect();
    let ids = ids.ok_or_else(|| bad("Token id is out of vocabulary".to_owned()))?;
    if ids.is_empty() {
        return Err(bad("The decoder prompt cannot be empty".to_owned()));
    }
    if ids.iter().any(|id| *id as usize >= sizes.vocabulary) {
        return Err(bad("Token id is out of vocabulary".to_owned()));
    }
    if ids.len() >= sizes.context {
        return Err(bad(format!(
            "The decoder prompt (length {}) is longer than the maximum model length of {}.",
            ids.len(),
            sizes.context
        )));
    }
    let number = |name: &str, default: f64| parameters[name].as_f64().unwrap_or(default);
    if number("temperature", 1.0) < 0.0 || number("max_tokens", 16.0) < 1.0 {
        return Err(bad("temperature must be non-negative and max_tokens at least 1".to_owned()));
    }
    let room = sizes.context - ids.len();
    let stop_ids = parameters["stop_token_ids"].as_array().into_iter().flatten();
    let settings = SamplingSettings {
        temperature: number("temperature", 1.0) as f32,
        top_k: parameters["top_k"].as_i64().map_or(0, |top| top.max(0) as u32),
        top_p: number("top_p", 1.0) as f32,
        min_p: number("min_p", 0.0) as f32,
        repetition_penalty: number("repetition_penalty", 1.0) as f32,
        // cut silently at the context's end
        max_new_tokens: parameters["max_tokens"].as_u64().unwrap_or(16).min(room as u64) as u32,
    };
    let draw = Draw {
        prompt: ids,
        settings,
        seed: parameters["seed"].as_i64().unwrap_or_default() as u64,
        stop_ids: stop_ids.filter_map(|id| u32::try_from(id.as_u64()?).ok()).collect(),
    };
    Ok((draw, !parameters["prompt_logprobs"].is_null()))
}

fn finish(drawn: &Drawn) -> (&'static str, Value) {
    match drawn.finish {
        None | Some(FinishReason::Cancelled) => ("abort", Value::Null),
        Some(FinishReason::Length) => ("length", Value::Null),
        Some(FinishReason::Repetition) => ("repetition", Value::Null),
        Some(FinishReason::Stop | FinishReason::StopString) => ("stop", json!(drawn.tokens.last())),
    }
}

fn prompt_logprobs(tokens: &[u32], scored: Option<&[f32]>) -> Value {
    let Some(scored) = scored else { return Value::Null };
    let one = |(token, value): (&u32, &f32)| {
        let mut entry = json!({});
        entry[token.to_string()] = json!({"logprob": value, "rank": 1, "decoded_token": ""});
        entry
    };
    let mut values = vec![Value::Null];
    values.extend(tokens.iter().skip(1).zip(scored).map(one));
    Value::from(values)
}

fn versions(drawn: &Drawn) -> Value {
    drawn
        .versions
        .iter()
        .map(|(version, start, end)| json!({"version": version, "start": start, "end": end}))
        .collect()
}

/// The answer of `/inference/v1/generate`.
pub(crate) fn generated(prompt: &[u32], drawn: &Drawn, scored: Option<&[f32]>, name: &Value) -> Answer {
    let (reason, stop) = finish(drawn);
    let content: Vec<Value> = drawn
        .tokens
        .iter()
        .zip(&drawn.log_probabilities)
        .map(|(token, value)| json!({"token_id": token, "logprob": value, "rank": 1, "top_logprobs": []}))
        .collect();
    ok(json!({
        "request_id": name, "model": "policy", "prompt_logprobs": prompt_logprobs(prompt, scored),
        "usage": {"prompt_tokens": prompt.len(), "completion_tokens": drawn.tokens.len()},
        "choices": [{
            "index": 0, "finish_reason": reason, "stop_reason": stop, "token_ids": drawn.tokens,
            "weight_versions": versions(drawn), "logprobs": {"content": content}
        }]
    }))
}

/// The answer of `/v1/completions`.
pub(crate) fn completed(prompt: &[u32], drawn: &Drawn, scored: Option<&[f32]>, wants_ids: bool) -> Answer {
    let (reason, stop) = finish(drawn);
    let ids = if wants_ids { json!(drawn.tokens) } else { Value::Null };
    ok(json!({
        "id": "cmpl-0", "model": "policy",
        "choices": [{
            "index": 0, "text": "", "finish_reason": reason, "stop_reason": stop, "token_ids": ids,
            "prompt_logprobs": prompt_logprobs(prompt, scored),
            "logprobs": {"token_logprobs": drawn.log_probabilities, "tokens": [], "top_logprobs": [], "text_offset": []}
        }],
        "usage": {"prompt_tokens": prompt.len(), "completion_tokens": drawn.tokens.len()}
    }))
}
