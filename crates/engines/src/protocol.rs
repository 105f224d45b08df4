//! What every kind of server is asked, in the same order: who it is, its load, new weights, a response, a score.
//!
//! The order is the protocol's, whatever words a kind of server has for it. Giving weights, for one: pause, load, name,
//! resume whatever happened, then the probe; and weights that this run has not named are never taken for a policy's.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use crate::{
    endpoint::{About, Endpoint, Prepared, Serves},
    engine::{Fault, Load, Request, Response},
    http::HttpFault,
    probe,
    schedule::PolicyId,
    settings::EngineKind,
    sglang::Sglang,
    vllm::Vllm,
};

/// What a look at a server finds.
pub(crate) struct Look {
    pub(crate) about: About,
    pub(crate) is_paused: bool,
    /// What it calls its weights.
    pub(crate) version: String,
}

/// Why weights could not be taken over.
pub(crate) struct LoadFault {
    pub(crate) reason: String,
    /// Whether the server holds a whole model all the same.
    pub(crate) is_whole: bool,
}

/// What a kind of server is asked.
pub(crate) trait Protocol {
    /// Whether it is there, and what it is.
    fn look(endpoint: &Endpoint) -> impl Future<Output = Result<Look, String>> + Send;

    /// Has it end what it draws, and draw nothing until it is resumed.
    fn pause(endpoint: &Endpoint) -> impl Future<Output = Result<(), String>> + Send;

    /// Has a paused server take a policy's weights, forget what those before computed, and call them `version`.
    fn load(
        endpoint: &Endpoint,
        policy: &Prepared,
        version: &str,
    ) -> impl Future<Output = Result<(), LoadFault>> + Send;

    /// Has it draw again, and makes sure that it does.
    fn resume(endpoint: &Endpoint) -> impl Future<Output = Result<(), String>> + Send;

    /// What it says of its load.
    fn poll(endpoint: &Endpoint) -> impl Future<Output = Result<Load, String>> + Send;

    /// Asks for a response.
    fn generate(
        endpoint: &Endpoint,
        request: &Request,
    ) -> impl Future<Output = Result<Response, Fault>> + Send;

    /// The log-probability of every token but the first.
    fn score(endpoint: &Endpoint, tokens: &[u32])
    -> impl Future<Output = Result<Vec<f32>, HttpFault>> + Send;
}

/// Calls a function of the protocol that a server speaks.
macro_rules! spoken {
    ($endpoint:expr, $function:ident ( $($argument:expr),* ), $none:expr) => {
        match $endpoint.kind {
            EngineKind::Vllm => $function::<Vllm>($endpoint, $($argument),*).await,
            EngineKind::Sglang => $function::<Sglang>($endpoint, $($argument),*).await,
            EngineKind::Embedded | EngineKind::Openai => Err($none),
        }
    };
}

/// What is no server of a fleet says so.
fn no_server(kind: EngineKind) -> String {
    format!("a server of the kind \"{}\" takes no weights", kind.name())
}

/// Looks at a server: the policy that it was given by this run and serves still, if it does. Weights that this run has not
/// named are never taken for a policy's, however near they seem: the checkpoints of two rounds may be nearer to each other
/// than a server's arithmetic is to ours.
pub(crate) async fn attach(endpoint: &Endpoint, is_doubted: bool) -> Result<Option<PolicyId>, String> {
    spoken!(endpoint, attach_to(is_doubted), no_server(endpoint.kind))
}

/// Gives a server a policy, and makes sure that it serves that and nothing else.
pub(crate) async fn swap(
    endpoint: &Endpoint,
    policy: &Arc<Prepared>,
    others: &[Arc<Prepared>],
    probe: &[u32],
) -> Result<(), String> {
    spoken!(endpoint, give(policy, others, probe), no_server(endpoint.kind))
}

/// What a server says of its load.
pub(crate) async fn poll(endpoint: &Endpoint) -> Result<Load, String> {
    async fn asked<P: Protocol>(endpoint: &Endpoint) -> Result<Load, String> {
        P::poll(endpoint).await
    }
    spoken!(endpoint, asked(), no_server(endpoint.kind))
}

/// Asks a server for a response.
pub(crate) async fn generate(endpoint: &Endpoint, request: &Request) -> Result<Response, Fault> {
    async fn asked<P: Protocol>(endpoint: &Endpoint, request: &Request) -> Result<Response, Fault> {
        P::generate(endpoint, request).await
    }
    spoken!(endpoint, asked(request), Fault::Failed(no_server(endpoint.kind)))
}

async fn attach_to<P: Protocol>(endpoint: &Endpoint, is_doubted: bool) -> Result<Option<PolicyId>, String> {
    let Look { about, is_paused, version } = P::look(endpoint).await?;
    if let Some(serves) = endpoint.serves().filter(|serves| !is_doubted && serves.version == version) {
        if is_paused {
            P::resume(endpoint).await?;
        }
        return Ok(Some(serves.policy));
    }
    endpoint.set_serves(None);
    let (server, kind) = (endpoint.http.address(), endpoint.kind.name());
    let About { model, context, .. } = &about;
    let engine = about.version.as_deref().unwrap_or("of an unknown version");
    let precision = about.precision.as_deref().unwrap_or("an unknown precision");
    tracing::info!(%server, model, context, is_paused, "{kind} {engine} in {precision}");
    endpoint.set_about(about);
    Ok(None)
}

async fn give<P: Protocol>(
    endpoint: &Endpoint,
    policy: &Arc<Prepared>,
    others: &[Arc<Prepared>],
    probe: &[u32],
) -> Result<(), String> {
    endpoint.set_serves(None);
    P::pause(endpoint).await?;
    let version = match load_paused::<P>(endpoint, policy).await {
        Ok(version) => version,
        Err(LoadFault { reason, is_whole: true }) => {
            P::resume(endpoint).await.map_err(|error| format!("{reason}; and it stays paused: {error}"))?;
            return Err(reason);
        }
        Err(LoadFault { reason, .. }) => return Err(reason),
    };
    P::resume(endpoint).await?;
    let scored = P::score(endpoint, probe).await.map_err(|fault| format!("the probe: {}", told(&fault)))?;
    let others = others.iter().filter(|one| one.id != policy.id);
    let others = others.map(|one| (one.name.as_str(), &one.reference[..]));
    let gap = probe::confirm(&scored, (&policy.name, &policy.reference), others, endpoint.max_gap_nats)?;
    endpoint.set_good(policy);
    endpoint.set_serves(Some(Serves { version, policy: policy.id }));
    tracing::info!(server = %endpoint.http.address(), policy = policy.name, gap, "it serves what it was given");
    Ok(())
}

/// Loads weights into a paused server; where that fails, those that it had. Gives what they are called.
async fn load_paused<P: Protocol>(endpoint: &Endpoint, policy: &Prepared) -> Result<String, LoadFault> {
    let version = new_version(&policy.name);
    let LoadFault { reason, is_whole } = match P::load(endpoint, policy, &version).await {
        Ok(()) => return Ok(version),
        Err(fault) => fault,
    };
    if is_whole {
        return Err(LoadFault { reason, is_whole });
    }
    let reason = format!("it cannot load {}: {reason}", policy.name);
    // a failed load leaves no model behind: the first request would end the server
    let Some(good) = endpoint.good() else {
        let reason = format!("{reason}; it is left paused, for it may hold no model any more: start it anew");
        return Err(LoadFault { reason, is_whole: false });
    };
    let version = new_version(&good.name);
    Err(match P::load(endpoint, &good, &version).await {
        Ok(()) => {
            endpoint.set_serves(Some(Serves { version, policy: good.id }));
            LoadFault { reason: format!("{reason}; it was given {} again", good.name), is_whole: true }
        }
        Err(LoadFault { reason: error, is_whole: true }) => {
            let reason = format!("{reason}; it was given {} again, but: {error}", good.name);
            LoadFault { reason, is_whole: true }
        }
        Err(LoadFault { reason: error, .. }) => LoadFault {
            reason: format!(
                "{reason}; nor {} again: {error}; it is left paused, for it holds no model any more: start it anew",
                good.name
            ),
            is_whole: false,
        },
    })
}

/// A name for weights that nothing else is called by.
fn new_version(name: &str) -> String {
    let nanoseconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    format!("still {name} {nanoseconds:x}")
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
