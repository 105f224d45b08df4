//! Words that more than one kind of server has: what its answers mean, and what a response is asked for by.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::{
    endpoint::Adapter,
    engine::{Fault, Request},
    http::HttpFault,
};

/// Nanoseconds since the beginning of 1970: never the same again.
pub(crate) fn nanoseconds() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()
}

/// What an answer that is none means for a request, which may be asked of an adapter that is not there any more.
pub(crate) fn fault_of_request(fault: &HttpFault, adapter: Option<&Adapter>) -> Fault {
    let text = fault.to_string();
    match adapter {
        Some(adapter) if matches!(fault.status(), Some(400 | 404)) && text.contains(&adapter.name) => {
            Fault::OtherWeights(format!("it does not hold the adapter any more: {text}"))
        }
        _ => fault_of(fault),
    }
}

/// What an answer that is none means for the request that it was to.
pub(crate) fn fault_of(fault: &HttpFault) -> Fault {
    let text = fault.to_string();
    match (fault, fault.status()) {
        (_, Some(400 | 413 | 422)) => Fault::Refused(text),
        (_, Some(429 | 503)) => Fault::Busy(text),
        (_, Some(401 | 403)) => Fault::Failed(told(fault)),
        (HttpFault::Broken(_) | HttpFault::Late(_), _) => Fault::Broken(text),
        _ => Fault::Failed(text),
    }
}

/// A question that brought nothing, in words with the remedy.
pub(crate) fn told(fault: &HttpFault) -> String {
    match fault.status() {
        Some(401 | 403) => format!("{fault}; see `key_file` and `key_variable` of its section"),
        _ => fault.to_string(),
    }
}

/// How a server calculates, by its number format and how its weights are quantised.
pub(crate) fn precision(format: &str, quantization: Option<&str>) -> String {
    let format = match format.trim_start_matches("torch.") {
        "float32" => "f32",
        "bfloat16" => "bf16",
        "float16" | "half" => "f16",
        other => other,
    };
    match quantization {
        Some(quantization) => format!("{format} ({quantization})"),
        None => format.to_owned(),
    }
}

/// Tokens that a response may have behind a prompt.
///
/// # Errors
/// When the prompt leaves no room.
pub(crate) fn room(context: u64, prompt: &[u32], remedy: &str) -> Result<u64, Fault> {
    let room = context.saturating_sub(prompt.len() as u64);
    if room == 0 {
        return Err(Fault::Refused(format!(
            "the prompt has {} tokens, and the server's context is {context}: start it with a larger {remedy}, or lower \
             `task.max_prompt_tokens`",
            prompt.len(),
        )));
    }
    Ok(room)
}

/// What both engines call by one name of how a response is sampled. All of it: a server fills what is left out from the
/// model's `generation_config.json`.
pub(crate) fn sampling_fields(request: &Request) -> Value {
    let sampling = &request.sampling;
    json!({
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": if sampling.top_k == 0 { -1 } else { i64::from(sampling.top_k) },
        "min_p": sampling.min_p,
        "repetition_penalty": sampling.repetition_penalty,
        "stop_token_ids": &request.stop_ids[..],
        "n": 1,
    })
}

/// The beginning of an answer, for people.
pub(crate) fn short(value: &Value) -> String {
    value.to_string().chars().take(200).collect()
}

/// The seed as engines take it, of 63 bits.
pub(crate) const fn signed_seed(request: &Request) -> u64 {
    request.seed >> 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_error_means_follows_from_its_status() {
        let status = |status| HttpFault::Status { status, text: "t".to_owned() };
        assert!(matches!(fault_of(&status(400)), Fault::Refused(_)));
        assert!(matches!(fault_of(&status(503)), Fault::Busy(_)));
        assert!(matches!(fault_of(&status(429)), Fault::Busy(_)));
        assert!(matches!(fault_of(&status(500)), Fault::Failed(_)));
        assert!(matches!(fault_of(&status(401)), Fault::Failed(reason) if reason.contains("key_file")));
        assert!(matches!(fault_of(&HttpFault::Broken(String::new())), Fault::Broken(_)));
    }

    #[test]
    fn a_precision_is_told_in_the_words_of_every_engine() {
        assert_eq!(precision("torch.float32", None), "f32");
        assert_eq!(precision("bfloat16", Some("fp8")), "bf16 (fp8)");
    }
}
