//! `SGLang` by its own interface: tokens in and out, weights from a folder, load from its scheduler.
//!
//! | what | how |
//! |---|---|
//! | a response | `/generate`, which tells the weights' version of every token |
//! | a score | the same with the prompt's log-probabilities |
//! | new weights | `/pause_generation`, `/update_weights_from_disk` with their name, `/continue_generation`, probe |
//! | an adapter | `/load_lora_adapter`, `/unload_lora_adapter`, and its name as `lora_path` |
//! | load | `/v1/loads` and `/ready` |
//!
//! Read in the engine's files of version 0.5.23, not run against a live server. Where weights were replaced and the cache
//! could not be emptied the server answers as if the load had failed, and its way back from a failed load reads the path that
//! was just set: so a load that fails is tried once more after the cache is emptied, and weights count as what they are
//! called and as what the probe finds, never as what an answer says.

use std::path::Path;

use serde_json::{Value, json};
use still_domain::FinishReason;

use crate::{
    endpoint::{About, Adapter, AdapterLimits, Endpoint, Prepared},
    engine::{Fault, Load, Request, Response, Scores},
    http::HttpFault,
    protocol::{
        LoadFault, Look, Protocol, adapter_names, fault_of_request, precision, room, sampling_fields, short,
        signed_seed, told,
    },
};

/// Responses and scores.
const GENERATE: &str = "/generate";
/// How long the cache may take to be emptied, in seconds, once nothing is drawn any more.
const FLUSH: &str = "/flush_cache?timeout=10";
/// What is said of a score that is none.
const NO_LOG_PROBABILITY: &str = "a token has no log-probability";

/// The protocol.
pub(crate) struct Sglang;

impl Protocol for Sglang {
    const CONTEXT_OPTION: &'static str = "--context-length";

    async fn look(endpoint: &Endpoint) -> Result<Look, String> {
        let (http, word) = (&endpoint.http, endpoint.patience.word);
        let info = http.get("/model_info", endpoint.patience.sign).await.map_err(|fault| told(&fault))?;
        let models = http.get("/v1/models", word).await.map_err(|fault| told(&fault))?;
        let base = models["data"].as_array().into_iter().flatten().find(|model| model["parent"].is_null());
        let context = base.and_then(|model| model["max_model_len"].as_u64()).unwrap_or(u64::MAX);
        let server = http.get("/server_info", word).await.unwrap_or_default();
        let format = server["dtype"].as_str().filter(|format| *format != "auto");
        let about = About {
            model: info["served_model_name"].as_str().unwrap_or_default().to_owned(),
            context,
            has_generate: Some(true),
            version: server["version"].as_str().map(str::to_owned),
            precision: format.map(|format| precision(format, server["quantization"].as_str())),
            adapters: (server["enable_lora"] == json!(true))
                .then(|| AdapterLimits { max_rank: server["max_lora_rank"].as_u64() }),
        };
        let version = info["weight_version"].as_str().ok_or_else(|| {
            "/model_info tells no weight_version: a newer SGLang is wanted, one that names its weights"
                .to_owned()
        })?;
        let (is_paused, adapters) = (is_paused(endpoint).await?, adapter_names(&models));
        Ok(Look { about, is_paused, version: version.to_owned(), adapters })
    }

    async fn pause(endpoint: &Endpoint) -> Result<(), String> {
        let body = json!({"mode": "abort"});
        let paused = endpoint.http.post("/pause_generation", Some(&body), Some(endpoint.patience.load)).await;
        paused.map(drop).map_err(|fault| told(&fault))
    }

    async fn load(endpoint: &Endpoint, policy: &Prepared, version: &str) -> Result<(), LoadFault> {
        let folder = policy.publication.folder().display().to_string();
        let body = json!({
            "model_path": folder, "weight_version": version, "flush_cache": true, "abort_all_requests": false
        });
        let (http, patience) = (&endpoint.http, endpoint.patience);
        let load = || http.post("/update_weights_from_disk", Some(&body), Some(patience.load));
        let failed = |fault: &HttpFault| LoadFault { reason: told(fault), is_whole: false };
        if let Err(fault) = load().await {
            // the same answer says that the weights are there and that the cache could not be emptied
            if fault.status() != Some(400) || http.order(FLUSH, None, patience.load).await.is_err() {
                return Err(failed(&fault));
            }
            load().await.map_err(|fault| failed(&fault))?;
        }
        Ok(())
    }

    async fn name(endpoint: &Endpoint, version: &str) -> Result<(), String> {
        // by itself it would end what is drawn
        let body = json!({"new_version": version, "abort_all_requests": false});
        let (http, word) = (&endpoint.http, endpoint.patience.word);
        let named = http.post("/update_weight_version", Some(&body), Some(word)).await;
        named.map(drop).map_err(|fault| told(&fault))
    }

    async fn resume(endpoint: &Endpoint) -> Result<(), String> {
        let body = json!({});
        let resumed =
            endpoint.http.post("/continue_generation", Some(&body), Some(endpoint.patience.word)).await;
        resumed.map_err(|fault| told(&fault))?;
        if is_paused(endpoint).await? {
            Err("it is still paused after /continue_generation".to_owned())
        } else {
            Ok(())
        }
    }

    async fn version(endpoint: &Endpoint) -> Result<String, String> {
        weight_version(endpoint).await
    }

    async fn poll(endpoint: &Endpoint) -> Result<Load, String> {
        let loads = endpoint.http.get("/v1/loads?include=core", endpoint.patience.sign).await;
        let loads = loads.map_err(|fault| told(&fault))?;
        let ranks = loads["loads"].as_array().filter(|ranks| !ranks.is_empty());
        let ranks = ranks.ok_or_else(|| format!("/v1/loads tells no load: {loads}"))?;
        let of = |name: &str| ranks.iter().filter_map(|rank| rank[name].as_f64()).collect::<Vec<_>>();
        let sum = |name: &str| of(name).iter().sum::<f64>();
        Ok(Load {
            running: sum("num_running_reqs") as u64,
            waiting: sum("num_waiting_reqs") as u64,
            cache_share: of("token_usage").into_iter().fold(0.0, f64::max),
            // none of them grows for ever; while it draws they change
            generated_tokens: (sum("total_prefill_uncached_tokens") + sum("num_used_tokens")) as u64,
            tokens_per_second: Some(sum("gen_throughput")),
            is_paused: is_paused(endpoint).await?,
        })
    }

    async fn generate(endpoint: &Endpoint, request: &Request) -> Result<Response, Fault> {
        let about =
            endpoint.about().ok_or_else(|| Fault::Failed("nothing is known of the server".to_owned()))?;
        let room = room(about.context, &request.prompt, Self::CONTEXT_OPTION)?;
        let mut sampling = sampling_fields(request);
        sampling["max_new_tokens"] = json!(u64::from(request.sampling.max_new_tokens).min(room));
        sampling["sampling_seed"] = json!(signed_seed(request));
        sampling["skip_special_tokens"] = json!(false);
        let mut body = json!({
            "rid": request.name,
            "input_ids": request.prompt,
            "sampling_params": sampling,
            "return_logprob": true,
            "stream": false,
            "cache_salt": request.version,
        });
        let adapter = request.adapter.as_deref();
        if let Some(adapter) = adapter {
            body["lora_path"] = json!(adapter.name);
        }
        let answer = endpoint.http.post(GENERATE, Some(&body), None).await;
        let answer = answer.map_err(|fault| fault_of_request(&fault, adapter))?;
        let (mut response, versions) = read_answer(&answer)?;
        if versions.iter().any(|version| *version != request.version) {
            return Err(Fault::OtherWeights(format!(
                "it was drawn by weights called {versions:?} and not `{}`",
                request.version
            )));
        }
        if !request.sampling.is_unmodified() {
            // those of the answer are of the distribution that was drawn from, unless the server was told otherwise
            let tokens = [&request.prompt[..], &response.tokens].concat();
            let scored = Self::score(endpoint, adapter, &tokens).await?.log_probabilities;
            let of_response = scored.get(request.prompt.len() - 1..).unwrap_or_default();
            response.log_probabilities = of_response.to_vec();
            // a name is given once: weights that have it now had it then
            let now = weight_version(endpoint).await.map_err(Fault::Broken)?;
            if now != request.version {
                let reason = format!("the server's weights are called `{now}` and not `{}`", request.version);
                return Err(Fault::OtherWeights(reason));
            }
        }
        Ok(response)
    }

    async fn load_adapter(endpoint: &Endpoint, adapter: &Adapter, folder: &Path) -> Result<(), HttpFault> {
        let body = json!({"lora_name": adapter.name, "lora_path": folder});
        endpoint.http.order("/load_lora_adapter", Some(&body), endpoint.patience.load).await
    }

    async fn unload_adapter(endpoint: &Endpoint, name: &str) -> Result<(), HttpFault> {
        let body = json!({"lora_name": name});
        endpoint.http.order("/unload_lora_adapter", Some(&body), endpoint.patience.load).await
    }

    async fn score(endpoint: &Endpoint, adapter: Option<&Adapter>, tokens: &[u32]) -> Result<Scores, Fault> {
        let mut body = json!({
            "input_ids": tokens,
            "sampling_params": {"max_new_tokens": 1, "temperature": 0.0},
            "return_logprob": true,
            "logprob_start_len": 0,
            "stream": false,
        });
        if let Some(adapter) = adapter {
            body["lora_path"] = json!(adapter.name);
        }
        let answer = endpoint.http.post(GENERATE, Some(&body), Some(endpoint.patience.load)).await;
        let answer = answer.map_err(|fault| fault_of_request(&fault, adapter))?;
        read_scores(&answer["meta_info"], tokens)
    }
}

async fn weight_version(endpoint: &Endpoint) -> Result<String, String> {
    let info =
        endpoint.http.get("/model_info", endpoint.patience.word).await.map_err(|fault| told(&fault))?;
    let version = info["weight_version"].as_str().map(str::to_owned);
    version.ok_or_else(|| format!("/model_info tells no weight_version: {info}"))
}

/// A server that is paused takes no requests, and says so; one that is starting or ill too.
async fn is_paused(endpoint: &Endpoint) -> Result<bool, String> {
    match endpoint.http.text("/ready", endpoint.patience.sign).await {
        Ok(_) => Ok(false),
        Err(fault) if fault.status() == Some(503) => Ok(true),
        Err(fault) => Err(told(&fault)),
    }
}

/// A response, and the versions that its tokens were drawn with.
fn read_answer(answer: &Value) -> Result<(Response, Vec<String>), Fault> {
    let meta = &answer["meta_info"];
    let failed = |reason: &str| Fault::Failed(format!("an answer that is none: {reason}: {}", short(meta)));
    let finish = match meta["finish_reason"]["type"].as_str() {
        Some("stop") => FinishReason::Stop,
        Some("length") => FinishReason::Length,
        Some("abort") => return Err(Fault::Aborted("the server ended it before its time".to_owned())),
        _ => return Err(failed("no known reason of its end")),
    };
    // with the token that ended it, which the text and the ids beside it may leave out
    let drawn = meta["output_token_logprobs"].as_array().ok_or_else(|| failed("no log-probabilities"))?;
    let read = |one: &Value| Some((one[0].as_f64()? as f32, u32::try_from(one[1].as_u64()?).ok()?));
    let drawn: Option<Vec<(f32, u32)>> = drawn.iter().map(read).collect();
    let drawn = drawn.filter(|drawn| !drawn.is_empty());
    let (log_probabilities, tokens) =
        drawn.ok_or_else(|| failed("a token without its log-probability"))?.into_iter().unzip();
    Ok((Response { tokens, log_probabilities, finish }, versions(meta)))
}

/// What an answer says of the weights that drew its tokens, and read its prompt before.
fn versions(meta: &Value) -> Vec<String> {
    let spans = meta["weight_versions"].as_array().filter(|spans| !spans.is_empty());
    match spans {
        Some(spans) => {
            spans.iter().map(|span| span["version"].as_str().unwrap_or_default().to_owned()).collect()
        }
        None => vec![meta["weight_version"].as_str().unwrap_or_default().to_owned()],
    }
}

fn read_scores(meta: &Value, tokens: &[u32]) -> Result<Scores, Fault> {
    if meta["finish_reason"]["type"] == "abort" {
        return Err(Fault::Aborted("the server ended it before its time".to_owned()));
    }
    let none = || Fault::Failed(NO_LOG_PROBABILITY.to_owned());
    let values = &meta["input_token_logprobs"];
    let values = values.as_array().filter(|values| values.len() == tokens.len()).ok_or_else(none)?;
    let of = |(value, token): (&Value, &u32)| {
        value[0].as_f64().filter(|_| value[1].as_u64() == Some(u64::from(*token))).map(|value| value as f32)
    };
    let log_probabilities: Option<_> = values.iter().zip(tokens).skip(1).map(of).collect();
    Ok(Scores { log_probabilities: log_probabilities.ok_or_else(none)?, versions: Some(versions(meta)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(finish: &Value) -> Value {
        json!({"text": "x", "output_ids": [7042], "meta_info": {
            "finish_reason": finish, "weight_version": "v2",
            "weight_versions": [{"version": "v1", "start": 0, "end": 1}, {"version": "v2", "start": 1, "end": 2}],
            "output_token_logprobs": [[-0.25, 7042, null], [-1.5, 2, null]]
        }})
    }

    #[test]
    fn an_answer_is_read_whole_or_not_at_all() {
        let (response, versions) = read_answer(&answer(&json!({"type": "stop", "matched": 2}))).unwrap();
        assert_eq!(response.tokens, [7042, 2]);
        assert_eq!((response.log_probabilities, response.finish), (vec![-0.25, -1.5], FinishReason::Stop));
        assert_eq!(versions, ["v1", "v2"]);
        let length = read_answer(&answer(&json!({"type": "length", "length": 2}))).unwrap();
        assert_eq!(length.0.finish, FinishReason::Length);
        assert!(matches!(read_answer(&answer(&json!({"type": "abort"}))), Err(Fault::Aborted(_))));
        assert!(matches!(read_answer(&answer(&json!({"type": "new"}))), Err(Fault::Failed(_))));
        let mut without = answer(&json!({"type": "stop"}));
        without["meta_info"]["output_token_logprobs"][1] = json!([null, 2, null]);
        assert!(matches!(read_answer(&without), Err(Fault::Failed(_))));
        let mut older = answer(&json!({"type": "stop"}));
        older["meta_info"].as_object_mut().unwrap().remove("weight_versions");
        assert_eq!(read_answer(&older).unwrap().1, ["v2"]);
    }

    #[test]
    fn a_score_is_of_the_very_token() {
        let mut meta = answer(&json!({"type": "length", "length": 1}))["meta_info"].take();
        meta["input_token_logprobs"] = json!([[null, 1, null], [-3.5, 5, null], [-2.0, 7, null]]);
        let scores = read_scores(&meta, &[1, 5, 7]).unwrap();
        assert_eq!(scores.log_probabilities, [-3.5, -2.0]);
        assert_eq!(scores.versions, Some(vec!["v1".to_owned(), "v2".to_owned()]));
        assert!(read_scores(&meta, &[1, 4, 7]).is_err());
        assert!(read_scores(&meta, &[1, 5]).is_err());
        // whatever an answer holds that was broken off
        meta["finish_reason"] = json!({"type": "abort"});
        assert!(matches!(read_scores(&meta, &[1, 5, 7]), Err(Fault::Aborted(_))));
    }
}
