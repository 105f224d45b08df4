//! How a server stands, for operators.

use std::{path::PathBuf, time::Instant};

use crate::{
    endpoint::{About, Endpoint},
    schedule::{ServerState, Standing},
};

/// What there is to know of a server that the daemon starts itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launched {
    /// Its process, where there is one.
    pub process: Option<u32>,
    /// What it prints.
    pub log: PathBuf,
    /// Its GPUs.
    pub devices: Vec<u32>,
    /// When it is started, where that is waited for.
    pub restarts_at: Option<Instant>,
}

/// How a server stands.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerStatus {
    /// Its address.
    pub address: String,
    /// What kind of engine it is.
    pub engine: &'static str,
    /// The engine's version, where it told.
    pub version: Option<String>,
    /// What it calculates in, where it told.
    pub precision: Option<String>,
    /// How it stands.
    pub state: ServerState,
    /// The checkpoint that it serves for certain, or `base`.
    pub policy: Option<String>,
    /// Requests that it says it draws.
    pub running: u64,
    /// Requests that it says wait there.
    pub waiting: u64,
    /// Share of its key-value cache in use.
    pub cache_share: f64,
    /// Requests of this run that it holds.
    pub in_flight: u64,
    /// Requests that it may hold.
    pub window: u64,
    /// Tokens a second that it says it reads and draws.
    pub tokens_per_second: f64,
    /// Why it was left out last.
    pub last_failure: Option<String>,
    /// Where the daemon starts it itself.
    pub launched: Option<Launched>,
}

impl ServerStatus {
    pub(crate) fn of(endpoint: &Endpoint, standing: Standing, policy: Option<String>) -> Self {
        let (version, precision) = match endpoint.about() {
            Some(About { version, precision, .. }) => (version, precision),
            None => (None, None),
        };
        let is_gone = standing.state == ServerState::Gone;
        let load = if is_gone { crate::Load::default() } else { standing.load };
        Self {
            address: endpoint.http.address().to_string(),
            engine: endpoint.kind.name(),
            version,
            precision,
            state: standing.state,
            policy,
            running: load.running,
            waiting: load.waiting,
            cache_share: load.cache_share,
            in_flight: standing.in_flight as u64,
            window: standing.window as u64,
            tokens_per_second: if is_gone { 0.0 } else { standing.tokens_per_second },
            last_failure: standing.last_failure,
            launched: None,
        }
    }

    /// A server that is not the fleet's at present.
    pub(crate) fn launched(
        address: String,
        engine: &'static str,
        state: ServerState,
        launched: Launched,
    ) -> Self {
        Self {
            address,
            engine,
            version: None,
            precision: None,
            state,
            policy: None,
            running: 0,
            waiting: 0,
            cache_share: 0.0,
            in_flight: 0,
            window: 0,
            tokens_per_second: 0.0,
            last_failure: None,
            launched: Some(launched),
        }
    }
}
