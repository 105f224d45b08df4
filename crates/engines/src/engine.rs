//! What a server is asked and answers, whichever engine it runs.

use std::{sync::Arc, time::Duration};

use still_domain::{FinishReason, SamplingSettings};

use crate::endpoint::Adapter;

/// One response asked for.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Names it on the server.
    pub(crate) name: String,
    pub(crate) prompt: Vec<u32>,
    pub(crate) sampling: SamplingSettings,
    pub(crate) seed: u64,
    /// Tokens that end the response; the one drawn is its last.
    pub(crate) stop_ids: Arc<[u32]>,
    /// The version that the server must have drawn it with.
    pub(crate) version: String,
    /// The adapter beside those weights that it is asked of; it stays on the server until the request ends.
    pub(crate) adapter: Option<Arc<Adapter>>,
}

/// One response.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Response {
    pub(crate) tokens: Vec<u32>,
    /// Under the unmodified distribution, in nats, one a token.
    pub(crate) log_probabilities: Vec<f32>,
    pub(crate) finish: FinishReason,
}

/// What a server thinks of a sequence.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scores {
    /// Of every token but the first, under the unmodified distribution, in nats.
    pub(crate) log_probabilities: Vec<f32>,
    /// What it called its weights when it answered, where it tells that with the answer.
    pub(crate) versions: Option<Vec<String>>,
}

/// What a server says of its own load.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Load {
    /// Requests that are being drawn.
    pub running: u64,
    /// Requests that wait on the server.
    pub waiting: u64,
    /// Share of the key-value cache in use, from 0 to 1.
    pub cache_share: f64,
    /// Tokens read and drawn since it was started, or a number that changes as they do: while it stands still, so does the
    /// server.
    pub generated_tokens: u64,
    /// Tokens a second that it says it draws, where it says that.
    pub tokens_per_second: Option<f64>,
    /// Whether somebody has paused it.
    pub is_paused: bool,
}

/// Why a request brought nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// This request can never be served.
    Refused(String),
    /// The server takes nothing at present (full, paused, loading): nobody's fault.
    Busy(String),
    /// The server ended it before its time.
    Aborted(String),
    /// The server failed at it.
    Failed(String),
    /// The connection broke, or was never made.
    Broken(String),
    /// It was drawn by other weights than those asked for.
    OtherWeights(String),
}

impl Fault {
    /// What it says.
    pub(crate) fn reason(&self) -> &str {
        let (Self::Refused(reason)
        | Self::Busy(reason)
        | Self::Aborted(reason)
        | Self::Failed(reason)
        | Self::Broken(reason)
        | Self::OtherWeights(reason)) = self;
        reason
    }
}

/// How long each thing may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// An answer that takes no work.
    pub(crate) word: Duration,
    /// A sign of life.
    pub(crate) sign: Duration,
    /// New weights, or a probe behind other work.
    pub(crate) load: Duration,
}
