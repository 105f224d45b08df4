//! Encrypted connections: whom they are trusted by.

use std::{path::Path, sync::Arc};

use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};

/// How a server proves who it is: its name, and the authorities that may say so.
#[derive(Clone)]
pub(crate) struct Tls {
    pub(crate) connector: TlsConnector,
    pub(crate) name: ServerName<'static>,
}

impl Tls {
    /// Trusts the authorities that browsers trust, and those of a file in PEM, where one is named.
    ///
    /// # Errors
    /// When the file holds no certificate, or `host` is no name.
    pub(crate) fn new(host: &str, authorities: Option<&Path>) -> Result<Self, String> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(path) = authorities {
            let unusable = |reason: String| {
                format!(
                    "`certificate_file` of `engines`: `{}` holds no certificate in PEM: {reason}",
                    path.display()
                )
            };
            let found = CertificateDer::pem_file_iter(path).map_err(|error| unusable(error.to_string()))?;
            let mut count = 0;
            for certificate in found {
                let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
                roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
                count += 1;
            }
            if count == 0 {
                return Err(unusable("it is empty".to_owned()));
            }
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host).map_err(|error| error.to_string())?;
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name })
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_authorities_is_read_or_refused_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("authorities.pem");
        assert!(Tls::new("node-1", None).is_ok() && Tls::new("[::1]", None).is_ok());
        std::fs::write(&path, "nothing").unwrap();
        let told = Tls::new("node-1", Some(&path)).unwrap_err();
        assert!(told.contains("authorities.pem") && told.contains("certificate_file"), "{told}");
        std::fs::write(&path, still_engine_double::CERTIFICATE).unwrap();
        assert!(Tls::new("node-1", Some(&path)).is_ok());
    }
}
