//! The lines that a program prints, as they come.

use std::{
    io::{BufRead, BufReader, Read},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use super::patience;

/// Lines of one or more streams, in the order in which they come.
pub struct Lines {
    coming: Receiver<String>,
    seen: Vec<String>,
}

impl Lines {
    /// Reads `streams`, each on a thread of its own, until they end.
    pub fn of(streams: Vec<Box<dyn Read + Send>>) -> Self {
        let (sender, coming) = channel();
        for stream in streams {
            let sender = sender.clone();
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        Self { coming, seen: Vec::new() }
    }

    /// Waits for a line that meets `is_it`, and gives it.
    pub fn wait_for(&mut self, what: &str, is_it: impl Fn(&str) -> bool) -> String {
        let patience = patience();
        let deadline = Instant::now() + patience;
        loop {
            match self.coming.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if is_it(&line) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("no {what} in {patience:?}: {:#?}", self.seen),
                Err(RecvTimeoutError::Disconnected) => panic!("ended without {what}: {:#?}", self.seen),
            }
        }
    }

    /// Reads on for at most `patience`; true when every stream has ended.
    pub fn end_within(&mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            match self.coming.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Timeout) => return false,
                Err(RecvTimeoutError::Disconnected) => return true,
            }
        }
    }

    /// Every line so far.
    pub fn seen(&self) -> &[String] {
        &self.seen
    }
}
