//! Whom the server trusts: the system's authorities and those from configuration.

use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use std::{path::Path, path::PathBuf, sync::Arc, sync::OnceLock};

use crate::{ConfigError, OutboundError};

/// The authorities. The system's are read at first use, so that they cost nothing at start.
pub(super) struct Trust {
    extra: Vec<CertificateDer<'static>>,
    roots: OnceLock<Arc<RootCertStore>>,
}

impl Trust {
    /// Trusts the authorities in `files` beside the system's.
    pub(super) fn beside_system(files: &[PathBuf]) -> Result<Self, ConfigError> {
        let mut extra = Vec::new();
        for file in files {
            extra.extend(certificates(file)?);
        }
        Ok(Self { extra, roots: OnceLock::new() })
    }

    /// The TLS settings for new connections.
    pub(super) fn client_config(&self, only_http1: bool) -> Result<ClientConfig, OutboundError> {
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| OutboundError::Connect(error.to_string()))?
            .with_root_certificates(self.roots.get_or_init(|| Arc::new(self.load())).clone())
            .with_no_client_auth();
        config.alpn_protocols = match only_http1 {
            true => vec![b"http/1.1".to_vec()],
            false => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        };
        Ok(config)
    }

    fn load(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        let system = rustls_native_certs::load_native_certs();
        for error in &system.errors {
            tracing::warn!(%error, "some of the system's certificate authorities could not be read");
        }
        roots.add_parsable_certificates(system.certs);
        roots.add_parsable_certificates(self.extra.iter().cloned());
        if roots.is_empty() {
            tracing::warn!("no certificate authority is trusted: no https connection will succeed");
        }
        roots
    }
}

/// The certificates in a PEM file; all of them must be usable.
fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let pem = std::fs::read(file)
        .map_err(|error| ConfigError::Unreadable { path: file.to_owned(), detail: error.to_string() })?;
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = parsed.map_err(|_| ConfigError::NoCertificate(file.to_owned()))?;
    let mut usable = RootCertStore::empty();
    let all = certificates.iter().all(|one| usable.add(one.clone()).is_ok());
    if !all || certificates.is_empty() {
        return Err(ConfigError::NoCertificate(file.to_owned()));
    }
    Ok(certificates)
}
