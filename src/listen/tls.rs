//! TLS for a listener: certificate and key from PEM files, with rustls and ring.

mod certificate;

use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::Tls;
pub(crate) use certificate::concerns;

/// Reads a certificate chain and its key.
pub(crate) fn read(files: &Tls) -> anyhow::Result<Arc<ServerConfig>> {
    let (certificate, key) = (files.certificate.display(), files.key.display());
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect)
        .with_context(|| format!("cannot read the certificate {certificate} (PEM text is expected)"))?;
    if chain.is_empty() {
        bail!("{certificate} holds no certificate; it should have a part that begins with -----BEGIN CERTIFICATE-----");
    }
    let private = PrivateKeyDer::from_pem_file(&files.key)
        .with_context(|| format!("cannot read the private key {key} (PEM text without a password is expected)"))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| anyhow!(unusable(&error, files)))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Why a certificate and its key cannot be served.
fn unusable(error: &rustls::Error, files: &Tls) -> String {
    let (certificate, key) = (files.certificate.display(), files.key.display());
    match error {
        rustls::Error::InconsistentKeys(_) => format!("the key {key} does not fit the certificate {certificate}"),
        rustls::Error::InvalidCertificate(why) => format!(
            "the certificate {certificate} cannot be used ({why:?}); an X.509 certificate of version 3 is needed"
        ),
        _ => format!("the key {key} cannot be used; RSA, ECDSA (P-256, P-384) and Ed25519 can, without a password"),
    }
}
