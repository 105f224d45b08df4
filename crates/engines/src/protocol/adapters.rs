//! Policies that a server serves beside what it draws: adapters by name over the weights that it holds.

use std::sync::Arc;

use serde_json::Value;

use super::{ADAPTER_PREFIX, Protocol, told, weights::confirm, words::nanoseconds};
use crate::{
    endpoint::{Adapter, Endpoint, Prepared, Serves},
    publication::Publication,
};

/// Has a server serve a policy beside what it draws: by an adapter, or by the weights beneath its adapters.
pub(super) async fn join<P: Protocol>(
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

/// Takes adapters off a server that no request names any more.
pub(super) async fn evict<P: Protocol>(endpoint: &Endpoint) {
    for adapter in endpoint.take_idle_adapters() {
        if let Err(reason) = unload::<P>(endpoint, &adapter.name).await {
            let server = endpoint.http.address();
            tracing::warn!(%server, adapter = adapter.name, reason, "an adapter is not taken off the server: it is tried again");
            endpoint.add_adapter(adapter);
        }
    }
}

/// Takes an adapter off a server; one that is not there is none.
pub(super) async fn unload<P: Protocol>(endpoint: &Endpoint, name: &str) -> Result<(), String> {
    match P::unload_adapter(endpoint, name).await {
        Err(fault) if !matches!(fault.status(), Some(400 | 404)) => Err(told(&fault)),
        _ => Ok(()),
    }
}

/// The names of adapters in `/v1/models`.
pub(crate) fn adapter_names(models: &Value) -> Vec<String> {
    let models = models["data"].as_array().into_iter().flatten();
    let adapters = models.filter(|model| !model["parent"].is_null());
    adapters.filter_map(|model| model["id"].as_str().map(str::to_owned)).collect()
}
