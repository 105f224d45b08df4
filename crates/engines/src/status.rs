//! How a server of the fleet stands, for operators.

use still_control::{ServerState, ServerStatus};

use crate::{
    Load,
    endpoint::{About, Endpoint},
    schedule::Standing,
};

/// A server as the schedule and its last look at it have it; `policy` is what it serves for certain.
pub(crate) fn status_of(endpoint: &Endpoint, standing: Standing, policy: Option<String>) -> ServerStatus {
    let address = endpoint.http.address().to_string();
    let status = ServerStatus::at(address, endpoint.kind.name().to_owned(), standing.state);
    let (version, precision) = match endpoint.about() {
        Some(About { version, precision, .. }) => (version, precision),
        None => (None, None),
    };
    let known = ServerStatus {
        version,
        precision,
        policy,
        in_flight: standing.in_flight as u64,
        window: standing.window as u64,
        last_failure: standing.last_failure,
        ..status
    };
    if standing.state == ServerState::Gone {
        return known;
    }
    let Load { running, waiting, cache_share, .. } = standing.load;
    ServerStatus { running, waiting, cache_share, tokens_per_second: standing.tokens_per_second, ..known }
}
