//! Servers that draw rollouts.

use std::{
    collections::BTreeSet,
    mem,
    sync::{Mutex, PoisonError},
};

use metrics::gauge;
use still_control::{ServerState, ServerStatus};

use crate::names::{
    SERVER_CACHE, SERVER_HEALTHY, SERVER_IN_FLIGHT, SERVER_RUNNING, SERVER_TOKENS_PER_SECOND, SERVER_WAITING,
    SERVER_WINDOW,
};

/// All servers at once, time and again.
#[derive(Debug, Default)]
pub struct ServersMeasured {
    /// Those that were shown last.
    shown: Mutex<BTreeSet<String>>,
}

impl ServersMeasured {
    /// Shows every server, and one that was there the last time and is no more as nothing.
    pub fn emit(&self, servers: &[ServerStatus]) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let now = servers.iter().map(|server| server.address.clone()).collect();
        let before = mem::replace(&mut *shown, now);
        servers.iter().for_each(emit);
        for address in before.difference(&shown) {
            emit(&ServerStatus::at(address.clone(), String::new(), ServerState::Gone));
        }
    }
}

fn emit(server: &ServerStatus) {
    for (gauge, value) in [
        (SERVER_HEALTHY, f64::from(u8::from(server.state.is_healthy()))),
        (SERVER_RUNNING, server.running as f64),
        (SERVER_WAITING, server.waiting as f64),
        (SERVER_CACHE, server.cache_share),
        (SERVER_IN_FLIGHT, server.in_flight as f64),
        (SERVER_WINDOW, server.window as f64),
        (SERVER_TOKENS_PER_SECOND, server.tokens_per_second),
    ] {
        gauge!(gauge, "server" => server.address.clone()).set(value);
    }
}
