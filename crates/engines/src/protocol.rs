//! What every kind of server is asked, in the same order: who it is, its load, new weights, a response, a score.
//!
//! The order is the protocol's, whatever words a kind of server has for it. Giving weights, for one: pause, load, name,
//! resume whatever happened, then the probe; and weights that this run has not named are never taken for a policy's.

mod adapters;
mod weights;
mod words;

use std::{path::Path, sync::Arc};

use crate::{
    completions::Completions,
    endpoint::{About, Adapter, AdapterLimits, Endpoint, Prepared},
    engine::{Fault, Load, Request, Response, Scores},
    http::HttpFault,
    schedule::PolicyId,
    settings::EngineKind,
    sglang::Sglang,
    vllm::Vllm,
};
use adapters::{evict, join};
use weights::give_whole;

pub(crate) use adapters::adapter_names;
pub(crate) use words::{
    fault_of, fault_of_request, nanoseconds, precision, room, sampling_fields, short, signed_seed, told,
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

// after the macro, by which it speaks
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
