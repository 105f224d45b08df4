//! The read-only page: `/metrics`, `/livez`, `/readyz`, and a small dashboard at `/`.
//!
//! Nothing here changes the daemon: orders go through the control socket, which the file system guards.

mod dashboard;

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use still_control::{ActorState, Exit, Status};
use thiserror::Error;
use tokio::{net::TcpListener, time::timeout};

use crate::{
    control::ControlPlane,
    serve::{Bounds, serve},
};

/// Longest wait for the daemon's answer to a probe.
const PATIENCE: Duration = Duration::from_secs(2);
/// The content type of Prometheus' text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Why the page cannot be opened.
#[derive(Debug, Error)]
pub enum PageError {
    /// Somebody else listens there.
    #[error(
        "`{address}` is in use: set `http.listen` to another port (0 takes a free one), or to \"\" for no page"
    )]
    InUse {
        /// The address.
        address: SocketAddr,
    },
    /// The system refused.
    #[error("`{address}` (`http.listen`) cannot be opened: {source}")]
    Io {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

impl PageError {
    /// How the program ends.
    pub const fn exit(&self) -> Exit {
        Exit::AddressInUse
    }
}

/// An open port that nobody answers on yet.
#[derive(Debug)]
pub struct PageServer {
    listener: TcpListener,
    address: SocketAddr,
}

struct Shared<C> {
    plane: Arc<C>,
    metrics: Box<dyn Fn() -> String + Send + Sync>,
}

impl PageServer {
    /// Opens the port.
    ///
    /// # Errors
    /// When somebody else listens there, or the system refuses.
    pub async fn bind(address: SocketAddr) -> Result<Self, PageError> {
        let refused = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => PageError::InUse { address },
            _ => PageError::Io { address, source },
        };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Self { listener, address })
    }

    /// Where the page is, the port chosen when 0 was asked for.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown` is over; `metrics` gives the text of `/metrics`.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve<C: ControlPlane>(
        self,
        plane: Arc<C>,
        metrics: impl Fn() -> String + Send + Sync + 'static,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let router = Router::new()
            .route("/", get(show_dashboard::<C>))
            .route("/metrics", get(show_metrics::<C>))
            .route("/livez", get(is_live::<C>))
            .route("/readyz", get(is_ready::<C>))
            .with_state(Arc::new(Shared { plane, metrics: Box::new(metrics) }));
        serve(self.listener, router, Bounds::of_page(), shutdown).await
    }
}

async fn show_metrics<C: ControlPlane>(State(shared): State<Arc<Shared<C>>>) -> Response {
    ([(header::CONTENT_TYPE, METRICS_TYPE)], (shared.metrics)()).into_response()
}

async fn is_live<C: ControlPlane>(State(shared): State<Arc<Shared<C>>>) -> (StatusCode, &'static str) {
    if shared.plane.is_alive() {
        (StatusCode::OK, "live\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the supervisor has ended\n")
    }
}

async fn is_ready<C: ControlPlane>(State(shared): State<Arc<Shared<C>>>) -> (StatusCode, String) {
    match status(&shared).await.and_then(|status| readiness(&status)) {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

async fn show_dashboard<C: ControlPlane>(State(shared): State<Arc<Shared<C>>>) -> Response {
    let rounds = timeout(PATIENCE, shared.plane.rounds()).await;
    match (status(&shared).await, rounds) {
        (Ok(status), Ok(Ok(rounds))) => Html(dashboard::render(&status, &rounds)).into_response(),
        (Err(reason), _) => (StatusCode::SERVICE_UNAVAILABLE, reason).into_response(),
        (_, Ok(Err(error))) => (StatusCode::SERVICE_UNAVAILABLE, error.message).into_response(),
        (_, Err(_)) => (StatusCode::SERVICE_UNAVAILABLE, "the daemon does not answer").into_response(),
    }
}

async fn status<C: ControlPlane>(shared: &Shared<C>) -> Result<Status, String> {
    match timeout(PATIENCE, shared.plane.status()).await {
        Ok(Ok(status)) => Ok(status),
        Ok(Err(error)) => Err(error.message),
        Err(_) => Err(format!("the daemon did not answer within {} s", PATIENCE.as_secs())),
    }
}

/// Ready: a policy is published, every actor is at work or paused by an operator, nothing drains.
fn readiness(status: &Status) -> Result<(), String> {
    if status.policy.is_none() {
        return Err("no policy is published yet".to_owned());
    }
    if status.draining {
        return Err("draining".to_owned());
    }
    let is_up = |state| matches!(state, ActorState::Running | ActorState::Paused);
    match status.actors.iter().find(|actor| !is_up(actor.state)) {
        Some(actor) => Err(format!("{} is {}", actor.name, actor.state.name())),
        None => Ok(()),
    }
}
