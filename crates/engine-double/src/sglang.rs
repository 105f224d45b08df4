//! What a double answers that speaks as `SGLang` 0.5.23 does, as its files have it.

use hyper::Method;
use serde_json::{Value, json};
use still_domain::FinishReason;

use crate::{
    adapter::AdapterFault,
    fault::Fault,
    model::{Drawn, Order},
    protocol::{Answer, Body, Sampling, not_found, ok, read},
    server::{Dropped, Process},
};

/// What `sampling_params` may hold: anything else is refused.
const PARAMETERS: &[&str] = &[
    "max_new_tokens",
    "stop",
    "stop_token_ids",
    "stop_regex",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
    "min_new_tokens",
    "n",
    "ignore_eos",
    "skip_special_tokens",
    "spaces_between_special_tokens",
    "no_stop_trim",
    "logit_bias",
    "sampling_seed",
    "custom_params",
];

/// Answers a question.
pub(crate) async fn obey(
    process: &Process,
    method: &Method,
    path: &str,
    json: &Value,
    fault: Option<&Fault>,
) -> Result<Answer, Dropped> {
    let is_get = method == Method::GET;
    Ok(match (path, is_get) {
        ("/model_info", true) => {
            let path = process.model_path();
            ok(json!({
                "model_path": path, "served_model_name": path, "is_generation": true,
                "weight_version": process.weights_name()
            }))
        }
        ("/v1/models", true) => {
            ok(json!({"object": "list", "data": process.models(&process.model_path()).await?}))
        }
        ("/server_info", true) => ok(json!({
            "version": "0.5.23", "dtype": "float32", "quantization": null, "internal_states": [{}],
            "enable_lora": process.options.max_lora_rank.is_some(), "max_lora_rank": process.options.max_lora_rank
        })),
        ("/ready", true) if process.is_paused() => (503, Body::Text(String::new())),
        ("/ready", true) => (200, Body::Text(String::new())),
        ("/v1/loads", true) => loads(process).await?,
        ("/generate", false) => draw(process, json).await?,
        ("/pause_generation", false) => {
            process.set_paused(true);
            if json["mode"].is_null() || json["mode"] == "abort" {
                process.order(Order::CancelAll)?;
            }
            process.order(Order::Pause(true))?;
            ok(json!({"message": "Generation paused successfully.", "status": "ok"}))
        }
        ("/continue_generation", false) => {
            process.order(Order::Pause(false))?;
            process.set_paused(false);
            ok(json!({"message": "Generation continued successfully.", "status": "ok"}))
        }
        ("/update_weights_from_disk", false) => update(process, json, fault).await?,
        ("/load_lora_adapter" | "/unload_lora_adapter", false) => adapter(process, path, json, fault).await?,
        ("/flush_cache", _) => {
            process.order(Order::ResetCache)?;
            (200, Body::Text("Cache flushed.\n".to_owned()))
        }
        ("/update_weight_version", false) => {
            // true where it is not told: a call that seems harmless ends what others draw
            if json["abort_all_requests"] != json!(false) {
                process.order(Order::CancelAll)?;
            }
            process.name_weights(json["new_version"].as_str().unwrap_or_default())?;
            ok(json!({"success": true, "new_version": process.weights_name()}))
        }
        _ => not_found(),
    })
}

async fn adapter(
    process: &Process,
    path: &str,
    json: &Value,
    fault: Option<&Fault>,
) -> Result<Answer, Dropped> {
    let refused = |reason: &str| (400, Body::Json(json!({"success": false, "error_message": reason})));
    if process.options.max_lora_rank.is_none() {
        return Ok(refused("LoRA is not enabled. Please set `--enable-lora` to enable LoRA."));
    }
    if path == "/unload_lora_adapter" {
        let is_there = process.unload_adapter(json).await?;
        return Ok(if is_there { ok(json!({"success": true})) } else { refused("it is not loaded") });
    }
    Ok(match process.load_adapter(json, fault).await? {
        Ok(()) => ok(json!({"success": true, "loaded_adapters": {}})),
        Err(AdapterFault::Known) => refused("it is loaded already"),
        Err(AdapterFault::Missing) => refused("there is no such folder"),
        Err(AdapterFault::Unfit(reason)) => refused(&reason),
    })
}

async fn update(process: &Process, json: &Value, fault: Option<&Fault>) -> Result<Answer, Dropped> {
    let folder = json["model_path"].as_str().unwrap_or_default().to_owned();
    // the path is set before anything is read
    process.set_model_path(&folder);
    let loaded = process.ask(|answer| Order::Load { folder: folder.into(), answer }).await?;
    let refused = |message: &str| {
        let body = json!({"success": false, "message": message, "num_paused_requests": 0});
        Ok((400, Body::Json(body)))
    };
    if let Err(reason) = loaded {
        return refused(&format!("Failed to update weights: {reason}. Rolling back to original weights."));
    }
    if fault == Some(&Fault::InPart) {
        return refused("Cache flush failed after updating weights");
    }
    if json["flush_cache"] != json!(false) {
        process.order(Order::ResetCache)?;
    }
    if let Some(name) = json["weight_version"].as_str() {
        process.name_weights(name)?;
    }
    Ok(ok(
        json!({"success": true, "message": "Succeeded to update model weights.", "num_paused_requests": 0}),
    ))
}

fn bad(message: &str) -> Answer {
    (400, Body::Json(json!({"error": {"message": message, "type": "BadRequestError", "code": 400}})))
}

async fn draw(process: &Process, json: &Value) -> Result<Answer, Dropped> {
    let parameters = &json["sampling_params"];
    let unknown = parameters.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    if let Some(unknown) = unknown.into_iter().find(|name| !PARAMETERS.contains(name)) {
        let message = format!("sampling_params: unknown key `{unknown}`");
        return Ok((400, Body::Json(json!({"error": message}))));
    }
    let names = Sampling { longest: "max_new_tokens", seed: "sampling_seed" };
    let mut draw = match read(&json["input_ids"], parameters, &names, &process.sizes) {
        Ok(read) => read,
        Err(reason) => return Ok(bad(&reason)),
    };
    let adapter = json["lora_path"].as_str();
    if let Some(name) = adapter
        && !process.ask(Order::Adapters).await?.iter().any(|one| one == name)
    {
        return Ok(bad(&format!("The following requested LoRA adapters are not loaded: {name}")));
    }
    draw.adapter = adapter.map(str::to_owned);
    let total = draw.prompt.len() + draw.settings.max_new_tokens as usize;
    if total > process.sizes.context {
        return Ok(bad(&format!(
            "Requested token count exceeds the model's maximum context length of {} tokens. You requested a total of \
             {total} tokens",
            process.sizes.context
        )));
    }
    let (ids, is_scored) = (draw.prompt.clone(), json["logprob_start_len"] == json!(0));
    let (scored, drawn) = match process.draw(draw, is_scored).await? {
        Ok(drawn) => drawn,
        Err(reason) => return Ok(bad(&reason)),
    };
    Ok(answered(process, &ids, &drawn, scored.as_deref(), json))
}

fn answered(
    process: &Process,
    prompt: &[u32],
    drawn: &Drawn,
    scored: Option<&[f32]>,
    json: &Value,
) -> Answer {
    let finish = match drawn.finish {
        None | Some(FinishReason::Cancelled) => {
            json!({"type": "abort", "message": "Aborted", "status_code": null, "err_type": null})
        }
        Some(FinishReason::Length | FinishReason::Repetition) => {
            json!({"type": "length", "length": drawn.tokens.len()})
        }
        Some(FinishReason::Stop | FinishReason::StopString) => {
            json!({"type": "stop", "matched": drawn.tokens.last()})
        }
    };
    let mut meta = json!({
        "id": json["rid"], "finish_reason": finish, "prompt_tokens": prompt.len(),
        "completion_tokens": drawn.tokens.len(), "weight_version": process.weights_name(),
        "weight_versions": drawn.spans()
    });
    if json["return_logprob"] == json!(true) {
        // of the distribution that was drawn from
        let values = drawn.tokens.iter().zip(&drawn.sampling_log_probabilities);
        meta["output_token_logprobs"] = values.map(|(token, value)| json!([value, token, null])).collect();
        if let Some(scored) = scored {
            let mut values = vec![json!([null, prompt.first(), null])];
            values
                .extend(prompt.iter().skip(1).zip(scored).map(|(token, value)| json!([value, token, null])));
            meta["input_token_logprobs"] = values.into();
        }
    }
    // what ended it is left out of the ids, as it is of the text
    let is_stopped = matches!(drawn.finish, Some(FinishReason::Stop | FinishReason::StopString));
    let kept = drawn.tokens.len() - usize::from(is_stopped);
    ok(json!({"text": "", "output_ids": drawn.tokens[..kept], "meta_info": meta}))
}

async fn loads(process: &Process) -> Result<Answer, Dropped> {
    let busy = process.ask(Order::Busy).await?;
    Ok(ok(json!({"version": "0.5.23", "loads": [{
        "dp_rank": 0, "num_running_reqs": busy.running, "num_waiting_reqs": busy.waiting,
        "num_used_tokens": busy.running * 10, "total_prefill_uncached_tokens": busy.tokens,
        "token_usage": busy.running as f64 / busy.slots.max(1) as f64 * 0.5, "gen_throughput": 100.0
    }]})))
}
