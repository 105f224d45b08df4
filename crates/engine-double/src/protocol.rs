//! What the dialects of the doubles share: answers, and sampling settings out of JSON.

use serde_json::{Value, json};
use still_domain::SamplingSettings;

use crate::model::{Draw, Sizes};

/// A status and a body.
pub(crate) type Answer = (u16, Body);

/// What an answer holds.
pub(crate) enum Body {
    Json(Value),
    Text(String),
}

/// What a dialect calls what others call otherwise.
pub(crate) struct Sampling {
    pub(crate) longest: &'static str,
    pub(crate) seed: &'static str,
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

/// What a request asks for, or why it is refused. `parameters` are those of sampling, `prompt` the ids.
pub(crate) fn read(
    prompt: &Value,
    parameters: &Value,
    names: &Sampling,
    sizes: &Sizes,
) -> Result<Draw, String> {
    let ids = prompt.as_array().ok_or("token ids are wanted")?;
    let ids: Option<Vec<u32>> = ids.iter().map(|id| u32::try_from(id.as_u64()?).ok()).collect();
    let ids = ids.ok_or("Token id is out of vocabulary")?;
    if ids.is_empty() {
        return Err("The decoder prompt cannot be empty".to_owned());
    }
    if ids.iter().any(|id| *id as usize >= sizes.vocabulary) {
        return Err("Token id is out of vocabulary".to_owned());
    }
    if ids.len() >= sizes.context {
        return Err(format!(
            "The decoder prompt (length {}) is longer than the maximum model length of {}.",
            ids.len(),
            sizes.context
        ));
    }
    let number = |name: &str, default: f64| parameters[name].as_f64().unwrap_or(default);
    if number("temperature", 1.0) < 0.0 || number(names.longest, 16.0) < 1.0 {
        return Err("temperature must be non-negative and one token at least be asked for".to_owned());
    }
    let stop_ids = parameters["stop_token_ids"].as_array().into_iter().flatten();
    Ok(Draw {
        adapter: None,
        prompt: ids,
        settings: settings(parameters, names),
        seed: parameters[names.seed].as_i64().unwrap_or_default() as u64,
        stop_ids: stop_ids.filter_map(|id| u32::try_from(id.as_u64()?).ok()).collect(),
    })
}

/// The sampling settings of a request.
pub(crate) fn settings(parameters: &Value, names: &Sampling) -> SamplingSettings {
    let number = |name: &str, default: f64| parameters[name].as_f64().unwrap_or(default);
    SamplingSettings {
        temperature: number("temperature", 1.0) as f32,
        top_k: parameters["top_k"].as_i64().map_or(0, |top| top.max(0) as u32),
        top_p: number("top_p", 1.0) as f32,
        min_p: number("min_p", 0.0) as f32,
        repetition_penalty: number("repetition_penalty", 1.0) as f32,
        max_new_tokens: parameters[names.longest].as_u64().unwrap_or(16) as u32,
    }
}
