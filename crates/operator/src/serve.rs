//! HTTP within bounds: so many connections at once, and none that holds its place without asking.
//!
//! Beyond the bound a client waits in the system's queue until another one has gone. Whoever sends no whole request
//! head in time is let go, be it a new connection or one that has been answered, so that a place is free again
//! within that time.

use std::{io, pin::pin, sync::Arc, time::Duration};

use axum::{Router, serve::Listener};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{sync::Semaphore, time::timeout};

/// Descriptors that are not for clients: the store, checkpoints, models, programs that are judged.
const RESERVED_DESCRIPTORS: u64 = 256;
/// Connections at once, where descriptors are no matter.
const MAX_CONNECTIONS: u64 = 64;
/// Connections at once, however few descriptors there are.
const MIN_CONNECTIONS: u64 = 4;

/// What clients may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Connections at once.
    connections: usize,
    /// Longest wait for the head of a request.
    head: Duration,
    /// Longest life of a connection; `None` where answers may be streams without an end.
    life: Option<Duration>,
}

impl Bounds {
    /// Of the read-only page, which anybody may reach who reaches its port.
    pub(crate) fn of_page() -> Self {
        let (head, life) = (Duration::from_secs(10), Some(Duration::from_mins(5)));
        Self { connections: connections(descriptors()), head, life }
    }

    /// Of the control socket, which its owner alone may reach and which streams events for as long as there are any.
    pub(crate) fn of_socket() -> Self {
        Self { connections: connections(descriptors()), head: Duration::from_secs(10), life: None }
    }
}

/// How many connections fit beside everything else; a page and a socket share what is left.
fn connections(descriptors: u64) -> usize {
    let left = descriptors.saturating_sub(RESERVED_DESCRIPTORS) / 4;
    left.clamp(MIN_CONNECTIONS, MAX_CONNECTIONS) as usize
}

/// Raises the number of files and connections that the process may have open to what the system allows; gives it.
pub fn raise_descriptors() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let current = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    // no number means no limit
    current.unwrap_or(u64::MAX)
}

/// The number of files and connections that the process may have open.
fn descriptors() -> u64 {
    use rustix::process::{Resource, getrlimit};
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Answers until `shutdown` is over, and what was asked before then.
pub(crate) async fn serve(
    mut listener: impl Listener,
    router: Router,
    bounds: Bounds,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(bounds.connections));
    let open = GracefulShutdown::new();
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(bounds.head);
    let mut shutdown = pin!(shutdown);
    loop {
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place.map_err(io::Error::other)?,
            () = &mut shutdown => break,
        };
        let (stream, _) = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => break,
        };
        let service = TowerToHyperService::new(router.clone());
        let connection = open.watch(server.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            let _place = place;
            // what a client does wrong is its own matter
            match bounds.life {
                Some(life) => drop(timeout(life, connection).await),
                None => drop(connection.await),
            }
        });
    }
    drop(listener);
    open.shutdown().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
        sync::oneshot,
    };

    use super::*;

    const QUICK: Bounds = Bounds { connections: 2, head: Duration::from_millis(50), life: None };

    async fn answered(address: std::net::SocketAddr) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn who_sends_nothing_or_no_end_is_let_go_and_the_others_are_answered() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (close, closed) = oneshot::channel::<()>();
        let router = Router::new().route("/", get(async || "here"));
        let server = tokio::spawn(serve(listener, router, QUICK, async {
            let _ = closed.await;
        }));
        let mut idle = Vec::new();
        for number in 0..8 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            if number % 2 == 0 {
                stream.write_all(b"GET / HTTP/1.1\r\nhost: ").await.unwrap();
            }
            idle.push(stream);
        }
        assert!(answered(address).await.ends_with("here"), "a place becomes free");
        for mut stream in idle {
            // let go by a word or without one, and never kept
            let mut rest = Vec::new();
            let _ended = stream.read_to_end(&mut rest).await;
        }
        close.send(()).unwrap();
        server.await.unwrap().unwrap();
    }

    #[test]
    fn clients_get_what_the_daemon_leaves_of_the_descriptors() {
        assert_eq!(connections(64), 4);
        assert_eq!(connections(256 + 80), 20);
        assert_eq!(connections(u64::MAX), 64);
        assert!(raise_descriptors() > 0);
    }
}
