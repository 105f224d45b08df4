//! How servers that draw stand.

use serde::{Deserialize, Serialize};

/// A server that draws, as far as it is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerStatus {
    /// Its address.
    pub address: String,
    /// What kind of engine it is.
    pub engine: String,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launched: Option<LaunchStatus>,
}

impl ServerStatus {
    /// A server of which nothing else is known.
    pub const fn at(address: String, engine: String, state: ServerState) -> Self {
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
            launched: None,
        }
    }
}

/// What there is to know of a server that the daemon starts itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LaunchStatus {
    /// Its process, where there is one.
    pub process: Option<u32>,
    /// What it prints.
    pub log: String,
    /// Its GPUs.
    pub devices: Vec<u32>,
    /// Seconds until it is started, where that is waited for.
    pub restarts_in_seconds: Option<f64>,
}

/// How a server stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerState {
    /// It is being looked at.
    Attaching,
    /// It is being given a policy.
    Swapping,
    /// It serves a policy.
    Serving,
    /// Somebody has paused it.
    Paused,
    /// It takes nothing at present.
    Full,
    /// It failed, and is looked at again later.
    LeftOut,
    /// It was taken out, and ends what it holds.
    Leaving,
    /// It was taken out.
    Gone,
    /// It was started, and is not up yet.
    Starting,
    /// It failed, and is started again in a moment.
    Restarting,
    /// It failed too often, and is started again much later.
    GivenUp,
    /// It has let its devices go, and wakes when they come back.
    Asleep,
    /// It is taking its devices back.
    Waking,
    /// It is asked to end.
    Ending,
    /// It was ended, as its devices are the trainer's; it is started again when they come back.
    Yielded,
}

impl ServerState {
    /// The name used in JSON and in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Attaching => "attaching",
            Self::Swapping => "swapping",
            Self::Serving => "serving",
            Self::Paused => "paused",
            Self::Full => "full",
            Self::LeftOut => "left_out",
            Self::Leaving => "leaving",
            Self::Gone => "gone",
            Self::Starting => "starting",
            Self::Restarting => "restarting",
            Self::GivenUp => "given_up",
            Self::Asleep => "asleep",
            Self::Waking => "waking",
            Self::Ending => "ending",
            Self::Yielded => "yielded",
        }
    }

    /// Whether it has let its devices go to whoever uses them in turns with it.
    pub const fn has_yielded(self) -> bool {
        matches!(self, Self::Asleep | Self::Yielded)
    }

    /// Whether it can be counted on before long.
    pub const fn is_healthy(self) -> bool {
        !matches!(self, Self::LeftOut | Self::Gone | Self::Restarting | Self::GivenUp)
    }
}
