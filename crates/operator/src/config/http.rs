//! `[http]`: the page of metrics and health.

use std::net::{SocketAddr, ToSocketAddrs};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_settings::Findings;

/// The page of metrics and health, read only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HttpSection {
    /// Address and port of `/metrics`, `/livez`, `/readyz` and the dashboard; port 0 takes a free one,
    /// and an empty text turns the page off. It has no access control: keep it on a private address.
    pub listen: String,
}

impl Default for HttpSection {
    fn default() -> Self {
        Self { listen: "127.0.0.1:9464".to_owned() }
    }
}

impl HttpSection {
    /// The address, of a host by name the first one; `None` when the page is off.
    pub fn address(&self) -> Option<SocketAddr> {
        let by_name = || self.listen.to_socket_addrs().ok().and_then(|mut found| found.next());
        self.listen.parse().ok().or_else(by_name)
    }

    /// Notes what is no address.
    pub fn validate(&self, findings: &mut Findings) {
        findings.require(self.listen.is_empty() || self.address().is_some(), "http.listen", || {
            format!(
                "`{}` is no address with a port: write for example \"127.0.0.1:9464\" or \"localhost:9464\"",
                self.listen
            )
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_be_a_name_and_a_name_without_a_port_is_refused() {
        let section = |listen: &str| HttpSection { listen: listen.to_owned() };
        for listen in ["127.0.0.1:9464", "[::1]:0", "localhost:9464"] {
            assert!(section(listen).address().is_some_and(|address| address.ip().is_loopback()), "{listen}");
        }
        for listen in ["localhost", "127.0.0.1", "9464"] {
            assert_eq!(section(listen).address(), None, "{listen}");
        }
    }
}
