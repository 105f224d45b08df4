//! What every kind of server is asked, in the same order: who it is, its load, new weights, a response, a score.
//!
//! The order is the protocol's, whatever words a kind of server has for it. Giving weights, for one: pause, load, name,
//! resume whatever happened, then the probe; and weights that this run has not named are never taken for a policy's.

use std::{
    future,
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use crate::{
    completions::Completions,
    endpoint::{About, Adapter, AdapterLimits, Endpoint, Prepared, Serves},
    engine::{Fault, Load, Request, Response, Scores},
    http::HttpFault,
    probe,
    publication::Publication,
    schedule::PolicyId,
    settings::EngineKind,
    sglang::Sglang,
    vllm::Vllm,
};

/// How the names of this program's adapters begin.
const ADAPTER_PREFIX: &str = "still-";

/// What a look at a server finds.
pub(crate) struct Look {
    pub(crate) about: About,
    pub(crate) is_paused: bool,
    /// What it calls its weights.
    pub(crate) version: String,
    /// The adapters that it holds, by name.
    pub(crate) adapters: Vec<String>,
}

/// Why weights could not be taken over.
pub(crate) struct LoadFault {
    pub(crate) reason: String,
    /// Whether the server holds a whole model all the same.
    pub(crate) is_whole: bool,
}

/// What a kind of server is asked.
pub(crate) trait Protocol {
    /// The option that it is started with for longer sequences.
    const CONTEXT_OPTION: &'static str;

    /// Whether it is there, and what it is.
    fn look(endpoint: &Endpoint) -> impl Future<Output = Result<Look, String>> + Send;

    /// Has it end what it draws, and draw nothing until it is resumed.
    fn pause(endpoint: &Endpoint) -> impl Future<Output = Result<(), String>> + Send;

    /// Has a paused server take a policy's weights, forget what those before computed, and call them `version`; whether it
    /// does is asked after.
    fn load(
        endpoint: &Endpoint,
        policy: &Prepared,
        version: &str,
    ) -> impl Future<Output = Result<(), LoadFault>> + Send;

    /// Has it call the weights that it holds `version`.
    fn name(endpoint: &Endpoint, version: &str) -> impl Future<Output = Result<(), String>> + Send;

    /// Has it draw again, and makes sure that it does.
    fn resume(endpoint: &Endpoint) -> impl Future<Output = Result<(), String>> + Send;

    /// What it calls its weights.
    fn version(endpoint: &Endpoint) -> impl Future<Output = Result<String, String>> + Send;

    /// What it says of its load.
    fn poll(endpoint: &Endpoint) -> impl Future<Output = Result<Load, String>> + Send;

    /// Asks for a response.
    fn generate(
        endpoint: &Endpoint,
        request: &Request,
    ) -> impl Future<Output = Result<Response, Fault>> + Send;

    /// What it thinks of two tokens or more, by the weights alone or with an adapter.
    fn score(
        endpoint: &Endpoint,
        adapter: Option<&Adapter>,
        tokens: &[u32],
    ) -> impl Future<Output = Result<Scores, Fault>> + Send;

    /// Has it take an adapter in, whatever it draws meanwhile.
    fn load_adapter(
        endpoint: &Endpoint,
        adapter: &Adapter,
        folder: &Path,
    ) -> impl Future<Output = Result<(), HttpFault>> + Send;

    /// Has it give an adapter up.
    fn unload_adapter(endpoint: &Endpoint, name: &str) -> impl Future<Output = Result<(), HttpFault>> + Send;
}

/// Calls a function of the protocol that a server speaks.
macro_rules! spoken {
    ($endpoint:expr, $function:ident ( $($argument:expr),* ), $none:expr) => {
        match $endpoint.kind {
            EngineKind::Vllm => $function::<Vllm>($endpoint, $($argument),*).await,
            EngineKind::Sglang => $function::<Sglang>($endpoint, $($argument),*).await,
            EngineKind::Openai => $function::<Completions>($endpoint, $($argument),*).await,
            EngineKind::Embedded => Err($none),
        }
    };
}

mod score;

pub(crate) use score::score;

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

/// The names of adapters in `/v1/models`.
pub(crate) fn adapter_names(models: &Value) -> Vec<String> {
    let models = models["data"].as_array().into_iter().flatten();
    let adapters = models.filter(|model| !model["parent"].is_null());
    adapters.filter_map(|model| model["id"].as_str().map(str::to_owned)).collect()
}

/// What a server says of its load, once adapters that nobody asks under any more are off it.
pub(crate) async fn poll(endpoint: &Endpoint) -> Result<Load, String> {
    async fn asked<P: Protocol>(endpoint: &Endpoint) -> Result<Load, String> {
        let load = P::poll(endpoint).await?;
        evict::<P>(endpoint).await;
        Ok(load)
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
    let Look { about, is_paused, version, adapters } = P::look(endpoint).await?;
    if !is_doubted && endpoint.version().as_ref() == Some(&version) {
        if is_paused {
            P::resume(endpoint).await?;
        }
        let is_there = |adapter: &Arc<Adapter>| adapters.contains(&adapter.name);
        if let Some(serves) = endpoint.serves().filter(|serves| serves.adapter.as_ref().is_none_or(is_there))
        {
            return Ok(Some(serves.policy));
        }
        endpoint.set_serves(None);
        return Ok(None);
    }
    endpoint.set_whole(None);
    let (server, kind) = (endpoint.http.address(), endpoint.kind.name());
    let About { model, context, .. } = &about;
    let engine = about.version.as_deref().unwrap_or("of an unknown version");
    let precision = about.precision.as_deref().unwrap_or("an unknown precision");
    let adapters = match about.adapters {
        None => "none: policies are given as whole weights".to_owned(),
        Some(AdapterLimits { max_rank: Some(rank) }) => format!("of ranks up to {rank}"),
        Some(AdapterLimits { max_rank: None }) => "of any rank".to_owned(),
    };
    tracing::info!(%server, model, context, is_paused, adapters, "{kind} {engine} in {precision}");
    endpoint.set_about(about);
    Ok(None)
}

async fn give<P: Protocol>(
    endpoint: &Endpoint,
    policy: &Arc<Prepared>,
    others: &[Arc<Prepared>],
    probe: &[u32],
) -> Result<(), String> {
    let as_adapter = endpoint.adapter_of(policy);
    if let (Some(adapter), None) = (&policy.adapter, as_adapter)
        && endpoint.about().is_some_and(|about| about.adapters.is_some())
    {
        let (server, rank) = (endpoint.http.address(), adapter.rank);
        tracing::warn!(%server, policy = policy.name, rank, "it is given as whole weights: the server takes no such adapter");
    }
    if endpoint.takes_beside(policy) {
        return join::<P>(endpoint, policy, others, probe).await;
    }
    let whole = as_adapter.map_or(policy, |adapter| &adapter.base);
    give_whole::<P>(endpoint, whole, others, probe).await?;
    if as_adapter.is_some() { join::<P>(endpoint, policy, others, probe).await } else { Ok(()) }
}

/// Gives a server a policy as all the weights that it holds.
async fn give_whole<P: Protocol>(
    endpoint: &Endpoint,
    policy: &Arc<Prepared>,
    others: &[Arc<Prepared>],
    probe: &[u32],
) -> Result<(), String> {
    endpoint.set_whole(None);
    if let Some(beginning) =
        endpoint.beginning.as_ref().filter(|one| one.loads_nothing() && !one.holds(policy))
    {
        beginning.begin_with(policy);
        // that takes it out of the fleet
        return future::pending().await;
    }
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
    let gap = confirm::<P>(endpoint, policy, None, others, probe).await.inspect_err(|_| {
        // it does not hold what it began with, whatever was done to it: next time it is given that
        if let Some(beginning) = endpoint.beginning.as_ref().filter(|one| !one.loads_nothing()) {
            beginning.touch();
        }
    })?;
    endpoint.set_good(policy);
    endpoint.set_whole(Some((&version, policy.id)));
    endpoint.set_serves(Some(Serves { version, policy: policy.id, adapter: None }));
    tracing::info!(server = %endpoint.http.address(), policy = policy.name, gap, "it serves what it was given");
    // adapters of other weights, and of an earlier run
    if endpoint.about().is_some_and(|about| about.adapters.is_some()) {
        let left = P::look(endpoint).await?.adapters;
        for name in left.iter().filter(|name| name.starts_with(ADAPTER_PREFIX)) {
            unload::<P>(endpoint, name).await?;
        }
    }
    Ok(())
}

/// Has a server serve a policy beside what it draws: by an adapter, or by the weights beneath its adapters.
async fn join<P: Protocol>(
    endpoint: &Endpoint,
    policy: &Arc<Prepared>,
    others: &[Arc<Prepared>],
    probe: &[u32],
) -> Result<(), String> {
    endpoint.set_serves(None);
    let version = endpoint.version().ok_or("nobody knows the weights that it holds")?;
    if P::poll(endpoint).await?.is_paused {
        P::resume(endpoint).await?;
    }
    let adapter = match endpoint.adapter_of(policy) {
        Some(adapter) => Some(load_adapter::<P>(endpoint, policy, &adapter.publication).await?),
        None => None,
    };
    let gap = match confirm::<P>(endpoint, policy, adapter.as_deref(), others, probe).await {
        Ok(gap) => gap,
        Err(reason) => {
            // under that name it is never asked again
            drop(adapter);
            evict::<P>(endpoint).await;
            return Err(reason);
        }
    };
    let under = adapter.as_ref().map(|adapter| adapter.name.clone());
    endpoint.set_serves(Some(Serves { version, policy: policy.id, adapter }));
    tracing::info!(server = %endpoint.http.address(), policy = policy.name, gap, under, "it serves what it was given");
    evict::<P>(endpoint).await;
    Ok(())
}

/// Has a server hold a policy's adapter, under a name that was never used, unless it holds it already.
async fn load_adapter<P: Protocol>(
    endpoint: &Endpoint,
    policy: &Arc<Prepared>,
    publication: &Publication,
) -> Result<Arc<Adapter>, String> {
    if let Some(adapter) = endpoint.adapter(policy.id) {
        return Ok(adapter);
    }
    let name = format!("{ADAPTER_PREFIX}{}-{:x}", policy.name, nanoseconds());
    let adapter = Arc::new(Adapter { name, policy: Arc::clone(policy) });
    // before it is asked: what is broken off in between is taken off the server again
    endpoint.add_adapter(Arc::clone(&adapter));
    P::load_adapter(endpoint, &adapter, publication.folder()).await.map_err(|fault| {
        let reason = format!("it does not take the adapter of {}: {}", policy.name, told(&fault));
        if fault.status().is_none() {
            return reason;
        }
        endpoint.refuse_adapter(policy.id);
        format!("{reason}; it is given whole weights instead")
    })?;
    Ok(adapter)
}

/// Makes sure of what a server serves, by its log-probabilities of the probe. Gives how far they are from ours.
async fn confirm<P: Protocol>(
    endpoint: &Endpoint,
    policy: &Prepared,
    adapter: Option<&Adapter>,
    others: &[Arc<Prepared>],
    probe: &[u32],
) -> Result<f64, String> {
    let scored = P::score(endpoint, adapter, probe).await;
    let scored = scored.map_err(|fault| format!("the probe: {}", fault.reason()))?.log_probabilities;
    let base = policy.adapter.as_ref().map(|adapter| &adapter.base);
    let others = others.iter().chain(base).filter(|one| one.id != policy.id);
    let others = others.map(|one| (one.name.as_str(), &one.reference[..]));
    probe::confirm(&scored, (&policy.name, &policy.reference), others, endpoint.max_gap_nats)
}

/// Takes adapters off a server that no request names any more.
async fn evict<P: Protocol>(endpoint: &Endpoint) {
    for adapter in endpoint.take_idle_adapters() {
        if let Err(reason) = unload::<P>(endpoint, &adapter.name).await {
            let server = endpoint.http.address();
            tracing::warn!(%server, adapter = adapter.name, reason, "an adapter is not taken off the server: it is tried again");
            endpoint.add_adapter(adapter);
        }
    }
}

/// Takes an adapter off a server; one that is not there is none.
async fn unload<P: Protocol>(endpoint: &Endpoint, name: &str) -> Result<(), String> {
    match P::unload_adapter(endpoint, name).await {
        Err(fault) if !matches!(fault.status(), Some(400 | 404)) => Err(told(&fault)),
        _ => Ok(()),
    }
}

/// Has a paused server hold a policy's weights under a name: gives it those that it does not hold yet.
async fn hold<P: Protocol>(endpoint: &Endpoint, policy: &Prepared, version: &str) -> Result<(), LoadFault> {
    let whole = |reason| LoadFault { reason, is_whole: true };
    match &endpoint.beginning {
        Some(beginning) if beginning.holds(policy) => P::name(endpoint, version).await.map_err(whole)?,
        beginning => {
            if let Some(beginning) = beginning {
                beginning.touch();
            }
            P::load(endpoint, policy, version).await?;
        }
    }
    let found = P::version(endpoint).await.map_err(whole)?;
    if found == version {
        Ok(())
    } else {
        Err(whole(format!("it calls its weights `{found}` and not `{version}`")))
    }
}

/// Has a paused server hold a policy's weights; where that fails, those that it had. Gives what they are called.
async fn load_paused<P: Protocol>(endpoint: &Endpoint, policy: &Arc<Prepared>) -> Result<String, LoadFault> {
    let version = new_version(&policy.name);
    let LoadFault { reason, is_whole } = match hold::<P>(endpoint, policy, &version).await {
        Ok(()) => return Ok(version),
        Err(fault) => fault,
    };
    if is_whole {
        return Err(LoadFault { reason, is_whole });
    }
    let reason = format!("it cannot load {}: {reason}", policy.name);
    if let Some(beginning) = &endpoint.beginning {
        beginning.begin_with(policy);
        return Err(LoadFault { reason: format!("{reason}; it is started anew with it"), is_whole: false });
    }
    // a failed load leaves no model behind: the first request would end the server
    let Some(good) = endpoint.good() else {
        let reason = format!("{reason}; it is left paused, for it may hold no model any more: start it anew");
        return Err(LoadFault { reason, is_whole: false });
    };
    let version = new_version(&good.name);
    Err(match hold::<P>(endpoint, &good, &version).await {
        Ok(()) => {
            endpoint.set_whole(Some((&version, good.id)));
            endpoint.set_serves(Some(Serves { version, policy: good.id, adapter: None }));
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
    format!("still {name} {:x}", nanoseconds())
}

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
