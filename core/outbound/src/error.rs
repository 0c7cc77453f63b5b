//! What can go wrong on the way out.

use std::{net::IpAddr, path::PathBuf};

/// Why a request got no (whole) response.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OutboundError {
    /// Configuration forbids this address.
    #[error("connections to {0} are not allowed")]
    AddressRefused(IpAddr),
    /// The name has no address.
    #[error("{0} has no address")]
    NoAddress(String),
    /// The URL is not one that can be requested.
    #[error("not a URL that can be requested: {0}")]
    Url(String),
    /// The response redirects where the request does not allow.
    #[error("refused to follow the redirect to {0}")]
    RedirectRefused(String),
    /// The response redirects too often.
    #[error("more than {0} redirects")]
    TooManyRedirects(u8),
    /// It took too long.
    #[error("no answer in time")]
    Timeout,
    /// No connection could be made.
    #[error("could not connect: {0}")]
    Connect(String),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The response is larger than the caller takes.
    #[error("the response is larger than {0} bytes")]
    TooLarge(usize),
    /// The body is not the JSON that was expected.
    #[error("the response is not the expected JSON: {0}")]
    Json(String),
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A certificate file cannot be read.
    #[error("cannot read the authority's certificate {}: {detail}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// A certificate file holds no certificate.
    #[error("{} holds no PEM certificate that can be used", .0.display())]
    NoCertificate(PathBuf),
}
