//! The weights that a server holds as a whole: given under a pause, named, and made sure of by the probe.

use std::{future, sync::Arc};

use super::{ADAPTER_PREFIX, LoadFault, Protocol, adapters::unload, words::nanoseconds};
use crate::{
    endpoint::{Adapter, Endpoint, Prepared, Serves},
    probe,
};

/// Gives a server a policy as all the weights that it holds.
pub(super) async fn give_whole<P: Protocol>(
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

/// Makes sure of what a server serves, by its log-probabilities of the probe. Gives how far they are from ours.
pub(super) async fn confirm<P: Protocol>(
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
