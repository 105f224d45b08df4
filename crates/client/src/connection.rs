//! One HTTP/1.1 exchange over the Unix domain socket: a request is written, an answer is read.
//!
//! The connection is closed after the answer, so a body without a length ends with the connection.

use std::{
    fmt,
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
};

use serde::{Serialize, de::DeserializeOwned};
use still_control::{ErrorKind, ErrorReply};

use crate::error::ClientError;

/// Longest head of an answer, in bytes.
const MAX_HEAD_BYTES: u64 = 16 * 1024;
/// Header lines that an answer may have.
const MAX_HEADERS: usize = 32;

/// What is asked.
pub(crate) struct Request<'a> {
    method: &'static str,
    path: String,
    body: &'a [u8],
}

/// The body of a good answer, as it comes.
pub(crate) struct Answer {
    body: Box<dyn BufRead>,
}

impl<'a> Request<'a> {
    /// Asks for `path` with a query.
    pub(crate) fn get(path: &str, query: &[(&str, String)]) -> Self {
        Self { method: "GET", path: with_query(path, query), body: &[] }
    }

    /// Sends `body` to `path`.
    pub(crate) fn post(path: &str, query: &[(&str, String)], body: &'a [u8]) -> Self {
        Self { method: "POST", path: with_query(path, query), body }
    }

    /// Sends the request and reads the answer's head.
    ///
    /// # Errors
    /// When nobody answers, the answer cannot be read, or it is a refusal.
    pub(crate) fn send(&self, socket: &Path) -> Result<Answer, ClientError> {
        let unreachable = |source| ClientError::Unreachable { path: socket.to_owned(), source };
        let mut stream = UnixStream::connect(socket).map_err(unreachable)?;
        let Self { method, path, body } = self;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: stilld\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        // a refusal may come before the whole body is taken: what matters is the answer
        let written = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        match (read_head(BufReader::new(stream)), written) {
            (Ok((200, answer)), _) => Ok(answer),
            (Ok((status, answer)), _) => Err(refusal(status, answer)),
            (Err(_), Err(error)) => Err(ClientError::Interrupted(error)),
            (Err(error), Ok(())) => Err(error),
        }
    }
}

impl Answer {
    /// The whole body as JSON.
    pub(crate) fn json<T: DeserializeOwned>(mut self) -> Result<T, ClientError> {
        let mut text = Vec::new();
        self.body.read_to_end(&mut text).map_err(ClientError::Interrupted)?;
        serde_json::from_slice(&text).map_err(|error| ClientError::Answer(error.to_string()))
    }

    /// The body's lines, as they come.
    pub(crate) fn lines(self) -> impl Iterator<Item = Result<String, ClientError>> {
        self.body.lines().map(|line| line.map_err(ClientError::Interrupted))
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").finish_non_exhaustive()
    }
}

/// A request's JSON body.
pub(crate) fn body(value: &impl Serialize) -> Result<Vec<u8>, ClientError> {
    serde_json::to_vec(value).map_err(|error| ClientError::Answer(error.to_string()))
}

fn with_query(path: &str, query: &[(&str, String)]) -> String {
    let pairs: Vec<_> = query.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
}

/// `text` for a query, by RFC 3986: all but unreserved characters as `%XX`.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

fn refusal(status: u16, answer: Answer) -> ClientError {
    match answer.json::<ErrorReply>() {
        Ok(reply) => ClientError::Refused(reply),
        Err(_) => ClientError::Refused(ErrorReply::new(ErrorKind::Internal, format!("HTTP status {status}"))),
    }
}

/// Reads status and headers, and prepares the body.
fn read_head(mut stream: impl BufRead + 'static) -> Result<(u16, Answer), ClientError> {
    let mut head = Vec::new();
    let mut limited = stream.by_ref().take(MAX_HEAD_BYTES);
    while !head.ends_with(b"\r\n\r\n") {
        let count = limited.read_until(b'\n', &mut head).map_err(ClientError::Interrupted)?;
        if count == 0 {
            return Err(ClientError::Interrupted(io::ErrorKind::UnexpectedEof.into()));
        }
    }
    let unreadable = |error: &dyn ToString| ClientError::Answer(error.to_string());
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    response.parse(&head).map_err(|error| unreadable(&error))?;
    let status = response.code.ok_or_else(|| unreadable(&"no status"))?;
    let header = |name: &str| {
        let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| std::str::from_utf8(header.value).ok())
    };
    let is_chunked = header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
    let body: Box<dyn BufRead> = match header("content-length").and_then(|length| length.parse().ok()) {
        _ if is_chunked => {
            Box::new(BufReader::new(Chunks { stream, left: 0, is_first: true, is_over: false }))
        }
        Some(length) => Box::new(stream.take(length)),
        None => Box::new(stream),
    };
    Ok((status, Answer { body }))
}

/// The content of a chunked body (RFC 9112, section 7.1).
struct Chunks<S> {
    stream: S,
    left: u64,
    is_first: bool,
    is_over: bool,
}

impl<S: BufRead> Chunks<S> {
    /// Reads the size line of the next chunk.
    fn begin(&mut self) -> io::Result<()> {
        let mut line = String::new();
        if !self.is_first {
            self.stream.read_line(&mut line)?;
            line.clear();
        }
        self.is_first = false;
        self.stream.read_line(&mut line)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        self.left =
            u64::from_str_radix(size, 16).map_err(|_| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        self.is_over = self.left == 0;
        Ok(())
    }
}

impl<S: BufRead> Read for Chunks<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 && !self.is_over {
            self.begin()?;
        }
        if self.is_over {
            return Ok(0);
        }
        let count = (&mut self.stream).take(self.left).read(buffer)?;
        if count == 0 && !buffer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &'static str) -> Result<(u16, Answer), ClientError> {
        read_head(text.as_bytes())
    }

    #[test]
    fn a_body_is_read_by_length_by_chunks_and_to_the_end() {
        for text in [
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"a\": 12}rest",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{\"a\r\n6;x=y\r\n\": 12}\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n{\"a\": 12}",
        ] {
            let (status, answer) = answer(text).unwrap();
            let value: serde_json::Value = answer.json().unwrap();
            assert_eq!((status, &value["a"]), (200, &12.into()), "{text}");
        }
    }

    #[test]
    fn a_body_that_is_cut_off_is_an_error() {
        let cut = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n8\r\n{\"a\":";
        let error = answer(cut).unwrap().1.json::<serde_json::Value>().unwrap_err();
        assert!(matches!(error, ClientError::Interrupted(_)), "{error}");
        assert!(matches!(answer("HTTP/1.1 200 OK\r\n"), Err(ClientError::Interrupted(_))));
        assert!(matches!(answer("nonsense\r\n\r\n"), Err(ClientError::Answer(_))));
    }

    #[test]
    fn what_stands_in_a_query_is_escaped() {
        let request = Request::get("/v1/pool/show", &[("id", "a b#7/ä".to_owned())]);
        assert_eq!(request.path, "/v1/pool/show?id=a%20b%237%2F%C3%A4");
    }
}
