//! What a double answers that speaks as `OpenAI`'s servers do with a model behind it: ids in, texts out, and no way to other
//! weights.

use hyper::Method;
use serde_json::{Value, json};
use still_domain::FinishReason;
use still_text::Tokenizer;

use crate::{
    model::Drawn,
    protocol::{Answer, Sampling, error, not_found, ok, read},
    server::{Dropped, Process},
};

/// The model's name there.
const MODEL: &str = "policy";

/// Answers a question.
pub(crate) async fn obey(
    process: &Process,
    tokenizer: &Tokenizer,
    method: &Method,
    path: &str,
    json: &Value,
) -> Result<Answer, Dropped> {
    match (path, method == Method::GET) {
        ("/v1/models", true) => {
            Ok(ok(json!({"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "still"}]})))
        }
        ("/v1/completions", false) => complete(process, tokenizer, json).await,
        _ => Ok(not_found()),
    }
}

async fn complete(process: &Process, tokenizer: &Tokenizer, json: &Value) -> Result<Answer, Dropped> {
    if json["model"] != MODEL {
        return Ok(error(404, "NotFoundError", &format!("The model `{}` does not exist.", json["model"])));
    }
    let names = Sampling { longest: "max_tokens", seed: "seed" };
    let mut draw = match read(&json["prompt"], json, &names, &process.sizes) {
        Ok(read) => read,
        Err(reason) => return Ok(error(400, "BadRequestError", &reason)),
    };
    draw.stop_ids = tokenizer.stop_ids().to_vec();
    let (prompt, is_echoed) = (draw.prompt.clone(), json["echo"] == json!(true));
    let (scored, drawn) = match process.draw(draw, is_echoed).await? {
        Ok(drawn) => drawn,
        Err(reason) => return Ok(error(400, "BadRequestError", &reason)),
    };
    Ok(completed(tokenizer, &prompt, &drawn, scored.as_deref()))
}

fn completed(tokenizer: &Tokenizer, prompt: &[u32], drawn: &Drawn, scored: Option<&[f32]>) -> Answer {
    let reason = match drawn.finish {
        None | Some(FinishReason::Cancelled) => "abort",
        Some(FinishReason::Length | FinishReason::Repetition) => "length",
        Some(FinishReason::Stop | FinishReason::StopString) => "stop",
    };
    let (mut ids, mut values) = (Vec::new(), Vec::new());
    if let Some(scored) = scored {
        ids.extend_from_slice(prompt);
        values.push(Value::Null);
        values.extend(scored.iter().map(|value| json!(value)));
    }
    ids.extend_from_slice(&drawn.tokens);
    values.extend(drawn.log_probabilities.iter().map(|value| json!(value)));
    let piece = |id: &u32| tokenizer.decode(&[*id]).unwrap_or_default();
    ok(json!({
        "id": "cmpl-0", "object": "text_completion", "model": MODEL,
        "choices": [{
            "index": 0, "text": tokenizer.decode_without_special_tokens(&ids).unwrap_or_default(),
            "finish_reason": reason,
            "logprobs": {"tokens": ids.iter().map(piece).collect::<Vec<_>>(), "token_logprobs": values}
        }],
        "usage": {"prompt_tokens": prompt.len(), "completion_tokens": drawn.tokens.len()}
    }))
}
