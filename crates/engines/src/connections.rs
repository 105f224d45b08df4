//! Connections to one server, kept for the next question while they are fresh.

use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http_body_util::Full;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::AbortHandle,
    time::Instant,
};

use crate::tls::Tls;

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// A connection that was idle for longer is not used: servers close theirs after five seconds.
const MAX_IDLE: Duration = Duration::from_secs(2);
/// Idle connections that are kept.
const MAX_KEPT: usize = 64;

/// The connections to a server.
#[derive(Debug)]
pub(crate) struct Connections {
    /// `host:port`.
    authority: String,
    /// How it is encrypted, where it is.
    tls: Option<Tls>,
    idle: Mutex<Vec<(Connection, Instant)>>,
}

/// One connection. Dropped, it closes at once, whatever the server is doing: so it hears that nobody waits any more.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    task: AbortHandle,
}

/// There is no connection, or it broke.
#[derive(Debug, Error)]
pub(crate) enum ConnectionError {
    #[error("no connection within {CONNECT:?}")]
    Late,
    #[error("no connection: {0}")]
    Refused(#[from] io::Error),
    #[error("no encrypted connection: {0}; an authority of your own goes into `certificate_file`")]
    NotTrusted(#[source] io::Error),
    #[error("the connection broke")]
    Broken(#[from] hyper::Error),
}

impl Connections {
    pub(crate) const fn new(authority: String, tls: Option<Tls>) -> Self {
        Self { authority, tls, idle: Mutex::new(Vec::new()) }
    }

    /// A connection that has been used and is still there, as far as this side knows: the other may be about to close it.
    pub(crate) async fn take_used(&self) -> Option<Connection> {
        loop {
            let (mut connection, since) = self.idle().pop()?;
            if since.elapsed() < MAX_IDLE && connection.sender.ready().await.is_ok() {
                return Some(connection);
            }
        }
    }

    /// A new connection.
    pub(crate) async fn open(&self) -> Result<Connection, ConnectionError> {
        let stream = tokio::time::timeout(CONNECT, TcpStream::connect(&self.authority));
        let stream = stream.await.map_err(|_| ConnectionError::Late)??;
        stream.set_nodelay(true)?;
        let Some(Tls { connector, name }) = &self.tls else { return spoken(stream).await };
        let encrypted = tokio::time::timeout(CONNECT, connector.connect(name.clone(), stream));
        let encrypted = encrypted.await.map_err(|_| ConnectionError::Late)?;
        spoken(encrypted.map_err(ConnectionError::NotTrusted)?).await
    }

    /// Keeps a connection whose answer was read to its end.
    pub(crate) fn keep(&self, connection: Connection) {
        let mut idle = self.idle();
        if !connection.sender.is_closed() && idle.len() < MAX_KEPT {
            idle.push((connection, Instant::now()));
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Connection, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection on a stream of bytes.
async fn spoken<S>(stream: S) -> Result<Connection, ConnectionError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let task = tokio::spawn(async move {
        // whoever asked hears of it by the answer that does not come
        let _ = connection.await;
    });
    Ok(Connection { sender, task: task.abort_handle() })
}

impl Connection {
    pub(crate) async fn ask(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, ConnectionError> {
        Ok(self.sender.send_request(request).await?)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}
