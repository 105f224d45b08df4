//! What stands between a daemon and a server, and can be slow, busy or broken.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Duration,
};

use super::patience;

/// What becomes of what goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Nothing.
    Pass,
    /// Each piece of an answer is late by so much.
    Slow(Duration),
    /// Every request is answered by 503.
    Busy,
    /// The connection ends where the answer begins.
    Drop,
}

/// A proxy of one server, on a port of its own. Its threads end with the process.
pub struct Proxy {
    port: u16,
    state: Arc<State>,
}

struct State {
    server: u16,
    manner: Mutex<(Manner, usize)>,
    met: Condvar,
}

impl Proxy {
    /// In front of a server on this machine.
    pub fn start(server: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State { server, manner: Mutex::new((Manner::Pass, 0)), met: Condvar::new() });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                thread::spawn(move || state.carry(&client));
            }
        });
        Self { port, state }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Behaves so from now on.
    pub fn behave(&self, manner: Manner) {
        *self.state.manner.lock().unwrap() = (manner, 0);
    }

    /// Behaves so until so many requests or answers have met with it.
    pub fn behave_for(&self, manner: Manner, times: usize) {
        self.behave(manner);
        let held = self.state.manner.lock().unwrap();
        let (held, waited) =
            self.state.met.wait_timeout_while(held, patience(), |(_, met)| *met < times).unwrap();
        drop(held);
        assert!(!waited.timed_out(), "{manner:?} was not met {times} times");
        self.behave(Manner::Pass);
    }
}

impl State {
    /// How to behave to what comes now.
    fn manner(&self) -> Manner {
        let mut manner = self.manner.lock().unwrap();
        manner.1 += 1;
        self.met.notify_all();
        manner.0
    }

    fn carry(self: Arc<Self>, client: &TcpStream) {
        // a server that is gone takes no connection: neither does this
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.server)) else { return };
        let (answers, to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
        let back = Arc::clone(&self);
        thread::spawn(move || {
            copy(&answers, &to_client, |_| match back.manner() {
                Manner::Slow(late) => {
                    thread::sleep(late);
                    true
                }
                manner => manner != Manner::Drop,
            });
        });
        copy(client, &server, |client| {
            let is_busy = self.manner() == Manner::Busy;
            if is_busy {
                let answer =
                    b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                // who has gone hears nothing
                let _ = (&*client).write_all(answer);
            }
            !is_busy
        });
    }
}

/// Carries pieces until one side ends, or a piece is not to go on; then both are closed.
fn copy(mut from: &TcpStream, mut to: &TcpStream, goes_on: impl Fn(&TcpStream) -> bool) {
    let mut piece = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut piece) {
        if !goes_on(from) || to.write_all(&piece[..length]).is_err() {
            break;
        }
    }
    for stream in [from, to] {
        let _ = stream.shutdown(Shutdown::Both);
    }
}
