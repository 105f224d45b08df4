//! Servers that draw rollouts.

use metrics::gauge;

use crate::names::{
    SERVER_CACHE, SERVER_HEALTHY, SERVER_IN_FLIGHT, SERVER_RUNNING, SERVER_TOKENS_PER_SECOND, SERVER_WAITING,
    SERVER_WINDOW,
};

/// What is known of a server at this moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ServerMeasured<'a> {
    /// Its address.
    pub server: &'a str,
    /// Whether it can be counted on.
    pub is_healthy: bool,
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
    /// Tokens that it says it reads and draws a second.
    pub tokens_per_second: f64,
}

impl ServerMeasured<'_> {
    /// Shows it.
    pub fn emit(self) {
        for (gauge, value) in [
            (SERVER_HEALTHY, f64::from(u8::from(self.is_healthy))),
            (SERVER_RUNNING, self.running as f64),
            (SERVER_WAITING, self.waiting as f64),
            (SERVER_CACHE, self.cache_share),
            (SERVER_IN_FLIGHT, self.in_flight as f64),
            (SERVER_WINDOW, self.window as f64),
            (SERVER_TOKENS_PER_SECOND, self.tokens_per_second),
        ] {
            gauge!(gauge, "server" => self.server.to_owned()).set(value);
        }
    }
}
