//! What a command prints: kept in a file, bounded, with its end at hand for messages.

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// Bytes after which the file is put aside and a new one begun; one file aside is kept.
const MAX_FILE_BYTES: u64 = 16 << 20;
/// A longer line is cut in pieces.
const MAX_LINE_BYTES: u64 = 1 << 16;
/// Lines that are kept at hand.
const TAIL_LINES: usize = 4;
/// Characters of a line that a message shows.
const SHOWN_CHARACTERS: usize = 300;

/// The log of a command. Written by the threads that read its streams.
#[derive(Debug)]
pub struct ProcessLog {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    bytes: u64,
    tail: VecDeque<String>,
}

impl ProcessLog {
    /// Goes on with the log at `path`.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = append(path)?;
        let bytes = file.metadata()?.len();
        let state = Mutex::new(State { file, bytes, tail: VecDeque::new() });
        Ok(Self { path: path.to_owned(), state })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a line. A disk that is full loses lines of the log and nothing else.
    pub fn add(&self, line: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !line.trim().is_empty() {
            if state.tail.len() == TAIL_LINES {
                state.tail.pop_front();
            }
            state.tail.push_back(line.trim().chars().take(SHOWN_CHARACTERS).collect());
        }
        if state.bytes > MAX_FILE_BYTES {
            let aside = self.path.with_extension("log.1");
            if fs::rename(&self.path, aside).is_ok()
                && let Ok(file) = append(&self.path)
            {
                (state.file, state.bytes) = (file, 0);
            }
        }
        if state.bytes <= MAX_FILE_BYTES && writeln!(state.file, "{line}").is_ok() {
            state.bytes += line.len() as u64 + 1;
        }
    }

    /// The last lines since the command was started, for a message.
    pub fn tail(&self) -> String {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.tail.iter().map(String::as_str).collect::<Vec<_>>().join(" | ")
    }

    /// The command is started: what the one before said last is no longer at hand.
    pub fn begin(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).tail.clear();
    }
}

/// Every line of a stream; what is no UTF-8 is replaced, and what is too long cut.
pub(crate) fn lines(stream: impl Read, mut visit: impl FnMut(&str)) {
    let mut reader = BufReader::new(stream);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        match reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut bytes) {
            // a pipe that fails has ended
            Ok(0) | Err(_) => return,
            Ok(_) => visit(String::from_utf8_lossy(&bytes).trim_end_matches(['\n', '\r'])),
        }
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_is_cut_into_lines_and_its_end_is_at_hand() {
        let folder = tempfile::tempdir().unwrap();
        let log = ProcessLog::open(&folder.path().join("trainer.log")).unwrap();
        let endless = vec![b'x'; 3 * MAX_LINE_BYTES as usize];
        let stream = [b"one\r\n\xff\xfe\n\n".as_slice(), &endless, b"\nlast"].concat();
        let mut count = 0;
        lines(stream.as_slice(), |line| {
            assert!(line.len() <= MAX_LINE_BYTES as usize);
            count += 1;
            log.add(line);
        });
        assert_eq!(count, 3 + 4 + 1, "a cut after the last byte leaves an empty line");
        assert!(log.tail().ends_with("| last"), "{}", log.tail());
        let size = fs::metadata(log.path()).unwrap().len();
        assert!(size > 3 * MAX_LINE_BYTES && size < 4 * MAX_LINE_BYTES);
        log.begin();
        assert_eq!(log.tail(), "");
    }

    #[test]
    fn the_file_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let log = ProcessLog::open(&folder.path().join("trainer.log")).unwrap();
        let line = "y".repeat(1 << 20);
        (0..60).for_each(|_| log.add(&line));
        let sizes: Vec<_> = ["trainer.log", "trainer.log.1"]
            .map(|name| fs::metadata(folder.path().join(name)).unwrap().len())
            .into();
        assert!(sizes.iter().all(|size| *size <= MAX_FILE_BYTES + (2 << 20)), "{sizes:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
