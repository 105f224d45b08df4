//! Signals: the first SIGTERM or SIGINT drains the daemon, the second ends it at once.

use std::{io, process};

use still_control::Exit;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::JoinHandle,
};

/// The signals that end the daemon.
#[derive(Debug)]
pub struct EndSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl EndSignals {
    /// Takes both signals over from the system's default.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn install() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next of them and gives its name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// Calls `drain` at the first signal and `end` at the second.
    pub fn watch(
        mut self,
        drain: impl FnOnce(&'static str) + Send + 'static,
        end: impl FnOnce(&'static str) + Send + 'static,
    ) -> JoinHandle<()> {
        tokio::spawn(async move {
            drain(self.next().await);
            end(self.next().await);
        })
    }
}

/// Ends the process at once with [`Exit::Interrupted`]; what the store acknowledged is durable.
pub fn exit_at_once(_signal: &'static str) {
    process::exit(i32::from(Exit::Interrupted.code()));
}
