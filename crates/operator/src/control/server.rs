//! The server on the control socket.

use std::{
    future::Future,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{net::UnixListener, sync::watch, time::sleep};

use super::{
    plane::ControlPlane,
    routes,
    socket::{SocketError, SocketFile},
};
use crate::serve::{Bounds, serve};

/// Longest wait for clients that do not read what they asked for, once the daemon ends.
const GRACE: Duration = Duration::from_secs(5);

/// An open control socket that nobody answers on yet.
#[derive(Debug)]
pub struct ControlServer {
    listener: UnixListener,
    file: SocketFile,
    path: PathBuf,
}

impl ControlServer {
    /// Opens the socket at `path`.
    ///
    /// # Errors
    /// When a daemon listens on it, or the system refuses.
    pub async fn bind(path: &Path) -> Result<Self, SocketError> {
        let (listener, file) = SocketFile::open(path).await?;
        Ok(Self { listener, file, path: path.to_owned() })
    }

    /// Where the socket is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Answers until `shutdown` is over, ends the streams of events, finishes what was asked and removes
    /// the socket.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve<C: ControlPlane>(
        self,
        plane: Arc<C>,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let Self { listener, file, .. } = self;
        let (close, closing) = watch::channel(false);
        let router = routes::router(plane, closing.clone());
        let shutdown = async move {
            shutdown.await;
            // nobody watches when no stream is open
            let _ = close.send(true);
        };
        let served = tokio::select! {
            served = serve(listener, router, Bounds::of_socket(), shutdown) => served,
            () = grace(closing) => Ok(()),
        };
        drop(file);
        served
    }
}

/// Over when clients have had their time after the closing.
async fn grace(mut closing: watch::Receiver<bool>) {
    // a sender that is gone closes as well
    let _ = closing.wait_for(|closing| *closing).await;
    sleep(GRACE).await;
}
