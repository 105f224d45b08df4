//! Questions over HTTP, and what may come of them.

use std::{fmt, path::Path, str::FromStr, sync::Arc, time::Duration};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue},
};
use serde_json::Value;
use thiserror::Error;

use crate::{
    connections::{Connection, ConnectionError, Connections},
    tls::Tls,
};

/// Longest answer that is read.
const MAX_ANSWER_BYTES: usize = 256 << 20;
/// Of an answer that is no good, what is told.
const MAX_TOLD_CHARACTERS: usize = 300;

/// Where a server is: `http://host:port` or `https://host:port`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Address {
    is_encrypted: bool,
    /// `host:port`, as a connection is made to.
    authority: String,
}

/// A question brought no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum HttpFault {
    /// No connection, or one that broke.
    #[error("{0}")]
    Broken(String),
    /// Nothing came in time.
    #[error("no answer within {0:?}")]
    Late(Duration),
    /// It was answered by an error.
    #[error("status {status}: {text}")]
    Status { status: u16, text: String },
    /// What came is not what was to come.
    #[error("{0}")]
    Content(String),
}

/// Asks one server. Clones share its connections; a question that is dropped closes its own.
#[derive(Clone)]
pub(crate) struct Http {
    address: Address,
    connections: Arc<Connections>,
    key: Option<HeaderValue>,
}

impl Http {
    /// `authorities` may vouch for a server beside those that browsers trust.
    pub(crate) fn new(
        address: Address,
        key: Option<&str>,
        authorities: Option<&Path>,
    ) -> Result<Self, String> {
        let key = key.map(|key| {
            let mut value = HeaderValue::from_str(&format!("Bearer {key}"))
                .map_err(|_| "the key of `engines` holds what no key holds".to_owned())?;
            value.set_sensitive(true);
            Ok::<_, String>(value)
        });
        let tls = address.is_encrypted.then(|| Tls::new(address.host(), authorities)).transpose()?;
        let connections = Arc::new(Connections::new(address.authority.clone(), tls));
        Ok(Self { address, connections, key: key.transpose()? })
    }

    pub(crate) const fn address(&self) -> &Address {
        &self.address
    }

    /// Asks with a body of JSON, or with none.
    pub(crate) async fn post(
        &self,
        path: &str,
        body: Option<&Value>,
        within: Option<Duration>,
    ) -> Result<Value, HttpFault> {
        let text = self.ask(Method::POST, path, body, within).await?;
        json(&text)
    }

    /// Asks for something to be done, whatever is said about it.
    pub(crate) async fn order(
        &self,
        path: &str,
        body: Option<&Value>,
        within: Duration,
    ) -> Result<(), HttpFault> {
        self.ask(Method::POST, path, body, Some(within)).await.map(drop)
    }

    pub(crate) async fn get(&self, path: &str, within: Duration) -> Result<Value, HttpFault> {
        let text = self.ask(Method::GET, path, None, Some(within)).await?;
        json(&text)
    }

    pub(crate) async fn text(&self, path: &str, within: Duration) -> Result<String, HttpFault> {
        let bytes = self.ask(Method::GET, path, None, Some(within)).await?;
        String::from_utf8(bytes.into()).map_err(|_| HttpFault::Content(format!("{path}: no text")))
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        within: Option<Duration>,
    ) -> Result<Bytes, HttpFault> {
        let asked = self.answer(method, path, body);
        match within {
            None => asked.await,
            Some(within) => tokio::time::timeout(within, asked).await.unwrap_or(Err(HttpFault::Late(within))),
        }
    }

    /// A connection with the head of an answer on it. One that was used before may be closed by the server at any moment,
    /// so a question that it does not answer is asked again on a new one.
    async fn asked(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(Connection, Response<Incoming>), ConnectionError> {
        if let Some(mut used) = self.connections.take_used().await
            && let Ok(answer) = used.ask(request.clone()).await
        {
            return Ok((used, answer));
        }
        let mut connection = self.connections.open().await?;
        let answer = connection.ask(request).await?;
        Ok((connection, answer))
    }

    async fn answer(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Bytes, HttpFault> {
        let mut request = Request::builder().method(method).uri(path).header(HOST, &self.address.authority);
        if let Some(key) = &self.key {
            request = request.header(AUTHORIZATION, key);
        }
        let bytes = match body {
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                Bytes::from(body.to_string())
            }
            None => Bytes::new(),
        };
        let request =
            request.body(Full::new(bytes)).map_err(|error| HttpFault::Content(format!("{path}: {error}")))?;
        let broken = |error: &dyn std::error::Error| HttpFault::Broken(whole(path, error));
        // dropped before it is kept again, it closes
        let (connection, answer) = self.asked(request).await.map_err(|error| broken(&error))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
        let bytes = body.map_err(|error| broken(&*error))?.to_bytes();
        self.connections.keep(connection);
        if status.is_success() {
            return Ok(bytes);
        }
        Err(HttpFault::Status { status: status.as_u16(), text: format!("{path}: {}", told(status, &bytes)) })
    }
}

impl HttpFault {
    /// The status that it was answered by.
    pub(crate) const fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wanted = || {
            format!("`{text}` is no address of a server: write \"http://host:port\" or \"https://host:port\"")
        };
        let (is_encrypted, rest) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
            (Some(rest), _) => (false, rest),
            (None, Some(rest)) => (true, rest),
            (None, None) => return Err(wanted()),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let is_sound =
            !rest.is_empty() && !rest.contains(['/', '?', '#', '@']) && !rest.contains(char::is_whitespace);
        let authority: hyper::http::uri::Authority = rest.parse().map_err(|_| wanted())?;
        if !is_sound || authority.host().is_empty() {
            return Err(wanted());
        }
        let port = authority.port_u16().unwrap_or(if is_encrypted { 443 } else { 80 });
        Ok(Self { is_encrypted, authority: format!("{}:{port}", authority.host()) })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_encrypted { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority)
    }
}

impl Address {
    /// A port of this machine, in the clear.
    pub(crate) fn on_this_machine(port: u16) -> Self {
        Self { is_encrypted: false, authority: format!("127.0.0.1:{port}") }
    }

    /// An address with what every path there begins with: `https://host/v1`.
    pub(crate) fn with_path(text: &str) -> Result<(Self, String), String> {
        let text = text.trim_end_matches('/');
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, format!("/{path}")),
            None => (rest, String::new()),
        };
        if path.contains(['?', '#']) || path.contains(char::is_whitespace) {
            return Err(format!("`{text}` has more than a path: write for example \"https://host:port/v1\""));
        }
        Ok((format!("{scheme}://{authority}").parse()?, path))
    }

    /// Its name without the port.
    fn host(&self) -> &str {
        self.authority.rsplit_once(':').map_or(self.authority.as_str(), |(host, _)| host)
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("address", &self.address).finish_non_exhaustive()
    }
}

fn json(bytes: &[u8]) -> Result<Value, HttpFault> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(bytes)
        .map_err(|error| HttpFault::Content(format!("the answer is no JSON: {error}")))
}

/// What an answer that is an error says.
fn told(status: StatusCode, bytes: &[u8]) -> String {
    let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let message = [&value["error"]["message"], &value["error"], &value["message"], &value["detail"]]
        .into_iter()
        .find_map(Value::as_str)
        .map_or_else(|| String::from_utf8_lossy(bytes).into_owned(), str::to_owned);
    if message.trim().is_empty() {
        return status.canonical_reason().unwrap_or("no reason is told").to_owned();
    }
    message.chars().take(MAX_TOLD_CHARACTERS).collect()
}

/// An error with what it came from: the outermost alone says "client error".
fn whole(path: &str, error: &dyn std::error::Error) -> String {
    let mut text = format!("{path}: {error}");
    let mut inner = error.source();
    while let Some(source) = inner {
        text.push_str(&format!(": {source}"));
        inner = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port_and_nothing_else() {
        for (text, shown) in [
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
            ("http://node-7:80/", "http://node-7:80"),
            ("http://node-7", "http://node-7:80"),
            ("https://node-7", "https://node-7:443"),
            ("http://[::1]:8000", "http://[::1]:8000"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), shown);
        }
        for text in
            ["127.0.0.1:8000", "ftp://a:1", "http://", "http://a/v1", "http://me:key@a:1", "http://a b"]
        {
            assert!(text.parse::<Address>().unwrap_err().contains("http://host:port"), "{text}");
        }
    }

    #[test]
    fn an_address_may_have_a_path_where_one_is_wanted() {
        let read = |text: &str| Address::with_path(text).map(|(address, path)| (address.to_string(), path));
        assert_eq!(read("https://a/v1/"), Ok(("https://a:443".to_owned(), "/v1".to_owned())));
        assert_eq!(read("http://a:8000"), Ok(("http://a:8000".to_owned(), String::new())));
        for text in ["a/v1", "https:///v1", "https://a/v1?key=x"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_errors_text_is_found_in_every_shape() {
        let bad = StatusCode::BAD_REQUEST;
        for (body, expected) in [
            (r#"{"error":{"message":"too long","code":400}}"#, "too long"),
            (r#"{"error":"PermissionDenied"}"#, "PermissionDenied"),
            (r#"{"detail":"Not Found"}"#, "Not Found"),
            ("plain", "plain"),
            ("", "Bad Request"),
        ] {
            assert_eq!(told(bad, body.as_bytes()), expected);
        }
    }
}
