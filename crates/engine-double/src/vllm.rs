//! What a double answers that speaks as vLLM does, in its own words.

use hyper::Method;
use serde_json::{Value, json};
use still_domain::FinishReason;

use crate::{
    adapter::AdapterFault,
    fault::Fault,
    model::{Drawn, Order},
    protocol::{Answer, Body, Sampling, error, not_found, ok, read},
    server::{Dropped, Process},
};

/// What it calls the model that it was started with.
const BASE: &str = "policy";

/// Answers a question.
pub(crate) async fn obey(
    process: &Process,
    method: &Method,
    path: &str,
    query: &str,
    json: &Value,
    fault: Option<&Fault>,
) -> Result<Answer, Dropped> {
    let is_get = method == Method::GET;
    Ok(match (path, is_get) {
        ("/health", true) => (200, Body::Text(String::new())),
        ("/version", true) => ok(json!({"version": "0.32.0"})),
        ("/v1/models", true) => ok(json!({"object": "list", "data": process.models(BASE).await?})),
        ("/v1/load_lora_adapter", false) => load_adapter(process, json, fault).await?,
        ("/v1/unload_lora_adapter", false) => {
            if process.options.max_lora_rank.is_none() {
                not_found()
            } else if process.unload_adapter(json).await? {
                (200, Body::Text("Success: LoRA adapter removed successfully.".to_owned()))
            } else {
                error(404, "NotFoundError", "The lora adapter cannot be found.")
            }
        }
        ("/metrics", true) => metrics(process).await?,
        ("/inference/v1/generate", false) if !process.options.has_generate => {
            error(403, "PermissionDeniedError", "start it with --enable-scale-out")
        }
        ("/inference/v1/generate" | "/v1/completions", false) => draw(process, path, json).await?,
        _ if !process.options.is_development => not_found(),
        ("/server_info", true) => {
            let lora =
                process.options.max_lora_rank.map(|rank| json!({"max_lora_rank": rank, "max_loras": 2}));
            ok(json!({"vllm_config": {
                "model_config": {"dtype": "torch.float32", "quantization": null}, "lora_config": lora
            }}))
        }
        ("/is_paused", true) => ok(json!({"is_paused": process.is_paused()})),
        ("/is_sleeping", true) => ok(json!({"is_sleeping": process.is_sleeping()})),
        ("/sleep", false) => {
            process.set_sleeping(true);
            process.set_paused(true);
            process.order(Order::CancelAll)?;
            process.order(Order::Pause(true))?;
            ok(json!({"status": "sleeping", "level": 1}))
        }
        ("/wake_up", false) => {
            process.order(Order::Pause(false))?;
            process.set_paused(false);
            process.set_sleeping(false);
            ok(json!({"status": "awake", "tags": null}))
        }
        // what lies in memory that was let go can be neither replaced nor used: a server ends at that
        ("/collective_rpc" | "/resume", false) if process.is_sleeping() => return Err(Dropped),
        ("/pause", false) => {
            process.set_paused(true);
            if query.contains("mode=abort") || !query.contains("mode=") {
                process.order(Order::CancelAll)?;
            }
            process.order(Order::Pause(true))?;
            ok(json!({"status": "paused"}))
        }
        ("/resume", false) => {
            process.order(Order::Pause(false))?;
            process.set_paused(false);
            ok(json!({"status": "resumed"}))
        }
        ("/collective_rpc", false) => {
            let folder = json["kwargs"]["weights_path"].as_str().unwrap_or_default().into();
            if json["method"] != "reload_weights" {
                return Ok(error(500, "InternalServerError", "no such method"));
            }
            match process.ask(|answer| Order::Load { folder, answer }).await? {
                Ok(()) => ok(json!({"results": [null]})),
                Err(reason) => error(500, "InternalServerError", &reason),
            }
        }
        ("/reset_prefix_cache", false) => {
            process.order(Order::ResetCache)?;
            ok(json!({"success": true}))
        }
        ("/update_weight_version", false) => {
            process.name_weights(json["new_version"].as_str().unwrap_or_default())?;
            ok(json!({"success": true}))
        }
        ("/weight_info", true) => ok(json!({"weight_version": process.weights_name()})),
        _ => not_found(),
    })
}

async fn load_adapter(process: &Process, json: &Value, fault: Option<&Fault>) -> Result<Answer, Dropped> {
    if process.options.max_lora_rank.is_none() {
        return Ok(not_found());
    }
    Ok(match process.load_adapter(json, fault).await? {
        Ok(()) => (200, Body::Text("Success: LoRA adapter added successfully.".to_owned())),
        Err(AdapterFault::Known) => {
            error(400, "InvalidUserInput", "The lora adapter has already been loaded.")
        }
        Err(AdapterFault::Missing) => error(404, "NotFoundError", "No adapter found for it"),
        Err(AdapterFault::Unfit(reason)) => error(500, "InternalServerError", &reason),
    })
}

async fn draw(process: &Process, path: &str, json: &Value) -> Result<Answer, Dropped> {
    let is_generate = path == "/inference/v1/generate";
    let adapter = json["model"].as_str().filter(|model| *model != BASE);
    if let Some(model) = adapter
        && !process.ask(Order::Adapters).await?.iter().any(|name| name == model)
    {
        return Ok(error(404, "NotFoundError", &format!("The model `{model}` does not exist.")));
    }
    let (prompt, parameters) =
        if is_generate { (&json["token_ids"], &json["sampling_params"]) } else { (&json["prompt"], json) };
    let names = Sampling { longest: "max_tokens", seed: "seed" };
    let mut draw = match read(prompt, parameters, &names, &process.sizes) {
        Ok(read) => read,
        Err(reason) => return Ok(error(400, "BadRequestError", &reason)),
    };
    draw.adapter = adapter.map(str::to_owned);
    // cut silently at the context's end
    let room = process.sizes.context - draw.prompt.len();
    draw.settings.max_new_tokens = draw.settings.max_new_tokens.min(room as u32);
    if process.is_paused() && process.options.refuses_while_paused {
        return Ok(error(503, "ServiceUnavailableError", "it is paused"));
    }
    let ids = draw.prompt.clone();
    let (scored, drawn) = match process.draw(draw, !parameters["prompt_logprobs"].is_null()).await? {
        Ok(drawn) => drawn,
        Err(reason) => return Ok(error(400, "BadRequestError", &reason)),
    };
    if is_generate {
        return Ok(generated(&ids, &drawn, scored.as_deref(), &json["request_id"]));
    }
    Ok(completed(&ids, &drawn, scored.as_deref(), json["return_token_ids"] == json!(true)))
}

async fn metrics(process: &Process) -> Result<Answer, Dropped> {
    let busy = process.ask(Order::Busy).await?;
    let share = busy.running as f64 / busy.slots.max(1) as f64 * 0.5;
    let (running, waiting, tokens) = (busy.running, busy.waiting, busy.tokens);
    let (ended, aborted) = (busy.ended, busy.aborted);
    let label = "{engine=\"0\",model_name=\"policy\"}";
    Ok((
        200,
        Body::Text(format!(
            "# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{label} {running}.0\n\
             vllm:num_requests_waiting{label} {waiting}.0\nvllm:kv_cache_usage_perc{label} {share}\n\
             vllm:generation_tokens_total{label} {tokens}.0\nvllm:prompt_tokens_total{label} 0.0\n\
             vllm:request_success_total{{finished_reason=\"stop\"}} {ended}.0\n\
             vllm:request_success_total{{finished_reason=\"abort\"}} {aborted}.0\n"
        )),
    ))
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

/// The answer of `/inference/v1/generate`.
fn generated(prompt: &[u32], drawn: &Drawn, scored: Option<&[f32]>, name: &Value) -> Answer {
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
            "weight_versions": drawn.spans(), "logprobs": {"content": content}
        }]
    }))
}

/// The answer of `/v1/completions`.
fn completed(prompt: &[u32], drawn: &Drawn, scored: Option<&[f32]>, wants_ids: bool) -> Answer {
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
