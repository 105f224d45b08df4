//! vLLM by its own interface: tokens in and out, weights from a folder, load from its metrics.
//!
//! | what | how |
//! |---|---|
//! | a response | `/inference/v1/generate`, which tells the weights' version of every token; where it is off, `/v1/completions` |
//! | a score | the same with `prompt_logprobs` |
//! | new weights | pause, `reload_weights`, prefix cache, version, resume, probe |
//! | an adapter | `/v1/load_lora_adapter`, `/v1/unload_lora_adapter`, and its name as the model's |
//! | load | `/metrics` and `/is_paused` |
//!
//! What the server does on its own was seen on a live one: docs/engines.md.

use std::{path::Path, time::Duration};

use serde_json::{Value, json};
use still_domain::FinishReason;

use crate::{
    endpoint::{About, Adapter, AdapterLimits, Endpoint, Prepared},
    engine::{Fault, Load, Request, Response, Scores},
    http::HttpFault,
    metrics::Metrics,
    protocol::{
        LoadFault, Look, Protocol, adapter_names, fault_of_request, precision, room, sampling_fields, short,
        signed_seed, told,
    },
};

/// Responses with token ids and the weights' version.
const GENERATE: &str = "/inference/v1/generate";
/// Responses where the other is off.
const COMPLETIONS: &str = "/v1/completions";
/// Takes an adapter off it.
const UNLOAD: &str = "/v1/unload_lora_adapter";
/// Tries to empty the prefix cache: blocks of requests that were just ended may still be held.
const CACHE_TRIES: u32 = 20;
/// Between two of them.
const CACHE_WAIT: Duration = Duration::from_millis(250);
/// Longest log-probability that is none.
const NO_LOG_PROBABILITY: &str = "a token has no log-probability";

/// The protocol.
pub(crate) struct Vllm;

impl Protocol for Vllm {
    const CONTEXT_OPTION: &'static str = "--max-model-len";

    async fn look(endpoint: &Endpoint) -> Result<Look, String> {
        let (http, word) = (&endpoint.http, endpoint.patience.word);
        http.text("/health", endpoint.patience.sign).await.map_err(|fault| told(&fault))?;
        let models = http.get("/v1/models", word).await.map_err(|fault| told(&fault))?;
        let base = models["data"].as_array().into_iter().flatten().find(|model| model["parent"].is_null());
        let model =
            base.and_then(|model| model["id"].as_str()).ok_or("it serves no model: /v1/models is empty")?;
        let context = base.and_then(|model| model["max_model_len"].as_u64()).unwrap_or(u64::MAX);
        let (is_paused, version) = (is_paused(endpoint).await?, weight_version(endpoint).await?);
        let engine = http.get("/version", word).await.unwrap_or_default();
        let config = http.get("/server_info?config_format=json", word).await.unwrap_or_default();
        let lora = &config["vllm_config"]["lora_config"];
        let adapters = if lora.is_object() && takes_adapters(endpoint).await {
            Some(AdapterLimits { max_rank: lora["max_lora_rank"].as_u64() })
        } else {
            None
        };
        let config = &config["vllm_config"]["model_config"];
        let about = About {
            model: model.to_owned(),
            context,
            has_generate: None,
            version: engine["version"].as_str().map(str::to_owned),
            precision: config["dtype"]
                .as_str()
                .map(|format| precision(format, config["quantization"].as_str())),
            adapters,
        };
        Ok(Look { about, is_paused, version, adapters: adapter_names(&models) })
    }

    async fn pause(endpoint: &Endpoint) -> Result<(), String> {
        let paused = endpoint.http.post("/pause?mode=abort", None, Some(endpoint.patience.word)).await;
        paused.map(drop).map_err(|fault| told(&fault))
    }

    async fn load(endpoint: &Endpoint, policy: &Prepared, version: &str) -> Result<(), LoadFault> {
        let folder = policy.publication.folder().display().to_string();
        let body = json!({"method": "reload_weights", "kwargs": {"weights_path": folder}});
        let loaded = endpoint.http.post("/collective_rpc", Some(&body), Some(endpoint.patience.load)).await;
        loaded.map_err(|fault| LoadFault { reason: told(&fault), is_whole: false })?;
        let renewed = async {
            empty_cache(endpoint).await?;
            Self::name(endpoint, version).await
        };
        renewed.await.map_err(|reason| LoadFault { reason, is_whole: true })
    }

    async fn name(endpoint: &Endpoint, version: &str) -> Result<(), String> {
        let body = json!({"new_version": version});
        let (http, word) = (&endpoint.http, endpoint.patience.word);
        let named = http.post("/update_weight_version", Some(&body), Some(word)).await;
        named.map(drop).map_err(|fault| told(&fault))
    }

    async fn resume(endpoint: &Endpoint) -> Result<(), String> {
        let resumed = endpoint.http.post("/resume", None, Some(endpoint.patience.word)).await;
        resumed.map_err(|fault| told(&fault))?;
        if is_paused(endpoint).await? { Err("it is still paused after /resume".to_owned()) } else { Ok(()) }
    }

    async fn version(endpoint: &Endpoint) -> Result<String, String> {
        weight_version(endpoint).await
    }

    async fn poll(endpoint: &Endpoint) -> Result<Load, String> {
        poll(endpoint).await
    }

    async fn generate(endpoint: &Endpoint, request: &Request) -> Result<Response, Fault> {
        generate(endpoint, request).await
    }

    async fn score(endpoint: &Endpoint, adapter: Option<&Adapter>, tokens: &[u32]) -> Result<Scores, Fault> {
        score(endpoint, adapter, tokens).await
    }

    async fn load_adapter(endpoint: &Endpoint, adapter: &Adapter, folder: &Path) -> Result<(), HttpFault> {
        let body = json!({"lora_name": adapter.name, "lora_path": folder});
        endpoint.http.order("/v1/load_lora_adapter", Some(&body), endpoint.patience.load).await
    }

    async fn unload_adapter(endpoint: &Endpoint, name: &str) -> Result<(), HttpFault> {
        let body = json!({"lora_name": name});
        endpoint.http.order(UNLOAD, Some(&body), endpoint.patience.word).await
    }
}

/// Whether adapters can be given to it while it runs: the way is there, and knows no adapter of this name.
async fn takes_adapters(endpoint: &Endpoint) -> bool {
    let body = json!({"lora_name": "still-none"});
    match endpoint.http.order(UNLOAD, Some(&body), endpoint.patience.word).await {
        Ok(()) => true,
        Err(fault) => fault.status() == Some(404) && fault.to_string().contains("adapter"),
    }
}

/// Has it forget what the weights before have computed.
async fn empty_cache(endpoint: &Endpoint) -> Result<(), String> {
    let mut tries = 0;
    loop {
        let answer = endpoint
            .http
            .post("/reset_prefix_cache", None, Some(endpoint.patience.word))
            .await
            .map_err(|fault| told(&fault))?;
        if answer["success"] != json!(false) {
            return Ok(());
        }
        tries += 1;
        if tries == CACHE_TRIES {
            return Err(
                "its prefix cache cannot be emptied: it would mix keys and values of two policies".to_owned()
            );
        }
        tokio::time::sleep(CACHE_WAIT).await;
    }
}

async fn weight_version(endpoint: &Endpoint) -> Result<String, String> {
    let answer = endpoint.http.get("/weight_info", endpoint.patience.word).await;
    let answer = answer.map_err(|fault| no_development_mode(&fault))?;
    answer["weight_version"]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| format!("/weight_info tells no version: {answer}"))
}

async fn is_paused(endpoint: &Endpoint) -> Result<bool, String> {
    let answer = endpoint.http.get("/is_paused", endpoint.patience.sign).await;
    let answer = answer.map_err(|fault| no_development_mode(&fault))?;
    answer["is_paused"].as_bool().ok_or_else(|| format!("/is_paused does not say: {answer}"))
}

/// What a server says of its load.
async fn poll(endpoint: &Endpoint) -> Result<Load, String> {
    let text = endpoint.http.text("/metrics", endpoint.patience.sign).await.map_err(|fault| told(&fault))?;
    let metrics = Metrics::of(&text);
    let sum = |name| metrics.sum(name).ok_or_else(|| format!("/metrics has no {name}"));
    Ok(Load {
        running: sum("vllm:num_requests_running")? as u64,
        waiting: sum("vllm:num_requests_waiting")? as u64,
        cache_share: metrics.most("vllm:kv_cache_usage_perc").unwrap_or(0.0),
        generated_tokens: (sum("vllm:generation_tokens_total")?
            + metrics.sum("vllm:prompt_tokens_total").unwrap_or(0.0)) as u64,
        tokens_per_second: None,
        is_paused: is_paused(endpoint).await?,
    })
}

/// Asks for a response.
async fn generate(endpoint: &Endpoint, request: &Request) -> Result<Response, Fault> {
    let about = endpoint.about().ok_or_else(|| Fault::Failed("nothing is known of the server".to_owned()))?;
    let room = room(about.context, &request.prompt, Vllm::CONTEXT_OPTION)?;
    let model = request.adapter.as_ref().map_or(&about.model, |adapter| &adapter.name);
    let mut body = sampling_fields(request);
    body["max_tokens"] = json!(u64::from(request.sampling.max_new_tokens).min(room));
    body["seed"] = json!(signed_seed(request));
    body["logprobs"] = json!(0);
    let path = if about.has_generate == Some(false) { COMPLETIONS } else { GENERATE };
    if path == GENERATE {
        body = json!({
            "model": model, "request_id": request.name, "token_ids": request.prompt, "sampling_params": body,
            "cache_salt": request.version
        });
    } else {
        let fields = [
            ("model", json!(model)),
            ("prompt", json!(request.prompt)),
            ("return_token_ids", json!(true)),
            ("return_weight_versions", json!(true)),
            ("cache_salt", json!(request.version)),
        ];
        for (name, value) in fields {
            body[name] = value;
        }
    }
    let answer = endpoint.http.post(path, Some(&body), None).await;
    let answer = answer.map_err(|fault| fault_of_request(&fault, request.adapter.as_deref()))?;
    let choice = &answer["choices"][0];
    let (response, versions) = read_choice(choice, path == GENERATE)?;
    match versions {
        Some(versions) if versions.iter().all(|version| *version == request.version) => {}
        Some(versions) => {
            return Err(Fault::OtherWeights(format!(
                "it was drawn by weights called {versions:?} and not `{}`",
                request.version
            )));
        }
        None => {
            // a name is given once: weights that have it now had it then
            let now = weight_version(endpoint).await.map_err(Fault::Broken)?;
            if now != request.version {
                let reason = format!("the server's weights are called `{now}` and not `{}`", request.version);
                return Err(Fault::OtherWeights(reason));
            }
        }
    }
    Ok(response)
}

/// A response, and the versions that its tokens were drawn with, where they are told.
fn read_choice(choice: &Value, is_generate: bool) -> Result<(Response, Option<Vec<String>>), Fault> {
    let failed = |reason: &str| Fault::Failed(format!("an answer that is none: {reason}: {}", short(choice)));
    let finish = match choice["finish_reason"].as_str() {
        Some("stop") => FinishReason::Stop,
        Some("length") => FinishReason::Length,
        Some("repetition") => FinishReason::Repetition,
        Some("abort") => return Err(Fault::Aborted("the server ended it before its time".to_owned())),
        _ => return Err(failed("no known reason of its end")),
    };
    let ids = choice["token_ids"].as_array().ok_or_else(|| failed("no token ids"))?;
    let tokens: Vec<u32> = ids.iter().filter_map(|id| u32::try_from(id.as_u64()?).ok()).collect();
    let logprobs = &choice["logprobs"];
    let values: Vec<&Value> = if is_generate {
        let content = logprobs["content"].as_array().ok_or_else(|| failed("no log-probabilities"))?;
        let is_of_tokens = content
            .iter()
            .zip(&tokens)
            .all(|(one, token)| one["token_id"].as_u64() == Some(u64::from(*token)));
        if !is_of_tokens {
            return Err(failed("log-probabilities of other tokens"));
        }
        content.iter().map(|one| &one["logprob"]).collect()
    } else {
        let values = logprobs["token_logprobs"].as_array().ok_or_else(|| failed("no log-probabilities"))?;
        values.iter().collect()
    };
    let log_probabilities: Vec<f32> =
        values.iter().filter_map(|value| value.as_f64()).map(|value| value as f32).collect();
    if tokens.len() != ids.len() || tokens.is_empty() || log_probabilities.len() != tokens.len() {
        return Err(failed("tokens and log-probabilities are not of one length"));
    }
    Ok((Response { tokens, log_probabilities, finish }, versions(choice)))
}

/// What a choice says of the weights that drew its tokens, and read its prompt before.
fn versions(choice: &Value) -> Option<Vec<String>> {
    let spans = choice["weight_versions"].as_array()?;
    Some(spans.iter().map(|span| span["version"].as_str().unwrap_or_default().to_owned()).collect())
}

/// What it thinks of a text: one token is drawn after it, whose weights are told where those of a response are.
async fn score(endpoint: &Endpoint, adapter: Option<&Adapter>, tokens: &[u32]) -> Result<Scores, Fault> {
    let about = endpoint.about().ok_or_else(|| Fault::Failed("nothing is known of the server".to_owned()))?;
    let model = adapter.map_or(&about.model, |adapter| &adapter.name);
    let fault = |fault: HttpFault| fault_of_request(&fault, adapter);
    if about.has_generate != Some(false) {
        let body = json!({
            "model": model, "token_ids": tokens,
            "sampling_params": {"max_tokens": 1, "temperature": 1.0, "prompt_logprobs": 0}
        });
        match endpoint.http.post(GENERATE, Some(&body), Some(endpoint.patience.load)).await {
            // it is off
            Err(HttpFault::Status { status: 403 | 404 | 405 | 501, text }) if !text.contains(model) => {}
            answer => {
                let answer = answer.map_err(fault)?;
                endpoint.set_has_generate(true);
                return read_scores(&answer["choices"][0], &answer["prompt_logprobs"], tokens);
            }
        }
    }
    let body = json!({
        "model": model, "prompt": tokens, "max_tokens": 1, "temperature": 1.0, "prompt_logprobs": 0,
        "return_weight_versions": true
    });
    let answer = endpoint.http.post(COMPLETIONS, Some(&body), Some(endpoint.patience.load)).await;
    let answer = answer.map_err(fault)?;
    endpoint.set_has_generate(false);
    let choice = &answer["choices"][0];
    read_scores(choice, &choice["prompt_logprobs"], tokens)
}

fn read_scores(choice: &Value, values: &Value, tokens: &[u32]) -> Result<Scores, Fault> {
    if choice["finish_reason"] == "abort" {
        return Err(Fault::Aborted("the server ended it before its time".to_owned()));
    }
    let none = || Fault::Failed(NO_LOG_PROBABILITY.to_owned());
    let values = values.as_array().filter(|values| values.len() == tokens.len()).ok_or_else(none)?;
    // by the token itself: the most likely one may stand beside it
    let of = |(value, token): (&Value, &u32)| {
        value[token.to_string()]["logprob"].as_f64().map(|value| value as f32)
    };
    let log_probabilities: Option<_> = values.iter().zip(tokens).skip(1).map(of).collect();
    Ok(Scores { log_probabilities: log_probabilities.ok_or_else(none)?, versions: versions(choice) })
}

fn no_development_mode(fault: &HttpFault) -> String {
    match fault.status() {
        Some(404) => {
            format!("{fault}: start it with VLLM_SERVER_DEV_MODE=1, so that it can be given weights")
        }
        _ => told(fault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(finish: &str) -> Value {
        json!({
            "index": 0, "finish_reason": finish, "stop_reason": null, "token_ids": [7042, 2],
            "weight_versions": [{"version": "v1", "start": 0, "end": 2}],
            "logprobs": {"content": [
                {"token_id": 7042, "logprob": -0.25, "rank": 1, "top_logprobs": []},
                {"token_id": 2, "logprob": -1.5, "rank": 3, "top_logprobs": []}
            ]}
        })
    }

    #[test]
    fn a_choice_is_read_whole_or_not_at_all() {
        let (response, versions) = read_choice(&choice("stop"), true).unwrap();
        assert_eq!(response.tokens, [7042, 2]);
        assert_eq!(response.log_probabilities, [-0.25, -1.5]);
        assert_eq!((response.finish, versions), (FinishReason::Stop, Some(vec!["v1".to_owned()])));
        for (finish, expected) in [("length", FinishReason::Length), ("repetition", FinishReason::Repetition)]
        {
            assert_eq!(read_choice(&choice(finish), true).unwrap().0.finish, expected);
        }
        assert!(matches!(read_choice(&choice("abort"), true), Err(Fault::Aborted(_))));
        assert!(matches!(read_choice(&choice("of something new"), true), Err(Fault::Failed(_))));
        let mut other = choice("stop");
        other["logprobs"]["content"][1]["token_id"] = json!(3);
        assert!(matches!(read_choice(&other, true), Err(Fault::Failed(_))));
        let mut fewer = choice("stop");
        fewer["token_ids"] = json!([7042, 2, 5]);
        assert!(matches!(read_choice(&fewer, true), Err(Fault::Failed(_))));
        let plain = json!({
            "finish_reason": "stop", "token_ids": [5], "logprobs": {"token_logprobs": [-0.5]}
        });
        let (response, versions) = read_choice(&plain, false).unwrap();
        assert_eq!((response.log_probabilities, versions), (vec![-0.5], None));
    }

    #[test]
    fn a_score_is_looked_up_by_its_token() {
        let values =
            json!([null, {"9": {"logprob": -0.1}, "5": {"logprob": -3.5}}, {"7": {"logprob": -2.0}}]);
        let scores = read_scores(&choice("length"), &values, &[1, 5, 7]).unwrap();
        assert_eq!(
            (scores.log_probabilities, scores.versions),
            (vec![-3.5, -2.0], Some(vec!["v1".to_owned()]))
        );
        assert!(read_scores(&choice("length"), &values, &[1, 4, 7]).is_err());
        assert!(read_scores(&choice("length"), &values, &[1, 5]).is_err());
        // whatever an answer holds that was broken off
        let aborted = read_scores(&choice("abort"), &values, &[1, 5, 7]);
        assert!(matches!(aborted, Err(Fault::Aborted(_))), "{aborted:?}");
    }
}
